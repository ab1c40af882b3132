/* SPDX-License-Identifier: Apache-2.0 */
/*
 * managesieve_write.h - responses of ManageSieve.                              [codec, pure]
 *
 * RFC 5804 sections 1.2, 1.3 and 4. All append to a struct buf and return 0 or -FAIL_LIMIT, sticky
 * in out->failed.
 */
#ifndef BARID_CODEC_MANAGESIEVE_WRITE_H
#define BARID_CODEC_MANAGESIEVE_WRITE_H

#include "base/buf.h"

/* Quoted when that is possible, else a literal {n}. */
int managesieve_write_string(struct buf *out, struct str s);

enum managesieve_status { MANAGESIEVE_OK, MANAGESIEVE_NO, MANAGESIEVE_BYE };
/*
 * "OK", "NO (QUOTA/MAXSIZE) \"Too large\"", "OK (TAG \"x\")", with CRLF. `code` stands without its
 * parentheses, as it is, empty: none; so does `text`, which may have several lines.
 */
int managesieve_write_reply(struct buf *out, enum managesieve_status status, struct str code,
			    struct str text);
/* A line of the capabilities: "SASL" "PLAIN", or the name alone when value.p is NULL. */
int managesieve_write_capability(struct buf *out, const char *name, struct str value);
/* A line of LISTSCRIPTS. */
int managesieve_write_listed(struct buf *out, struct str name, bool active);

/* The answer to NOOP: OK (TAG "x") "Done."; `tag` {NULL, 0}: without. */
int managesieve_write_noop(struct buf *out, struct str tag, const char *text);

#endif
