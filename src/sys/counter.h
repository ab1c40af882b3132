/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter.h - named numbers that `barid status` shows.                         [sys]
 *
 *     COUNTER(accepted, "smtp.accepted", "messages answered with 250");
 *     counter_add(&accepted, 1);
 *
 * Process-wide, 64 bit, relaxed atomics: any thread, no lock. A counter only grows; a gauge is
 * one that is also set or taken from. Names must be unique.
 */
#ifndef BARID_SYS_COUNTER_H
#define BARID_SYS_COUNTER_H

#include "base/attr.h"
#include <stdatomic.h>

struct counter {
	const char *name;
	const char *help;
	_Atomic uint64_t v;
	struct counter *next_;
};

/* At file level: defines a static counter and puts it into the registry before main. */
#define COUNTER(var, counter_name, counter_help)                                                   \
	static struct counter var = {.name = counter_name, .help = counter_help};                  \
	__attribute__((constructor)) static void counter_register_##var(void)                      \
	{                                                                                          \
		counter_register_(&var);                                                           \
	}                                                                                          \
	struct counter_##var##_semicolon_

/*
 * How long things take, in a few buckets:
 *
 *     HISTOGRAM(commands, "imap.command", "IMAP commands");
 *     histogram_add(commands, microseconds);
 *
 * It is a row of counters: "imap.command.us:1000" counts what took up to 1 ms and more than the
 * bucket before, "...:inf" the rest, "...:sum" is the microseconds in all.
 */
#define HISTOGRAM_BUCKETS  8
#define HISTOGRAM_COUNTERS (HISTOGRAM_BUCKETS + 1)
#define HISTOGRAM(var, hist_name, hist_help)                                                       \
	static struct counter var[HISTOGRAM_COUNTERS] = {                                          \
		{.name = hist_name ".us:1000", .help = hist_help},                                 \
		{.name = hist_name ".us:5000", .help = hist_help},                                 \
		{.name = hist_name ".us:25000", .help = hist_help},                                \
		{.name = hist_name ".us:100000", .help = hist_help},                               \
		{.name = hist_name ".us:500000", .help = hist_help},                               \
		{.name = hist_name ".us:2500000", .help = hist_help},                              \
		{.name = hist_name ".us:10000000", .help = hist_help},                             \
		{.name = hist_name ".us:inf", .help = hist_help},                                  \
		{.name = hist_name ".us:sum", .help = hist_help},                                  \
	};                                                                                         \
	__attribute__((constructor)) static void counter_register_##var(void)                      \
	{                                                                                          \
		for (int i_ = 0; i_ < HISTOGRAM_COUNTERS; i_++)                                    \
			counter_register_(&var[i_]);                                               \
	}                                                                                          \
	struct counter_##var##_semicolon_
void histogram_add(struct counter h[HISTOGRAM_COUNTERS], uint64_t us);

static inline void counter_add(struct counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(&c->v, n, memory_order_relaxed);
}
static inline void counter_sub(struct counter *c, uint64_t n)
{
	atomic_fetch_sub_explicit(&c->v, n, memory_order_relaxed);
}
static inline void counter_set(struct counter *c, uint64_t n)
{
	atomic_store_explicit(&c->v, n, memory_order_relaxed);
}
static inline uint64_t counter_get(const struct counter *c)
{
	return atomic_load_explicit(&c->v, memory_order_relaxed);
}

/* Visits every counter of the process, in order of name. */
void counter_each(void (*fn)(void *arg, const struct counter *c), void *arg);

void counter_register_(struct counter *c);

#endif
