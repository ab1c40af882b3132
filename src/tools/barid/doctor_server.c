/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server itself: processes, descriptors, ports, queue, and the accounts that must exist.
 */
#include "base/check.h"
#include "base/num.h"
#include "tools/barid/doctor.h"
#include <stdio.h>
#include <string.h>

static struct str cell_of(const struct cli_table *t, size_t row, const char *column)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (str_eq(t->columns[i], str_c(column)))
			return t->cells[row * t->n_columns + i];
	return STR("");
}

static size_t rows_of(const struct cli_table *t)
{
	return t->n_columns ? t->n_cells / t->n_columns : 0;
}

static void order(struct doctor *d, const char *const *words, size_t n, order_done done,
		  void *context)
{
	struct str w[8];
	CHECK(n <= ARRAY_LEN(w));
	for (size_t i = 0; i < n; i++)
		w[i] = str_c(words[i]);
	orders_give(d->orders, w, n, done, context);
	orders_wait(d->orders);
}
#define ORDER(d, done, context, ...)                                                               \
	order(d, (const char *const[]){__VA_ARGS__},                                               \
	      sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), done, context)

/* --- processes --- */

/* The soft limit of open files of a process; 0 = it cannot be read. */
static uint64_t files_limit(struct str pid)
{
	char path[64], line[200];
	unsigned long long limit = 0;
	(void)snprintf(path, sizeof path, "/proc/%.*s/limits", STR_ARG(pid));
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Max open files %llu", &limit) == 1)
			break;
	if (f)
		(void)fclose(f);
	return limit;
}

/* False: too low, which was said. */
static bool check_files(struct doctor *d, struct str pid)
{
	uint64_t limit = files_limit(pid);
	/* They are spread over the edges, but not quite evenly, and some need a second file. */
	uint64_t each = d->conf ? d->conf->connections_max / MAX(d->conf->edge_workers, 1u) : 0;
	uint64_t need = d->conf ? each + each / 4 + 200 : 0;
	if (limit == 0 || limit >= need)
		return true;
	doctor_say(d, DOCTOR_BAD, "limits",
		   "the server may open %llu files, but connections_max asks for %llu",
		   (unsigned long long)limit, (unsigned long long)need);
	doctor_mend(d, "systemctl edit barid, with [Service] LimitNOFILE=%llu, then restart it",
		    (unsigned long long)need);
	return false;
}

static void roles_known(void *context, const struct order_answer *answer)
{
	struct doctor *d = context;
	size_t healthy = 0;
	bool said = false;
	if (answer->r < 0)
		return;
	for (size_t i = 0; i < rows_of(&answer->table); i++) {
		struct str role = cell_of(&answer->table, i, "role");
		struct str state = cell_of(&answer->table, i, "state");
		uint64_t restarts = 0;
		(void)num_parse_u64(cell_of(&answer->table, i, "restarts"), &restarts);
		if (!said && str_eq(role, STR("edge"))) /* all of them have the same limit */
			said = !check_files(d, cell_of(&answer->table, i, "pid"));
		if (!str_eq(state, STR("ready"))) {
			doctor_say(d, DOCTOR_BAD, "processes", "%.*s is %.*s", STR_ARG(role),
				   STR_ARG(state));
			doctor_mend(d,
				    "The log says why: journalctl -u barid, or log/barid.log in %s",
				    d->state_dir);
		} else if (restarts > 3) {
			doctor_say(d, DOCTOR_WARN, "processes", "%.*s was restarted %llu times",
				   STR_ARG(role), (unsigned long long)restarts);
			doctor_mend(d, "The log says why: look for event=role.ended");
		} else {
			healthy++;
		}
	}
	if (healthy == rows_of(&answer->table))
		doctor_say(d, DOCTOR_OK, "processes", "all %zu are ready", healthy);
}

static void ports_known(void *context, const struct order_answer *answer)
{
	struct doctor *d = context;
	struct str rest = answer->r < 0 ? STR("") : answer->table.message, line;
	bool warned = false;
	while (rest.n && str_cut(&rest, '\n', &line)) {
		if (line.n == 0)
			continue;
		warned = true;
		doctor_say(d, DOCTOR_WARN, "ports", "%.*s", STR_ARG(line));
		doctor_mend(d, "barid ports --nftables | nft -f -");
	}
	if (answer->r == 0 && !warned)
		doctor_say(d, DOCTOR_OK, "ports", "%zu sockets listen", rows_of(&answer->table));
}

static size_t number_of(struct str cell)
{
	uint64_t v = 0;
	return num_parse_u64(cell, &v) ? (size_t)v : 0;
}

