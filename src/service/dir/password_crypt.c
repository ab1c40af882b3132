/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slow hashes: crypt(3) in all its forms (libcrypt) and Argon2 (libargon2). Costs that would stop
 * the hashing threads for seconds are refused before they start: a stored hash is an operator's
 * input, but a typing slip there must not take the logins of others with it.
 */
#include "password_int.h"

#include "base/check.h"
#include "base/num.h"
#include <argon2.h>
#include <crypt.h>
#include <pthread.h>

enum {
	SHA_CRYPT_ROUNDS_MAX = 2000000,
	BCRYPT_COST_MAX = 15,
	ARGON2_MEMORY_KIB_MAX = 1024 * 1024, /* the reference's default for new Argon2id hashes */
	ARGON2_MEMORY_KIB_SHARED = 64 * 1024,
	ARGON2_TIME_MAX = 64,
	ARGON2_LANES_MAX = 16,
	HASH_TEXT_MAX = 512,
	KEY_MAX = CRYPT_MAX_PASSPHRASE_SIZE - 1, /* libcrypt refuses longer ones */
};

/* The text of `key=NUMBER` after `from`, as a number; `otherwise` when it is not there. */
static uint64_t setting(struct str s, const char *key, uint64_t otherwise)
{
	size_t at = str_find_str(s, 0, str_c(key));
	if (at == s.n)
		return otherwise;
	struct str rest = str_skip(s, at + strlen(key));
	size_t n = 0;
	while (n < rest.n && ascii_digit(rest.p[n]))
		n++;
	uint64_t v = UINT64_MAX;
	(void)num_parse_u64(str_sub(rest, 0, n), &v);
	return v;
}

static bool too_slow(struct str data)
{
	if (str_starts(data, STR("$5$")) || str_starts(data, STR("$6$")))
		return setting(data, "$rounds=", 5000) > SHA_CRYPT_ROUNDS_MAX;
	if (str_starts(data, STR("$2"))) {
		uint64_t cost = 0;
		size_t at = str_find(data, 1, '$');
		return !num_parse_u64(str_sub(data, at + 1, at + 3), &cost) ||
		       cost > BCRYPT_COST_MAX;
	}
	/* (gost-)yescrypt "$y$j9T$": after the flavour j comes log2(N) - 1; '9' costs 16 MiB. */
	if (str_starts(data, STR("$y$")) || str_starts(data, STR("$gy$"))) {
		struct str p = str_skip(data, str_find(data, 1, '$') + 1);
		return p.n < 2 || p.p[0] != 'j' || !p.p[1] || !strchr("./0123456789ABCDEF", p.p[1]);
	}
	/* scrypt "$7$C...": log2(N). */
	if (str_starts(data, STR("$7$")))
		return data.n < 4 || !data.p[3] || !strchr("./0123456789ABCDEFG", data.p[3]);
	if (str_starts(data, STR("$sha1$"))) {
		uint64_t rounds = 0;
		struct str r = str_skip(data, 6);
		return !num_parse_u64(str_sub(r, 0, str_find(r, 0, '$')), &rounds) ||
		       rounds > SHA_CRYPT_ROUNDS_MAX;
	}
	return false;
}

int verify_crypt(struct str data, struct str password, struct fail *why)
{
	char setting_text[HASH_TEXT_MAX + 1];
	char key[KEY_MAX + 1];

	if (data.n == 0 || data.n > HASH_TEXT_MAX || memchr(data.p, 0, data.n))
		return fail_set(why, FAIL_SYNTAX, NULL, "a crypt hash of %zu bytes", data.n);
	if (password.n > KEY_MAX)
		return fail_set(why, FAIL_UNSUPPORTED, NULL,
				"crypt takes no password of more than %d bytes", KEY_MAX);
	if (too_slow(data))
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "a crypt hash with excessive cost");
	memcpy(setting_text, data.p, data.n);
	setting_text[data.n] = 0;
	memcpy(key, password.n ? password.p : "", password.n);
	key[password.n] = 0;

	struct crypt_data *state = xcalloc(1, sizeof *state); /* 32 KiB: not on a small stack */
	const char *got = crypt_rn(key, setting_text, state, sizeof *state);
	int r = 0;
	if (!got || got[0] == '*')
		r = fail_set(why, FAIL_UNSUPPORTED, NULL, "libcrypt does not know the hash %.4s...",
			     setting_text);
	else
		r = bytes_equal(str_c(got), data);
	explicit_bzero(key, sizeof key);
	explicit_bzero(state, sizeof *state);
	free(state);
	return r;
}

