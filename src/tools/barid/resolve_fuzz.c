/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the answer of a DNS server, the first one chooses the question: texts that end. */
#include "base/check.h"
#include "tools/barid/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resolved r; /* 33 KiB */
	char name[80];
	if (size == 0 || size > KIB(16))
		return 0;
	enum resolve_type type = (enum resolve_type)(data[0] % (RESOLVE_CNAME + 1u));
	struct str answer = str_make((const char *)data + 1, size - 1);
	memset(&r, 'x', sizeof r);
	if (resolve_answer(answer, type, &r) == 0) {
		CHECK(r.n <= RESOLVE_MAX);
		for (size_t i = 0; i < r.n; i++)
			CHECK(memchr(r.v[i].text, '\0', sizeof r.v[i].text));
	}
	char text[64];
	(void)snprintf(text, sizeof text, "%.*s", STR_ARG(answer));
	if (resolve_reverse_name(text, name, sizeof name))
		CHECK(str_ends(str_c(name), STR(".arpa")));
	return 0;
}
