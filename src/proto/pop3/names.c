/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - which UIDVALIDITY stands in the name of a message.            [proto, pop3]
 *
 * A restore gives INBOX another UIDVALIDITY (docs/adr/0018), and new mail then gets UIDs that the
 * server had given before; but what was in the backup is what clients have, and keeps its names. So
 * the restore writes down, as a value of the mailbox, which UIDVALIDITY messages below which UID
 * had: "UID:UIDVALIDITY " for each restore, the oldest first.
 */
#include "base/num.h"
#include "proto/pop3/pop3_int.h"

static bool one(struct str text, struct pop3_past_name *ret)
{
	struct str uid;
	return str_cut(&text, ':', &uid) && num_parse_u32(uid, &ret->below) &&
	       num_parse_u32(text, &ret->uidvalidity);
}

static void read_list(struct pop3_session *s, struct str text)
{
	struct str word;
	while (text.n && str_cut(&text, ' ', &word) && s->past_n < ARRAY_LEN(s->past))
		if (one(word, &s->past[s->past_n]))
			s->past_n++;
}

int pop3_names_read(struct pop3_session *s, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
	struct store_notes notes;
	s->past_n = 0;
	int r = store_annotations(s->store, s->account, STR("INBOX"), s->account, &a, &notes, why);
	for (size_t i = 0; r == 0 && i < notes.n; i++)
		if (str_eq(notes.p[i].entry, STR(STORE_UIDL_ENTRY)))
			read_list(s, notes.p[i].value);
	return r;
}

uint32_t pop3_validity_of(const struct pop3_session *s, struct uid uid)
{
	for (size_t i = 0; i < s->past_n; i++)
		if (uid.v < s->past[i].below)
			return s->past[i].uidvalidity;
	return store_view_get_info(s->view)->uidvalidity;
}
