/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>

static const struct {
	const char *name;
	size_t len;
} digests[DIGESTS] = {{"MD5", 16}, {"SHA1", 20}, {"SHA256", 32}, {"SHA512", 64}};

/* Fetching costs more than hashing a password, so each algorithm is fetched once and kept. */
static EVP_MD *fetched[DIGESTS];
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
	for (unsigned i = 0; i < DIGESTS; i++)
		fetched[i] = EVP_MD_fetch(NULL, digests[i].name, NULL);
}

static const EVP_MD *digest_of(enum digest d)
{
	(void)pthread_once(&fetch_once, fetch_all);
	return fetched[d];
}

static int refused(enum digest d, struct fail *why)
{
	return fail_set(why, FAIL_UNSUPPORTED, NULL, "libcrypto does not compute %s",
			digests[d].name);
}

size_t digest_len(enum digest d)
{
	return digests[d].len;
}

int digest_two(enum digest d, struct str a, struct str b, uint8_t *out, struct fail *why)
{
	const EVP_MD *md = digest_of(d);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = md && ctx && EVP_DigestInit_ex2(ctx, md, NULL) == 1 &&
		  (a.n == 0 || EVP_DigestUpdate(ctx, a.p, a.n) == 1) &&
		  (b.n == 0 || EVP_DigestUpdate(ctx, b.p, b.n) == 1) &&
		  EVP_DigestFinal_ex(ctx, out, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : refused(d, why);
}

int digest_hmac(enum digest d, struct str key, struct str text, uint8_t *out, struct fail *why)
{
	const EVP_MD *md = digest_of(d);
	unsigned n = 0;

	if (!md || key.n > INT32_MAX ||
	    !HMAC(md, key.n ? key.p : "", (int)key.n, (const unsigned char *)(text.n ? text.p : ""),
		  text.n, out, &n))
		return refused(d, why);
	return 0;
}

int digest_pbkdf2(enum digest d, struct str password, struct str salt, unsigned rounds,
		  uint8_t *out, size_t n, struct fail *why)
{
	const EVP_MD *md = digest_of(d);

	if (!md || password.n > INT32_MAX || salt.n > INT32_MAX || rounds > INT32_MAX ||
	    PKCS5_PBKDF2_HMAC(password.n ? password.p : "", (int)password.n,
			      (const unsigned char *)(salt.n ? salt.p : ""), (int)salt.n,
			      (int)rounds, md, (int)n, out) != 1)
		return refused(d, why);
	return 0;
}

bool bytes_equal(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
