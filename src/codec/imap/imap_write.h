/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_write.h - the pieces of IMAP responses.                                 [codec, pure]
 *
 * RFC 3501 section 9. All append to a struct buf and return 0 or -FAIL_LIMIT, sticky in
 * out->failed, so a response may be checked once at its end. Nothing here ends a line.
 */
#ifndef BARID_CODEC_IMAP_WRITE_H
#define BARID_CODEC_IMAP_WRITE_H

#include "base/buf.h"
#include "codec/imap/imap_cmd.h"

/* Quoted when short 7-bit text without NUL, CR, LF; otherwise a literal {n}. NUL bytes in a literal
 * are dropped. */
int imap_write_string(struct buf *out, struct str s);
/* NIL when s.p is NULL. */
int imap_write_nstring(struct buf *out, struct str s);
/* As an atom where the grammar lets it be one ("NIL" is quoted), else as imap_write_string. */
int imap_write_astring(struct buf *out, struct str s);
/* "{n}" CRLF: the caller sends the n bytes next. */
int imap_write_literal_head(struct buf *out, uint64_t size);

/* UTF-8 name as modified UTF-7 astring. A name that is not UTF-8 is -FAIL_SYNTAX. */
int imap_write_mailbox(struct buf *out, struct str name);
/* The same name as it is, an atom or quoted, for clients that have said that they take UTF-8 in
 * quoted strings (RFC 9051 section 4.3, RFC 6855 section 3). */
int imap_write_mailbox_utf8(struct buf *out, struct str name);

/* "(\Seen $Forwarded)". Recent included when the bit is set. */
int imap_write_flags(struct buf *out, const struct imap_flags *flags);
/* "PARTIAL -1:-100" */
void imap_write_partial(struct buf *out, const struct imap_partial *p);
/* "(1 5 9)" without the parentheses. */
int imap_write_numbers(struct buf *out, const uint32_t *number, size_t count);

/* The bracketed section: "[1.2.HEADER.FIELDS (DATE FROM)]". */
int imap_write_section(struct buf *out, const struct imap_section *section);
/* Name of a fetched item in a response: "BODY[TEXT]<0>" (the count is not repeated), "RFC822.SIZE".
 */
int imap_write_fetch_name(struct buf *out, const struct imap_fetch_att *att);

/*
 * Text for a human behind OK, NO, BAD, BYE: bytes that may not stand in resp-text (controls,
 * 8-bit) become '?', an empty text becomes "."; a leading '[' becomes '('.
 */
int imap_write_text(struct buf *out, struct str text);

/*
 * A command in its canonical form, without tag and final CRLF, as a client would send it.
 * External literals are written as "{n}" CRLF only. Parsing what was written gives the same
 * command. For tests, tools and logs (LOGIN's password is written too: never log that one).
 */
int imap_write_cmd(struct buf *out, const struct imap_cmd *cmd);

#endif
