/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in by SCRAM (RFC 5802, RFC 7677): the server learns nothing that it does not have, and
 * proves that it knows the password, too. With -PLUS (RFC 9266) nobody sits in between.
 *
 * Names and passwords beyond ASCII would have to be prepared (RFC 4013): these go by PLAIN.
 */
#include "base/encode.h"
#include "base/num.h"
#include "proto/smtp_client/smtp_client_int.h"
#include "sys/rand.h"
#include <stdio.h>

#define TEXT_MAX   KIB(2)
#define ROUNDS_MAX 1000000 /* less than a second */

static const struct {
	struct str name;
	enum digest digest;
	bool plus;
} mechanisms[] = {{STR("SCRAM-SHA-256-PLUS"), DIGEST_SHA256, true},
		  {STR("SCRAM-SHA-256"), DIGEST_SHA256, false},
		  {STR("SCRAM-SHA-1-PLUS"), DIGEST_SHA1, true},
		  {STR("SCRAM-SHA-1"), DIGEST_SHA1, false}};

static struct str bytes(const uint8_t *p, size_t n)
{
	return str_make((const char *)p, n);
}

static bool take(struct str *rest, char name, struct str *ret)
{
	struct str part = STR_NULL;
	if (!str_cut(rest, ',', &part) || part.n < 3 || part.p[0] != name || part.p[1] != '=')
		return false;
	*ret = str_skip(part, 2);
	return true;
}

/* "n=user,r=nonce", with the two characters written that would end it. */
static void write_bare(const struct client_scram *s, struct buf *out)
{
	buf_add_c(out, "n=");
	for (size_t i = 0; i < s->user.n; i++)
		if (s->user.p[i] == '=' || s->user.p[i] == ',')
			buf_add_c(out, s->user.p[i] == '=' ? "=3D" : "=2C");
		else
			buf_addc(out, s->user.p[i]);
	buf_addf(out, ",r=%s", s->nonce);
}

/* Proof and signature over the texts of the exchange. */
static int prove(struct client_scram *s, struct str salt, uint32_t rounds, struct str texts,
		 uint8_t *proof)
{
	uint8_t salted[DIGEST_LEN_MAX], key[DIGEST_LEN_MAX], stored[DIGEST_LEN_MAX],
		server[DIGEST_LEN_MAX];
	size_t n = digest_len(s->digest);
	int r = digest_pbkdf2(s->digest, s->password, salt, rounds, salted, n, NULL);
	if (r == 0)
		r = digest_hmac(s->digest, bytes(salted, n), STR("Client Key"), key, NULL);
	if (r == 0)
		r = digest_hmac(s->digest, bytes(salted, n), STR("Server Key"), server, NULL);
	if (r == 0)
		r = digest_two(s->digest, bytes(key, n), STR_NULL, stored, NULL);
	if (r == 0)
		r = digest_hmac(s->digest, bytes(stored, n), texts, proof, NULL);
	if (r == 0)
		r = digest_hmac(s->digest, bytes(server, n), texts, s->signature, NULL);
	for (size_t i = 0; r == 0 && i < n; i++)
		proof[i] ^= key[i];
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(key, sizeof key);
	explicit_bzero(stored, sizeof stored);
	explicit_bzero(server, sizeof server);
	return r;
}

int client_scram_answer(struct client_scram *s, struct str challenge, struct buf *out)
{
	AUTO(buf)
	struct buf salt = BUF_INIT(256), bound = BUF_INIT(256), final = BUF_INIT(TEXT_MAX),
		   texts = BUF_INIT(2 * TEXT_MAX);
	struct str rest = challenge, nonce = STR_NULL, salt64 = STR_NULL, i = STR_NULL;
	uint8_t proof[DIGEST_LEN_MAX];
	uint32_t rounds = 0;
	if (!take(&rest, 'r', &nonce) || !take(&rest, 's', &salt64) || !take(&rest, 'i', &i) ||
	    !str_starts(nonce, str_c(s->nonce)) || nonce.n == strlen(s->nonce) ||
	    base64_decode(&salt, salt64) < 0 || !num_parse_u32(i, &rounds) || rounds == 0 ||
	    rounds > ROUNDS_MAX)
		return -FAIL_SYNTAX;
	buf_add_c(&bound, s->gs2);
	buf_add(&bound, s->binding);
	buf_add_c(&final, "c=");
	(void)base64_encode(&final, buf_str(&bound));
	buf_addf(&final, ",r=%.*s", STR_ARG(nonce));
	write_bare(s, &texts);
	buf_addf(&texts, ",%.*s,%.*s", STR_ARG(challenge), STR_ARG(buf_str(&final)));
	if (bound.failed || final.failed || texts.failed ||
	    prove(s, buf_str(&salt), rounds, buf_str(&texts), proof) < 0)
		return -FAIL_SYNTAX;
	buf_add(out, buf_str(&final));
	buf_add_c(out, ",p=");
	(void)base64_encode(out, bytes(proof, digest_len(s->digest)));
	return out->failed ? -FAIL_SYNTAX : 0;
}

