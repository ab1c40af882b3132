/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login.h - how relay logs in at a relay host: dir knows.                          [roles, private]
 */
#ifndef BARID_ROLES_RELAY_LOGIN_H
#define BARID_ROLES_RELAY_LOGIN_H

#include "roles/relay/relay.h"

struct relay_login {
	bool known;				  /* dir was asked */
	char user[RELAY_USER_MAX], password[513]; /* empty: none; the owner overwrites it */
};

/*
 * Ask dir for the login of m's sender at m's next hop, once. Negative: it cannot be asked, and
 * *answer says so. Blocking.
 */
MUST_CHECK int login_find(const struct msg_relay *m, struct trace_id trace, struct relay_login *ret,
			  struct smtp_answer *answer);
/* The name of that login, if it was asked a moment ago. False: not known. */
bool login_noted(struct str sender, struct str nexthop, char user[RELAY_USER_MAX]);

#endif
