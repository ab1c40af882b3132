/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session tickets (RFC 5077, RFC 8446 4.6.1): encrypted with AES-256-CBC and HMAC-SHA-256 under a
 * key of this process, or of several (tls_tickets_set). A key of ours makes tickets for one period
 * and is accepted for another one.
 */
#include "base/check.h"
#include "runtime/tls/tls_internal.h"
#include "sys/clock.h"
#include "sys/rand.h"
#include "sys/secret.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>

#define PERIOD_NS (3600 * SEC_NS)
#define TICKET_S  43200 /* what a client is told; a key may be gone before, then it begins anew */

struct ticket_key {
	unsigned char name[16];
	unsigned char aes[32];
	unsigned char mac[32];
	struct mono_ns born; /* 0 = there is none */
};
_Static_assert(offsetof(struct ticket_key, born) == TLS_TICKET_KEY, "name, aes, mac");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct secret memory;
static struct ticket_key *keys; /* [0] makes tickets, [1] is the one before; in memory.p */
static EVP_CIPHER *cipher;	/* fetched once: a fetch costs more than the encryption */

void tls_tickets_init(void)
{
	if (keys)
		return;
	secret_init(&memory, 2 * sizeof *keys);
	keys = (struct ticket_key *)(void *)memory.p;
	cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	CHECK(cipher);
}

static bool shared; /* somebody else makes the keys, and changes them */

void tls_tickets_set(const unsigned char given[2 * TLS_TICKET_KEY])
{
	(void)pthread_mutex_lock(&lock);
	shared = true;
	for (size_t i = 0; i < 2; i++) {
		memcpy(&keys[i], given + i * TLS_TICKET_KEY, TLS_TICKET_KEY);
		keys[i].born = (struct mono_ns){1};
	}
	(void)pthread_mutex_unlock(&lock);
}

static void rotate(void)
{
	struct mono_ns now = clock_mono();
	if (shared)
		return;
	if (keys[0].born.v && now.v - keys[0].born.v < PERIOD_NS)
		return;
	/* After a quiet time the last key is too old also to be accepted. */
	bool recent = keys[0].born.v && now.v - keys[0].born.v < 2 * PERIOD_NS;
	keys[1] = recent ? keys[0] : (struct ticket_key){0};
	rand_bytes(&keys[0], sizeof keys[0]);
	keys[0].born = (struct mono_ns){MAX(now.v, 1)};
}

static bool find(const unsigned char *name, bool making, struct ticket_key *ret, bool *ret_current)
{
	bool found = false;
	(void)pthread_mutex_lock(&lock);
	rotate();
	for (size_t i = 0; i < 2 && !found; i++) {
		found = making || (keys[i].born.v && memcmp(keys[i].name, name, 16) == 0);
		if (found) {
			*ret = keys[i];
			*ret_current = i == 0;
		}
	}
	(void)pthread_mutex_unlock(&lock);
	return found;
}

/*
 * For OpenSSL: -1 = failure, 0 = unknown key (full handshake), 1 = fine, 2 = fine, make a new
 * ticket.
 */
static int use_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c,
		   EVP_MAC_CTX *mac, int making)
{
	struct ticket_key key;
	bool current = false;
	char sha256[] = "SHA256";
	OSSL_PARAM params[3];
	int ok;
	(void)ssl;
	if (!find(name, making, &key, &current))
		return 0;
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof key.mac);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0);
	params[2] = OSSL_PARAM_construct_end();
	if (making) {
		memcpy(name, key.name, sizeof key.name);
		rand_bytes(iv, 16);
		ok = EVP_EncryptInit_ex2(c, cipher, key.aes, iv, NULL);
	} else {
		ok = EVP_DecryptInit_ex2(c, cipher, key.aes, iv, NULL);
	}
	ok = ok == 1 && EVP_MAC_CTX_set_params(mac, params) == 1;
	explicit_bzero(&key, sizeof key);
	if (!ok)
		return -1;
	return making || current ? 1 : 2;
}

void tls_tickets_use(SSL_CTX *ctx)
{
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_timeout(ctx, TICKET_S);
	/* Each costs a twentieth of a handshake, and a connection comes back as one. */
	(void)SSL_CTX_set_num_tickets(ctx, 1);
	(void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, use_key);
}
