/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsondoc.h - small JSON objects from outside, read through jansson.            [service/dir only]
 *
 * The one includer of jansson here. Bounded before it is parsed: JSONDOC_MAX bytes, nesting of
 * JSONDOC_DEPTH. A key that stands twice in an object makes the text invalid, so that two readers
 * never see two values. Pure; one thread at a time.
 */
#ifndef BARID_SERVICE_DIR_JSONDOC_H
#define BARID_SERVICE_DIR_JSONDOC_H

#include "base/auto.h"
#include "base/fail.h"
#include "base/str.h"

#define JSONDOC_MAX   KIB(64)
#define JSONDOC_DEPTH 8

struct jsondoc; /* an object */

/* -FAIL_SYNTAX (not JSON, not an object), -FAIL_LIMIT. */
int jsondoc_read(struct str text, struct jsondoc **ret) MUST_CHECK;
void jsondoc_free(struct jsondoc *j); /* NULL is fine */
DEFINE_AUTO_PTR(jsondoc, struct jsondoc, jsondoc_free);

bool jsondoc_has(const struct jsondoc *j, const char *key);
/* A text; false when there is none of that key. Borrowed from j. */
bool jsondoc_text(const struct jsondoc *j, const char *key, struct str *ret);
/* Is it there, and anything but true (or "true", as some issuers write)? */
bool jsondoc_denies(const struct jsondoc *j, const char *key);
/* A number, cut to whole seconds. */
bool jsondoc_number(const struct jsondoc *j, const char *key, int64_t *ret);
/* Is the value the text `want`, or a list with it? */
bool jsondoc_names(const struct jsondoc *j, const char *key, struct str want);
/* Object number i of the list `key`; NULL behind the last. Borrowed from j; not to be freed. */
const struct jsondoc *jsondoc_item(const struct jsondoc *j, const char *key, size_t i);

#endif
