/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h - the figures of all roles as OpenMetrics 1.0 text.                 [roles, private]
 *
 * Counters of the code have short names of their own ("user.delivered"); the table in metrics.c
 * gives them the names that dashboards and alerts rely on. Those names are an interface: they
 * are listed in docs/ops/metrics.md (made from the table) and do not change. A counter without a
 * row is shown as barid_counter_total{name="..."}.
 */
#ifndef BARID_ROLES_ADMIN_METRICS_H
#define BARID_ROLES_ADMIN_METRICS_H

#include "base/buf.h"
#include "runtime/ipc/ipc.h"

#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* -FAIL_LIMIT: out is too small. */
MUST_CHECK int metrics_write(const struct msg_survey_reply *m, struct buf *out);
/* Names of the processes that are not ready, into out; true: there are none. */
bool metrics_healthy(const struct msg_survey_reply *m, struct buf *out);

#endif