int verify_argon2(struct str data, struct str password, struct fail *why)
{
	char text[HASH_TEXT_MAX + 1];

	if (data.n > HASH_TEXT_MAX || memchr(data.p ? data.p : "", 0, data.n))
		return fail_set(why, FAIL_SYNTAX, NULL, "an Argon2 hash of %zu bytes", data.n);
	argon2_type type = str_starts(data, STR("$argon2id$"))	? Argon2_id
			   : str_starts(data, STR("$argon2i$")) ? Argon2_i
								: Argon2_d;
	if (type == Argon2_d)
		return fail_set(why, FAIL_SYNTAX, NULL, "not an Argon2i or Argon2id hash");
	if (setting(data, "$m=", UINT64_MAX) > ARGON2_MEMORY_KIB_MAX ||
	    setting(data, ",t=", UINT64_MAX) > ARGON2_TIME_MAX ||
	    setting(data, ",p=", UINT64_MAX) > ARGON2_LANES_MAX)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "an Argon2 hash with excessive cost");
	memcpy(text, data.p, data.n);
	text[data.n] = 0;
	/* The big ones one after the other: a gigabyte each. */
	static pthread_mutex_t big = PTHREAD_MUTEX_INITIALIZER;
	bool alone = setting(data, "$m=", 0) > ARGON2_MEMORY_KIB_SHARED;
	if (alone)
		(void)pthread_mutex_lock(&big);
	int r = argon2_verify(text, password.n ? password.p : "", password.n, type);
	if (alone)
		(void)pthread_mutex_unlock(&big);
	if (r == ARGON2_OK)
		return 1;
	if (r == ARGON2_VERIFY_MISMATCH)
		return 0;
	return fail_set(why, r == ARGON2_MEMORY_ALLOCATION_ERROR ? FAIL_TEMP : FAIL_SYNTAX, NULL,
			"Argon2: %s", argon2_error_message(r));
}

/* yescrypt at libxcrypt's default cost, "$y$j9T$": 16 MiB and about 17 ms. */
static int make(struct str password, unsigned long cost, struct buf *out, struct fail *why)
{
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	char key[KEY_MAX + 1];

	if (password.n > KEY_MAX || memchr(password.p ? password.p : "", 0, password.n))
		return fail_set(why, FAIL_SYNTAX, "The password is too long or contains NUL.",
				"password of %zu bytes", password.n);
	if (!crypt_gensalt_rn("$y$", cost, NULL, 0, salt, sizeof salt))
		return fail_errno(why, FAIL_IO, "making a salt");
	memcpy(key, password.n ? password.p : "", password.n);
	key[password.n] = 0;
	struct crypt_data *state = xcalloc(1, sizeof *state);
	const char *got = crypt_rn(key, salt, state, sizeof *state);
	int r = 0;
	if (!got || got[0] == '*')
		r = fail_errno(why, FAIL_TEMP, "yescrypt");
	else
		r = buf_addf(out, "{CRYPT}%s", got);
	explicit_bzero(key, sizeof key);
	explicit_bzero(state, sizeof *state);
	free(state);
	return r;
}

int password_make(struct str password, struct buf *out, struct fail *why)
{
	return make(password, 0, out, why); /* the library's default */
}

int password_make_first(struct str password, struct buf *out, struct fail *why)
{
	return make(password, 4, out, why);
}

void password_verify_nobody(struct str password)
{
	/* No password gives this hash: its end was changed. */
	static const char hash[] = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1"
				   "$4i66popnLls6.xvd.33jl0p.lBoCLojZXONHqQ4CyxE";
	struct fail why;

	(void)verify_crypt(str_c(hash), password, &why);
}
