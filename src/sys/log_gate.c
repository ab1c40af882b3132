/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/log_gate.h"
#include "base/check.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"
#include <pthread.h>

#define MILLI 1000u

COUNTER(suppressed_count, "log.suppressed", "log lines left out because too many came at once");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_gate *gates;
static void (*on_wish)(void);
static bool wished;

void log_gate_register_(struct log_gate *g)
{
	g->next_ = gates;
	gates = g;
}

void log_gate_on_wish(void (*wish)(void))
{
	pthread_mutex_lock(&lock);
	on_wish = wish;
	pthread_mutex_unlock(&lock);
}

/* `rate` lines a second come back, up to `burst`; a cell that was never used is full. */
static void refill(struct log_allowance *a, int64_t now_ms, uint32_t rate, uint32_t burst)
{
	uint64_t most = (uint64_t)burst * MILLI;
	int64_t past = a->at_ms ? now_ms - a->at_ms : INT64_C(1) << 40;
	uint64_t more = past > 0 ? (uint64_t)MIN(past, INT64_C(1) << 40) * rate : 0;
	a->left_milli = (uint32_t)MIN(most, a->left_milli + more);
	a->at_ms = now_ms;
}

static bool passes(struct log_gate *g, uint64_t who)
{
	int64_t now_ms = clock_mono().v / MS_NS + 1; /* 0 stands for "never" */
	if (!g->each)
		g->each = xcalloc(LOG_GATE_CELLS, sizeof *g->each);
	struct log_allowance *a = &g->each[who % LOG_GATE_CELLS];
	refill(a, now_ms, 1, LOG_GATE_BURST);
	refill(&g->all, now_ms, LOG_GATE_ALL_RATE, LOG_GATE_ALL_BURST);
	if (a->left_milli < MILLI || g->all.left_milli < MILLI)
		return false;
	a->left_milli -= MILLI;
	g->all.left_milli -= MILLI;
	return true;
}

bool log_gate_passes(struct log_gate *g, uint64_t who)
{
	void (*wish)(void) = NULL;
	pthread_mutex_lock(&lock);
	bool good = passes(g, who);
	if (!good) {
		g->suppressed++;
		wish = wished ? NULL : on_wish;
		wished = true;
	}
	pthread_mutex_unlock(&lock);
	counter_add(&suppressed_count, !good);
	if (wish)
		wish();
	return good;
}

void log_gate_tell(void)
{
	pthread_mutex_lock(&lock);
	wished = false;
	for (struct log_gate *g = gates; g; g = g->next_) {
		if (g->suppressed)
			log_event(LOG_WARN, "log.suppressed", log_c("of", g->event),
				  log_u64("lines", g->suppressed));
		g->suppressed = 0;
	}
	pthread_mutex_unlock(&lock);
}
