/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_int.h - between the files of dir_admin.                                [service/dir only]
 *
 * An order runs with the directory's lock held and inside one write transaction (none for list and
 * show). Handlers return 0 or a fail code with a text for the person; a failure undoes everything.
 */
#ifndef BARID_SERVICE_DIR_ADMIN_INT_H
#define BARID_SERVICE_DIR_ADMIN_INT_H

#include "base/vec.h"
#include "dir_int.h"
#include "service/dir/dir_admin.h"

struct option {
	struct str key; /* without the dashes */
	struct str value;
};

struct order {
	struct dir *d;
	const struct dir_scope *scope;
	struct arena *a;
	VEC(struct str) words; /* after noun and verb */
	VEC(struct option) options;
	VEC(struct str) cells;
	const struct str *columns;
	size_t n_columns;
	struct str message;
	struct str hash;     /* of the password that was given; {NULL, 0} = none */
	struct str password; /* it, when it was given in clear */
	struct str learn;    /* the user who has it now */
	uint64_t learn_app;  /* it is this app password; 0 = the user's own */
	char now[DIR_TIME_MAX];
	struct str time; /* now */
};

/* Every handler of an order. */
typedef int (*order_fn)(struct order *o, struct fail *why);
int domain_add(struct order *o, struct fail *why);
int domain_del(struct order *o, struct fail *why);
int domain_list(struct order *o, struct fail *why);
int domain_show(struct order *o, struct fail *why);
int domain_set(struct order *o, struct fail *why);
int domain_alias_add(struct order *o, struct fail *why);
int domain_alias_del(struct order *o, struct fail *why);
int domain_catch_all(struct order *o, struct fail *why);
int user_add(struct order *o, struct fail *why);
int user_del(struct order *o, struct fail *why);
int user_undelete(struct order *o, struct fail *why);
int user_list(struct order *o, struct fail *why);
int user_show(struct order *o, struct fail *why);
int user_set(struct order *o, struct fail *why);
int user_passwd(struct order *o, struct fail *why);
int user_app_password(struct order *o, struct fail *why);
int user_totp(struct order *o, struct fail *why);
int alias_add(struct order *o, struct fail *why);
int alias_del(struct order *o, struct fail *why);
int alias_list(struct order *o, struct fail *why);
int alias_show(struct order *o, struct fail *why);
int alias_set(struct order *o, struct fail *why);
int bcc_set(struct order *o, struct fail *why);
int bcc_del(struct order *o, struct fail *why);
int bcc_list(struct order *o, struct fail *why);
int relayhost_set(struct order *o, struct fail *why);
int relayhost_login(struct order *o, struct fail *why);
int relayhost_logout(struct order *o, struct fail *why);
int relayhost_del(struct order *o, struct fail *why);
int relayhost_list(struct order *o, struct fail *why);
int send_as_add(struct order *o, struct fail *why);
int send_as_del(struct order *o, struct fail *why);
int send_as_list(struct order *o, struct fail *why);
int forward_add(struct order *o, struct fail *why);
int forward_del(struct order *o, struct fail *why);
int forward_list(struct order *o, struct fail *why);
int route_explain(struct order *o, struct fail *why);
int master_add(struct order *o, struct fail *why);
int master_del(struct order *o, struct fail *why);
int master_list(struct order *o, struct fail *why);
int master_passwd(struct order *o, struct fail *why);
int admin_grant(struct order *o, struct fail *why);
int admin_revoke(struct order *o, struct fail *why);
int admin_list(struct order *o, struct fail *why);
int admin_show(struct order *o, struct fail *why);

/* ---- dir_admin.c ---- */

