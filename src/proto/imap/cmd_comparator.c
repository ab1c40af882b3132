/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_comparator.c - COMPARATOR (RFC 5255 section 4.7): how SEARCH, SORT and THREAD compare texts.
 *                                                                              [proto, imap]
 * There is one way, i;unicode-casemap (RFC 5051), so the answer never depends on what was asked for
 * before.
 */
#include "proto/imap/imap_int.h"

static const struct str the_comparator = {"i;unicode-casemap", 17};

/* RFC 4790 section 3.2: "*" stands for anything. Each piece between two is looked for behind the
 * one before it. */
static bool fits(struct str wanted, struct str name)
{
	struct str piece;
	bool first = true;
	while (str_find(wanted, 0, '*') < wanted.n) {
		(void)str_cut(&wanted, '*', &piece);
		size_t at = str_find_str(name, 0, piece);
		if (piece.n && (at >= name.n || (first && at > 0)))
			return false;
		name = str_skip(name, piece.n ? at + piece.n : 0);
		first = false;
	}
	return first ? str_eq(wanted, name) : str_ends(name, wanted);
}

int cmd_comparator(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_comparator *cmd = &s->run.cmd.comparator;
	bool found = cmd->wanted_count == 0;
	(void)why;
	for (size_t i = 0; i < cmd->wanted_count; i++)
		found |= str_eqi(cmd->wanted[i], STR("default")) ||
			 fits(cmd->wanted[i], the_comparator);
	if (!found) {
		reply_no(s, "BADCOMPARATOR", "Texts are compared by i;unicode-casemap only.");
		return RUN_DONE;
	}
	buf_addf(&out->text, "* COMPARATOR %.*s\r\n", STR_ARG(the_comparator));
	return RUN_DONE;
}
