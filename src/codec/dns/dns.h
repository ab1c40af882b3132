/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.h - answers of the name service: what they are, and what their records hold. [codec, pure]
 *
 * Records come as raw RDATA (RFC 1035 section 3.3), names in them uncompressed, as libunbound hands
 * them out. Each reader takes the whole RDATA of one record, checks every length in it, and refuses
 * what is left over behind it. Names are written in lower case, without the final dot; bytes that a
 * host name does not have make the reader refuse, so that a name is safe in logs, replies and
 * lookups.
 */
#ifndef BARID_CODEC_DNS_DNS_H
#define BARID_CODEC_DNS_DNS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include <stdint.h>

/* RFC 1035 3.2.2 and its successors. */
enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52
};

enum dns_outcome {
	DNS_FOUND,    /* there are records */
	DNS_NODATA,   /* the name exists, without records of this type */
	DNS_NXDOMAIN, /* there is no such name */
	DNS_FAILED,   /* servers do not answer, or not usefully: try later */
	DNS_BOGUS,    /* DNSSEC: the answer is not what the owner of the name signed: try later */
	DNS_TIMEOUT,  /* no answer in time: try later */
	DNS_OUTCOMES
};
/* "found", "nxdomain", ... for logs. */
const char *dns_outcome_name(enum dns_outcome o);
/* The answer says what is: the records, or that there are none. Otherwise nobody knows. */
static inline bool dns_is_known(enum dns_outcome o)
{
	return o <= DNS_NXDOMAIN;
}

struct dns_answer {
	enum dns_outcome outcome;
	bool secure;	      /* DNSSEC proves it, the absence too */
	uint32_t ttl;	      /* seconds */
	struct str canonical; /* the name behind all aliases */
	struct str *records;  /* RDATA */
	size_t n;
	struct str why; /* of outcomes that are not known, for the log */
};

#define DNS_NAME_MAX 254 /* as text, with room for the NUL */
/*
 * A name that may be asked: labels of 1 to 63 letters, digits, hyphens, underscores, and slashes
 * (RFC 2317), 253 bytes in all. No final dot, not empty.
 */
bool dns_name_ok(struct str name);
/* "A", "mx", "TLSA" ... or a number; 0 = no type. */
uint16_t dns_type_parse(struct str text);

/* Addresses, in network order. */
bool dns_read_a(struct str rdata, uint8_t ret[4]);
bool dns_read_aaaa(struct str rdata, uint8_t ret[16]);
/* PTR, CNAME. The root is "". */
bool dns_read_name(struct str rdata, char ret[DNS_NAME_MAX]);

struct dns_mx {
	uint16_t preference;
	char host[DNS_NAME_MAX]; /* "" = the null MX (RFC 7505) */
};
bool dns_read_mx(struct str rdata, struct dns_mx *ret);

/* The strings of a TXT record put together (RFC 7208 3.3, RFC 8461 3.1). False: malformed. */
bool dns_read_txt(struct str rdata, struct buf *ret);

/* RFC 6698 2.1. */
struct dns_tlsa {
	uint8_t usage, selector, matching;
	struct str data; /* borrowed from the RDATA */
};
bool dns_read_tlsa(struct str rdata, struct dns_tlsa *ret);

/*
 * Under which name an address is asked about: "4.3.2.1.in-addr.arpa" for 1.2.3.4, nibbles for IPv6
 * (RFC 3596 2.5); with another zone the same in front of it (RFC 5782: DNS lists). `n` is 4 or 16.
 * zone: NULL = in-addr.arpa or ip6.arpa. False: too long.
 */
bool dns_reverse_name(const uint8_t *address, size_t n, const char *zone, char ret[DNS_NAME_MAX]);

/*
 * One record as an operator would write it in a zone: `10 mx.example.org`, `3 1 1 0b9a...`. What
 * cannot be read, or has no such form here, in that of RFC 3597: `\# 4 01020304`.
 */
void dns_record_text(uint16_t type, struct str rdata, struct buf *ret);

#endif
