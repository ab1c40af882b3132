/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - parts of `barid doctor`.                                            [tools, private]
 *
 * A check calls doctor_say for what it saw, good or bad, and doctor_mend with the command or the
 * record that mends it. It changes nothing.
 */
#ifndef BARID_TOOLS_BARID_DOCTOR_H
#define BARID_TOOLS_BARID_DOCTOR_H

#include "base/arena.h"
#include "base/vec.h"
#include "tools/barid/orders.h"
#include "tools/barid/resolve.h"

/* bad: mail is lost, refused or readable by others. warn: it will be, or others may distrust it. */
enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_BAD, DOCTOR_SKIPPED };

struct finding {
	enum doctor_level level;
	const char *check;
	struct str text;
	struct str mend; /* empty: nothing to do */
};

struct doctor {
	const struct cli *cli;
	struct conf *conf;     /* NULL: it cannot be read */
	const char *state_dir; /* NULL: not known */
	struct resolver *dns;  /* NULL: --offline */
	struct orders *orders; /* NULL: neither server nor accounts */
	const char *only;      /* one domain; NULL: all */
	struct arena arena;
	VEC(struct finding) findings;
	VEC(struct str) domains; /* those that the server serves */
};

void doctor_say(struct doctor *d, enum doctor_level level, const char *check, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
void doctor_mend(struct doctor *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

void doctor_server(struct doctor *d);	    /* doctor_server.c: processes, ports, accounts */
void doctor_machine(struct doctor *d);	    /* doctor_machine.c: clock, disk, limits, kernel */
void doctor_certificates(struct doctor *d); /* doctor_cert.c: those of [tls] */
void doctor_dns(struct doctor *d);	    /* doctor_dns.c: names and records */

#endif
