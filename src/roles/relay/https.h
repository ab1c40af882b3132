/* SPDX-License-Identifier: Apache-2.0 */
/*
 * https.h - one question by HTTPS: the policies of MTA-STS are fetched so (RFC 8461 3.3), and
 * reports about TLS sent (RFC 8460 5.4).                                         [roles, private]
 *
 * HTTP/1.1 over TLS with a certificate of the authorities for the host's name. No redirect is
 * followed, nothing is cached, no cookie or compression is known.
 * docs/adr/0033-tls-of-destinations.md says why it is not a library.
 */
#ifndef BARID_ROLES_RELAY_HTTPS_H
#define BARID_ROLES_RELAY_HTTPS_H

#include "base/buf.h"
#include "roles/relay/relay.h"

enum https_result {
	HTTPS_DONE,	       /* status 200, the body is there; to what was posted any 2xx */
	HTTPS_FAILED,	       /* no connection, no answer, another status, another media type */
	HTTPS_BAD_CERTIFICATE, /* RFC 8460: sts-webpki-invalid */
};
struct https_question {
	const struct conf *conf;
	struct errand *errand;
	const char *host;
	uint16_t port;
	const char *path;
	const char *type; /* media type that the body must have; of what is posted */
	struct str post;  /* what is posted; no p: nothing is, it is a GET */
	unsigned time_ms; /* for all of it */
};
/* `body` has a maximum; *why says what was wrong. Blocking; any thread. */
enum https_result https_ask(const struct https_question *q, struct buf *body, struct fail *why);

#endif
