/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/fs_order.h"
#include "base/num.h"
#include "sys/counter.h"
#include "sys/fs_hook.h"
#include <errno.h>
#include <pthread.h>
#include <time.h>

#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS
COUNTER(faults, "fs.faults", "calls of the file system that a test made fail");

enum what { WHAT_EIO, WHAT_ENOSPC, WHAT_SHORT, WHAT_LATENCY };

struct order {
	enum fs_op op; /* FS_OP_ANY: all of them, or all changing ones */
	bool changes;
	bool onwards;
	enum what what;
	uint64_t nth; /* 0: no order */
	uint64_t latency_us;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct order order;
static uint64_t seen;

static bool is_change(const struct fs_call *c)
{
	switch ((int)c->op) {
	case FS_OP_REOPEN:
	case FS_OP_PREAD:
	case FS_OP_LIST:
	case FS_OP_STAT:
		return false;
	case FS_OP_OPEN:
		return c->flags & (FS_CREATE | FS_NAMELESS);
	default:
		return true;
	}
}

static bool is_hit(const struct fs_call *c, struct order *ret)
{
	(void)pthread_mutex_lock(&lock);
	*ret = order;
	bool counts = order.nth > 0 && (order.op == FS_OP_ANY || order.op == c->op) &&
		      (!order.changes || is_change(c));
	seen += counts;
	bool hit = counts && (seen == order.nth || (order.onwards && seen > order.nth));
	(void)pthread_mutex_unlock(&lock);
	if (hit)
		counter_add(&faults, 1);
	return hit;
}

static int simulated(int errnum, const struct fs_call *c, struct fail *why)
{
	errno = errnum;
	return fail_errno(why, fs_fail_code(errnum), "ordered, fs op %d %s", (int)c->op,
			  c->path ? c->path : "");
}

static int obey(struct fs_hook *h, struct fs_call *c, struct fail *why)
{
	struct order o;
	if (!is_hit(c, &o))
		return fs_hook_pass(h, c, why);
	if (o.what == WHAT_LATENCY) {
		struct timespec t = {(time_t)(o.latency_us / 1000000),
				     (long)(o.latency_us % 1000000) * 1000};
		(void)nanosleep(&t, NULL);
		return fs_hook_pass(h, c, why);
	}
	if (o.what == WHAT_SHORT && c->op == FS_OP_PWRITE) {
		size_t n = c->n;
		c->n = n / 2;
		(void)fs_hook_pass(h, c, NULL);
		c->n = n;
	}
	return simulated(o.what == WHAT_EIO ? EIO : ENOSPC, c, why);
}

static struct fs_hook hook = {.call = obey};

static bool op_of(struct str word, struct order *o)
{
	static const char *const names[FS_OP_COUNT] = {
		[FS_OP_ANY] = "any",	       [FS_OP_OPEN] = "open",
		[FS_OP_REOPEN] = "reopen",     [FS_OP_PREAD] = "pread",
		[FS_OP_PWRITE] = "pwrite",     [FS_OP_TRUNCATE] = "truncate",
		[FS_OP_DATASYNC] = "datasync", [FS_OP_SYNC] = "sync",
		[FS_OP_SYNC_DIR] = "syncdir",  [FS_OP_LINK] = "link",
		[FS_OP_RENAME] = "rename",     [FS_OP_UNLINK] = "unlink",
		[FS_OP_MKDIR] = "mkdir",       [FS_OP_LIST] = "list",
		[FS_OP_STAT] = "stat",
	};
	o->changes = str_eq(word, STR("change"));
	if (o->changes)
		return true;
	for (int i = 0; i < FS_OP_COUNT; i++)
		if (str_eq(word, str_c(names[i]))) {
			o->op = (enum fs_op)i;
			return true;
		}
	return false;
}

static struct str next_word(struct str *text)
{
	struct str word = {0};
	(void)str_cut(text, ' ', &word);
	return word;
}

static bool what_of(struct str text, struct order *o)
{
	struct str word = next_word(&text);
	if (str_eq(word, STR("onwards"))) {
		o->onwards = true;
		word = next_word(&text);
	}
	if (str_eq(word, STR("latency"))) {
		o->what = WHAT_LATENCY;
		return num_parse_u64(text, &o->latency_us);
	}
	if (str_eq(word, STR("eio")))
		o->what = WHAT_EIO;
	else if (str_eq(word, STR("enospc")))
		o->what = WHAT_ENOSPC;
	else if (str_eq(word, STR("short")))
		o->what = WHAT_SHORT;
	else
		return false;
	return text.n == 0;
}

static void add_hook(void)
{
	(void)fs_hook_add(&hook);
}

bool fs_order(struct str text)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct order o = {0};
	if (!str_eq(text, STR("off")) &&
	    (!op_of(next_word(&text), &o) || !num_parse_u64(next_word(&text), &o.nth) || !o.nth ||
	     !what_of(text, &o)))
		return false;
	(void)pthread_mutex_lock(&lock);
	order = o;
	seen = 0;
	(void)pthread_mutex_unlock(&lock);
	(void)pthread_once(&once, add_hook);
	return true;
}
#else
bool fs_order(struct str text)
{
	(void)text;
	return false;
}
#endif
