/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/sha256.h"
#include "base/auto.h"
#include "base/check.h"
#include "sys/fs.h"
#include <openssl/evp.h>
#include <stdatomic.h>

/* Fetching an algorithm by name takes a lock and a search each time in OpenSSL 3: keep the first.
 */
static const EVP_MD *algorithm(void)
{
	static _Atomic(EVP_MD *) kept;
	EVP_MD *md = atomic_load(&kept);
	if (md)
		return md;
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	CHECK(md);
	EVP_MD *first = NULL;
	if (!atomic_compare_exchange_strong(&kept, &first, md)) {
		EVP_MD_free(md);
		md = first;
	}
	return md;
}

struct sha256 *sha256_begin(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	CHECK(ctx && EVP_DigestInit_ex2(ctx, algorithm(), NULL) == 1);
	return (struct sha256 *)ctx;
}

void sha256_add(struct sha256 *h, struct str s)
{
	CHECK(s.n == 0 || EVP_DigestUpdate((EVP_MD_CTX *)h, s.p, s.n) == 1);
}

void sha256_end(struct sha256 *h, unsigned char ret[SHA256_LEN])
{
	unsigned n = SHA256_LEN;
	CHECK(EVP_DigestFinal_ex((EVP_MD_CTX *)h, ret, &n) == 1 && n == SHA256_LEN);
	EVP_MD_CTX_free((EVP_MD_CTX *)h);
}

void sha256_of(struct str s, unsigned char ret[SHA256_LEN])
{
	struct sha256 *h = sha256_begin();
	sha256_add(h, s);
	sha256_end(h, ret);
}

static void padded(struct str key, char pad, struct str text, unsigned char ret[SHA256_LEN])
{
	char block[64] = {0};
	memcpy(block, key.p, key.n);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (char)(block[i] ^ pad);
	struct sha256 *h = sha256_begin();
	sha256_add(h, str_make(block, sizeof block));
	sha256_add(h, text);
	sha256_end(h, ret);
	explicit_bzero(block, sizeof block);
}

void hmac_sha256(struct str key, struct str text, unsigned char ret[SHA256_LEN])
{
	unsigned char inner[SHA256_LEN];
	CHECK(key.n <= 64);
	padded(key, 0x36, text, inner);
	padded(key, 0x5c, str_make((const char *)inner, sizeof inner), ret);
}

int sha256_of_file(struct fs_file *f, unsigned char ret[SHA256_LEN], uint64_t *ret_size,
		   struct fail *why)
{
	AUTO_MEM char *piece = xcalloc(1, KIB(128));
	struct sha256 *h = sha256_begin();
	uint64_t at = 0;
	size_t got = 0;
	int r;
	do {
		r = fs_pread(f, piece, KIB(128), at, &got, why);
		if (r < 0)
			break;
		sha256_add(h, str_make(piece, got));
		at += got;
	} while (got == KIB(128));
	unsigned char sum[SHA256_LEN];
	sha256_end(h, sum);
	if (r < 0)
		return r;
	memcpy(ret, sum, SHA256_LEN);
	*ret_size = at;
	return 0;
}
