/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encode.h"
#include "codec/sasl/sasl.h"
#include "service/dir/dir_test.h"
#include "service/dir/jsondoc.h"
#include "service/dir/jwks.h"
#include "service/dir/oauth.h"
#include "service/dir/password_int.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

/* ---- an issuer ---- */

enum kind { SIGN_RSA, SIGN_EC, SIGN_ED, KINDS };
struct issuer {
	EVP_PKEY *key[KINDS];
	struct buf jwks;
};

static void add_url64(struct buf *out, struct str bytes)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(16));
	(void)base64_encode(&b, bytes);
	for (size_t i = 0; i < b.n && b.p[i] != '='; i++)
		(void)buf_addc(out, b.p[i] == '+' ? '-' : b.p[i] == '/' ? '_' : b.p[i]);
}

static void add_number(struct buf *out, EVP_PKEY *key, const char *name)
{
	BIGNUM *n = NULL;
	unsigned char bytes[1024];
	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
	int len = strcmp(name, "qx") == 0 || strcmp(name, "qy") == 0 ? BN_bn2binpad(n, bytes, 32)
								     : BN_bn2bin(n, bytes);
	add_url64(out, str_make((const char *)bytes, (size_t)len));
	BN_free(n);
}

static void issuer_init(struct issuer *s)
{
	unsigned char ed[32];
	size_t n = sizeof ed;
	*s = (struct issuer){.jwks = BUF_INIT(KIB(16))};
	s->key[SIGN_RSA] = EVP_RSA_gen(2048);
	s->key[SIGN_EC] = EVP_EC_gen("P-256");
	s->key[SIGN_ED] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	assert_true(s->key[SIGN_RSA] && s->key[SIGN_EC] && s->key[SIGN_ED]);
	assert_int_equal(EVP_PKEY_get_raw_public_key(s->key[SIGN_ED], ed, &n), 1);
	buf_add_c(&s->jwks, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"x\"},"
			    "{\"kty\":\"RSA\",\"kid\":\"r\",\"use\":\"sig\",\"n\":\"");
	add_number(&s->jwks, s->key[SIGN_RSA], "n");
	buf_add_c(&s->jwks, "\",\"e\":\"");
	add_number(&s->jwks, s->key[SIGN_RSA], "e");
	buf_add_c(&s->jwks, "\"},{\"kty\":\"EC\",\"kid\":\"e\",\"crv\":\"P-256\",\"x\":\"");
	add_number(&s->jwks, s->key[SIGN_EC], "qx");
	buf_add_c(&s->jwks, "\",\"y\":\"");
	add_number(&s->jwks, s->key[SIGN_EC], "qy");
	buf_add_c(&s->jwks, "\"},{\"kty\":\"OKP\",\"kid\":\"d\",\"crv\":\"Ed25519\",\"x\":\"");
	add_url64(&s->jwks, str_make((const char *)ed, n));
	buf_add_c(&s->jwks, "\"}]}");
}

static void issuer_clear(struct issuer *s)
{
	for (int i = 0; i < KINDS; i++)
		EVP_PKEY_free(s->key[i]);
	buf_clear(&s->jwks);
}

static void add_signature(struct buf *out, const struct issuer *s, enum kind k)
{
	unsigned char sig[600], raw[64];
	size_t n = sizeof sig;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, k == SIGN_ED ? NULL : "SHA256", NULL,
					       NULL, s->key[k], NULL),
			 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, (const unsigned char *)out->p, out->n), 1);
	EVP_MD_CTX_free(ctx);
	(void)buf_addc(out, '.');
	if (k == SIGN_EC) {
		const unsigned char *p = sig;
		ECDSA_SIG *e = d2i_ECDSA_SIG(NULL, &p, (long)n);
		assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(e), raw, 32), 32);
		assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(e), raw + 32, 32), 32);
		ECDSA_SIG_free(e);
		add_url64(out, str_make((const char *)raw, sizeof raw));
	} else {
		add_url64(out, str_make((const char *)sig, n));
	}
}

