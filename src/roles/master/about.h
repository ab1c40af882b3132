/* SPDX-License-Identifier: Apache-2.0 */
/*
 * about.h - builds: what they know, and whether one can follow another.      [roles, private]
 *
 * Text of lines: "build ID", "schema DIGEST", "format NAME NUMBER" (on disk: the newest that it
 * knows), "state NAME NUMBER" (sealed sessions: what it writes).
 */
#ifndef BARID_ROLES_MASTER_ABOUT_H
#define BARID_ROLES_MASTER_ABOUT_H

#include "roles/master/internal.h"

/* Ask one executable. Blocks for some milliseconds. */
MUST_CHECK int about_read(int exe, struct buf *out, struct fail *why);
/* All of this build's. FAIL_UNSUPPORTED: they are not of one build, or do not run. */
MUST_CHECK int about_of_build(const char *libexec, struct buf *out, struct fail *why);
/* The rest of the line that begins with key; STR_NULL: there is none. */
struct str about_value(struct str about, struct str key);
/*
 * May `fresh` follow `old`? FAIL_UNSUPPORTED: it cannot read what is on disk. *ret_rolling: their
 * processes understand each other and each other's sealed sessions.
 */
MUST_CHECK int about_judge(struct str old, struct str fresh, bool *ret_rolling, struct fail *why);

#endif
