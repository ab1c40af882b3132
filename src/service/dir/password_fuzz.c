/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stored hashes of panels and operators, and what clients send as passwords: first line and rest of
 * the input. Hashes that cost milliseconds (they are libcrypt's and libargon2's own to read) are
 * left out, so that the cheap ones get their turn.
 */
#include "base/check.h"
#include "base/utf8.h"
#include "service/dir/app_password.h"
#include "service/dir/dir_int.h"
#include "service/dir/password_int.h"
#include "service/dir/saslprep.h"
#include "service/dir/scram.h"

#define DIGITS_MAX 3 /* of a number of rounds */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_slow(struct str stored)
{
	static const char *const kinds[] = {"$y$", "$gy$", "$7$", "$2", "$argon2", "$sm3y"};
	size_t digits = 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_find_str(stored, 0, str_c(kinds[i])) < stored.n)
			return true;
	for (size_t i = 0; i < stored.n; i++) {
		digits = ascii_digit(stored.p[i]) ? digits + 1 : 0;
		if (digits > DIGITS_MAX)
			return true;
	}
	return false;
}

static void prepared(struct str text)
{
	AUTO(buf) struct buf once = BUF_INIT(KIB(8)), twice = BUF_INIT(KIB(8));
	if (saslprep(text, true, &once) < 0)
		return;
	CHECK(once.n > 0 && utf8_valid(buf_str(&once)));
	/* RFC 4013: the form of a form is the form. */
	int r = saslprep(buf_str(&once), true, &twice);
	CHECK(r < 0 || str_eq(buf_str(&once), buf_str(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str password = str_make((const char *)data, size), stored, bad;
	struct fail why = FAIL_INIT;
	struct scram_keys keys;
	uint8_t hash[APP_PASSWORD_HASH];
	if (size == 0 || size > KIB(4) || !str_cut(&password, '\n', &stored))
		return 0;
	if (!is_slow(stored)) {
		int r = password_verify(stored, password, &why);
		CHECK(r == 0 || r == 1 || (r < 0 && why.code));
		if (str_starts(stored, STR("{PLAIN}")) && password.n <= PASSWORD_MAX &&
		    str_find(password, 0, '\0') == password.n)
			CHECK(r == str_eq(str_skip(stored, 7), password));
	}
	for (enum digest d = DIGEST_SHA1; d <= DIGEST_SHA256; d++)
		if (scram_parse(d, stored, &keys) == 0)
			CHECK(keys.salt_n > 0 && keys.salt_n <= SCRAM_SALT_MAX &&
			      keys.iterations > 0 && keys.iterations <= SCRAM_ROUNDS_MAX);
	(void)app_password_hash(password, hash);
	if (!login_services_valid(stored, &bad))
		CHECK(bad.n <= stored.n);
	(void)dir_net_is_valid(stored);
	prepared(password);
	return 0;
}
