/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram_testing.h - the client's side of SCRAM, written from RFC 5802 alone.    [tests only]
 */
#ifndef BARID_SERVICE_DIR_SCRAM_TESTING_H
#define BARID_SERVICE_DIR_SCRAM_TESTING_H

#include "base/encode.h"
#include "base/num.h"
#include "base/test.h"
#include "service/dir/password_int.h"

struct scram_client {
	enum digest digest;
	const char *user, *password;
	const char *gs2;    /* "n,,", "p=tls-exporter,," */
	struct str binding; /* data; empty = none */
	const char *nonce;
	const char *final_nonce; /* NULL: the server's; else a lie */
	/* Made by scram_client_final. */
	char first[400], final[900], server_final[100];
};

static inline struct str scram_client_first(struct scram_client *c)
{
	(void)snprintf(c->first, sizeof c->first, "%sn=%s,r=%s", c->gs2, c->user, c->nonce);
	return str_c(c->first);
}

static inline struct str str_of_bytes(const uint8_t *p, size_t n)
{
	return str_make((const char *)p, n);
}

/* The answer to "r=...,s=...,i=...", and what the server should say to that. */
static inline struct str scram_client_final(struct scram_client *c, struct str challenge)
{
	struct str rest = challenge, r = STR_NULL, s = STR_NULL, i = STR_NULL;
	uint32_t rounds = 0;
	size_t n = digest_len(c->digest);
	uint8_t salted[64], ckey[64], stored[64], sig[64], skey[64], v[64];
	AUTO(buf)
	struct buf salt = BUF_INIT(200), cb = BUF_INIT(400), auth = BUF_INIT(4000),
		   text = BUF_INIT(400), without = BUF_INIT(2000);
	assert_true(str_cut(&rest, ',', &r) && str_cut(&rest, ',', &s) && str_cut(&rest, ',', &i));
	assert_true(str_starts(r, STR("r=")) && str_starts(s, STR("s=")) &&
		    str_starts(i, STR("i=")));
	assert_true(str_starts(str_skip(r, 2), str_c(c->nonce)) && r.n > strlen(c->nonce) + 10);
	assert_int_equal(base64_decode(&salt, str_skip(s, 2)), 0);
	assert_true(num_parse_u32(str_skip(i, 2), &rounds));
	assert_int_equal(digest_pbkdf2(c->digest, str_c(c->password), buf_str(&salt), rounds,
				       salted, n, NULL),
			 0);
	struct str key = str_of_bytes(salted, n);
	assert_int_equal(digest_hmac(c->digest, key, STR("Client Key"), ckey, NULL), 0);
	assert_int_equal(digest_hmac(c->digest, key, STR("Server Key"), skey, NULL), 0);
	assert_int_equal(digest_two(c->digest, str_of_bytes(ckey, n), STR_NULL, stored, NULL), 0);
	(void)buf_add_c(&text, c->gs2);
	(void)buf_add(&text, c->binding);
	(void)base64_encode(&cb, buf_str(&text));
	struct str nonce = c->final_nonce ? str_c(c->final_nonce) : str_skip(r, 2);
	(void)buf_addf(&without, "c=%s,r=%.*s", buf_c(&cb), STR_ARG(nonce));
	(void)buf_addf(&auth, "n=%s,r=%s,%.*s,%s", c->user, c->nonce, STR_ARG(challenge),
		       buf_c(&without));
	assert_int_equal(digest_hmac(c->digest, str_of_bytes(stored, n), buf_str(&auth), sig, NULL),
			 0);
	assert_int_equal(digest_hmac(c->digest, str_of_bytes(skey, n), buf_str(&auth), v, NULL), 0);
	for (size_t k = 0; k < n; k++)
		sig[k] ^= ckey[k];
	buf_reset(&text);
	(void)base64_encode(&text, str_of_bytes(sig, n));
	(void)snprintf(c->final, sizeof c->final, "%s,p=%s", buf_c(&without), buf_c(&text));
	buf_reset(&text);
	(void)base64_encode(&text, str_of_bytes(v, n));
	(void)snprintf(c->server_final, sizeof c->server_final, "v=%s", buf_c(&text));
	return str_c(c->final);
}

#endif
