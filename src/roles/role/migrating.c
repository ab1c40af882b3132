/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Migrations are heard of: in the log, and by master for `barid status`. A file of its own, because
 * roles without a database must not load one.
 */
#include "roles/role/migrating.h"
#include "base/ids.h"
#include "runtime/db/db.h"
#include "sys/clock.h"
#include "sys/log.h"
#include <stdio.h>

#define LOG_S 10 /* between two lines about the same step */

static void migrating(void *arg, const struct db_progress *p)
{
	static struct mono_ns last, logged; /* one thread opens */
	struct role *role = arg;
	struct mono_ns now = clock_mono();
	unsigned percent = (unsigned)((double)p->done / (double)p->total * 100);
	bool edge = p->done == 0 || p->done == p->total;
	if (!edge && now.v - last.v < SEC_NS)
		return;
	last = now;
	char text[360];
	(void)snprintf(text, sizeof text, "bringing %s to format %llu (%s): %u %%", p->path,
		       (unsigned long long)p->version, p->what, percent);
	role_note(role, text);
	if (edge || now.v - logged.v >= LOG_S * SEC_NS) {
		logged = now;
		log_event(LOG_INFO, "db.migration", log_c("file", p->path),
			  log_u64("format", p->version), log_c("step", p->what),
			  log_u64("percent", percent));
	}
}

void role_show_migrations(struct role *role)
{
	db_on_progress(migrating, role);
}
