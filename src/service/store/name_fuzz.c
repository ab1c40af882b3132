/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a mailbox name: what is taken is normal, stays so, and its parents are names too. The
 * input's first line and the rest are two names.
 */
#include "base/check.h"
#include "base/utf8.h"
#include "service/store/store_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool normal(struct str in, char buf[STORE_NAME_MAX + 1], struct str *ret)
{
	char again_buf[STORE_NAME_MAX + 1];
	struct fail why = FAIL_INIT;
	struct str again;
	if (name_normal(in, buf, ret, &why) < 0) {
		CHECK(why.public[0]);
		return false;
	}
	CHECK(ret->n > 0 && ret->n <= STORE_NAME_MAX && utf8_valid(*ret));
	CHECK(ret->p[0] != '/' && ret->p[ret->n - 1] != '/');
	CHECK(name_normal(*ret, again_buf, &again, NULL) == 0 && str_eq(again, *ret));
	CHECK(name_is_inbox(*ret) == str_eqi(*ret, STR("inbox")));
	for (struct str up = name_parent(*ret); up.p; up = name_parent(up)) {
		CHECK(name_below(*ret, up));
		CHECK(name_normal(up, again_buf, &again, NULL) == 0 && str_eq(again, up));
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make((const char *)data, size), first;
	char one[STORE_NAME_MAX + 1], two[STORE_NAME_MAX + 1];
	struct str a, b;
	if (size == 0 || size > KIB(4) || !str_cut(&rest, '\n', &first))
		return 0;
	if (normal(first, one, &a) && normal(rest, two, &b))
		CHECK(!name_below(a, b) || !name_below(b, a));
	return 0;
}
