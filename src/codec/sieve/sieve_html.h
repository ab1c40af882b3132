/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_html.h - the words of an HTML text.                            [codec/sieve, internal]
 */
#ifndef BARID_CODEC_SIEVE_HTML_H
#define BARID_CODEC_SIEVE_HTML_H

#include "base/buf.h"

/*
 * Append the text of @html (UTF-8) without tags, comments, scripts and styles; the usual character
 * references are resolved, and tags that part paragraphs become line ends. No parser of HTML: what
 * is broken is passed over. Linear in the text; what @out has no room for is left out.
 */
void sieve_html_words(struct buf *out, struct str html);

#endif
