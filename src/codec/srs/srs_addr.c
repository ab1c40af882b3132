/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/srs/srs_addr.h"
#include "base/encode.h"

#define DAYS	  1024u /* after so many they come again */
#define TEXT_MAX  512	/* what a hash covers, and a local part: longer ones are no addresses */
#define TAG_LEN	  5u	/* "SRS0=" */
#define STAMP_LEN 2u

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static bool is_separator(char c)
{
	return c == '=' || c == '+' || c == '-';
}

static bool is_tagged(struct str local, char digit)
{
	return local.n > TAG_LEN && str_startsi(local, STR("SRS")) && local.p[3] == digit &&
	       is_separator(local.p[4]);
}

bool srs_is(struct str plain_local)
{
	return is_tagged(plain_local, '0') || is_tagged(plain_local, '1');
}

/* ---- days ---- */

static void write_day(uint32_t day, char ret[STAMP_LEN])
{
	ret[0] = base32[day / 32 % 32];
	ret[1] = base32[day % 32];
}

static bool read_day(struct str s, uint32_t *ret)
{
	uint32_t day = 0;

	if (s.n != STAMP_LEN)
		return false;
	for (size_t i = 0; i < STAMP_LEN; i++) {
		const char *at = memchr(base32, ascii_upper(s.p[i]), 32);
		if (!at)
			return false;
		day = day * 32 + (uint32_t)(at - base32);
	}
	*ret = day;
	return true;
}

/* A server whose clock is ahead may be in tomorrow already. */
static bool is_too_old(uint32_t then, uint32_t today, unsigned age_max)
{
	uint32_t age = (today % DAYS + DAYS - then) % DAYS;

	return age > age_max && age != DAYS - 1;
}

/* ---- hashes ---- */

/* Base64 of the whole hash over the texts one behind the other; `n` characters of it count. */
static int hash_of(const struct srs_rules *r, size_t secret, const struct str *texts,
		   size_t n_texts, struct buf *out)
{
	AUTO(buf) struct buf all = BUF_INIT(TEXT_MAX);
	unsigned char mac[SRS_MAC_LEN];

	for (size_t i = 0; i < n_texts; i++)
		(void)buf_add(&all, texts[i]);
	if (all.failed)
		return -FAIL_TOOBIG;
	for (size_t i = 0; i < all.n; i++)
		all.p[i] = ascii_lower(all.p[i]);
	r->hmac(r->secrets[secret], buf_str(&all), mac);
	return base64_encode(out, str_make((const char *)mac, sizeof mac));
}

/* Every character is looked at, so that the time does not tell how many were right. */
static bool is_hash(struct str given, struct str right)
{
	unsigned differ = 0;

	for (size_t i = 0; i < given.n; i++)
		differ |= (unsigned)(unsigned char)ascii_lower(given.p[i]) ^
			  (unsigned)(unsigned char)ascii_lower(right.p[i]);
	return differ == 0;
}

static bool is_signed(const struct srs_rules *r, struct str given, const struct str *texts,
		      size_t n_texts)
{
	bool known = false;

	if (given.n < r->hash_len || given.n > SRS_HASH_MOST)
		return false;
	for (size_t i = 0; i < r->n; i++) {
		AUTO(buf) struct buf right = BUF_INIT(64);
		if (hash_of(r, i, texts, n_texts, &right) == 0)
			known |= is_hash(given, buf_str(&right));
	}
	return known;
}

/* ---- to ours ---- */

/* "SRS0=" and the hash. */
static int begin(const struct srs_rules *r, const char *tag, const struct str *texts,
		 size_t n_texts, struct buf *out)
{
	AUTO(buf) struct buf hash = BUF_INIT(64);
	int rc = hash_of(r, 0, texts, n_texts, &hash);

	if (rc < 0)
		return rc;
	(void)buf_add_c(out, tag);
	(void)buf_addc(out, r->separator);
	return buf_add(out, str_sub(buf_str(&hash), 0, r->hash_len));
}

static int forward_plain(const struct srs_rules *r, struct str local, struct str host, uint32_t day,
			 struct buf *out)
{
	char stamp[STAMP_LEN];
	struct str texts[] = {str_make(stamp, STAMP_LEN), host, local};

	write_day(day, stamp);
	int rc = begin(r, "SRS0", texts, ARRAY_LEN(texts), out);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(texts); i++) {
		(void)buf_addc(out, '=');
		rc = buf_add(out, texts[i]);
	}
	return rc;
}

