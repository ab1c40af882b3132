/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.h - the operator's tables of clients, names and addresses.                    [service]
 *
 * docs/formats/access.md describes the text: a line is a pattern and an action. The first line that
 * matches decides. A table is made once for each configuration and never changed: any thread may
 * look into it.
 *
 * Tables of *content* (Postfix' header_checks and body_checks) hold expressions alone, and know
 * actions for a line of a message.
 */
#ifndef BARID_SERVICE_ACCESS_ACCESS_H
#define BARID_SERVICE_ACCESS_ACCESS_H

#include "base/arena.h"
#include "base/auto.h"
#include "base/buf.h"
#include "sys/sock.h"

struct access_table;

enum access_act {
	ACCESS_DUNNO, /* no opinion: the next check decides */
	ACCESS_OK,
	ACCESS_REFUSE, /* with code, status and text */
	ACCESS_DISCARD,
	ACCESS_HOLD,
	ACCESS_WARN, /* a line in the log; INFO likewise */
	ACCESS_PREPEND,
	ACCESS_REDIRECT,
	ACCESS_BCC,
	ACCESS_FILTER,
	/* of content alone */
	ACCESS_IGNORE, /* the line is taken out; STRIP likewise, and a line in the log */
	ACCESS_STRIP,
	ACCESS_REPLACE,
	ACCESS_PASS, /* nothing more of this message is looked at */
};

struct access_rule_place {
	const char *file;
	unsigned line;
};

/* What the table says. Texts are the table's or the arena's. */
struct access_hit {
	enum access_act act;
	unsigned code;	    /* ACCESS_REFUSE: 4xx or 5xx */
	const char *status; /* RFC 3463 */
	struct str text;    /* may be empty */
	struct access_rule_place at;
};

/* What is looked for. */
struct access_key {
	struct netaddr addr; /* for networks; family 0: none */
	struct str texts[2]; /* for all other patterns: a host name, an address; NULL: none */
	bool is_address;     /* texts[0] is a mail address, empty: the null sender */
};

/*
 * Parse a table. `name` stands for it in messages and in the log, and is copied. FAIL_SYNTAX:
 * `errors` has a line for each mistake, "name:12: ...". *ret may be NULL on return then.
 */
MUST_CHECK int access_parse(const char *name, struct str text, struct access_table **ret,
			    struct buf *errors);
/* The same, a table of content. */
MUST_CHECK int access_parse_content(const char *name, struct str text, struct access_table **ret,
				    struct buf *errors);
void access_free(struct access_table *t); /* NULL is fine */
DEFINE_AUTO_PTR(access_table, struct access_table, access_free);
size_t access_count(const struct access_table *t);

/*
 * The first rule that matches; false: none does. What an expression caught goes into the text of
 * its action ($1), made in the arena.
 */
bool access_find(const struct access_table *t, const struct access_key *key, struct arena *a,
		 struct access_hit *ret);

/*
 * Several tables, one after the other: the files of a setting (struct conf, CONF_TABLES). The first
 * rule of all that matches.
 */
struct access_list {
	struct access_table **p;
	size_t n;
};
struct conf_list;
MUST_CHECK int access_list_parse(const struct conf_list *files, struct access_list *ret,
				 struct buf *errors);
/* Tables of content. "default" among them is nothing: the caller knows what it stands for. */
MUST_CHECK int access_list_parse_content(const struct conf_list *files, struct access_list *ret,
					 struct buf *errors);
void access_list_clear(struct access_list *l);
bool access_list_find(const struct access_list *l, const struct access_key *key, struct arena *a,
		      struct access_hit *ret);
/* All tables of a configuration: 0, or FAIL_SYNTAX with a line in `errors` for each mistake. */
struct conf;
MUST_CHECK int access_check_conf(const struct conf *c, struct buf *errors);

/* The table that comes with barid, for HELO names: its text. */
struct str access_builtin_helo(void);

#endif
