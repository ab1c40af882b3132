/* SPDX-License-Identifier: Apache-2.0 */
#include "password.h"

#include "base/encode.h"
#include "password_int.h"

enum kind { CRYPT, PLAIN, HASHED, SALTED, MD5_ANY, ARGON2, PBKDF2, SCRAM, CRAM_MD5, NTLM };
enum encoding { AS_IS, BASE64, HEX };

struct scheme {
	const char *name;
	enum kind kind;
	enum encoding encoding; /* unless the name has a suffix */
	enum digest digest;
};

static const struct scheme schemes[] = {
	{"SSHA512", SALTED, BASE64, DIGEST_SHA512},
	{"CRYPT", CRYPT, AS_IS, 0},
	{"SSHA256", SALTED, BASE64, DIGEST_SHA256},
	{"SSHA", SALTED, BASE64, DIGEST_SHA1},
	{"SHA", HASHED, BASE64, DIGEST_SHA1},
	{"SHA1", HASHED, BASE64, DIGEST_SHA1},
	{"SHA256", HASHED, BASE64, DIGEST_SHA256},
	{"SHA512", HASHED, BASE64, DIGEST_SHA512},
	{"SMD5", SALTED, BASE64, DIGEST_MD5},
	{"MD5", MD5_ANY, BASE64, DIGEST_MD5},
	{"PLAIN-MD5", HASHED, HEX, DIGEST_MD5},
	{"LDAP-MD5", HASHED, BASE64, DIGEST_MD5},
	{"MD5-CRYPT", CRYPT, AS_IS, 0},
	{"SHA256-CRYPT", CRYPT, AS_IS, 0},
	{"SHA512-CRYPT", CRYPT, AS_IS, 0},
	{"BLF-CRYPT", CRYPT, AS_IS, 0},
	{"DES-CRYPT", CRYPT, AS_IS, 0},
	{"BCRYPT", CRYPT, AS_IS, 0},
	{"ARGON2I", ARGON2, AS_IS, 0},
	{"ARGON2ID", ARGON2, AS_IS, 0},
	{"PBKDF2", PBKDF2, AS_IS, 0},
	{"PLAIN", PLAIN, AS_IS, 0},
	{"CLEAR", PLAIN, AS_IS, 0},
	{"CLEARTEXT", PLAIN, AS_IS, 0},
	{"CRAM-MD5", CRAM_MD5, HEX, 0},
	{"HMAC-MD5", CRAM_MD5, HEX, 0},
	{"NTLM", NTLM, HEX, 0},
	{"SCRAM-SHA-1", SCRAM, AS_IS, DIGEST_SHA1},
	{"SCRAM-SHA-256", SCRAM, AS_IS, DIGEST_SHA256},
};

/* Take "{NAME.suffix}" off the front of *data. No prefix means crypt. NULL: unknown. */
static const struct scheme *take_scheme(struct str *data, enum encoding *ret_encoding)
{
	static const struct scheme crypt_text = {"CRYPT", CRYPT, AS_IS, 0};
	size_t close = str_find(*data, 0, '}');

	*ret_encoding = AS_IS;
	if (data->n == 0 || data->p[0] != '{' || close == data->n)
		return &crypt_text;
	struct str rest = str_sub(*data, 1, close);
	struct str name = STR_NULL;
	if (!str_cut(&rest, '.', &name))
		return NULL;
	*data = str_skip(*data, close + 1);
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		if (!str_eqi(name, str_c(schemes[i].name)))
			continue;
		*ret_encoding = schemes[i].encoding;
		if (rest.p && (str_eqi(rest, STR("b64")) || str_eqi(rest, STR("base64"))))
			*ret_encoding = BASE64;
		else if (rest.p && str_eqi(rest, STR("hex")))
			*ret_encoding = HEX;
		else if (rest.p)
			return NULL;
		return &schemes[i];
	}
	return NULL;
}

static int decode(struct str data, enum encoding e, struct buf *out)
{
	switch (e) {
	case BASE64:
		return base64_decode(out, data);
	case HEX:
		return hex_decode(out, data);
	case AS_IS:
		break;
	}
	return buf_add(out, data);
}

static int verify_digest(const struct scheme *s, struct str raw, struct str password,
			 struct fail *why)
{
	uint8_t got[DIGEST_LEN_MAX];
	size_t n = digest_len(s->digest);

	if (s->kind == SALTED ? raw.n < n : raw.n != n)
		return fail_set(why, FAIL_SYNTAX, NULL, "a %s hash of %zu bytes", s->name, raw.n);
	int r = digest_two(s->digest, password, str_skip(raw, n), got, why);
	return r < 0 ? r : bytes_equal(str_make((const char *)got, n), str_sub(raw, 0, n));
}

static int verify_as(const struct scheme *s, struct str raw, struct str password, struct fail *why)
{
	switch (s->kind) {
	case CRYPT:
		return verify_crypt(raw, password, why);
	case PLAIN:
		return bytes_equal(raw, password);
	case HASHED:
	case SALTED:
	case MD5_ANY:
		return verify_digest(s, raw, password, why);
	case ARGON2:
		return verify_argon2(raw, password, why);
	case PBKDF2:
		return verify_pbkdf2(raw, password, why);
	case SCRAM:
		return verify_scram(s->digest, raw, password, why);
	case CRAM_MD5:
		return verify_cram_md5(raw, password, why);
	case NTLM:
		return verify_ntlm(raw, password, why);
	}
	return fail_set(why, FAIL_BUG, NULL, "scheme %s has no code", s->name);
}

int password_verify(struct str stored, struct str password, struct fail *why)
{
	struct str data = stored;
	enum encoding encoding;
	AUTO(buf) struct buf raw = BUF_INIT(4096);

	if (password.n > PASSWORD_MAX || (password.n > 0 && memchr(password.p, 0, password.n)))
		return 0; /* crypt(3) would see only a part of it */
	const struct scheme *s = take_scheme(&data, &encoding);
	if (!s)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "unknown password scheme %.*s",
				STR_ARG(str_sub(stored, 0, 20)));
	/* Panels write {MD5} for three things: md5-crypt, hexadecimal, and LDAP's base64. */
	if (s->kind == MD5_ANY && str_starts(data, STR("$1$")))
		return verify_crypt(data, password, why);
	bool bytes = s->kind == HASHED || s->kind == MD5_ANY;
	if (bytes && encoding == BASE64 && data.n == 2 * digest_len(s->digest))
		encoding = HEX;
	if (decode(data, encoding, &raw) < 0)
		return fail_set(why, FAIL_SYNTAX, NULL, "a %s hash that is not %s", s->name,
				encoding == HEX ? "hexadecimal" : "base64");
	int r = verify_as(s, buf_str(&raw), password, why);
	explicit_bzero(raw.p ? raw.p : (char *)&encoding, raw.n);
	return r;
}
