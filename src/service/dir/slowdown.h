/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slowdown.h - make guessing passwords slow, without locking anybody out.      [service/dir only]
 *
 * Three bounded tables. *Sources* (an IPv4 address or an IPv6 /64) count failures; the next answer
 * to one that failed is held back slow_first_ms, doubling up to slow_max_ms. *Accounts* count the
 * failures of strangers; beyond account_free these hold back the answers to strangers as well.
 * *Pairs* remember which source logged in to which account: such a source is no stranger there,
 * and its right password is answered at once, whatever others do. A success takes back
 * the failures that this pair caused (a typing slip), not those against other accounts.
 * A counter is forgotten slow_forget_s after its last failure. When a table is full the
 * entry unused longest goes. Thread-safe.
 */
#ifndef BARID_SERVICE_DIR_SLOWDOWN_H
#define BARID_SERVICE_DIR_SLOWDOWN_H

#include "service/dir/dir.h"

struct slowdown;

struct slowdown *slowdown_new(const struct dir_config *c);
void slowdown_free(struct slowdown *s);

/* The outcome of a login that began at `start`; returns when its answer may go out. */
struct mono_ns slowdown_failed(struct slowdown *s, struct str peer, struct str username,
			       struct mono_ns start);
struct mono_ns slowdown_succeeded(struct slowdown *s, struct str peer, struct str username,
				  struct mono_ns start);

/* Before a login is looked at: whose turn is it? */
enum dir_turn slowdown_turn(struct slowdown *s, struct str peer, struct str username);

#endif
