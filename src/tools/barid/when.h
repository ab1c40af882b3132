/* SPDX-License-Identifier: Apache-2.0 */
/*
 * when.h - a moment as an option gives it.                                          [tools]
 */
#ifndef BARID_TOOLS_BARID_WHEN_H
#define BARID_TOOLS_BARID_WHEN_H

#include "base/ids.h"
#include <stdbool.h>

/* "30min", "2h", "3d": before now. "2026-11-22[ 14:00[:00]]": local. "...Z": as it stands in the
 * log. False, and a message, for what is none. */
bool when_read(const char *text, struct wall_us *ret);

#endif
