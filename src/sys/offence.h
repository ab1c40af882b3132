/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offence.h - what a client did that a good one does not do: counted by kind, and logged. [sys]
 *
 *     OFFENCE(not_tls, "not_tls", "no TLS on a port for TLS");
 *     offence_note(&not_tls, &(struct offender){.ip = ip, .service = STR("imaps")}, "HTTP");
 *
 *     … info edge[12] event=offence kind=not_tls service=imaps ip=192.0.2.7 why=HTTP
 *
 * Every one is counted (counter "offence.KIND"); lines go through a gate (log_gate.h). Kinds and
 * fields are an interface: docs/ops/limits.md lists them, people's filters read them. Any thread.
 */
#ifndef BARID_SYS_OFFENCE_H
#define BARID_SYS_OFFENCE_H

#include "base/str.h"
#include "sys/counter.h"

struct offence {
	const char *kind;
	struct counter *count;
};

#define OFFENCE(var, offence_kind, help)                                                           \
	COUNTER(var##_count, "offence." offence_kind, help);                                       \
	static const struct offence var = {.kind = offence_kind, .count = &var##_count}

struct offender {
	struct str ip; /* as text; empty: not known */
	struct str service;
	struct str user; /* empty: not logged in, or it does not matter */
};

void offence_note(const struct offence *o, const struct offender *who, const char *why);

#endif