/* A refusal whose text is for the person. */
int refuse(struct fail *why, enum fail_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void say(struct order *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Run SQL with text parameters ?1, ?2, ... (STR_NULL = NULL). */
int run(struct order *o, struct fail *why, const char *sql, size_t n, const struct str *params);
#define RUN(o, why, sql, ...)                                                                      \
	run(o, why, sql, sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str),                 \
	    (struct str[]){__VA_ARGS__})
/* 1 when the query has a row, 0 when not; the number in its first column through ret (may be NULL).
 */
int count_rows(struct order *o, const char *sql, struct str p1, struct str p2, int64_t *ret,
	       struct fail *why);
/* Fill the table: one row of cells for each row of the query, as text. */
int fill(struct order *o, const struct str *columns, size_t n_columns, const char *sql,
	 struct str p1, struct fail *why);
/* The same for each domain of the scope, given as ?1; everything ('') for a global one. */
int fill_scope(struct order *o, const struct str *columns, size_t n_columns, const char *sql,
	       struct fail *why);
/* The same for the domain that the first word names, if there is one. */
int fill_listed(struct order *o, const struct str *columns, size_t n_columns, const char *sql,
		struct fail *why);
/* dir_scope_of, for callers that hold the lock. */
int scope_read(struct dir *d, struct str address, struct arena *a, struct dir_scope *ret,
	       struct fail *why);
/* A key and value row of a show table. */
void show(struct order *o, const char *key, struct str value);
int show_query(struct order *o, const char *sql, struct str p1, struct fail *why);

int parse_flag(struct str s, bool *ret, struct fail *why); /* on, off, yes, no, 1, 0 */
/* "500", "500m", "2g": megabytes; 0 or "unlimited" = no limit. As decimal text in the arena. */
int parse_quota(struct order *o, struct str s, struct str *ret, struct fail *why);
int parse_count(struct order *o, struct str s, struct str *ret, struct fail *why);

/* The first word as a domain within the scope; and it must (not) exist. */
int word_domain(struct order *o, size_t at, struct str *ret, struct fail *why);
int require_domain(struct order *o, struct str domain, struct fail *why);
/* FAIL_PERM when the domain is not inside the scope. */
int check_scope(const struct order *o, struct str domain, struct fail *why);
/* A word as an address within the scope, of a domain that exists. */
int word_address(struct order *o, size_t at, struct addr *ret, struct fail *why);
int parse_address(struct order *o, struct str s, struct addr *ret, struct fail *why);
/* The first word as a user that exists and may be changed (admin_user.c). */
int word_user_below(struct order *o, struct addr *ret, struct fail *why);
/* FAIL_EXISTS when the address is a mailbox, an alias, a list or somebody's alias address. */
int require_free(struct order *o, const struct addr *x, struct fail *why);
struct str domain_of(struct str address);

/* Insert a forwardings row; an existing one gets the flag and is switched on. */
enum forwarding_kind { FORWARD_PLAIN, FORWARD_USER, FORWARD_ALIAS, FORWARD_LIST };
int add_forwarding(struct order *o, struct str address, struct str to, enum forwarding_kind kind,
		   struct fail *why);

/* ---- settings of a row ---- */

enum setting_kind {
	SET_TEXT,
	SET_FLAG,
	SET_QUOTA,
	SET_COUNT,
	SET_FLAGS,
	SET_TRANSPORT,
	SET_SPECIAL
};
struct setting {
	const char *key;
	enum setting_kind kind;
	const char *sql; /* UPDATE with ?1 = key of the row, ?2 = value, ?3 = now */
	int (*special)(struct order *o, struct str name, struct str value, struct fail *why);
	bool own;    /* a user may set it for the own account */
	bool global; /* a global administrator alone may: it leads to other machines */
};
/* admin_rates.c: the four rates of a user, and of each user of a domain. */
#define RATE_SETTERS(what)                                                                         \
	int what##_rate_0(struct order *o, struct str name, struct str value, struct fail *why);   \
	int what##_rate_1(struct order *o, struct str name, struct str value, struct fail *why);   \
	int what##_rate_2(struct order *o, struct str name, struct str value, struct fail *why);   \
	int what##_rate_3(struct order *o, struct str name, struct str value, struct fail *why)
RATE_SETTERS(user);
RATE_SETTERS(domain);
#define RATE_SETTINGS(what)                                                                        \
	{"rate-messages-hour", SET_SPECIAL, NULL, what##_rate_0, .global = true},                  \
		{"rate-recipients-hour", SET_SPECIAL, NULL, what##_rate_1, .global = true},        \
		{"rate-messages-day", SET_SPECIAL, NULL, what##_rate_2, .global = true},           \
	{                                                                                          \
		"rate-recipients-day", SET_SPECIAL, NULL, what##_rate_3, .global = true            \
	}

/* Apply all options to the row called name. FAIL_SYNTAX for an unknown key, naming those known. */
int apply_settings(struct order *o, const struct setting *s, size_t n, struct str name,
		   struct fail *why);
/* Delete a user and everything that names it. */
int remove_user(struct order *o, struct str username, struct fail *why);

#endif
