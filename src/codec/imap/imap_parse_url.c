/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_parse_url.c - GENURLAUTH, URLFETCH, RESETKEY (RFC 4467 section 7).      [codec, private]
 */
#include "codec/imap/imap_parse.h"

/* 1*(SP url [SP mechanism]) */
static int parse_urls(struct imap_lex *lex, struct imap_cmd *cmd, bool mechanisms)
{
	struct imap_url_ask *ask = NULL;
	size_t n = 0;
	do {
		int r = imap_lex_sp(lex);
		if (r == 0)
			r = IMAP_GROW(lex, &ask, n, lex->lim->urls, "URLs");
		if (r < 0)
			return r;
		ask[n] = (struct imap_url_ask){0};
		r = imap_lex_astring(lex, "a URL", &ask[n].url);
		if (r == 0 && mechanisms)
			r = imap_lex_sp(lex);
		if (r == 0 && mechanisms)
			r = imap_lex_atom(lex, "a mechanism", &ask[n].mechanism);
		if (r < 0)
			return r;
		n++;
	} while (imap_lex_more(lex));
	cmd->urls = (struct imap_urls){.ask = ask, .n = n};
	return 0;
}

int imap_parse_genurlauth(struct imap_lex *lex, struct imap_cmd *cmd)
{
	return parse_urls(lex, cmd, true);
}

int imap_parse_urlfetch(struct imap_lex *lex, struct imap_cmd *cmd)
{
	return parse_urls(lex, cmd, false);
}

/* [SP mailbox *(SP mechanism)] */
int imap_parse_resetkey(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_resetkey k = {0};
	struct str *names = NULL;
	int r = 0;
	if (imap_lex_at_end(lex)) {
		cmd->resetkey = k;
		return 0;
	}
	k.named = true;
	r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_mailbox(lex, &k.mailbox);
	while (r == 0 && imap_lex_more(lex)) {
		r = imap_lex_sp(lex);
		if (r == 0)
			r = IMAP_GROW(lex, &names, k.mechanism_count, lex->lim->keywords,
				      "mechanisms");
		if (r == 0)
			r = imap_lex_atom(lex, "a mechanism", &names[k.mechanism_count]);
		if (r == 0)
			k.mechanism_count++;
	}
	k.mechanism = names;
	cmd->resetkey = k;
	return r;
}
