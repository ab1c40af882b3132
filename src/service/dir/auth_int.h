/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_int.h - what all ways to log in have in common.                          [service/dir only]
 *
 * Every login: login_begin, login_load (an unknown name costs as much as a known one), the proof,
 * login_rules, login_granted, login_end. The lock of struct dir must not be held.
 */
#ifndef BARID_SERVICE_DIR_AUTH_INT_H
#define BARID_SERVICE_DIR_AUTH_INT_H

#include "dir_int.h"

#define LOGIN_REFUSED "Authentication failed."
#define LOGIN_GRANTED "Logged in."

/* What a login needs of the mailbox row. Texts live in the caller's arena. */
struct login_row {
	struct dir_account account;
	struct str stored;
	bool service_on;
	bool mailbox_active;
	struct str allow_nets; /* {NULL, 0} = from everywhere */
	bool app_only; /* a second factor is on, and services without one need an app password */
};

struct dir_grant login_begin(struct str mechanism, struct str username);
/* 1 and the row, or 0: no such mailbox. `username` is an address in lower case. */
MUST_CHECK int login_load(struct dir *d, const struct dir_place *l, struct str username,
			  struct arena *a, struct login_row *ret, struct fail *why);
/* May the account's own password be used for this service, or only an app password? */
bool login_own_password(const struct dir_place *l, const struct login_row *row,
			struct dir_grant *g);
/* Everything but the proof: is the account on, the service, the client's network? */
bool login_rules(const struct dir_place *l, const struct login_row *row, struct dir_grant *g);
/* The row as a grant; texts are copied into a. */
MUST_CHECK int login_granted(const struct login_row *row, struct arena *a, struct dir_grant *g,
			     struct fail *why);
/* Counts the outcome and says when the answer may go out. */
void login_end(struct dir *d, const struct dir_place *l, struct str username, struct mono_ns start,
	       struct dir_grant *g);
/* The session will hang on this stored hash. */
void login_proved(struct dir_grant *g, enum dir_proof proof, struct str stored);
void login_reason(struct dir_grant *g, const char *text, const char *more);
/* Is the address within the list "192.0.2.0/24, 2001:db8::/32"? A list that is NULL has all. */
bool login_nets_allow(struct str nets, struct str peer);

#endif
