/* SPDX-License-Identifier: Apache-2.0 */
/* Transports, relay hosts, copies, refusals, names of the machine itself: one row, one case. */
#include "service/dir/dir_test.h"

#include "base/buf.h"

static void write_dests(struct buf *out, const struct destination *d, size_t n, const char *before)
{
	for (size_t i = 0; i < n; i++) {
		(void)buf_addf(out, " %s%s%.*s", before,
			       destination_is_local(&d[i]) ? "" : "remote:", STR_ARG(d[i].address));
		if (d[i].detail.n)
			(void)buf_addf(out, "[%.*s]", STR_ARG(d[i].detail));
		if (d[i].transport.n)
			(void)buf_addf(out, "(%.*s)", STR_ARG(d[i].transport));
	}
}

/* "ok alice@d.test remote:x@y.test(smtp:[h]:25) copy:bob@d.test" */
static struct str routed(struct home *h, const char *sender, const char *address,
			 enum dir_mapping mapping)
{
	static const char *const names[] = {"ok",  "not-ours", "unknown", "over-quota",
					    "bad", "loops",    "refused"};
	AUTO(buf) struct buf text = BUF_INIT(KIB(64));
	struct dir_rcpt rcpt = {
		.address = str_c(address), .sender = str_c(sender), .mapping = mapping};
	struct dir_route r;
	assert_ok(dir_route(h->d, &rcpt, &h->a, &r, &h->why), &h->why);
	(void)buf_add_c(&text, names[r.verdict]);
	if (r.verdict == DIR_REFUSED)
		(void)buf_addf(&text, " %s %s", r.status.p, r.refusal.p);
	else
		write_dests(&text, r.dests, r.n, "");
	write_dests(&text, r.copies, r.n_copies, "copy:");
	return arena_str(&h->a, buf_str(&text));
}

struct row {
	const char *sender, *address, *want;
};

static void try_rows(struct home *h, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str got = routed(h, rows[i].sender, rows[i].address, DIR_EXPAND);
		if (!str_eq(got, str_c(rows[i].want)))
			fail_msg("<%s> to <%s>: %.*s, not %s", rows[i].sender, rows[i].address,
				 STR_ARG(got), rows[i].want);
	}
}

static void fill(struct home *h)
{
	static const char *const orders[] = {
		"domain add d.test",
		"user add alice@d.test",
		"user add bob@d.test",
		"domain add gate.test --transport smtp:[192.0.2.9]:25",
		"user add away@gate.test",
		"user add here@gate.test --transport dovecot",
		"user add other@gate.test --transport lmtp:[192.0.2.7]:24",
		"user add noop@gate.test --transport :",
		"user add hop@gate.test --transport :[192.0.2.8]",
		"domain add gone.test --transport error:5.1.6\\_moved",
		"user add x@gone.test",
		"domain add later.test --backupmx on --transport error:4.3.2\\_later",
		"domain add mx.test --backupmx on",
		"domain add via.test --backupmx on --transport relay:[192.0.2.1]:25",
		"domain alias-add alias.test d.test",
		"domain alias-add gatealias.test gate.test",
		"alias add both@d.test alice@d.test x@gone.test",
		"alias add out@d.test alice@d.test far@away.example",
		"alias add comma@d.test",
		"alias add guests@d.test nobody@gate.test",
	};
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		ORDER(h, orders[i]);
	edit(h, "UPDATE domain SET transport = replace(transport, '\\_', ' ');"
		"INSERT INTO forwardings (address, forwarding, domain, is_list) VALUES"
		" ('comma@d.test', 'alice@d.test, bob@d.test', 'd.test', 1),"
		" ('short@d.test', 'root', 'd.test', 0),"
		" ('listed@gate.test', 'listed@gate.test', 'gate.test', 0);"
		"INSERT INTO domain (domain, transport) VALUES ('old.test', 'dovecot:'),"
		" ('virt.test', 'virtual:'), ('unix.test', 'lmtp:unix:private/dovecot-lmtp');"
		"INSERT INTO mailbox (username, domain) VALUES ('u@old.test', 'old.test'),"
		" ('u@virt.test', 'virt.test'), ('u@unix.test', 'unix.test');"
		"UPDATE domain SET created = '2020-01-01 00:00:00' WHERE domain = 'd.test';"
		"UPDATE domain SET created = '2021-01-01 00:00:00' WHERE domain <> 'd.test'");
}

