/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_fuzz.c - any text is an address list; groups are closed, there are no more addresses than
 * bytes. The same text is also read as a date and as parameters.
 */
#include "base/check.h"
#include "codec/mime/address.h"
#include "codec/mime/date.h"
#include "codec/mime/param.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(addr_parser) struct addr_parser p;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(16));
	struct str in = str_make((const char *)data, size);
	struct addr a;
	size_t n = 0;
	bool open = false;
	addr_begin(&p, in);
	while (addr_next(&p, &a)) {
		CHECK(open == (a.kind == ADDR_GROUP_END) || a.kind == ADDR_MAILBOX);
		open = a.kind == ADDR_GROUP ? true : a.kind == ADDR_GROUP_END ? false : open;
		CHECK(++n <= size + 1);
	}
	CHECK(!open);

	struct wall_us t;
	int zone;
	(void)date_parse(in, &t, &zone);

	struct lex x = {.s = in};
	struct params params;
	params_parse(&x, &arena, &params);
	CHECK(params.n <= PARAM_COUNT_MAX);
	return 0;
}
