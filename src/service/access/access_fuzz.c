/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table, and behind a NUL what is looked for in it: no matter what, it ends and stays in bounds.
 * Read as a table of content, too.
 */
#include "base/check.h"
#include "service/access/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int parse_fn(const char *, struct str, struct access_table **, struct buf *);

static void try_one(parse_fn *parse, struct str text, struct str key, bool is_address)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	AUTO(access_table) struct access_table *t = NULL;
	struct access_hit hit;
	if (parse("t", text, &t, &errors) < 0) {
		CHECK(errors.n > 0);
		return;
	}
	struct access_key k = {.texts = {key, STR("192.0.2.1")}, .is_address = is_address};
	(void)netaddr_parse(STR("192.0.2.1"), &k.addr);
	if (access_find(t, &k, &a, &hit)) {
		CHECK(hit.at.line > 0);
		CHECK(hit.act != ACCESS_REFUSE || (hit.code >= 400 && hit.code < 600));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = {(const char *)data, size};
	size_t cut = str_find(all, 0, '\0');
	struct str key = str_skip(all, cut + 1);
	struct str text = str_sub(all, 0, cut);
	key = key.n ? key : STR("");
	try_one(access_parse, text, key, size % 2);
	try_one(access_parse_content, text, key, false);
	return 0;
}
