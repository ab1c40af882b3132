/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/login_log.h"
#include "sys/log.h"

#define USER_SHOWN                                                                                 \
	200u /* four times as long when every byte is escaped: far below LOG_LINE_MAX              \
	      */
#define TEXT_SHOWN 64u

static struct str or_dash(struct str s)
{
	return s.n ? str_sub(s, 0, TEXT_SHOWN) : STR("-");
}

void login_log(const struct login_line *l)
{
	static const char *const outcomes[] = {"ok", "refused", "incomplete", "unavailable"};
	const struct log_field none = {.kind = LOG_KIND_NONE};
	bool good = l->outcome == LOGIN_OUTCOME_OK;
	log_event(good ? LOG_INFO : LOG_WARN, "login", log_c("outcome", outcomes[l->outcome]),
		  log_str("service", or_dash(l->service)),
		  log_address("user", str_sub(l->user, 0, USER_SHOWN)),
		  log_str("peer", or_dash(l->peer)), log_str("mech", or_dash(l->mech)),
		  log_c("tls", l->tls ? "yes" : "no"),
		  l->reason.n ? log_str("reason", l->reason) : none,
		  l->master.n ? log_str("master", l->master) : none,
		  l->app.n ? log_str("app", l->app) : none);
}