static void transports(void **state)
{
	static const struct row rows[] = {
		{"", "away@gate.test", "ok remote:away@gate.test(smtp:[192.0.2.9]:25)"},
		{"", "away+x@gate.test", "ok remote:away+x@gate.test(smtp:[192.0.2.9]:25)"},
		/* The user's row comes first, also when it says "here". */
		{"", "here@gate.test", "ok here@gate.test"},
		{"", "here+x@gate.test", "ok here@gate.test[x]"},
		{"", "other@gate.test", "ok remote:other@gate.test(lmtp:[192.0.2.7]:24)"},
		{"", "other@gatealias.test", "ok remote:other@gate.test(lmtp:[192.0.2.7]:24)"},
		/* ":" changes nothing, ":host" the next hop alone. */
		{"", "noop@gate.test", "ok remote:noop@gate.test(smtp:[192.0.2.9]:25)"},
		{"", "hop@gate.test", "ok remote:hop@gate.test([192.0.2.8])"},
		/* A gateway may know whom we do not, when a row names them; nobody shall guess. */
		{"", "nobody@gate.test", "unknown"},
		{"", "guests@d.test", "ok remote:nobody@gate.test(smtp:[192.0.2.9]:25)"},
		{"", "listed@gate.test", "ok remote:listed@gate.test(smtp:[192.0.2.9]:25)"},
		/* What the reference writes means here. */
		{"", "u@old.test", "ok u@old.test"},
		{"", "u@virt.test", "ok u@virt.test"},
		{"", "u@unix.test", "ok u@unix.test"},
		/* Backup MX takes everybody. */
		{"", "who@mx.test", "ok remote:who@mx.test"},
		{"", "who+x@via.test", "ok remote:who+x@via.test(relay:[192.0.2.1]:25)"},
		/* The operator's words. */
		{"", "x@gone.test", "refused 5.1.6 moved"},
		{"", "any@later.test", "refused 4.3.2 later"},
		{"", "nobody@gone.test", "unknown"},
		{"", "both@d.test", "ok alice@d.test remote:x@gone.test(error:5.1.6 moved)"},
		{"", "comma@d.test", "ok alice@d.test bob@d.test"},
	};
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	try_rows(&h, rows, ARRAY_LEN(rows));
	home_free(&h);
}

static void relay_hosts(void **state)
{
	static const struct row before[] = {
		{"alice@d.test", "far@away.example",
		 "not-ours remote:far@away.example([relay.a]:587)"},
		{"Alice+x@D.test", "far@away.example",
		 "not-ours remote:far@away.example([relay.a]:587)"},
		{"bob@d.test", "far@away.example",
		 "not-ours remote:far@away.example(smtp:[relay.d])"},
		{"other@e.test", "far@away.example", "not-ours remote:far@away.example"},
		{"", "far@away.example", "not-ours remote:far@away.example"},
		{"alice@d.test", "out@d.test",
		 "ok alice@d.test remote:far@away.example([relay.a]:587)"},
		/* Not for our own, nor for what has a way of its own, nor for backup MX. */
		{"alice@d.test", "bob@d.test", "ok bob@d.test"},
		{"alice@d.test", "away@gate.test", "ok remote:away@gate.test(smtp:[192.0.2.9]:25)"},
		{"alice@d.test", "who@mx.test", "ok remote:who@mx.test"},
	};
	static const struct row after[] = {
		{"alice@d.test", "far@away.example",
		 "not-ours remote:far@away.example([relay.a]:587)"},
		{"other@e.test", "far@away.example",
		 "not-ours remote:far@away.example([smart.test]:587)"},
		{"", "far@away.example", "not-ours remote:far@away.example([relay.null])"},
		{"direct@d.test", "far@away.example", "not-ours remote:far@away.example"},
		{"x@y.example", "out@d.test",
		 "ok alice@d.test remote:far@away.example([smart.test]:587)"},
		{"other@e.test", "who@mx.test", "ok remote:who@mx.test"},
		{"other@e.test", "alice@d.test", "ok alice@d.test"},
	};
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	edit(&h, "INSERT INTO sender_relayhost (account, relayhost) VALUES"
		 " ('alice@d.test', '[relay.a]:587'), ('@d.test', 'smtp:[relay.d]'),"
		 " ('@e.test', '')");
	try_rows(&h, before, ARRAY_LEN(before));
	dir_configure(h.d, "mail.d.test", "[smart.test]:587");
	edit(&h, "INSERT INTO sender_relayhost (account, relayhost) VALUES"
		 " ('direct@d.test', 'DUNNO'), ('<>', '[relay.null]')");
	try_rows(&h, after, ARRAY_LEN(after));
	dir_configure(h.d, "mail.d.test", "");
	assert_str(routed(&h, "other@e.test", "far@away.example", DIR_EXPAND),
		   "not-ours remote:far@away.example");
	home_free(&h);
}

