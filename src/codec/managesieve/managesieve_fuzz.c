/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in any bytes: names are names, and what is written can be read as a string again. */
#include "base/check.h"
#include "codec/managesieve/managesieve_capability.h"
#include "codec/managesieve/managesieve_cmd.h"
#include "codec/managesieve/managesieve_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void writes_back(struct str s)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	AUTO(buf) struct buf out = BUF_INIT(MIB(1));
	struct str again = STR_NULL;
	CHECK(managesieve_write_string(&out, s) == 0);
	struct imap_input in = {.text = buf_str(&out)};
	CHECK(managesieve_parse_string(&in, &a, &again, NULL) == 0);
	CHECK(str_eq(again, s));
}

static void tells(struct str any)
{
	AUTO(buf) struct buf out = BUF_INIT(MIB(1));
	struct managesieve_capability c = {.mechanisms = any, .sieve = any, .owner = any};
	CHECK(managesieve_capability_write(&out, &c) == 0);
	CHECK(str_ends(buf_str(&out), STR("\"VERSION\" \"1.0\"\r\n")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	tells(str_make((const char *)data, MIN(size, (size_t)1000)));
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct imap_input in = {.text = str_make((const char *)data, size)};
	struct managesieve_cmd c;
	struct fail why = FAIL_INIT;
	int r = managesieve_parse(&in, &a, &c, &why);
	if (r < 0) {
		CHECK(why.public[0]);
		return 0;
	}
	CHECK(c.verb < MANAGESIEVE_VERBS);
	CHECK(!c.name.n || managesieve_name_is_good(c.name));
	CHECK(!c.to.n || managesieve_name_is_good(c.to));
	if (str_find(c.script, 0, '\0') == c.script.n)
		writes_back(c.script);
	writes_back(c.name);
	return 0;
}
