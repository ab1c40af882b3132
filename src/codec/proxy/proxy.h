/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h - the header of the PROXY protocol, versions 1 and 2.            [codec, pure]
 *
 * HAProxy's proxy-protocol.txt: what a proxy sends before the first byte of a connection, to tell
 * for whom it is. Read strictly: a proxy is a program that we were configured for, and what
 * deviates is an accident or an attack.
 *
 * The bytes behind the header belong to somebody else (a TLS library, often), so a reader must not
 * take them: proxy_take says how much of what waits belongs to the header.
 *
 *     while ((r = proxy_parse(so_far, &header, &why)) == 0)
 *             peek at what waits; append its first proxy_take(so_far, waiting) bytes to so_far
 */
#ifndef BARID_CODEC_PROXY_PROXY_H
#define BARID_CODEC_PROXY_PROXY_H

#include "base/fail.h"
#include "codec/proxy/endpoint.h"

#define PROXY_V1_MAX	 107  /* with its CRLF */
#define PROXY_HEADER_MAX 4096 /* version 2 with a client certificate's name; ours */
#define PROXY_TEXT_MAX	 255

/* What the proxy says of a TLS connection that ended at it. Texts are checked to be printable. */
struct proxy_ssl {
	bool used;	    /* the client came by TLS */
	bool certificate;   /* it showed a certificate in this connection or session */
	bool verified;	    /* which the proxy has verified */
	struct str version; /* "TLSv1.3" */
	struct str cipher;  /* "TLS_AES_256_GCM_SHA384" */
	struct str common_name;
};

struct proxy_header {
	unsigned version;
	bool local; /* the proxy speaks for itself (a health check), or does not know for whom:
		       the connection's own addresses hold. Then from and to are empty. */
	struct endpoint from, to;
	/* Version 2; borrowed from the input, empty when not given. */
	struct str alpn;      /* protocol that client and proxy agreed upon */
	struct str authority; /* host name that the client asked for (SNI) */
	struct proxy_ssl ssl;
};

/* How many of the waiting bytes belong to the header that so_far begins. Never 0 unless it is
 * complete or wrong. */
size_t proxy_take(struct str so_far, struct str waiting);

/*
 * 1: the header is complete and good, so_far is all of it. 0: more is needed. -FAIL_SYNTAX: it is
 * wrong; why->detail says how.
 */
MUST_CHECK int proxy_parse(struct str so_far, struct proxy_header *ret, struct fail *why);

#endif