/* What stands behind "334 ", decoded. */
static bool challenge_of(const struct smtp_client *c, struct buf *out)
{
	struct str text = {c->answer.text, c->answer.n};
	buf_reset(out);
	return c->answer.code == 334 && c->answer.lines == 1 &&
	       base64_decode(out, str_trim(str_skip(text, 4))) == 0;
}

static bool is_proved(const struct client_scram *s, struct str challenge)
{
	AUTO(buf) struct buf shown = BUF_INIT(DIGEST_LEN_MAX);
	struct str v = STR_NULL;
	return take(&challenge, 'v', &v) && base64_decode(&shown, v) == 0 &&
	       bytes_equal(buf_str(&shown), bytes(s->signature, digest_len(s->digest)));
}

static int give_up(struct smtp_client *c)
{
	return client_lost(c, FAIL_PEER, "the server did not prove that it knows the password");
}

/* The exchange; its last reply is in c->answer. */
static int converse(struct smtp_client *c, struct client_scram *s, const char *before)
{
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX), heard = BUF_INIT(TEXT_MAX);
	buf_add_c(&text, s->gs2);
	write_bare(s, &text);
	int r = client_say_secret(c, before, buf_str(&text));
	if (r < 0 || c->answer.code != 334)
		return r;
	buf_reset(&text);
	if (!challenge_of(c, &heard) || client_scram_answer(s, buf_str(&heard), &text) < 0)
		return client_ask(c, c->phase, "*", c->times.mail); /* 501 */
	r = client_say_secret(c, "", buf_str(&text));
	if (r < 0 || client_verdict(c) < 0)
		return r;
	if (!challenge_of(c, &heard) || !is_proved(s, buf_str(&heard)))
		return give_up(c);
	return client_ask(c, c->phase, "", c->times.mail);
}

static bool can_be_said(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return s.n > 0 && s.n < 256;
}

int client_auth_scram(struct smtp_client *c, struct str user, struct str password)
{
	struct client_scram s = {.user = user, .password = password, .gs2 = "n,,"};
	char before[40];
	size_t i = 0;
	while (i < ARRAY_LEN(mechanisms) && ((mechanisms[i].plus && !c->can_bind) ||
					     !client_has_mechanism(c, mechanisms[i].name)))
		i++;
	if (i == ARRAY_LEN(mechanisms) || !can_be_said(user) || !can_be_said(password))
		return 0;
	s.digest = mechanisms[i].digest;
	if (mechanisms[i].plus) {
		s.gs2 = "p=tls-exporter,,";
		s.binding = str_make((const char *)c->binding, sizeof c->binding);
	} else if (c->can_bind &&
		   str_find_str(str_c(c->mechanisms), 0, STR("-PLUS")) == strlen(c->mechanisms)) {
		s.gs2 = "y,,"; /* the server finds out if somebody took its -PLUS away */
	}
	(void)snprintf(s.nonce, sizeof s.nonce, "%016llx%016llx", (unsigned long long)rand_u64(),
		       (unsigned long long)rand_u64());
	(void)snprintf(before, sizeof before, "AUTH %.*s ", STR_ARG(mechanisms[i].name));
	int r = converse(c, &s, before);
	explicit_bzero(&s, sizeof s);
	return r < 0 ? r : 1;
}
