/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - one line on the terminal: how far, how fast, how long still.                [tools]
 */
#ifndef BARID_TOOLS_BARID_PROGRESS_H
#define BARID_TOOLS_BARID_PROGRESS_H

#include "base/ids.h"
#include <stdint.h>

struct progress {
	const char *unit;     /* "bytes" (shown as KB, MB, ...) or "messages" */
	uint64_t done, total; /* total 0 = not known */
	struct mono_ns began, shown;
	bool terminal, quiet, bytes;
};
void progress_begin(struct progress *p, const char *unit, uint64_t total);
void progress_add(struct progress *p, uint64_t n); /* shows it now and then */
void progress_end(struct progress *p);		   /* ends the line */
/* "12.3 MB" */
const char *progress_bytes(uint64_t n, char text[32]);
double progress_seconds(const struct progress *p);

#endif
