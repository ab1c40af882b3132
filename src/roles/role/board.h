/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - what the edge processes tell each other: how many connections each has.    [roles]
 *
 * Memory that master makes and every edge maps. Each edge owns a slot of it: its number of open
 * connections, and counts by address. Counts are kept in two rows of hashed cells: an address has
 * the lesser of its two, so a collision can only make it look busier, and rarely does. Numbers are
 * for limits and for balance, never for rights: an edge that lies can at worst refuse clients.
 *
 * A slot belongs to a process, not to an index: while a successor starts, both are counted. Master
 * empties the slot of one that has ended. Any thread; the counts are relaxed atomics.
 */
#ifndef BARID_ROLES_ROLE_BOARD_H
#define BARID_ROLES_ROLE_BOARD_H

#include "base/fail.h"
#include <stdbool.h>
#include <stdint.h>

struct board;

/* Master: for at most `slots` processes at a time. The descriptor can be mapped, not resized. */
MUST_CHECK int board_new(unsigned slots, int *ret_fd, struct board **ret, struct fail *why);
/* Edge: the descriptor stays the caller's. */
MUST_CHECK int board_map(int fd, struct board **ret, struct fail *why);
void board_unmap(struct board *b); /* NULL is fine */

/* Take a slot for this process; false when all are taken: then it counts for itself alone. */
bool board_join(struct board *b, uint32_t pid);
/* Master: the process has ended. */
void board_leave(struct board *b, uint32_t pid);

/* This process takes no more connections; those that it has still count. */
void board_close(struct board *b);
/* One connection more (+1) or less (-1) of this process. */
void board_count(struct board *b, int change);
/* Likewise of the address that `key` stands for. */
void board_count_key(struct board *b, uint64_t key, int change);

/* Of all processes together. */
uint64_t board_open(const struct board *b);
uint64_t board_open_key(const struct board *b, uint64_t key);
/* The fewest that any other process has that takes connections; UINT64_MAX when there is no other.
 */
uint64_t board_least_other(const struct board *b);

#endif