static void queue_known(void *context, const struct order_answer *answer)
{
	struct doctor *d = context;
	size_t deferred = 0, held = 0, all = 0;
	if (answer->r < 0)
		return;
	for (size_t i = 0; i < rows_of(&answer->table); i++) {
		deferred += number_of(cell_of(&answer->table, i, "deferred"));
		held += number_of(cell_of(&answer->table, i, "held"));
		all += number_of(cell_of(&answer->table, i, "recipients"));
	}
	if (held) {
		doctor_say(d, DOCTOR_WARN, "queue", "%zu deliveries are held", held);
		doctor_mend(d, "barid queue list, then: barid queue release N, or delete N");
	}
	if (deferred > 50) {
		doctor_say(d, DOCTOR_WARN, "queue", "%zu deliveries could not be made yet",
			   deferred);
		doctor_mend(d, "barid queue list says why; barid queue flush tries again");
	}
	if (!held && deferred <= 50)
		doctor_say(d, DOCTOR_OK, "queue", "%zu deliveries wait", all);
}

/* --- accounts --- */

static void domains_known(void *context, const struct order_answer *answer)
{
	struct doctor *d = context;
	if (answer->r < 0)
		return;
	for (size_t i = 0; i < rows_of(&answer->table); i++) {
		struct str domain = cell_of(&answer->table, i, "domain");
		bool active = str_eq(cell_of(&answer->table, i, "active"), STR("yes"));
		if (active && (!d->only || str_eqi(domain, str_c(d->only))))
			*vec_push(&d->domains) = arena_str(&d->arena, domain);
	}
}

static void found(void *context, const struct order_answer *answer)
{
	bool *is = context;
	*is |= answer->r == 0;
}

/* RFC 2142: postmaster must be there, abuse should. */
static void check_role_address(struct doctor *d, const char *local, struct str domain)
{
	char address[400];
	bool is = false;
	(void)snprintf(address, sizeof address, "%s@%.*s", local, STR_ARG(domain));
	ORDER(d, found, &is, "user", "show", address);
	if (!is)
		ORDER(d, found, &is, "alias", "show", address);
	if (is)
		return;
	doctor_say(d, DOCTOR_WARN, "accounts", "nobody reads %s", address);
	doctor_mend(d, "barid alias add %s YOU@%.*s", address, STR_ARG(domain));
}

/* Reports name it, and RFC 5321 4.5.1 wants mail to <postmaster> without a domain to arrive. */
static void check_bare_postmaster(struct doctor *d)
{
	const char *home = d->conf ? d->conf->postmaster_domain : "";
	bool served = !d->conf || d->only;
	if (d->conf && !home[0])
		home = d->conf->hostname;
	for (size_t i = 0; i < d->domains.n; i++)
		served |= str_eqi(d->domains.p[i], str_c(home));
	if (served || !d->domains.n)
		return;
	doctor_say(d, DOCTOR_WARN, "accounts",
		   "mail to the postmaster of this server, postmaster@%s, is refused: that domain "
		   "is not served",
		   home);
	doctor_mend(d, "Set postmaster_domain = %.*s below [smtp] in %s, then: barid reload",
		    STR_ARG(d->domains.p[0]), d->cli->conf);
}

static void check_accounts(struct doctor *d)
{
	size_t before = d->findings.n;
	ORDER(d, domains_known, d, "domain", "list");
	if (!d->domains.n) {
		doctor_say(d, DOCTOR_WARN, "accounts", "no domain is served");
		doctor_mend(d, "barid domain add example.org");
	}
	check_bare_postmaster(d);
	for (size_t i = 0; i < d->domains.n; i++) {
		check_role_address(d, "postmaster", d->domains.p[i]);
		check_role_address(d, "abuse", d->domains.p[i]);
	}
	if (d->findings.n == before)
		doctor_say(d, DOCTOR_OK, "accounts", "postmaster and abuse of %zu domain%s",
			   d->domains.n, d->domains.n == 1 ? "" : "s");
}

void doctor_server(struct doctor *d)
{
	int exit_code = EXIT_DONE;
	if (!d->state_dir)
		return;
	if (!orders_running(d->cli)) {
		doctor_say(d, DOCTOR_BAD, "processes", "the server does not run");
		doctor_mend(d, "systemctl start barid, or: barid serve");
	}
	d->orders = orders_open(d->cli, true, &exit_code);
	if (!d->orders)
		return;
	if (orders_running(d->cli)) {
		ORDER(d, roles_known, d, "status");
		ORDER(d, ports_known, d, "ports");
		ORDER(d, queue_known, d, "queue", "summary");
	}
	check_accounts(d);
}
