/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/role/board.h"
#include "base/auto.h"
#include "base/check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS  2u
#define CELLS 8192u

struct slot {
	_Atomic uint32_t pid; /* 0 = free */
	_Atomic uint32_t open;
	_Atomic uint32_t closed; /* it accepts no more */
	_Atomic uint32_t cells[ROWS][CELLS];
};

struct board {
	struct slot *slots;
	size_t n;
	struct slot *mine; /* NULL = this process has not joined */
};

static int map(int fd, size_t n, struct board **ret, struct fail *why)
{
	void *p = mmap(NULL, n * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return fail_errno(why, FAIL_LIMIT, "mapping the board");
	struct board *b = xcalloc(1, sizeof *b);
	*b = (struct board){.slots = p, .n = n};
	*ret = b;
	return 0;
}

int board_new(unsigned slots, int *ret_fd, struct board **ret, struct fail *why)
{
	AUTO_FD int fd = memfd_create("barid-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)(slots * sizeof(struct slot))) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return fail_errno(why, FAIL_LIMIT, "memory for the board");
	int r = map(fd, slots, ret, why);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

int board_map(int fd, struct board **ret, struct fail *why)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || (size_t)st.st_size % sizeof(struct slot))
		return fail_set(why, FAIL_PEER, NULL, "the board is not one");
	return map(fd, (size_t)st.st_size / sizeof(struct slot), ret, why);
}

void board_unmap(struct board *b)
{
	if (!b)
		return;
	(void)munmap(b->slots, b->n * sizeof(struct slot));
	free(b);
}

bool board_join(struct board *b, uint32_t pid)
{
	for (size_t i = 0; i < b->n && !b->mine; i++) {
		uint32_t free_slot = 0;
		if (atomic_compare_exchange_strong(&b->slots[i].pid, &free_slot, pid))
			b->mine = &b->slots[i];
	}
	return b->mine;
}

void board_leave(struct board *b, uint32_t pid)
{
	for (size_t i = 0; i < b->n; i++) {
		struct slot *s = &b->slots[i];
		if (atomic_load(&s->pid) != pid)
			continue;
		for (size_t row = 0; row < ROWS; row++)
			for (size_t c = 0; c < CELLS; c++)
				atomic_store_explicit(&s->cells[row][c], 0, memory_order_relaxed);
		atomic_store(&s->open, 0);
		atomic_store(&s->closed, 0);
		atomic_store(&s->pid, 0);
	}
}

void board_close(struct board *b)
{
	if (b->mine)
		atomic_store(&b->mine->closed, 1);
}

static void add(_Atomic uint32_t *n, int change)
{
	atomic_fetch_add_explicit(n, (uint32_t)change, memory_order_relaxed);
}

static size_t cell_of(uint64_t key, unsigned row)
{
	/* Two rows, two hashes: the high bits of two odd multiples. */
	static const uint64_t odd[ROWS] = {UINT64_C(0x9e3779b97f4a7c15),
					   UINT64_C(0xc2b2ae3d27d4eb4f)};
	return (size_t)((key * odd[row]) >> 40) % CELLS;
}

void board_count(struct board *b, int change)
{
	if (b->mine)
		add(&b->mine->open, change);
}

void board_count_key(struct board *b, uint64_t key, int change)
{
	for (unsigned row = 0; b->mine && row < ROWS; row++)
		add(&b->mine->cells[row][cell_of(key, row)], change);
}

uint64_t board_open(const struct board *b)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < b->n; i++)
		sum += atomic_load_explicit(&b->slots[i].open, memory_order_relaxed);
	return sum;
}

uint64_t board_open_key(const struct board *b, uint64_t key)
{
	uint64_t least = UINT64_MAX;
	for (unsigned row = 0; row < ROWS; row++) {
		uint64_t sum = 0;
		for (size_t i = 0; i < b->n; i++)
			sum += atomic_load_explicit(&b->slots[i].cells[row][cell_of(key, row)],
						    memory_order_relaxed);
		least = MIN(least, sum);
	}
	return least;
}

uint64_t board_least_other(const struct board *b)
{
	uint64_t least = UINT64_MAX;
	for (size_t i = 0; i < b->n; i++) {
		const struct slot *s = &b->slots[i];
		if (s != b->mine && atomic_load_explicit(&s->pid, memory_order_relaxed) &&
		    !atomic_load_explicit(&s->closed, memory_order_relaxed))
			least = MIN(least,
				    (uint64_t)atomic_load_explicit(&s->open, memory_order_relaxed));
	}
	return least;
}
