/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name.c - names of mailboxes.
 */
#include "base/utf8.h"
#include "service/store/store_int.h"

static int check_level(struct str level, struct fail *why)
{
	if (level.n == 0)
		return fail_set(why, FAIL_SYNTAX, "A mailbox name has an empty level.",
				"empty level");
	for (size_t i = 0; i < level.n; i++)
		if ((unsigned char)level.p[i] < 0x20 || level.p[i] == 0x7f)
			return fail_set(why, FAIL_SYNTAX, "A mailbox name has a control character.",
					"control");
	return 0;
}

int name_normal(struct str in, char buf[STORE_NAME_MAX + 1], struct str *ret, struct fail *why)
{
	if (str_ends(in, STR("/")))
		in = str_sub(in, 0, in.n - 1);
	if (in.n == 0)
		return fail_set(why, FAIL_SYNTAX, "A mailbox name is empty.", "empty name");
	if (in.n > STORE_NAME_MAX)
		return fail_set(why, FAIL_LIMIT, "The mailbox name is too long.", "%zu bytes",
				in.n);
	if (!utf8_valid(in))
		return fail_set(why, FAIL_SYNTAX, "A mailbox name is not UTF-8.", "not UTF-8");
	memcpy(buf, in.p, in.n);
	buf[in.n] = '\0';
	struct str rest = {buf, in.n};
	struct str level;
	unsigned depth = 0;
	while (str_cut(&rest, '/', &level)) {
		int r = check_level(level, why);
		if (r < 0)
			return r;
		if (++depth > STORE_DEPTH_MAX)
			return fail_set(why, FAIL_LIMIT, "The mailbox name has too many levels.",
					"more than %d levels", STORE_DEPTH_MAX);
	}
	level = str_sub((struct str){buf, in.n}, 0, str_find((struct str){buf, in.n}, 0, '/'));
	if (str_eqi(level, STR("INBOX")))
		memcpy(buf, "INBOX", 5);
	*ret = (struct str){buf, in.n};
	return 0;
}

bool name_is_inbox(struct str normal)
{
	return str_eq(normal, STR("INBOX"));
}

struct str name_parent(struct str normal)
{
	size_t at = str_rfind(normal, '/');
	return at == normal.n ? STR_NULL : str_sub(normal, 0, at);
}

bool name_below(struct str name, struct str parent)
{
	return name.n > parent.n && str_starts(name, parent) && name.p[parent.n] == '/';
}
