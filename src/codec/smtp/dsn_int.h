/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn_int.h - between the files that compose reports.                 [codec/smtp only]
 */
#ifndef BARID_CODEC_SMTP_DSN_INT_H
#define BARID_CODEC_SMTP_DSN_INT_H

#include "codec/smtp/dsn.h"

/* The worst action of all recipients decides the wording of the whole. */
enum dsn_action dsn_worst(const struct dsn *d);

/* Append the subject: UTF-8, one line, not encoded. */
void dsn_subject_write(struct buf *out, const struct dsn *d);

/* Append the text for people: UTF-8, lines of at most 78 columns where words allow, CRLF. */
void dsn_text_write(struct buf *out, const struct dsn *d);

/* Append `text` (CRLF lines) as quoted-printable, RFC 2045 6.7. */
void dsn_qp_write(struct buf *out, struct str text);

#endif