/* `rest` begins with the separator behind the SRS0 of `host`. */
static int forward_again(const struct srs_rules *r, struct str host, struct str rest,
			 struct buf *out)
{
	struct str texts[] = {host, rest};
	int rc = begin(r, "SRS1", texts, ARRAY_LEN(texts), out);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(texts); i++) {
		(void)buf_addc(out, '=');
		rc = buf_add(out, texts[i]);
	}
	return rc;
}

/* "HASH=host=REST", another forwarder's; the hash is its own affair. */
static bool split_guarded(struct str s, struct str *ret_hash, struct str *ret_host,
			  struct str *ret_rest)
{
	struct str rest = s;

	if (!str_cut(&rest, '=', ret_hash) || !str_cut(&rest, '=', ret_host))
		return false;
	*ret_rest = rest;
	return ret_host->n > 0 && rest.n > 1 && is_separator(rest.p[0]);
}

int srs_forward(const struct srs_rules *r, const struct smtp_addr *sender, struct str domain,
		uint32_t day, struct smtp_addr *ret)
{
	AUTO(buf) struct buf plain = BUF_INIT(TEXT_MAX);
	AUTO(buf) struct buf out = BUF_INIT(TEXT_MAX);
	struct str host = smtp_addr_domain(sender);
	struct str hash, first, rest;

	if (smtp_addr_plain_local(sender, &plain) < 0 || plain.n == 0 || host.n == 0)
		return -FAIL_SYNTAX;
	struct str local = buf_str(&plain);
	int rc;
	if (is_tagged(local, '1') && split_guarded(str_skip(local, TAG_LEN), &hash, &first, &rest))
		rc = forward_again(r, first, rest, &out);
	else if (is_tagged(local, '0'))
		rc = forward_again(r, host, str_skip(local, TAG_LEN - 1), &out);
	else
		rc = forward_plain(r, local, host, day, &out);
	if (rc < 0)
		return -FAIL_TOOBIG;
	return smtp_addr_make(buf_str(&out), domain, ret);
}

/* ---- and back ---- */

static int reverse_plain(const struct srs_rules *r, struct str s, uint32_t day,
			 struct smtp_addr *ret)
{
	AUTO(buf) struct buf host = BUF_INIT(TEXT_MAX);
	struct str rest = s, hash, texts[3];
	uint32_t then;

	if (!str_cut(&rest, '=', &hash) || !str_cut(&rest, '=', &texts[0]) ||
	    !str_cut(&rest, '=', &texts[1]) || rest.n == 0 || texts[1].n == 0 ||
	    !read_day(texts[0], &then))
		return -FAIL_SYNTAX;
	texts[2] = rest;
	if (!is_signed(r, hash, texts, ARRAY_LEN(texts)))
		return -FAIL_PERM;
	if (is_too_old(then, day, r->age_max))
		return -FAIL_DEADLINE;
	bool literal = texts[1].p[0] == '[';
	if ((literal ? buf_add(&host, texts[1]) : smtp_domain_normalise(texts[1], &host)) < 0)
		return -FAIL_SYNTAX;
	return smtp_addr_make(rest, buf_str(&host), ret) < 0 ? -FAIL_SYNTAX : 0;
}

static int reverse_guarded(const struct srs_rules *r, struct str s, struct smtp_addr *ret)
{
	AUTO(buf) struct buf host = BUF_INIT(TEXT_MAX);
	AUTO(buf) struct buf local = BUF_INIT(TEXT_MAX);
	struct str hash, texts[2];

	if (!split_guarded(s, &hash, &texts[0], &texts[1]))
		return -FAIL_SYNTAX;
	if (!is_signed(r, hash, texts, ARRAY_LEN(texts)))
		return -FAIL_PERM;
	(void)buf_add_c(&local, "SRS0");
	if (buf_add(&local, texts[1]) < 0 || smtp_domain_normalise(texts[0], &host) < 0)
		return -FAIL_SYNTAX;
	return smtp_addr_make(buf_str(&local), buf_str(&host), ret) < 0 ? -FAIL_SYNTAX : 0;
}

int srs_reverse(const struct srs_rules *r, struct str plain_local, uint32_t day,
		struct smtp_addr *ret)
{
	if (is_tagged(plain_local, '0'))
		return reverse_plain(r, str_skip(plain_local, TAG_LEN), day, ret);
	if (is_tagged(plain_local, '1'))
		return reverse_guarded(r, str_skip(plain_local, TAG_LEN), ret);
	return -FAIL_NOTFOUND;
}
