/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the arguments, the texts end, are printable, and fit. */
#include "base/check.h"
#include "codec/smtp/xclient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void printable(const char *text, size_t max)
{
	size_t n = strnlen(text, max + 1);
	CHECK(n <= max);
	for (size_t i = 0; i < n; i++)
		CHECK((unsigned char)text[i] > ' ' && text[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xclient x;
	if (!xforward_parse((struct str){(const char *)data, size}, &x)) {
		printable(x.name, XCLIENT_TEXT_MAX);
		printable(x.helo, XCLIENT_TEXT_MAX);
		CHECK(!(x.given & XCLIENT_LOGIN));
	}
	if (xclient_parse((struct str){(const char *)data, size}, &x))
		return 0;
	CHECK(x.given);
	printable(x.name, XCLIENT_TEXT_MAX);
	printable(x.helo, XCLIENT_TEXT_MAX);
	printable(x.login, XCLIENT_LOGIN_MAX);
	return 0;
}
