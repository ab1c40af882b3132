/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seal.h"
#include "base/check.h"
#include "sys/rand.h"
#include <openssl/evp.h>
#include <pthread.h>

#define NONCE 12
#define TAG   16

/*
 * A nonce must never come again under one key, and the key outlives processes: 64 random bits for
 * 2^32 nonces that count up. (All-random ones would repeat after some 2^32 seals already.)
 */
static void next_nonce(char *nonce)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned char block[NONCE - sizeof(uint32_t)];
	static uint32_t count;
	pthread_mutex_lock(&lock);
	if (count == 0)
		rand_bytes(block, sizeof block);
	count++;
	memcpy(nonce, block, sizeof block);
	memcpy(nonce + sizeof block, &count, sizeof count);
	pthread_mutex_unlock(&lock);
}

static const EVP_CIPHER *cipher;
static void fetch(void)
{
	cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	CHECK(cipher);
}

static EVP_CIPHER_CTX *begin(int encrypt, const unsigned char *key, const char *nonce,
			     struct str purpose)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fetch);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n;
	CHECK(c &&
	      EVP_CipherInit_ex2(c, cipher, key, (const unsigned char *)nonce, encrypt, NULL) == 1);
	CHECK(purpose.n <= INT32_MAX);
	CHECK(EVP_CipherUpdate(c, NULL, &n, (const unsigned char *)purpose.p, (int)purpose.n) == 1);
	return c;
}

int seal(const unsigned char key[SEAL_KEY_SIZE], struct str purpose, struct str plain,
	 struct buf *out)
{
	char *room = plain.n < INT32_MAX ? buf_room(out, plain.n + SEAL_OVERHEAD) : NULL;
	if (!room)
		return -FAIL_LIMIT;
	next_nonce(room);
	unsigned char *text = (unsigned char *)room + NONCE;
	int n = 0, rest = 0;
	EVP_CIPHER_CTX *c = begin(1, key, room, purpose);
	CHECK(EVP_CipherUpdate(c, text, &n, (const unsigned char *)plain.p, (int)plain.n) == 1);
	CHECK(EVP_CipherFinal_ex(c, text + n, &rest) == 1 && (size_t)(n + rest) == plain.n);
	CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, text + plain.n) == 1);
	EVP_CIPHER_CTX_free(c);
	buf_added(out, plain.n + SEAL_OVERHEAD);
	return 0;
}

int unseal(const unsigned char key[SEAL_KEY_SIZE], struct str purpose, struct str sealed,
	   struct buf *out)
{
	if (sealed.n < SEAL_OVERHEAD || sealed.n > INT32_MAX)
		return -FAIL_CORRUPT;
	size_t plain = sealed.n - SEAL_OVERHEAD;
	char *room = buf_room(out, plain);
	if (!room)
		return -FAIL_LIMIT;
	int n = 0, rest = 0;
	char tag[TAG];
	memcpy(tag, sealed.p + NONCE + plain, TAG);
	EVP_CIPHER_CTX *c = begin(0, key, sealed.p, purpose);
	bool good = EVP_CipherUpdate(c, (unsigned char *)room, &n,
				     (const unsigned char *)sealed.p + NONCE, (int)plain) == 1 &&
		    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
		    EVP_CipherFinal_ex(c, (unsigned char *)room + n, &rest) == 1;
	EVP_CIPHER_CTX_free(c);
	if (!good)
		return -FAIL_CORRUPT;
	buf_added(out, plain);
	return 0;
}
