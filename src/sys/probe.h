/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - try what the sandbox forbids, from inside.                          [sys]
 *
 * Only in builds with BARID_CRASH_POINTS=1 (the option coverage_points, which packages switch
 * off): tests let a running role try one thing after the other and read what came of it. What
 * succeeds is undone where that is possible; nothing is written into files.
 */
#ifndef BARID_SYS_PROBE_H
#define BARID_SYS_PROBE_H

#include "base/str.h"
#include <stdbool.h>

/* `error` is an errno, 0 when the attempt succeeded. */
typedef void (*probe_report)(const char *name, int error);

/* What a Landlock rule or the owner of a file decides: the working directory is the state folder.
 */
void probe_path(struct str path, probe_report report);
/* Everything that merely fails where it is forbidden. */
void probe_calls(probe_report report);
/* One thing that ends the process where it is forbidden. False: nothing has this name. */
bool probe_deadly(struct str name, probe_report report);
/* The names of those, one after the other; NULL behind the last. */
const char *probe_deadly_name(size_t i);

#endif
