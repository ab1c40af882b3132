/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_gate.h - lines that strangers cause are written at a bounded rate.       [sys]
 *
 *     LOG_GATE(refusals, "session.refused");
 *     if (log_gate_passes(&refusals, who))
 *             log_event(LOG_INFO, "session.refused", ...);
 *
 * Each `who` (a hash of an address, say) may cause LOG_GATE_BURST lines at once and one a second
 * after that; all together LOG_GATE_ALL_BURST and LOG_GATE_ALL_RATE a second. What is more is
 * counted, and the numbers are told: at the latest LOG_GATE_TELL_MS after the first line that was
 * left out, as
 *
 *     event=log.suppressed of=session.refused lines=4711
 *
 * by log_gate_tell, which whoever owns a clock calls after the wish of log_gate_on_wish. A flood
 * then costs a few KiB of log a second, whoever sends it, and never the lines about others: it is
 * for lines about what did not come to anything, not for those that people look for.
 *
 * Any thread. The table of `who` is of fixed size: two that share a cell share their allowance.
 */
#ifndef BARID_SYS_LOG_GATE_H
#define BARID_SYS_LOG_GATE_H

#include "base/ids.h"
#include "base/str.h"

#define LOG_GATE_BURST	   50u
#define LOG_GATE_ALL_BURST 1000u
#define LOG_GATE_ALL_RATE  20u
#define LOG_GATE_TELL_MS   10000
#define LOG_GATE_CELLS	   512u

struct log_allowance {
	uint32_t left_milli; /* thousandths of lines */
	int64_t at_ms;
};

struct log_gate {
	const char *event;
	uint64_t suppressed; /* and not told yet */
	struct log_allowance all;
	struct log_allowance *each; /* LOG_GATE_CELLS, once there is something to count */
	struct log_gate *next_;
};

/* At file level: defines a static gate. */
#define LOG_GATE(var, gate_event)                                                                  \
	static struct log_gate var = {.event = gate_event};                                        \
	__attribute__((constructor)) static void log_gate_register_##var(void)                     \
	{                                                                                          \
		log_gate_register_(&var);                                                          \
	}                                                                                          \
	struct log_gate_##var##_semicolon_

/* May a line about `who` be written? False: it was counted. */
bool log_gate_passes(struct log_gate *g, uint64_t who);
/* Write what was left out, of all gates. */
void log_gate_tell(void);
/* Called on any thread when the first line after a log_gate_tell is left out. NULL: nobody. */
void log_gate_on_wish(void (*wish)(void));

void log_gate_register_(struct log_gate *g);

#endif
