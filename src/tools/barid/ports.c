/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid ports [--nftables]: the table comes from the server; a packet filter is made of it here.
 */
#include "base/check.h"
#include "base/num.h"
#include "runtime/services.h"
#include "tools/barid/orders.h"
#include <stdio.h>
#include <string.h>

#define PORTS_MAX 256

struct port_set {
	uint16_t v[PORTS_MAX];
	size_t n;
};

static void set_add(struct port_set *s, uint16_t port)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i] == port)
			return;
	if (s->n < PORTS_MAX)
		s->v[s->n++] = port;
}

static void print_set(const struct port_set *s)
{
	(void)printf("{ ");
	for (size_t i = 0; i < s->n; i++)
		(void)printf("%s%u", i ? ", " : "", s->v[i]);
	(void)printf(" }");
}

struct filter {
	struct port_set open, internal;
	int exit_code;
};

static struct str cell_of(const struct cli_table *t, size_t row, const char *column)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (str_eq(t->columns[i], str_c(column)))
			return t->cells[row * t->n_columns + i];
	return STR("");
}

static void read_ports(void *context, const struct order_answer *answer)
{
	struct filter *f = context;
	const struct cli_table *t = &answer->table;
	if (answer->r < 0) {
		f->exit_code = orders_complain(answer->why);
		return;
	}
	for (size_t row = 0; t->n_columns && row < t->n_cells / t->n_columns; row++) {
		const struct service_def *d = service_find(cell_of(t, row, "service"));
		uint64_t port = 0;
		if (!d || !num_parse_u64(cell_of(t, row, "port"), &port) || port > UINT16_MAX)
			continue;
		if (d->internal)
			set_add(&f->internal, (uint16_t)port);
		else if (!str_eq(cell_of(t, row, "reach"), STR("this machine")))
			set_add(&f->open, (uint16_t)port);
	}
}

/*
 * A table of its own, replaced as a whole each time, that leaves every other port alone: loading it
 * never locks an operator out.
 */
static void print_filter(const struct filter *f)
{
	(void)puts(
		"#!/usr/sbin/nft -f\n"
		"# Packet filter for the ports of barid. Load: barid ports --nftables | nft -f -\n"
		"# Remove: nft delete table inet barid\n"
		"table inet barid\n"
		"delete table inet barid\n"
		"table inet barid {\n"
		"\tchain input {\n"
		"\t\ttype filter hook input priority filter; policy accept;\n"
		"\t\tiif \"lo\" accept");
	if (f->internal.n) {
		(void)printf("\t\ttcp dport ");
		print_set(&f->internal);
		(void)puts(" counter drop comment \"services of this machine only\"");
	}
	if (f->open.n) {
		(void)printf("\t\ttcp dport ");
		print_set(&f->open);
		(void)puts(" counter accept comment \"mail services\"");
	}
	(void)puts("\t\t# Other ports are left as they are. To close them, accept what you need\n"
		   "\t\t# (established connections, ssh, icmp) here and set policy drop above.\n"
		   "\t}\n"
		   "}");
}

int cli_ports(const struct cli *c)
{
	struct filter f = {0};
	struct str words[] = {STR("ports")};
	if (c->n == 1)
		return cli_admin(c);
	if (c->n != 2 || strcmp(c->args[1], "--nftables") != 0)
		return cli_usage("ports");
	struct orders *o = orders_open(c, false, &f.exit_code);
	if (!o)
		return f.exit_code;
	f.exit_code = EXIT_DONE;
	orders_give(o, words, ARRAY_LEN(words), read_ports, &f);
	orders_close(o);
	if (f.exit_code == EXIT_DONE)
		print_filter(&f);
	return f.exit_code;
}
