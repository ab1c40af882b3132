/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir_admin.h - manage domains, users and aliases.                             [service]
 *
 * One entry for the command line and the dir role: words in, a table out.
 *
 *   domain add D [--KEY V ...] | del D [--force yes] | list | show D | set D --KEY V ...
 *   domain alias-add D TARGET | alias-del D | catch-all D [ADDRESS ...]      (none: remove)
 *   user   add A [--password P | --password-hash {SCHEME}...] [--KEY V ...] | del A [--purge yes] |
 * list [D] user   show A | set A --KEY V ... user   passwd A P user   undelete A [--password P]
 * [--KEY V ...]          (a deleted one, with its mail) alias  add A MEMBER ... | del A | list [D]
 * | show A | set A [--KEY V ...] [MEMBER ...] admin  grant A DOMAIN ...|ALL | revoke A DOMAIN
 * ...|ALL | list [D] | show A
 *
 *   forward add U ADDRESS ... | del U [ADDRESS ...] | list [D]
 *   bcc     set A|D [--sent A] [--received A] | del A|D | list [D]
 *   send-as add U|ALIAS|@D A|@D|* | del (the same) | list [D]
 *   relayhost set A|@D HOST [--user N --password P] | login A|@D|default --user N --password P
 *           | logout A|@D|default | del A|@D | list
 *   route   explain A [--sender S]
 *
 * Keys of a domain: description, quota, users, aliases, transport, backupmx, active.
 * Keys of a user: name, quota (megabytes, or with k/m/g/t), language, active, transport, forward
 * (list), keep-copy, alias (list), allow-nets, and a service (imap, pop3, smtp, sieve, deliver,
 * web, dav, eas) on|off. Keys of an alias: name, policy, active. Addresses and domains are stored
 * in lower case.
 *
 * Every change is one transaction and keeps the reference's invariants: a mailbox has its own
 * forwardings row, an alias has its row in `alias` beside its is_list rows, switching something off
 * switches the forwardings that name it.
 */
#ifndef BARID_SERVICE_DIR_DIR_ADMIN_H
#define BARID_SERVICE_DIR_DIR_ADMIN_H

#include "service/dir/dir.h"
#include "service/dir/scope.h"

/*
 * The scope of an account or of a row of `admin`, read now: domain_admins (ALL: global) while it
 * is active. FAIL_NOTFOUND: nobody of that name may order anything. Lives in the arena.
 */
MUST_CHECK int dir_scope_of(struct dir *d, struct str address, struct arena *a,
			    struct dir_scope *ret, struct fail *why);

struct dir_args {
	const struct str *v; /* "user", "add", "bob@example.org", "--name", "Bob" */
	size_t n;
};

/* cells[row * n_columns + column]. A change that shows nothing has n_columns = 0 and a message. */
struct dir_table {
	const struct str *columns;
	size_t n_columns;
	const struct str *cells;
	size_t n_rows;
	struct str message; /* "user bob@example.org created"; may be empty for a list */
};

/*
 * Run one order. Refusals carry a text for the person in why->public: FAIL_SYNTAX (with the usage),
 * FAIL_NOTFOUND ("no such domain example.net; create it with: barid domain add example.net"),
 * FAIL_EXISTS, FAIL_LIMIT (the domain's limit of users), FAIL_PERM (outside the scope),
 * FAIL_CONFLICT. The table lives in the arena.
 */
MUST_CHECK int dir_admin(struct dir *d, const struct dir_scope *scope, struct dir_args args,
			 struct arena *a, struct dir_table *ret, struct fail *why);

#endif
