/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of a process that lives for months. The allocator keeps what was freed, between what is
 * still used, until it is asked: after a busy time a role would stay as large as it ever was.
 */
#include "base/check.h"
#include "roles/role/role_int.h"
#include <malloc.h>
#include <unistd.h>

/* Longer than it takes until sessions rest and databases let their caches go. */
#define GIVE_BACK_MS 45000
#define ARENAS_MAX   16

static void give_back(struct loop_timer *t)
{
	struct role *role = CONTAINER_OF(t, struct role, give_back);
	(void)malloc_trim(0);
	if (role->busy)
		loop_timer_in(role->loop, t, GIVE_BACK_MS);
	role->busy = false;
}

/* An arena for each core: the allocator would make eight, and each keeps free memory of its own. */
void role_memory_begin(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	/* Fixed, or a large piece that was freed once would come from the arenas the next time. */
	(void)mallopt(M_MMAP_THRESHOLD, (int)KIB(512));
	(void)mallopt(M_TRIM_THRESHOLD, (int)MIB(1));
	(void)mallopt(M_ARENA_MAX, (int)MIN(MAX(cores, 2L), (long)ARENAS_MAX));
}

void role_memory_busy(struct role *role)
{
	role->busy = true;
	role->give_back.fire = give_back;
	if (!role->give_back.pos)
		loop_timer_in(role->loop, &role->give_back, GIVE_BACK_MS);
}
