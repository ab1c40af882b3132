/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/probe.h"
#include "roles/role/debug.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <string.h>

static void report(const char *name, int error)
{
	log_event(LOG_INFO, "probe", log_c("try", name),
		  log_c("error", error ? strerrorname_np(error) : "none"));
}

static void probe_paths(struct str list)
{
	while (list.n > 0) {
		size_t end = str_find(list, 0, ' ');
		probe_path(str_sub(list, 0, end), report);
		list = str_sub(list, end + 1, list.n);
	}
}

void debug_probe(struct str what)
{
	bool known = crash_points();
	if (str_eq(what, STR("calls")))
		probe_calls(report);
	else if (str_starts(what, STR("paths ")))
		probe_paths(str_sub(what, 6, what.n));
	else
		known = str_starts(what, STR("deadly ")) &&
			probe_deadly(str_sub(what, 7, what.n), report);
	log_event(LOG_INFO, "probe.done", log_str("what", what),
		  log_c("known", known ? "yes" : "no"));
}
