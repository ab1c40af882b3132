/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsrpt.h - reports about TLS to the domains that mail was sent to (RFC 8460).     [codec, pure]
 *
 * A TXT record below _smtp._tls says where a domain wants its reports; a report is a JSON document,
 * compressed, that goes there by mail (multipart/report) or by HTTPS.
 */
#ifndef BARID_CODEC_STS_TLSRPT_H
#define BARID_CODEC_STS_TLSRPT_H

#include "base/buf.h"
#include "base/ids.h"

#define TLSRPT_PLACES_MAX 4
#define TLSRPT_PLACE_MAX  320

/* Where reports go. "mailto:" without its scheme, what follows a "?" cut off; or an https URI. */
struct tlsrpt_place {
	bool https;
	char text[TLSRPT_PLACE_MAX + 1];
};
struct tlsrpt_record {
	struct tlsrpt_place v[TLSRPT_PLACES_MAX];
	size_t n;
};
/* Is it a record of TLSRPT (3)? Places of other schemes, and more than there is room for, are left
 * out. */
bool tlsrpt_record_parse(struct str text, struct tlsrpt_record *ret);

struct tlsrpt_url {
	struct str host; /* borrowed */
	uint16_t port;
	struct str path; /* "/" at least */
};
/* Take an https URI apart. False: with a login, or something that is no name or path. */
bool tlsrpt_url_parse(struct str uri, struct tlsrpt_url *ret);

/* Sessions of one kind. */
struct tlsrpt_count {
	struct str policy; /* "tlsa", "sts", "no-policy-found"; those of one stand together */
	struct str result; /* "ok", or a result type (4.3) */
	struct str mx, ip, reason;
	uint64_t n;
};
struct tlsrpt_report {
	struct str organization; /* who reports: a domain */
	struct str contact;	 /* an address */
	struct str domain;	 /* whom it is about */
	struct wall_us from, to; /* both included */
	struct str sts_policy;	 /* text of the domain's MTA-STS policy, or empty */
	const struct tlsrpt_count *counts;
	size_t n;
};
/* One report of a domain and time has one id, however often it is written. */
int tlsrpt_id_write(struct buf *out, const struct tlsrpt_report *r);
/* The JSON document (4.4). -FAIL_LIMIT. */
MUST_CHECK int tlsrpt_json_write(struct buf *out, const struct tlsrpt_report *r);
/* The whole message, CRLF throughout (5.3); `packed`: the document by gzip. -FAIL_LIMIT. */
MUST_CHECK int tlsrpt_mail_write(struct buf *out, const struct tlsrpt_report *r, struct str to,
				 struct wall_us now, struct str packed);

#endif