static void copies(void **state)
{
	static const struct row rows[] = {
		{"x@y.example", "alice@d.test", "ok alice@d.test copy:bob@d.test"},
		{"x@y.example", "alice+w@d.test", "ok alice@d.test[w] copy:bob@d.test"},
		{"x@y.example", "alice@alias.test", "ok alice@d.test copy:bob@d.test"},
		/* The domain's, unless the user has one; also for those who are no user. */
		{"x@y.example", "bob@d.test", "ok bob@d.test copy:remote:archive@away.example"},
		{"x@y.example", "out@d.test",
		 "ok alice@d.test remote:far@away.example copy:remote:archive@away.example"},
		{"x@y.example", "who@mx.test", "ok remote:who@mx.test"},
		/* Of who is refused nobody gets one. */
		{"x@y.example", "nobody@d.test", "unknown"},
		/* Sender's; both. */
		{"bob@d.test", "who@mx.test", "ok remote:who@mx.test copy:alice@d.test"},
		{"Bob+x@d.test", "far@away.example",
		 "not-ours remote:far@away.example copy:alice@d.test"},
		{"bob@d.test", "alice@d.test", "ok alice@d.test copy:bob@d.test copy:alice@d.test"},
		{"away@gate.test", "who@mx.test",
		 "ok remote:who@mx.test copy:alice@d.test copy:remote:far@away.example"},
		/* Switched off, or leading nowhere: no copy, and no harm. */
		{"off@d.test", "who@mx.test", "ok remote:who@mx.test"},
		{"here@gate.test", "who@mx.test", "ok remote:who@mx.test"},
		/* A copy of a copy is not made: bob's own mail has one, the copy to bob none. */
		{"x@y.example", "both@d.test",
		 "ok alice@d.test remote:x@gone.test(error:5.1.6 moved)"
		 " copy:remote:archive@away.example"},
	};
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	edit(&h, "INSERT INTO recipient_bcc_user (username, bcc_address, domain) VALUES"
		 " ('alice@d.test', 'bob@d.test', 'd.test');"
		 "INSERT INTO recipient_bcc_domain (domain, bcc_address) VALUES"
		 " ('d.test', 'archive@away.example');"
		 "INSERT INTO sender_bcc_user (username, bcc_address, domain, active) VALUES"
		 " ('bob@d.test', 'alice@d.test', 'd.test', 1),"
		 " ('off@d.test', 'alice@d.test', 'd.test', 0),"
		 " ('here@gate.test', 'nobody@d.test', 'gate.test', 1);"
		 "INSERT INTO sender_bcc_domain (domain, bcc_address, active) VALUES"
		 " ('gate.test', 'out@d.test', 1), ('d.test', 'alice@d.test', 0)");
	try_rows(&h, rows, ARRAY_LEN(rows));
	/* What a filter gives back has had its copies. */
	assert_str(routed(&h, "bob@d.test", "alice@d.test", DIR_AS_IT_IS), "ok alice@d.test");
	home_free(&h);
}

static void names_of_this_machine(void **state)
{
	static const struct row rows[] = {
		{"", "root", "ok alice@d.test"},
		{"", "Postmaster", "ok alice@d.test"},
		{"", "root@localhost", "ok alice@d.test"},
		{"", "abuse@mail.host.test", "ok alice@d.test"},
		{"", "root+cron@localhost.localdomain", "ok alice@d.test"},
		{"", "short@d.test", "ok alice@d.test"},
		{"", "alice@localhost", "unknown"},
		{"", "nosuch@mail.host.test", "unknown"},
		{"", "alice", "bad"},
		/* Postmaster of every domain works: the first domain's reads for those without. */
		{"", "postmaster@gate.test", "ok alice@d.test"},
		{"", "POSTMASTER+x@gate.test", "ok alice@d.test"},
		{"", "postmaster@gatealias.test", "ok alice@d.test"},
		{"", "abuse@gate.test", "unknown"},
		{"", "postmaster@mx.test", "ok remote:postmaster@mx.test"},
	};
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	dir_configure(h.d, "mail.host.test", NULL);
	/* Nobody is there: still not lost, but with whoever administrates everything. */
	assert_str(routed(&h, "", "postmaster@d.test", DIR_EXPAND), "unknown");
	ORDER(&h, "admin grant bob@d.test ALL");
	assert_str(routed(&h, "", "postmaster@d.test", DIR_EXPAND), "ok bob@d.test");
	assert_str(routed(&h, "", "postmaster@gate.test", DIR_EXPAND), "ok bob@d.test");
	ORDER(&h, "user set alice@d.test --alias postmaster@d.test");
	try_rows(&h, rows, ARRAY_LEN(rows));
	/* A mailbox of that name that is off. */
	ORDER(&h, "user add postmaster@gate.test --transport dovecot");
	assert_str(routed(&h, "", "postmaster@gate.test", DIR_EXPAND), "ok postmaster@gate.test");
	ORDER(&h, "user set postmaster@gate.test --active off");
	assert_str(routed(&h, "", "postmaster@gate.test", DIR_EXPAND), "ok alice@d.test");
	/* A host name that is a mail domain too is that. */
	ORDER(&h, "domain add mail.host.test");
	assert_str(routed(&h, "", "abuse@mail.host.test", DIR_EXPAND), "unknown");
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transports),
		cmocka_unit_test(relay_hosts),
		cmocka_unit_test(copies),
		cmocka_unit_test(names_of_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
