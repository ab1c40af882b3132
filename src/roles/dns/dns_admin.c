/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid dns lookup NAME [TYPE]: what the server itself finds, with its resolver and trust anchor.
 */
#include "base/text.h"
#include "roles/dns/dns.h"
#include "service/dir/scope.h"
#include <string.h>

#define ROWS_MAX 500u

struct lookup {
	struct dns_query query;
	struct ipc_packet *packet;
	char name[256];
	char type[12];
};

static const char *const columns[] = {"name", "type", "outcome", "dnssec", "ttl", "record"};
#define COLUMNS ARRAY_LEN(columns)

static const char *security(const struct resolver_result *r)
{
	if (r->outcome == DNS_BOGUS)
		return "bogus";
	return r->secure ? "secure" : "insecure";
}

static void row(struct arena *a, const struct lookup *l, const struct resolver_result *r,
		struct str record, struct msg_text *cells)
{
	cells[0].s = str_c(r->canonical[0] ? r->canonical : l->name);
	cells[1].s = str_c(l->type);
	cells[2].s = str_c(dns_outcome_name(r->outcome));
	cells[3].s = str_c(security(r));
	cells[4].s = arena_printf(a, "%u", r->ttl);
	cells[5].s = record;
}

static void reply(struct dns_query *q, const struct resolver_result *result)
{
	struct lookup *l = CONTAINER_OF(q, struct lookup, query);
	AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
	AUTO(buf) struct buf text = BUF_INIT(MIB(1));
	struct msg_text names[COLUMNS], *cells = xcalloc(ROWS_MAX * COLUMNS, sizeof *cells);
	size_t n = 0;
	for (size_t i = 0; i < COLUMNS; i++)
		names[i].s = str_c(columns[i]);
	for (; result->data[n] && n < ROWS_MAX; n++) {
		buf_reset(&text);
		dns_record_text(q->type, str_make(result->data[n], (size_t)result->sizes[n]),
				&text);
		row(&a, l, result, arena_str(&a, buf_str(&text)), cells + n * COLUMNS);
	}
	if (n == 0) {
		row(&a, l, result, str_c(result->why), cells);
		n = 1;
	}
	struct msg_admin_reply m = {
		.columns = names, .columns_n = COLUMNS, .cells = cells, .cells_n = n * COLUMNS};
	(void)ipc_reply(l->packet, IPC_ADMIN_REPLY, &m);
	ipc_packet_free(l->packet);
	free(cells);
	free(l);
}

static void begin(struct ipc_packet *p, struct str name, struct str type)
{
	struct lookup *l = xcalloc(1, sizeof *l);
	*l = (struct lookup){.query.answer = reply, .packet = p};
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	memcpy(l->name, name.p, MIN(name.n, sizeof l->name - 1));
	for (size_t i = 0; i < MIN(type.n, sizeof l->type - 1); i++)
		l->type[i] = ascii_upper(type.p[i]);
	dns_ask(&l->query, name, dns_type_parse(type));
}

/* 1: it is under way, and the packet is ours. */
static int order(struct ipc_packet *p, struct fail *why)
{
	struct msg_admin m;
	if (msg_admin_read(p, &m) < 0 || (m.args_n != 3 && m.args_n != 4) ||
	    !str_eq(m.args[1].s, STR("lookup")))
		return fail_set(why, FAIL_SYNTAX, "Usage: dns lookup NAME [TYPE]", "dns order");
	if (m.scope != DIR_SCOPE_GLOBAL)
		return fail_set(why, FAIL_PERM, "Only a global administrator may do this.",
				"dns order by somebody else");
	begin(p, m.args[2].s, m.args_n == 4 ? m.args[3].s : STR("A"));
	return 1;
}

void dns_admin(struct role *role, struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	(void)role;
	if (order(p, &why) == 1)
		return;
	(void)ipc_reply_fail(p, &why);
	ipc_packet_free(p);
}
