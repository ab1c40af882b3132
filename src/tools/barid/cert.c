/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A self-signed certificate, until the operator has a real one.
 */
#include "sys/fs.h"
#include "tools/barid/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#define YEARS_10 (10L * 365 * 24 * 3600)

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = e && X509_add_ext(cert, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool set_serial(X509 *cert)
{
	BIGNUM *serial = BN_new();
	bool ok = serial && BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
		  BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));
	BN_free(serial);
	return ok;
}

static bool fill(X509 *cert, EVP_PKEY *key, const char *name)
{
	char alt[300];
	(void)snprintf(alt, sizeof alt, "DNS:%s,DNS:localhost,IP:127.0.0.1", name);
	X509_NAME *subject = X509_get_subject_name(cert);
	return X509_set_version(cert, 2) == 1 && set_serial(cert) &&
	       X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
	       X509_gmtime_adj(X509_getm_notAfter(cert), YEARS_10) &&
	       X509_set_pubkey(cert, key) == 1 &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name,
					  -1, -1, 0) == 1 &&
	       X509_set_issuer_name(cert, subject) == 1 &&
	       add_extension(cert, NID_subject_alt_name, alt) &&
	       add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       X509_sign(cert, key, EVP_sha256()) > 0;
}

/* Under another name until it is complete: a full disk leaves no half of a file. */
struct pem {
	const char *path;
	char part[4200];
	FILE *f;
};

static bool pem_create(struct pem *p, const char *path, mode_t mode)
{
	p->path = path;
	(void)snprintf(p->part, sizeof p->part, "%s.part", path);
	int fd = open(p->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	p->f = fd < 0 ? NULL : fdopen(fd, "w");
	return p->f != NULL;
}

static bool pem_flush(struct pem *p)
{
	return fflush(p->f) == 0 && fsync(fileno(p->f)) == 0;
}

static void pem_close(struct pem *p)
{
	if (!p->f)
		return;
	(void)fclose(p->f);
	(void)unlink(p->part); /* gone already when all went well */
}

/* From now on it is there under its name, whatever becomes of the machine. */
static bool pem_publish(struct pem *p)
{
	char folder[4200];
	struct fail why = FAIL_INIT;
	if (rename(p->part, p->path) < 0)
		return false;
	if (fs_parent(p->path, folder, sizeof folder, &why) == 0 &&
	    fs_sync_dir(fs_real(), folder, &why) == 0)
		return true;
	errno = why.saved_errno;
	return false;
}

/* The key comes last: who finds one has a certificate, too. */
static bool write_pair(EVP_PKEY *key, X509 *cert, const char *cert_path, const char *key_path)
{
	struct pem k = {0}, c = {0};
	bool ok = pem_create(&k, key_path, 0600) && pem_create(&c, cert_path, 0644) &&
		  PEM_write_PKCS8PrivateKey(k.f, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		  PEM_write_X509(c.f, cert) == 1 && pem_flush(&k) && pem_flush(&c) &&
		  pem_publish(&c) && pem_publish(&k);
	int saved = errno;
	pem_close(&k);
	pem_close(&c);
	errno = saved;
	return ok;
}

int cert_make(const char *name, const char *cert_path, const char *key_path, struct fail *why)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	bool made = key && cert && fill(cert, key, name);
	bool ok = made && write_pair(key, cert, cert_path, key_path);
	int r = !made ? fail_set(why, FAIL_BUG, NULL, "cannot make a certificate for %s", name)
		: ok  ? 0
		      : fail_errno(why, FAIL_IO, "cannot write %s and %s", cert_path, key_path);
	X509_free(cert);
	EVP_PKEY_free(key);
	return r;
}
