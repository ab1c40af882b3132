/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug.h - orders of a test, in master and in the roles (`barid debug`).          [roles]
 *
 *     clock MICROSECONDS            both clocks are so far ahead of the real ones
 *     wall-clock [-]MICROSECONDS    the wall clock alone is, as when somebody sets it
 *     crash-point NAME[ N]          die at the N-th time, from 1, that this point is reached
 *     pause-point NAME              stop there, until somebody sends SIGCONT
 *     disk ORDER                    sys/fs_order.h
 *     probe WHAT                    try what the sandbox forbids (roles alone; probe.c)
 *
 * A build without crash points obeys none.
 */
#ifndef BARID_ROLES_ROLE_DEBUG_H
#define BARID_ROLES_ROLE_DEBUG_H

#include "base/str.h"

struct loop;

/* False: no such order. On the loop's thread. */
bool debug_obey(struct loop *loop, struct str verb, struct str arg);
/* "calls", "paths PATH PATH ...", "deadly NAME": each attempt and its outcome are logged. */
void debug_probe(struct str what);

#endif
