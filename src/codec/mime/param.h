/* SPDX-License-Identifier: Apache-2.0 */
/*
 * param.h - fields of the form "value; name=value; ...".                       [codec, pure]
 *
 * RFC 2045 5.1 (Content-Type), RFC 2183 (Content-Disposition), with RFC 2231 continuations joined
 * and charsets decoded to UTF-8: "filename*0*=...; filename*1=..." is one "filename". A parameter
 * without "*" wins over its RFC 2231 form, the first of equals wins. RFC 2047 words in a value stay
 * as they are (clients expect them in BODYSTRUCTURE). Lenient: unquoted values may contain anything
 * up to the next semicolon when they are no token.
 */
#ifndef BARID_CODEC_MIME_PARAM_H
#define BARID_CODEC_MIME_PARAM_H

#include "base/arena.h"
#include "codec/mime/lex.h"

#define PARAM_COUNT_MAX 100
#define PARAM_VALUE_MAX 8192 /* bytes; longer values are cut */

struct param {
	struct str name;
	struct str value;
	uint32_t section; /* RFC 2231 number; used while parsing */
	bool numbered;
	bool extended;
};

struct params {
	struct param *p;
	size_t n;
};

/*
 * Parse the parameters at x, which stands before the first ";". Texts live in @arena; when it is
 * full the rest is left out.
 */
void params_parse(struct lex *x, struct arena *arena, struct params *ret);

/* The value of `name` (ASCII case-insensitive); {NULL, 0} when absent. */
struct str params_find(const struct params *p, struct str name);

#endif
