/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_batch.h - pipelined command lines on their way from edge to mta.   [codec, pure]
 *
 * RFC 2920. What the line framer delivered together travels together: for each line one byte that
 * says how it ended, the line, LF. A batch ends behind the first line after which the bytes that
 * follow may be something else than commands (DATA, BDAT, STARTTLS, AUTH, QUIT, XCLIENT), so edge
 * never frames message content as lines.
 */
#ifndef BARID_CODEC_SMTP_SMTP_BATCH_H
#define BARID_CODEC_SMTP_SMTP_BATCH_H

#include "base/buf.h"
#include "base/str.h"

enum smtp_line_kind {
	SMTP_LINE_OK = 'L',
	SMTP_LINE_TOO_LONG = 'T',  /* the text was dropped */
	SMTP_LINE_MALFORMED = 'M', /* bare CR or LF, or NUL; dropped */
};

/* Append a line (without CRLF; ignored unless SMTP_LINE_OK). 0 or -FAIL_LIMIT. */
int smtp_batch_add(struct buf *batch, enum smtp_line_kind kind, struct str line);
/* Must the batch end behind this line? */
bool smtp_batch_ends(enum smtp_line_kind kind, struct str line);
/*
 * Cut the first line off *batch. False at the end. Bytes that no smtp_batch_add wrote come out as
 * malformed lines. The line borrows from the batch.
 */
bool smtp_batch_next(struct str *batch, enum smtp_line_kind *ret_kind, struct str *ret_line);

#endif