/* Claims that are right but for what `change` says: a key's whole new text, or "-key". */
static struct str claims(struct arena *a, const char *change)
{
	static const char *const keys[] = {"iss", "aud", "exp", "nbf", "iat", "scope", "email"};
	int64_t now = clock_wall().v / SEC_US;
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	struct str made[ARRAY_LEN(keys)] = {
		STR("\"https://id.test\""),
		STR("[\"other\",\"mail.test\"]"),
		arena_printf(a, "%lld", (long long)now + 300),
		arena_printf(a, "%lld", (long long)now - 10),
		arena_printf(a, "%lld", (long long)now - 10),
		STR("\"openid mail\""),
		STR("\"A@d.test\""),
	};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		size_t n = strlen(keys[i]);
		struct str text = made[i];
		if (change[0] == '-' && strcmp(change + 1, keys[i]) == 0)
			continue;
		if (strncmp(change, keys[i], n) == 0 && change[n] == ':')
			text = str_c(change + n + 1);
		(void)buf_addf(&b, "%s\"%s\":%.*s", b.n ? "," : "{", keys[i], STR_ARG(text));
	}
	(void)buf_addc(&b, '}');
	return arena_str(a, buf_str(&b));
}

static struct str token(struct arena *a, const struct issuer *s, enum kind k, const char *header,
			struct str body)
{
	AUTO(buf) struct buf t = BUF_INIT(KIB(8));
	add_url64(&t, str_c(header));
	(void)buf_addc(&t, '.');
	add_url64(&t, body);
	add_signature(&t, s, k);
	return arena_str(a, buf_str(&t));
}

/* ---- a directory that trusts it ---- */

static char keys_path[300];

static void write_keys(struct home *h, struct str text)
{
	(void)snprintf(keys_path, sizeof keys_path, "%s/keys.json", h->folder.path);
	char fresh[310];
	(void)snprintf(fresh, sizeof fresh, "%s.new", keys_path);
	FILE *f = fopen(fresh, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(fresh, keys_path), 0);
}

static void setup(struct home *h, const struct issuer *s)
{
	home_init(h);
	dir_close(h->d);
	write_keys(h, buf_str(&s->jwks));
	h->c.slow_first_ms = 0;
	h->c.oauth = (struct dir_oauth){.issuer = "https://id.test",
					.audience = "mail.test",
					.username = "email",
					.scope = "mail",
					.keys = keys_path,
					.leeway_s = 30};
	home_open(h);
	ORDER(h, "domain add d.test");
	ORDER(h, "user add a@d.test");
	ORDER(h, "user add b@d.test");
}

static struct dir_step login(struct home *h, const char *mechanism, enum dir_channel channel,
			     struct str message)
{
	struct dir_sasl s = {3, {DIR_IMAP, channel, STR("::1")}, str_c(mechanism), STR("")};
	struct dir_step step = {0};
	assert_ok(dir_sasl_begin(h->d, &s, message, &h->a, &step, &h->why), &h->why);
	return step;
}

static struct dir_step bearer(struct home *h, struct str t)
{
	return login(h, "OAUTHBEARER", DIR_TLS,
		     arena_printf(&h->a,
				  "n,a=a@d.test,\x01host=x\x01"
				  "auth=Bearer %.*s\x01\x01",
				  STR_ARG(t)));
}

#define RS "{\"alg\":\"RS256\",\"kid\":\"r\"}"

static void good_tokens_log_in(void **state)
{
	static const struct {
		enum kind k;
		const char *header;
	} v[] = {{SIGN_RSA, RS},
		 {SIGN_RSA, "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}"},
		 {SIGN_EC, "{\"typ\":\"JWT\",\"alg\":\"ES256\",\"kid\":\"e\"}"},
		 {SIGN_ED, "{\"alg\":\"EdDSA\",\"typ\":\"application/at+jwt\"}"}};
	struct home h;
	struct issuer s;
	unsigned bits = 0;
	(void)state;
	issuer_init(&s);
	setup(&h, &s);
	assert_ok(dir_offer(h.d, &bits, &h.why), &h.why);
	assert_true(bits & SASL_OFFER_OAUTH);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct str t = token(&h.a, &s, v[i].k, v[i].header, claims(&h.a, ""));
		struct dir_step step = bearer(&h, t);
		if (!step.grant.granted)
			fail_msg("%zu: %s", i, step.grant.reason);
		assert_str(step.grant.address, "a@d.test");
		assert_int_equal(step.challenge.n, 0);
		step = login(&h, "XOAUTH2", DIR_TLS,
			     arena_printf(&h.a,
					  "user=a@d.test\x01"
					  "auth=Bearer %.*s\x01\x01",
					  STR_ARG(t)));
		assert_true(step.grant.granted);
		assert_false(login(&h, "XOAUTH2", DIR_SECURED,
				   arena_printf(&h.a,
						"user=a@d.test\x01"
						"auth=Bearer %.*s\x01\x01",
						STR_ARG(t)))
				     .grant.granted);
		assert_false(login(&h, "XOAUTH2", DIR_TLS,
				   arena_printf(&h.a,
						"user=b@d.test\x01"
						"auth=Bearer %.*s\x01\x01",
						STR_ARG(t)))
				     .grant.granted);
	}
	static const char *const fine[] = {"-nbf", "-iat", "aud:\"mail.test\"", "scope:[\"mail\"]",
					   "scope:\"mail\""};
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		if (!bearer(&h, token(&h.a, &s, SIGN_RSA, RS, claims(&h.a, fine[i]))).grant.granted)
			fail_msg("refused: %s", fine[i]);
	home_free(&h);
	issuer_clear(&s);
}

