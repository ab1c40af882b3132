/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app_password.h - passwords that barid makes for single programs and devices.  [service/dir only]
 *
 * 28 characters of an alphabet of 32: 140 random bits. So SHA-256 keeps them as well as a slow
 * hash would (nobody can try 2^140 texts), and a login costs no time. The secret is shown once.
 * Each has a label and may be bound to services, networks, sender addresses and a time.
 */
#ifndef BARID_SERVICE_DIR_APP_PASSWORD_H
#define BARID_SERVICE_DIR_APP_PASSWORD_H

#include "auth_int.h"

#define APP_PASSWORD_CHARS 28
#define APP_PASSWORD_TEXT  40 /* with the hyphens between groups of four, and a NUL */
#define APP_PASSWORD_HASH  32
#define APP_PASSWORDS_MAX  50 /* of one account */

void app_password_make(char text[APP_PASSWORD_TEXT]);
/*
 * The hash of what a client sent, blanks, hyphens and case aside. False when it has not the form:
 * then it is no app password.
 */
bool app_password_hash(struct str text, uint8_t ret[APP_PASSWORD_HASH]);

/* 1 and the id of the account's app password that this is; 0: none. Takes the lock. */
MUST_CHECK int app_password_find(struct dir *d, struct account_id account, struct str text,
				 uint64_t *ret, struct fail *why);
/* 1: it may be used here and now, and that is noted; 0: it may not, g says why. Takes the lock. */
MUST_CHECK int app_password_rules(struct dir *d, uint64_t id, const struct dir_place *l,
				  struct dir_grant *g, struct fail *why);
/* Write what is noted; with the lock held, in a transaction. */
MUST_CHECK int app_password_flush(struct dir *d, struct fail *why);

/* Is the service named in a list divided by blanks or commas? An empty list has all. */
bool login_service_listed(struct str list, enum dir_service s);
/* Does the list hold only names of services? *ret_bad is the first that is not. */
bool login_services_valid(struct str list, struct str *ret_bad);

#endif
