/* SPDX-License-Identifier: Apache-2.0 */
#include "jwks.h"

#include "base/check.h"
#include "codec/sasl/oauthbearer.h"
#include "jsondoc.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, P256 = 32, ED25519 = 32, KID_MAX = 200 };

struct key {
	const char *alg; /* the only one that it is used with */
	char kid[KID_MAX + 1];
	EVP_PKEY *pkey;
};
struct jwks {
	struct key keys[JWKS_KEYS_MAX];
	size_t n;
};

static bool member(const struct jsondoc *j, const char *name, struct buf *out)
{
	struct str text;

	return jsondoc_text(j, name, &text) && base64url_decode(out, text) == 0 && out->n > 0;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *b)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *rsa_key(const struct jsondoc *j)
{
	AUTO(buf) struct buf n = BUF_INIT(RSA_BITS_MAX / 8 + 8);
	AUTO(buf) struct buf e = BUF_INIT(16);
	EVP_PKEY *key = NULL;

	if (!member(j, "n", &n) || !member(j, "e", &e))
		return NULL;
	BIGNUM *bn = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
	BIGNUM *be = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	if (bn && be && b && BN_num_bits(bn) >= RSA_BITS_MIN && BN_num_bits(bn) <= RSA_BITS_MAX &&
	    BN_is_odd(be) && !BN_is_one(be) &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		key = from_params("RSA", b);
	OSSL_PARAM_BLD_free(b);
	BN_free(bn);
	BN_free(be);
	return key;
}

static EVP_PKEY *ec_key(const struct jsondoc *j)
{
	AUTO(buf) struct buf x = BUF_INIT(P256);
	AUTO(buf) struct buf y = BUF_INIT(P256);
	unsigned char point[1 + 2 * P256] = {4}; /* uncompressed */
	struct str curve = STR_NULL;
	EVP_PKEY *key = NULL;

	if (!jsondoc_text(j, "crv", &curve) || !str_eq(curve, STR("P-256")) ||
	    !member(j, "x", &x) || !member(j, "y", &y) || x.n != P256 || y.n != P256)
		return NULL;
	memcpy(point + 1, x.p, P256);
	memcpy(point + 1 + P256, y.p, P256);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	if (b &&
	    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
		key = from_params("EC", b); /* which checks that the point is on the curve */
	OSSL_PARAM_BLD_free(b);
	return key;
}

static EVP_PKEY *ed_key(const struct jsondoc *j)
{
	AUTO(buf) struct buf x = BUF_INIT(ED25519);
	struct str curve = STR_NULL;

	if (!jsondoc_text(j, "crv", &curve) || !str_eq(curve, STR("Ed25519")) ||
	    !member(j, "x", &x) || x.n != ED25519)
		return NULL;
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.p, x.n);
}

static void add_key(struct jwks *k, const struct jsondoc *j)
{
	static const struct {
		const char *kty, *alg;
		EVP_PKEY *(*make)(const struct jsondoc *j);
	} kinds[] = {{"RSA", "RS256", rsa_key}, {"EC", "ES256", ec_key}, {"OKP", "EdDSA", ed_key}};
	struct str kty = STR_NULL;
	struct str alg = STR_NULL;
	struct str use = STR_NULL;
	struct str kid = STR("");

	(void)jsondoc_text(j, "kid", &kid);
	if (!jsondoc_text(j, "kty", &kty) || kid.n > KID_MAX ||
	    (jsondoc_text(j, "use", &use) && !str_eq(use, STR("sig"))))
		return;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!str_eq(kty, str_c(kinds[i].kty)) ||
		    (jsondoc_text(j, "alg", &alg) && !str_eq(alg, str_c(kinds[i].alg))))
			continue;
		EVP_PKEY *pkey = kinds[i].make(j);
		if (!pkey)
			return;
		struct key *key = &k->keys[k->n++];
		*key = (struct key){.alg = kinds[i].alg, .pkey = pkey};
		memcpy(key->kid, kid.n ? kid.p : "", kid.n);
		return;
	}
}

int jwks_read(struct str json, struct jwks **ret, struct fail *why)
{
	AUTO(jsondoc) struct jsondoc *j = NULL;
	const struct jsondoc *item = NULL;

	if (jsondoc_read(json, &j) < 0 || !jsondoc_has(j, "keys"))
		return fail_set(why, FAIL_SYNTAX, NULL, "not a set of keys (RFC 7517)");
	struct jwks *k = xcalloc(1, sizeof *k);
	for (size_t i = 0; k->n < JWKS_KEYS_MAX && (item = jsondoc_item(j, "keys", i)); i++)
		add_key(k, item);
	*ret = k;
	return 0;
}

void jwks_free(struct jwks *k)
{
	for (size_t i = 0; k && i < k->n; i++)
		EVP_PKEY_free(k->keys[i].pkey);
	free(k);
}

size_t jwks_count(const struct jwks *k)
{
	return k->n;
}

/* RFC 7518 section 3.4: r and s, 32 bytes each; OpenSSL wants them in DER. */
static int ecdsa_der(struct str raw, unsigned char **ret)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn((const unsigned char *)raw.p, P256, NULL);
	BIGNUM *s = BN_bin2bn((const unsigned char *)raw.p + P256, P256, NULL);
	int n = -1;

	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL; /* the signature's now */
		n = i2d_ECDSA_SIG(sig, ret);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return n;
}

static bool verify_one(const struct key *key, struct str text, struct str signature)
{
	bool ec = strcmp(key->alg, "ES256") == 0;
	bool ed = strcmp(key->alg, "EdDSA") == 0;
	unsigned char *der = NULL;
	const unsigned char *sig = (const unsigned char *)signature.p;
	size_t n = signature.n;

	if (n == 0 || (ec && n != 2 * P256) || (ed && n != 2 * ED25519))
		return false;
	if (ec) {
		int len = ecdsa_der(signature, &der);
		if (len <= 0)
			return false;
		sig = der;
		n = (size_t)len;
	}
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx &&
		  EVP_DigestVerifyInit_ex(ctx, NULL, ed ? NULL : "SHA256", NULL, NULL, key->pkey,
					  NULL) == 1 &&
		  EVP_DigestVerify(ctx, sig, n, (const unsigned char *)text.p, text.n) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	return ok;
}

bool jwks_verify(const struct jwks *k, struct str alg, struct str kid, struct str text,
		 struct str signature)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct key *key = &k->keys[i];
		if (str_eq(alg, str_c(key->alg)) && (kid.n == 0 || str_eq(kid, str_c(key->kid))) &&
		    verify_one(key, text, signature))
			return true;
	}
	return false;
}