static void wrong_claims_are_refused(void **state)
{
	static const struct {
		const char *change, *reason;
	} v[] = {
		{"iss:\"https://id.test/\"", "issuer"},
		{"-iss", "issuer"},
		{"aud:\"mail.tes\"", "audience"},
		{"aud:[]", "audience"},
		{"-aud", "audience"},
		{"-exp", "has no end"},
		{"exp:\"4000000000\"", "has no end"},
		{"exp:1000000000", "expired"},
		{"nbf:4000000000", "nbf"},
		{"nbf:\"x\"", "nbf"},
		{"iat:4000000000", "iat"},
		{"scope:\"openid mailx\"", "scope"},
		{"-scope", "scope"},
		{"-email", "names no account"},
		{"email:[\"a@d.test\"]", "names no account"},
		{"email:\"b@d.test\"", "another user"},
		{"email:\"a@d.test\",\"email_verified\":false", "not verified"},
		{"email:\"a@d.test\",\"email_verified\":\"no\"", "not verified"},
		{"email:\"x\",\"email\":\"a@d.test\"", "malformed claims"},
	};
	struct home h;
	struct issuer s;
	(void)state;
	issuer_init(&s);
	setup(&h, &s);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct dir_step step =
			bearer(&h, token(&h.a, &s, SIGN_RSA, RS, claims(&h.a, v[i].change)));
		if (step.grant.granted || !strstr(step.grant.reason, v[i].reason))
			fail_msg("%s: %s", v[i].change, step.grant.reason);
		/* RFC 7628: the client hears why and nods; then it is over. */
		assert_true(step.more);
		assert_str(step.challenge, "{\"status\":\"invalid_token\",\"scope\":\"mail\"}");
		struct dir_sasl same = {.session = 3, .place.service = DIR_IMAP};
		assert_ok(dir_sasl_next(h.d, &same, STR("\x01"), &h.a, &step, &h.why), &h.why);
		assert_false(step.more || step.grant.granted);
		assert_true(step.grant.told);
	}
	/* Leeway, at it and beyond. */
	struct str t = token(&h.a, &s, SIGN_RSA, RS, claims(&h.a, ""));
	clock_bend_us((300 + 28) * SEC_US);
	assert_true(bearer(&h, t).grant.granted);
	clock_bend_us((300 + 31) * SEC_US);
	assert_false(bearer(&h, t).grant.granted);
	clock_bend_us(0);
	ORDER(&h, "user set a@d.test --imap off");
	assert_false(bearer(&h, t).grant.granted);
	home_free(&h);
	issuer_clear(&s);
}

