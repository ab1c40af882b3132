/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/fs_hook.h"
#include <stdatomic.h>

#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS
static struct fs_hook *_Atomic first;

bool fs_hook_add(struct fs_hook *h)
{
	struct fs_hook *was = atomic_load(&first);
	do
		h->next_ = was;
	while (!atomic_compare_exchange_weak(&first, &was, h));
	return true;
}

struct fs_hook *fs_hook_first(void)
{
	return atomic_load_explicit(&first, memory_order_acquire);
}
#else
bool fs_hook_add(struct fs_hook *h)
{
	(void)h;
	return false;
}

struct fs_hook *fs_hook_first(void)
{
	return NULL;
}
#endif

int fs_hook_pass(struct fs_hook *h, struct fs_call *c, struct fail *why)
{
	return h->next_ ? h->next_->call(h->next_, c, why) : fs_perform(c, why);
}
