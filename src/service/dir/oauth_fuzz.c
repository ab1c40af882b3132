/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens: the input as a token, and its first line and rest as header and claims of one that
 * the issuer has signed, so that what is behind the signature is reached. A name is given only by
 * signed claims of our issuer for us.
 */
#include "base/check.h"
#include "base/encode.h"
#include "codec/sasl/oauthbearer.h"
#include "service/dir/jsondoc.h"
#include "service/dir/oauth.h"
#include "sys/fdpass.h"
#include "sys/fs.h"
#include <openssl/evp.h>
#include <stdio.h>

#define NOW 1800000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static EVP_PKEY *key;
static struct oauth *oauth;
static char keys_path[40];

static void add_url64(struct buf *out, struct str bytes)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	CHECK(base64_encode(&b, bytes) == 0);
	for (size_t i = 0; i < b.n && b.p[i] != '='; i++)
		(void)buf_addc(out, b.p[i] == '+' ? '-' : b.p[i] == '/' ? '_' : b.p[i]);
}

static void begin(void)
{
	static const unsigned char secret[32] = "a key that everybody knows.....";
	unsigned char public[32];
	size_t n = sizeof public;
	int fd = -1;
	AUTO(buf) struct buf jwks = BUF_INIT(KIB(1));
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof secret);
	CHECK(key && EVP_PKEY_get_raw_public_key(key, public, &n) == 1);
	(void)buf_add_c(&jwks,
			"{\"keys\":[{\"kty\":\"OKP\",\"kid\":\"d\",\"crv\":\"Ed25519\",\"x\":\"");
	add_url64(&jwks, str_make((const char *)public, n));
	(void)buf_add_c(&jwks, "\"}]}");
	CHECK(memfd_sealed("keys", buf_str(&jwks), &fd, NULL) == 0);
	(void)snprintf(keys_path, sizeof keys_path, "/proc/self/fd/%d", fd);
	struct dir_oauth c = {.issuer = "https://id.test",
			      .audience = "mail.test",
			      .username = "email",
			      .scope = "mail",
			      .keys = keys_path,
			      .leeway_s = 60};
	oauth = oauth_new(&c, fs_real());
	CHECK(oauth);
}

static int check_token(struct str token, struct str *ret_name, struct arena *a)
{
	struct dir_grant g = {0};
	struct fail why = FAIL_INIT;
	int r = oauth_check(oauth, token, NOW, a, ret_name, &g, &why);
	CHECK(r >= 0); /* the keys can be read */
	CHECK(r == 1 || g.reason[0]);
	return r;
}

static void sign(struct str header, struct str claims, struct buf *token)
{
	unsigned char signature[64];
	size_t n = sizeof signature;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	add_url64(token, header);
	(void)buf_addc(token, '.');
	add_url64(token, claims);
	CHECK(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1);
	CHECK(EVP_DigestSign(ctx, signature, &n, (const unsigned char *)token->p, token->n) == 1);
	EVP_MD_CTX_free(ctx);
	(void)buf_addc(token, '.');
	add_url64(token, str_make((const char *)signature, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = str_make((const char *)data, size), claims = all, header;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	AUTO(buf) struct buf token = BUF_INIT(KIB(64));
	AUTO(jsondoc) struct jsondoc *j = NULL;
	struct str name = STR_NULL, email = STR_NULL;
	if (!oauth)
		begin();
	if (size == 0 || size > KIB(4) || !str_cut(&claims, '\n', &header))
		return 0;
	CHECK(check_token(all, &name, &a) == 0); /* nobody signed it */
	sign(header, claims, &token);
	if (check_token(buf_str(&token), &name, &a) == 0)
		return 0;
	CHECK(jsondoc_read(claims, &j) == 0 && jsondoc_text(j, "email", &email));
	CHECK(name.n > 0 && str_eq(name, email) && jsondoc_names(j, "aud", STR("mail.test")));
	/* One bit of the signed text makes another token. */
	token.p[token.n / 2] = token.p[token.n / 2] == 'A' ? 'B' : 'A';
	CHECK(check_token(buf_str(&token), &name, &a) == 0);
	return 0;
}
