/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append_int.h - what APPEND and REPLACE share: a message on its way into the store. [proto, imap]
 */
#ifndef BARID_PROTO_IMAP_APPEND_INT_H
#define BARID_PROTO_IMAP_APPEND_INT_H

#include "codec/mime/map.h"
#include "proto/imap/imap_int.h"

struct appending {
	struct store_body joined;  /* put together by CATENATE or unwrapped, when it is large */
	struct store_body changed; /* written anew because of NUL bytes */
	struct str bad_url;	   /* of CATENATE; p NULL: none */
	bool binary;		   /* NUL may come: a literal8, or what a mailbox holds */
	bool has_nul;
};
#define APPENDING_INIT ((struct appending){.joined = STORE_BODY_INIT, .changed = STORE_BODY_INIT})
void appending_clear(struct appending *a);
DEFINE_AUTO(appending, struct appending, appending_clear);

/*
 * Everything about one message but storing it: its content, in *a and the command's arena, scanned.
 * After a failure append_refused answers what has a code of its own and returns RUN_DONE, else it
 * returns r again.
 */
MUST_CHECK int append_prepare(struct imap_session *s, const struct imap_append_message *in,
			      struct store_append_message *ret, struct appending *a,
			      struct fail *why);
int append_refused(struct imap_session *s, int r, const struct appending *a,
		   const struct fail *why);
/* Is there a mailbox of this name, which can hold messages? -FAIL_NOTFOUND */
MUST_CHECK int append_target(struct imap_session *s, struct str mailbox, struct fail *why);
/* "APPENDUID validity uids" */
/* Whose \Seen it is, and of the flags those that one may set there (RFC 4314 section 4). */
MUST_CHECK int append_as(struct imap_session *s, struct store_append *a,
			 struct store_append_message *messages, struct fail *why);
void append_write_uids(struct buf *b, const struct store_append_result *result, size_t n);

/*
 * append_catenate.c: the parts of a message behind one another (RFC 4469), into *ret, whose bytes
 * are in the command's arena or in a->joined. -FAIL_NOTFOUND with a->bad_url: a URL names nothing
 * that this user may read. -FAIL_TOOBIG.
 */
MUST_CHECK int append_catenate(struct imap_session *s, const struct imap_append_message *in,
			       struct appending *a, struct store_content *ret, struct fail *why);

/*
 * Python's imaplib, once it has enabled UTF8=ACCEPT, sends "{n}" and then "UTF8 (message)" within
 * the literal. Neither is a header's beginning, so it can be told, and taken off: 1, with *ret as
 * of append_catenate; else 0.
 */
MUST_CHECK int append_unwrap(struct imap_session *s, const struct imap_literal *literal,
			     struct appending *a, struct store_content *ret, struct fail *why);

/*
 * append_binary.c: a message with NUL bytes as a mailbox can hold it (RFC 3516 4.4). FETCH BODY[]
 * has to give back text, so a part that holds NUL is stored in base64 and its
 * Content-Transfer-Encoding says so; BINARY[] gives the client its bytes again. All other bytes
 * stay as they came.
 *
 * Write `in`, whose map is `map`, anew into *ret, a sealed file that the caller owns. Memory does
 * not grow with the message. -FAIL_UNSUPPORTED: NUL where no encoding can help, in a header or in
 * a part that says that it is encoded already; answer NO [UNKNOWN-CTE].
 */
MUST_CHECK int append_binary(struct imap_session *s, const struct store_content *in,
			     const struct mime_map *map, struct store_body *ret, struct fail *why);

#endif
