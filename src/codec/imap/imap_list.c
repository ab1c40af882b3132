/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_list.h"

bool imap_is_inbox(struct str name)
{
	return str_eqi(name, STR("INBOX"));
}

static bool is_wildcard(char p)
{
	return p == '*' || p == '%';
}

static bool passes(char wildcard, char c)
{
	return wildcard == '*' || (wildcard == '%' && c != IMAP_SEPARATOR);
}

/* Wildcards may also match nothing: what is reachable spreads over them. */
static void spread(bool *reach, struct str pattern)
{
	for (size_t i = 0; i < pattern.n; i++)
		if (reach[i] && is_wildcard(pattern.p[i]))
			reach[i + 1] = true;
}

/*
 * All ways to match are followed at once: reach[i] says that the first i characters of the
 * pattern can match the name so far. So no pattern can make it slow.
 */
bool imap_list_match(struct str pattern, struct str name)
{
	bool reach[IMAP_LIST_PATTERN_MAX + 1] = {true};
	if (pattern.n > IMAP_LIST_PATTERN_MAX)
		return false;
	bool inbox = imap_is_inbox(str_sub(name, 0, str_find(name, 0, IMAP_SEPARATOR)));
	spread(reach, pattern);
	for (size_t k = 0; k < name.n; k++) {
		char c = name.p[k];
		bool fold = inbox && k < 5;
		for (size_t i = pattern.n + 1; i-- > 0;) {
			char before = i > 0 ? pattern.p[i - 1] : '*';
			bool same = fold ? ascii_lower(before) == ascii_lower(c) : before == c;
			bool literal = i > 0 && reach[i - 1] && !is_wildcard(before) && same;
			bool stays = i < pattern.n && reach[i] && passes(pattern.p[i], c);
			reach[i] = literal || stays;
		}
		spread(reach, pattern);
	}
	return reach[pattern.n];
}

int imap_list_pattern(struct buf *out, struct str reference, struct str mailbox)
{
	if (mailbox.n > 0 && mailbox.p[0] == IMAP_SEPARATOR)
		return buf_add(out, str_skip(mailbox, 1));
	(void)buf_add(out, reference);
	return buf_add(out, mailbox);
}
