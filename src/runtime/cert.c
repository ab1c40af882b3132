/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cert.h"
#include "base/check.h"
#include "base/text.h"
#include "base/vec.h"
#include "runtime/pem.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#define SOON_DAYS 14
#define DAY_US	  (INT64_C(86400) * SEC_US)

const char *cert_kind_name(enum cert_kind kind)
{
	return kind == CERT_RSA ? "RSA" : kind == CERT_ECDSA ? "ECDSA" : "other";
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *lower(const unsigned char *p, size_t n)
{
	char *text = xcalloc(1, n + 1);
	for (size_t i = 0; i < n; i++)
		text[i] = p[i] > ' ' && p[i] < 127 ? ascii_lower((char)p[i]) : '?';
	return text;
}

static void join(char **names, size_t n, char *out, size_t size)
{
	size_t at = 0;
	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);
		if (at + len + 2 > size)
			return;
		if (at)
			out[at++] = ' ';
		memcpy(out + at, names[i], len + 1);
		at += len;
	}
}

static void read_names(const X509 *cert, char *out, size_t size)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	VEC(char *) names = {0};
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		if (name->type != GEN_DNS)
			continue;
		const ASN1_STRING *s = name->d.dNSName;
		*vec_push(&names) = lower(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	}
	GENERAL_NAMES_free(all);
	if (names.n)
		qsort(names.p, names.n, sizeof names.p[0], by_text);
	join(names.p, names.n, out, size);
	for (size_t i = 0; i < names.n; i++)
		free(names.p[i]);
	vec_clear(&names);
}

static bool read_time(const ASN1_TIME *t, struct wall_us *ret)
{
	struct tm tm;
	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	ret->v = (int64_t)timegm(&tm) * SEC_US;
	return true;
}

int cert_about(const struct x509_st *cert, struct cert_about *ret)
{
	struct cert_about c = {.kind = CERT_OTHER};
	EVP_PKEY *key = X509_get0_pubkey(cert);
	if (!key || !read_time(X509_get0_notBefore(cert), &c.begins) ||
	    !read_time(X509_get0_notAfter(cert), &c.ends))
		return -FAIL_SYNTAX;
	int id = EVP_PKEY_get_base_id(key);
	c.kind = id == EVP_PKEY_RSA ? CERT_RSA : id == EVP_PKEY_EC ? CERT_ECDSA : CERT_OTHER;
	c.bits = (unsigned)EVP_PKEY_get_bits(key);
	read_names(cert, c.names, sizeof c.names);
	(void)X509_NAME_oneline(X509_get_issuer_name(cert), c.issuer, sizeof c.issuer);
	c.self_signed = X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(cert)) == 0;
	*ret = c;
	return 0;
}

static X509 *first_of(struct str pem)
{
	BIO *bio = pem_bio(pem);
	X509 *cert = PEM_read_bio_X509(bio, NULL, pem_no_password, NULL);
	BIO_free(bio);
	ERR_clear_error();
	return cert;
}

int cert_read(struct str pem, struct cert_about *ret, struct fail *why)
{
	X509 *cert = first_of(pem);
	int r = cert ? cert_about(cert, ret) : -FAIL_SYNTAX;
	X509_free(cert);
	return r < 0 ? fail_set(why, FAIL_SYNTAX, NULL, "no readable certificate in the file") : 0;
}

int cert_check_key(struct str pem, struct str key, struct fail *why)
{
	X509 *cert = first_of(pem);
	BIO *bio = pem_bio(key);
	EVP_PKEY *k = PEM_read_bio_PrivateKey(bio, NULL, pem_no_password, NULL);
	BIO_free(bio);
	int r = 0;
	if (!cert)
		r = fail_set(why, FAIL_SYNTAX, NULL, "no readable certificate in the file");
	else if (!k)
		r = fail_set(why, FAIL_SYNTAX, NULL,
			     "no private key without password in the file of the key");
	else if (X509_check_private_key(cert, k) != 1)
		r = fail_set(why, FAIL_SYNTAX, NULL, "the key does not belong to the certificate");
	EVP_PKEY_free(k);
	X509_free(cert);
	ERR_clear_error();
	return r;
}

bool cert_covers(struct str pem, const char *host)
{
	X509 *cert = first_of(pem);
	bool covers = cert && X509_check_host(cert, host, strlen(host),
					      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
	X509_free(cert);
	return covers;
}

const char *cert_day(struct wall_us t, char buf[CERT_DAY_MAX])
{
	struct tm tm;
	time_t s = (time_t)(t.v / SEC_US);
	if (!gmtime_r(&s, &tm) || strftime(buf, CERT_DAY_MAX, "%Y-%m-%d", &tm) == 0)
		(void)snprintf(buf, CERT_DAY_MAX, "?");
	return buf;
}

bool cert_complaint(const struct cert_about *c, struct wall_us now, char *buf, size_t size)
{
	char day[CERT_DAY_MAX];
	const char *names = c->names[0] ? c->names : T("no name");
	buf[0] = '\0';
	if (now.v >= c->ends.v)
		(void)snprintf(buf, size, T("the certificate for %.200s has expired on %s"), names,
			       cert_day(c->ends, day));
	else if (now.v < c->begins.v)
		(void)snprintf(buf, size, T("the certificate for %.200s is not valid before %s"),
			       names, cert_day(c->begins, day));
	else if (c->ends.v - now.v < SOON_DAYS * DAY_US)
		(void)snprintf(buf, size, T("the certificate for %.200s ends on %s, in %d days"),
			       names, cert_day(c->ends, day), (int)((c->ends.v - now.v) / DAY_US));
	return buf[0] != '\0';
}
