/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_client.h - TLS towards other servers, and what their certificates are worth.   [runtime]
 *
 * TLS 1.2 and 1.3. A struct tls_clients holds what connections share (the authorities); make it
 * before the sandbox, use it from any thread. tls_stream_connect gives a stream of tls.h: the same
 * calls for handshake, reading and writing.
 *
 * A handshake does not fail by what the certificate is: tls_stream_verdict says it afterwards, and
 * the caller decides, before it sends anything, whether to go on. (Where nothing is demanded any
 * certificate is better than none; RFC 8460 wants to know what was wrong.)
 */
#ifndef BARID_RUNTIME_TLS_TLS_CLIENT_H
#define BARID_RUNTIME_TLS_TLS_CLIENT_H

#include "runtime/tls/tls.h"

struct tls_clients;

/*
 * `authorities`: a file of PEM certificates that are trusted. Empty or not there: none is, and no
 * certificate passes TLS_CHECK_AUTHORITY. -FAIL_SYNTAX: it holds something else.
 */
MUST_CHECK int tls_clients_new(const char *authorities, struct tls_clients **ret, struct fail *why);
void tls_clients_free(struct tls_clients *c); /* NULL is fine; after its streams */

enum tls_check {
	TLS_CHECK_NOTHING,
	TLS_CHECK_AUTHORITY, /* RFC 5280 by the authorities, and one of `names` in the certificate
			      */
	TLS_CHECK_TLSA,	     /* RFC 7671, 7672: by `tlsa`; the names count with usage 2 alone */
};
struct tls_expected_tlsa {
	uint8_t usage, selector, matching;
	struct str data;
};
struct tls_expect {
	enum tls_check check;
	const char *server_name; /* SNI; NULL or empty: none is sent (an address) */
	const char *const
		*names; /* as A-labels; a wildcard in the certificate stands for one label. Or one
			   address, without brackets, that has to be in the certificate */
	size_t names_n;
	const struct tls_expected_tlsa *tlsa; /* those of usage 2 and 3 */
	size_t tlsa_n;
	/*
	 * Name and address that are connected to. A session resumes at the same place, under the
	 * same check and names, within ten minutes, once; never by TLSA, which is looked up anew.
	 * NULL: it does not.
	 */
	const char *place;
	/* What is read ends with the connection: one that is cut off, without TLS's own end, fails
	 * instead of TLS_EOF. */
	bool whole_end;
};

/* What became of the check: the kinds that RFC 8460 4.3 tells apart. */
enum tls_verdict {
	TLS_NOT_CHECKED,
	TLS_GOOD,
	TLS_BAD_NAME,
	TLS_EXPIRED, /* or not valid yet */
	TLS_UNTRUSTED,
	TLS_TLSA_MISMATCH, /* no TLSA record fits */
	TLS_VERDICTS
};

/*
 * The client's side of a connection over fd, which stays the caller's. All of `e` is copied. Never
 * NULL.
 */
struct tls_stream *tls_stream_connect(struct tls_clients *c, int fd, const struct tls_expect *e);

/* After the handshake: an earlier session was resumed. */
bool tls_stream_resumed(const struct tls_stream *s);
/* After the handshake. *ret_text (may be NULL): why, borrowed and static. */
enum tls_verdict tls_stream_verdict(const struct tls_stream *s, const char **ret_text);

#endif
