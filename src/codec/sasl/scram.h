/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram.h - the messages of SCRAM (RFC 5802, RFC 7677).                        [codec, pure]
 *
 * The client's messages are taken apart, the server's are written. Nothing here knows a key: who
 * does (service/dir/scram.h) computes over the texts that are borrowed from the messages:
 *
 *     AuthMessage = first.bare "," server-first "," final.without_proof
 *
 * All bounds are those of SCRAM_MESSAGE_MAX; no memory is allocated but in the caller's buffers.
 */
#ifndef BARID_CODEC_SASL_SCRAM_H
#define BARID_CODEC_SASL_SCRAM_H

#include "base/buf.h"
#include "base/fail.h"
#include "base/str.h"

#define SCRAM_MESSAGE_MAX 2048 /* bytes of one message */
#define SCRAM_NONCE_MAX	  256  /* of the client's part */

/* What the client says of channel binding (RFC 5802 section 6). */
enum scram_binding {
	SCRAM_BINDING_NONE,    /* n: it cannot */
	SCRAM_BINDING_MISSED,  /* y: it could, but thinks that we cannot */
	SCRAM_BINDING_PRESENT, /* p: by the type in binding_name */
};

/* Texts are borrowed from the message. */
struct scram_client_first {
	enum scram_binding binding;
	struct str binding_name; /* "tls-exporter"; with SCRAM_BINDING_PRESENT */
	struct str authzid;	 /* escaped as in the message; empty = none */
	struct str gs2;		 /* the header with its last comma */
	struct str bare;	 /* what follows the header */
	struct str user;	 /* escaped */
	struct str nonce;
};
/* -FAIL_SYNTAX, -FAIL_LIMIT; -FAIL_UNSUPPORTED: a mandatory extension ("m="), of which none exist.
 */
int scram_client_first_parse(struct str message, struct scram_client_first *ret) MUST_CHECK;

struct scram_client_final {
	struct str binding;	  /* base64 of the header and the channel's data */
	struct str nonce;	  /* the client's and ours */
	struct str proof;	  /* base64 */
	struct str without_proof; /* the message up to ",p=" */
};
int scram_client_final_parse(struct str message, struct scram_client_final *ret) MUST_CHECK;

/* A name without its escapes ("=2C" and "=3D"). -FAIL_SYNTAX: another "=", or nothing left. */
int scram_name_decode(struct str name, struct buf *out) MUST_CHECK;

/* "r=NONCE,s=SALT,i=ITERATIONS" and "v=SIGNATURE"; salt and signature are bytes. */
int scram_server_first_write(struct buf *out, struct str nonce, struct str salt,
			     uint32_t iterations) MUST_CHECK;
int scram_server_final_write(struct buf *out, struct str signature) MUST_CHECK;
/* Does base64 text `given` say exactly: header, then the channel's data (empty without -PLUS)? */
bool scram_binding_is(struct str given, struct str gs2, struct str data);

#endif
