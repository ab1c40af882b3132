/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken has a normal form, and that is its own. */
#include "base/check.h"
#include "codec/smtp/nexthop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nexthop h, again;
	AUTO(buf) struct buf first = BUF_INIT(KIB(2));
	AUTO(buf) struct buf second = BUF_INIT(KIB(2));
	if (nexthop_parse((struct str){(const char *)data, size}, &h) < 0)
		return 0;
	CHECK(nexthop_write(&h, &first) == 0);
	if (first.n > NEXTHOP_TEXT_MAX) /* "error:" got a status that was not written */
		return 0;
	CHECK(nexthop_parse(buf_str(&first), &again) == 0);
	CHECK(nexthop_write(&again, &second) == 0);
	CHECK(str_eq(buf_str(&first), buf_str(&second)));
	CHECK(h.kind == again.kind && h.protocol == again.protocol);
	CHECK(nexthop_port(&h, 25) == nexthop_port(&again, 25));
	return 0;
}
