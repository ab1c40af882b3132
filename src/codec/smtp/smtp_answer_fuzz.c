/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the lines: what is kept is bounded, printable UTF-8, and the status is of its class. */
#include "base/check.h"
#include "base/utf8.h"
#include "codec/smtp/smtp_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, line;
	struct smtp_answer a = {0};
	while (rest.p && str_cut(&rest, '\n', &line)) {
		int r = smtp_answer_line(&a, line, NULL);
		CHECK(a.n <= SMTP_ANSWER_TEXT_MAX && strlen(a.text) == a.n);
		CHECK(utf8_valid((struct str){a.text, a.n}));
		CHECK(a.lines <= SMTP_ANSWER_LINES);
		for (size_t i = 0; i < a.n; i++)
			CHECK((unsigned char)a.text[i] >= ' ' && a.text[i] != 0x7f);
		if (a.enhanced[0])
			CHECK((unsigned)(a.enhanced[0] - '0') == smtp_answer_class(&a));
		if (r != SMTP_ANSWER_MORE)
			a = (struct smtp_answer){0};
	}
	return 0;
}
