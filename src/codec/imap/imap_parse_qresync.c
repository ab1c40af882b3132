/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_parse.h"

/* RFC 7162 section 7: "*" is not allowed in known-uids and in the match data; "$" means nothing
 * when a mailbox is being selected. */
static int parse_plain_set(struct imap_lex *lex, struct seqset *ret)
{
	size_t start = lex->pos;
	int r = imap_parse_set(lex, ret);
	if (r < 0 || (!seqset_has_star(ret) && !ret->saved))
		return r;
	lex->pos = start;
	return imap_lex_expected(lex, "a set of numbers without a star");
}

/* "(" known-sequence-set SP known-uid-set ")" */
static int parse_match(struct imap_lex *lex, struct imap_qresync *q)
{
	int r = imap_lex_char(lex, '(', "sequence numbers and their UIDs");
	if (r == 0)
		r = parse_plain_set(lex, &q->match_seq);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = parse_plain_set(lex, &q->match_uid);
	return r < 0 ? r : imap_lex_char(lex, ')', "\")\"");
}

/* [SP known-uids] [SP seq-match-data] */
static int parse_known(struct imap_lex *lex, struct imap_qresync *q)
{
	int r = 0;
	if (imap_lex_peek(lex) == ')')
		return 0;
	r = imap_lex_sp(lex);
	if (r == 0 && imap_lex_peek(lex) != '(') {
		r = parse_plain_set(lex, &q->known);
		if (r < 0 || imap_lex_peek(lex) == ')')
			return r;
		r = imap_lex_sp(lex);
	}
	return r < 0 ? r : parse_match(lex, q);
}

int imap_parse_qresync(struct imap_lex *lex, struct imap_qresync *ret)
{
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_char(lex, '(', "UIDVALIDITY and a mod-sequence in parentheses");
	if (r == 0)
		r = imap_lex_u32(lex, "a UIDVALIDITY", &ret->uidvalidity);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_u64(lex, "a mod-sequence", &ret->modseq);
	if (r == 0)
		r = parse_known(lex, ret);
	ret->given = true;
	return r < 0 ? r : imap_lex_char(lex, ')', "\")\"");
}
