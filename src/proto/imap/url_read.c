/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url_read.c - what a signed URL names (RFC 4467 sections 2, 6 and 7).          [proto, imap]
 *
 * A token is "02" and, in hexadecimal digits, the HMAC of the URL's text up to the access
 * identifier, by the key of its mailbox. A URL of another mailbox, or one whose keys were reset,
 * cannot be told from one that somebody made up.
 */
#include "base/encode.h"
#include "proto/imap/acl_int.h"
#include "proto/imap/fetch_int.h"
#include "proto/imap/url_int.h"
#include "sys/clock.h"
#include "sys/sha256.h"

void url_token_write(struct buf *out, const unsigned char key[STORE_URL_KEY_LEN], struct str rump)
{
	unsigned char mac[SHA256_LEN];
	hmac_sha256(str_make((const char *)key, STORE_URL_KEY_LEN), rump, mac);
	buf_add(out, STR("02"));
	(void)hex_encode(out, str_make((const char *)mac, sizeof mac));
}

/* In a time that does not tell how much of it is right. */
static bool same_token(struct str a, struct str b)
{
	unsigned char differ = a.n != b.n;
	for (size_t i = 0; i < a.n && i < b.n; i++)
		differ |= (unsigned char)(ascii_lower(a.p[i]) ^ ascii_lower(b.p[i]));
	return differ == 0;
}

static bool is_for(const struct imap_url *u, const struct imap_url_asker *who)
{
	switch (u->access) {
	case IMAP_URL_SUBMIT:
		return who->submission && str_eqi(u->for_user, who->login);
	case IMAP_URL_USER:
		return str_eqi(u->for_user, who->login);
	case IMAP_URL_AUTHUSER:
		return who->login.n > 0;
	case IMAP_URL_ANYBODY:
		break;
	}
	return true;
}

static int check_right(const struct imap_session *s, const struct imap_url *u,
		       const struct imap_url_asker *who, struct fail *why)
{
	unsigned char key[STORE_URL_KEY_LEN];
	AUTO(buf) struct buf token = BUF_INIT(IMAP_URL_TOKEN_MAX);
	int r = str_eqi(u->mechanism, STR(URL_MECHANISM))
			? store_url_key(s->store, s->account, u->mailbox, false, key, why)
			: -FAIL_NOTFOUND;
	if (r == -FAIL_NOTFOUND)
		return fail_set(why, FAIL_PERM, NULL, "no key for this URL");
	if (r < 0)
		return r;
	url_token_write(&token, key, u->rump);
	explicit_bzero(key, sizeof key);
	if (!same_token(buf_str(&token), u->token))
		return fail_set(why, FAIL_PERM, NULL, "the token is not right");
	if (u->expires && clock_wall().v >= u->expire.v)
		return fail_set(why, FAIL_PERM, NULL, "the URL has expired");
	return is_for(u, who) ? 0 : fail_set(why, FAIL_PERM, NULL, "the URL is for somebody else");
}

static int write_part(struct imap_session *s, const struct imap_url *u,
		      const struct store_message *row, uint64_t max, struct imap_out *out,
		      struct fail *why)
{
	struct section_bytes bytes;
	struct msg m;
	msg_begin(&m, s, row);
	int r = section_find(&m, &u->section, &bytes, why);
	if (r == 0)
		r = fail_set(why, FAIL_NOTFOUND, NULL, "no such section");
	if (r > 0) {
		uint64_t total = bytes.head.n + bytes.len;
		uint64_t from = MIN(u->offset, total);
		uint64_t n = u->partial ? MIN(u->count, total - from) : total;
		r = n > max ? fail_set(why, FAIL_TOOBIG, NULL, "%llu octets", (unsigned long long)n)
			    : section_write(&m, &bytes, from, n, out, why);
	}
	msg_end(&m);
	return r;
}

/* In the mailbox that is open. */
static int read_message(struct imap_session *s, const struct imap_url *u, uint64_t max,
			struct imap_out *out, struct fail *why)
{
	struct store_range range = {u->uid, u->uid};
	struct store_message row;
	struct store_set set;
	AUTO(store_reader) struct store_reader *reader = NULL;
	int r = 0;
	if (u->uidvalidity && store_view_get_info(s->view)->uidvalidity != u->uidvalidity)
		r = fail_set(why, FAIL_NOTFOUND, NULL, "another UIDVALIDITY");
	if (r == 0)
		r = store_view_resolve(s->view, &range, 1, true, &s->run.arena, &set, why);
	if (r == 0)
		r = store_read_begin(s->view, &set, STORE_COL_PREFIX | STORE_COL_MAP,
				     (struct modseq){0}, &reader, why);
	if (r == 0)
		r = store_read_next(reader, &row, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no such message");
	return r < 0 ? r : write_part(s, u, &row, max, out, why);
}

static int open_and_read(struct imap_session *s, const struct imap_url *u, uint64_t max,
			 struct imap_out *out, struct fail *why)
{
	int r = store_view_open(s->store, s->account, u->mailbox, true, &s->view, why);
	return r < 0 ? r : read_message(s, u, max, out, why);
}

int url_message_read(struct imap_session *s, const struct imap_url *u, uint64_t max,
		     struct imap_out *ret, struct fail *why)
{
	uint32_t rights = 0;
	if (!u->mailbox.p) /* relative to what is selected, which took the right to read */
		return s->view ? read_message(s, u, max, ret, why)
			       : fail_set(why, FAIL_NOTFOUND, NULL, "nothing is selected");
	int r = acl_rights_of(s, u->mailbox, &rights, why);
	if (r == 0 && !(rights & IMAP_ACL_R))
		r = fail_set(why, FAIL_NOTFOUND, NULL, "no right to read");
	if (r < 0)
		return r;
	struct imap_session_args same = {.config = &s->config,
					 .store = s->store,
					 .account = s->account,
					 .address = str_c(s->address),
					 .hooks = s->hooks};
	AUTO(imap_session) struct imap_session *reader = imap_session_new(&same);
	return open_and_read(reader, u, max, ret, why);
}

int imap_url_read(const struct imap_session_args *owner, const struct imap_url *u,
		  const struct imap_url_asker *who, uint64_t max, struct imap_out *ret,
		  struct fail *why)
{
	AUTO(imap_session) struct imap_session *s = imap_session_new(owner);
	int r = check_right(s, u, who, why);
	if (r == 0)
		r = open_and_read(s, u, max, ret, why);
	return r == -FAIL_GONE ? -FAIL_NOTFOUND : r;
}