static void algorithms_are_not_confused(void **state)
{
	static const struct {
		enum kind k;
		const char *header;
	} v[] = {
		{SIGN_RSA, "{\"alg\":\"none\"}"},
		{SIGN_RSA, "{\"alg\":\"None\"}"},
		{SIGN_RSA, "{\"alg\":\"HS256\"}"},
		{SIGN_RSA, "{\"alg\":\"ES256\",\"kid\":\"r\"}"},
		{SIGN_EC, "{\"alg\":\"RS256\",\"kid\":\"e\"}"},
		{SIGN_ED, "{\"alg\":\"ES256\"}"},
		{SIGN_RSA, "{\"alg\":\"RS256\",\"kid\":\"e\"}"},
		{SIGN_RSA, "{\"alg\":\"RS256\",\"kid\":\"unknown\"}"},
		{SIGN_RSA, "{\"alg\":\"RS256\",\"kid\":7}"},
		{SIGN_RSA, "{\"alg\":\"RS256\",\"crit\":[\"b64\"],\"b64\":false}"},
		{SIGN_RSA, "{\"alg\":\"RS256\",\"typ\":\"id+jwt\"}"},
		{SIGN_RSA, "{\"alg\":[\"RS256\"]}"},
		{SIGN_RSA, "{}"},
		{SIGN_RSA, "[]"},
	};
	struct home h;
	struct issuer s, other;
	(void)state;
	issuer_init(&s);
	issuer_init(&other);
	setup(&h, &s);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		if (bearer(&h, token(&h.a, &s, v[i].k, v[i].header, claims(&h.a, "")))
			    .grant.granted)
			fail_msg("accepted: %s", v[i].header);
	struct str t = token(&h.a, &s, SIGN_RSA, RS, claims(&h.a, ""));
	/* Without a signature, with one of another token, of another issuer, changed anywhere. */
	size_t dot = str_rfind(t, '.');
	assert_false(bearer(&h, str_sub(t, 0, dot + 1)).grant.granted);
	assert_false(bearer(&h, str_sub(t, 0, dot)).grant.granted);
	assert_false(bearer(&h, token(&h.a, &other, SIGN_RSA, RS, claims(&h.a, ""))).grant.granted);
	char *c = arena_c(&h.a, t);
	for (size_t i = 0; i < t.n; i += 7) {
		char was = c[i];
		c[i] = was == 'A' ? 'B' : 'A';
		if (bearer(&h, str_make(c, t.n)).grant.granted && was != c[i])
			fail_msg("accepted a change at %zu", i);
		c[i] = was;
	}
	/* HMAC with the public key as the secret: the oldest trick. */
	AUTO(buf) struct buf forged = BUF_INIT(KIB(8));
	uint8_t mac[32];
	add_url64(&forged, STR("{\"alg\":\"HS256\"}"));
	(void)buf_addc(&forged, '.');
	add_url64(&forged, claims(&h.a, ""));
	assert_int_equal(digest_hmac(DIGEST_SHA256, buf_str(&s.jwks), buf_str(&forged), mac, NULL),
			 0);
	(void)buf_addc(&forged, '.');
	add_url64(&forged, str_make((const char *)mac, sizeof mac));
	assert_false(bearer(&h, buf_str(&forged)).grant.granted);
	/* New keys count at once; a file that cannot be read leaves the old ones. */
	write_keys(&h, STR("nonsense"));
	assert_true(bearer(&h, t).grant.granted);
	write_keys(&h, buf_str(&other.jwks));
	assert_false(bearer(&h, t).grant.granted);
	assert_true(bearer(&h, token(&h.a, &other, SIGN_RSA, RS, claims(&h.a, ""))).grant.granted);
	home_free(&h);
	issuer_clear(&s);
	issuer_clear(&other);
}

static void documents_are_bounded(void **state)
{
	struct jsondoc *j = NULL;
	(void)state;
	assert_int_equal(jsondoc_read(STR("{\"a\":[[[[[[[1]]]]]]]}"), &j), 0);
	jsondoc_free(j);
	assert_int_equal(jsondoc_read(STR("{\"a\":[[[[[[[[1]]]]]]]]}"), &j), -FAIL_LIMIT);
	assert_int_equal(jsondoc_read(STR("{\"a\":\"[[[[[[[[[[[[\\\"[[\"}"), &j), 0);
	jsondoc_free(j);
	assert_int_equal(jsondoc_read(STR("{\"a\":1,\"a\":2}"), &j), -FAIL_SYNTAX);
	assert_int_equal(jsondoc_read(STR(""), &j), -FAIL_SYNTAX);
	assert_int_equal(jsondoc_read(STR("[]"), &j), -FAIL_SYNTAX);
	char *big = malloc(JSONDOC_MAX + 1);
	assert_non_null(big);
	memset(big, ' ', JSONDOC_MAX + 1);
	memcpy(big, "{}", 2);
	assert_int_equal(jsondoc_read(str_make(big, JSONDOC_MAX), &j), 0);
	jsondoc_free(j);
	assert_int_equal(jsondoc_read(str_make(big, JSONDOC_MAX + 1), &j), -FAIL_LIMIT);
	free(big);
	/* Weak keys are passed over. */
	struct jwks *k = NULL;
	assert_int_equal(
		jwks_read(STR("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"qqqq\",\"e\":\"AQAB\"},"
			      "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"},"
			      "7]}"),
			  &k, NULL),
		0);
	assert_int_equal(jwks_count(k), 0);
	jwks_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_tokens_log_in),
		cmocka_unit_test(wrong_claims_are_refused),
		cmocka_unit_test(algorithms_are_not_confused),
		cmocka_unit_test(documents_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
