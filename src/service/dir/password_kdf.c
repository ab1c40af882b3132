/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemes made for challenge-response mechanisms, and PBKDF2.
 */
#include "password_int.h"

#include "base/encode.h"
#include "base/num.h"
#include "base/utf8.h"

enum { ROUNDS_MAX = 4000000 };

static struct str bytes_of(const uint8_t *p, size_t n)
{
	return str_make((const char *)p, n);
}

/* "$1$salt$rounds$hex": HMAC-SHA-1, the salt as it stands. */
int verify_pbkdf2(struct str data, struct str password, struct fail *why)
{
	struct str rest = data;
	struct str part[4] = {0};
	uint32_t rounds = 0;
	uint8_t got[DIGEST_LEN_MAX];
	AUTO(buf) struct buf want = BUF_INIT(DIGEST_LEN_MAX);

	if (!str_starts(data, STR("$1$")))
		return fail_set(why, FAIL_SYNTAX, NULL, "a PBKDF2 hash of another version");
	rest = str_skip(rest, 3);
	for (unsigned i = 0; i < 3; i++)
		(void)str_cut(&rest, '$', &part[i]);
	if (rest.p || !num_parse_u32(part[1], &rounds) || rounds == 0 ||
	    hex_decode(&want, part[2]) < 0 || want.n != digest_len(DIGEST_SHA1))
		return fail_set(why, FAIL_SYNTAX, NULL, "not a PBKDF2 hash");
	if (rounds > ROUNDS_MAX)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "PBKDF2 with %u rounds", rounds);
	int r = digest_pbkdf2(DIGEST_SHA1, password, part[0], rounds, got, want.n, why);
	return r < 0 ? r : bytes_equal(bytes_of(got, want.n), buf_str(&want));
}

/* "rounds,salt,StoredKey,ServerKey", base64 (RFC 5802 3). */
int verify_scram(enum digest d, struct str data, struct str password, struct fail *why)
{
	struct str rest = data;
	struct str part[4] = {0};
	uint32_t rounds = 0;
	uint8_t salted[DIGEST_LEN_MAX];
	uint8_t client_key[DIGEST_LEN_MAX];
	uint8_t got[DIGEST_LEN_MAX];
	size_t n = digest_len(d);
	AUTO(buf) struct buf salt = BUF_INIT(256);
	AUTO(buf) struct buf server_key = BUF_INIT(DIGEST_LEN_MAX);
	AUTO(buf) struct buf want = BUF_INIT(DIGEST_LEN_MAX);

	for (unsigned i = 0; i < 4; i++)
		(void)str_cut(&rest, ',', &part[i]);
	if (rest.p || !num_parse_u32(part[0], &rounds) || rounds == 0 ||
	    base64_decode(&salt, part[1]) < 0 || base64_decode(&want, part[2]) < 0 || want.n != n ||
	    base64_decode(&server_key, part[3]) < 0 || server_key.n != n)
		return fail_set(why, FAIL_SYNTAX, NULL, "not a SCRAM secret");
	if (rounds > ROUNDS_MAX)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "SCRAM with %u rounds", rounds);
	int r = digest_pbkdf2(d, password, buf_str(&salt), rounds, salted, n, why);
	if (r == 0)
		r = digest_hmac(d, bytes_of(salted, n), STR("Client Key"), client_key, why);
	if (r == 0)
		r = digest_two(d, bytes_of(client_key, n), STR_NULL, got, why);
	if (r == 0)
		r = bytes_equal(bytes_of(got, n), buf_str(&want));
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(client_key, sizeof client_key);
	return r;
}

/* 32 bytes: the MD5 states of HMAC's outer and inner key block (RFC 2104), outer first. */
int verify_cram_md5(struct str data, struct str password, struct fail *why)
{
	uint8_t key[64] = {0};
	uint8_t block[64];
	uint8_t got[32];

	if (data.n != sizeof got)
		return fail_set(why, FAIL_SYNTAX, NULL, "a CRAM-MD5 secret of %zu bytes", data.n);
	if (password.n > sizeof key) {
		int r = digest_two(DIGEST_MD5, password, STR_NULL, key, why);
		if (r < 0)
			return r;
	} else if (password.n > 0) {
		memcpy(key, password.p, password.n);
	}
	for (unsigned i = 0; i < 64; i++)
		block[i] = key[i] ^ 0x5c;
	md5_block_state(block, got);
	for (unsigned i = 0; i < 64; i++)
		block[i] = key[i] ^ 0x36;
	md5_block_state(block, got + 16);
	explicit_bzero(key, sizeof key);
	explicit_bzero(block, sizeof block);
	return bytes_equal(bytes_of(got, sizeof got), data);
}

/* MD4 of the password in UTF-16LE. */
int verify_ntlm(struct str data, struct str password, struct fail *why)
{
	uint8_t wide[4 * PASSWORD_MAX];
	uint8_t got[16];
	size_t n = 0;
	size_t pos = 0;

	if (data.n != sizeof got)
		return fail_set(why, FAIL_SYNTAX, NULL, "an NTLM hash of %zu bytes", data.n);
	while (pos < password.n) {
		uint32_t cp = utf8_next(password, &pos);
		uint32_t unit[2] = {cp, 0};
		unsigned units = 1;
		if (cp > 0xffff) {
			unit[0] = 0xd800 + ((cp - 0x10000) >> 10);
			unit[1] = 0xdc00 + ((cp - 0x10000) & 0x3ff);
			units = 2;
		}
		for (unsigned i = 0; i < units; i++) {
			wide[n++] = (uint8_t)unit[i];
			wide[n++] = (uint8_t)(unit[i] >> 8);
		}
	}
	md4(wide, n, got);
	explicit_bzero(wide, sizeof wide);
	return bytes_equal(bytes_of(got, sizeof got), data);
}
