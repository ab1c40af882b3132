/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.h - what a certificate says, for operators and for choosing one.                [runtime]
 *
 * Certificates here are the server's own: files of the operator. Thread: any.
 */
#ifndef BARID_RUNTIME_CERT_H
#define BARID_RUNTIME_CERT_H

#include "base/fail.h"
#include "base/ids.h"
#include "base/str.h"

enum cert_kind { CERT_RSA, CERT_ECDSA, CERT_OTHER };

#define CERT_NAMES_MAX 1000
struct cert_about {
	char names[CERT_NAMES_MAX]; /* DNS names, lower case, sorted, with blanks between; cut when
				       there are too many */
	enum cert_kind kind;
	unsigned bits;
	struct wall_us begins, ends;
	char issuer[200];
	bool self_signed;
};

struct x509_st;
/* Negative: it has no readable times or key. */
MUST_CHECK int cert_about(const struct x509_st *cert, struct cert_about *ret);
/* The first certificate of a PEM text. -FAIL_SYNTAX */
MUST_CHECK int cert_read(struct str pem, struct cert_about *ret, struct fail *why);
/* The first certificate and the key belong together. -FAIL_SYNTAX with a text for the operator. */
MUST_CHECK int cert_check_key(struct str pem, struct str key, struct fail *why);
/* Does the first certificate cover this host name? */
bool cert_covers(struct str pem, const char *host);
const char *cert_kind_name(enum cert_kind kind);
/* "2027-01-31" in UTC. */
#define CERT_DAY_MAX 16
const char *cert_day(struct wall_us t, char buf[CERT_DAY_MAX]);
/*
 * What an operator should know about a certificate now: a sentence that is not empty when it has
 * expired, is not valid yet, or ends within 14 days; the return value tells whether there is one.
 */
bool cert_complaint(const struct cert_about *c, struct wall_us now, char *buf, size_t size);

#endif
