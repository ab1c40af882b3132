/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dir/dir_test.h"

#include "base/buf.h"

/* "ok alice bob+work remote:x@y.test(smtp:[h]:25)", in the order of the directory. */
static struct str routed(struct home *h, const char *address)
{
	static const char *const names[] = {"ok",	  "not-ours", "unknown",
					    "over-quota", "bad",      "loops"};
	struct dir_route r;
	struct buf text = BUF_INIT(KIB(64));
	assert_ok(
		dir_route(h->d, &(struct dir_rcpt){.address = str_c(address)}, &h->a, &r, &h->why),
		&h->why);
	(void)buf_add_c(&text, names[r.verdict]);
	for (size_t i = 0; i < r.n; i++) {
		const struct destination *to = &r.dests[i];
		(void)buf_addf(&text, " %s%.*s",
			       destination_is_local(to) ? "" : "remote:", STR_ARG(to->address));
		if (to->detail.n)
			(void)buf_addf(&text, "[%.*s]", STR_ARG(to->detail));
		if (to->transport.n)
			(void)buf_addf(&text, "(%.*s)", STR_ARG(to->transport));
	}
	struct str s = arena_str(&h->a, buf_str(&text));
	buf_clear(&text);
	return s;
}

static void fill(struct home *h)
{
	static const char *const orders[] = {
		"domain add d.test",
		"domain add plain.test",
		"domain add off.test",
		"domain add backup.test --backupmx on --transport relay:[192.0.2.1]:25",
		"domain add gate.test --transport smtp:[192.0.2.9]:25",
		"domain alias-add alias.test d.test",
		"domain alias-add offalias.test off.test",
		"user add alice@d.test",
		"user add bob@d.test",
		"user add carol@d.test",
		"user add off@d.test",
		"user set off@d.test --active off",
		"user add nodeliver@d.test",
		"user set nodeliver@d.test --deliver off",
		"user add moved@d.test --transport lmtp:inet:[192.0.2.7]:24",
		"user add gw@gate.test",
		"user add pl@plain.test",
		"user add u@off.test",
		"domain set off.test --active off",
		"alias add team@d.test alice@d.test bob@d.test",
		"alias add all@d.test team@d.test carol@d.test x@remote.test",
		"alias add ring1@d.test ring2@d.test",
		"alias add ring2@d.test ring1@d.test",
		"alias add mixed@d.test ring1@d.test mixed2@d.test",
		"alias add mixed2@d.test mixed@d.test alice@d.test",
		"alias add dead@d.test nobody@d.test",
		"alias add half@d.test nobody@d.test alice@d.test",
		"alias add empty@d.test",
		"user set alice@d.test --alias al@d.test,al2@alias.test",
		"user set bob@d.test --forward bob@remote.test",
		"user set carol@d.test --forward c@remote.test --keep-copy off",
		"domain catch-all d.test alice@d.test",
	};
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		ORDER(h, orders[i]);
	/* Exists, but without its own row. */
	ORDER(h, "user add norow@d.test");
	edit(h, "DELETE FROM forwardings WHERE address = 'norow@d.test'");
	/* A list that mlmmj runs. */
	edit(h, "INSERT INTO maillists (address, domain, transport, mlid)"
		" VALUES ('list@d.test', 'd.test', 'mlmmj:d.test/list', 'x');"
		"INSERT INTO forwardings (address, forwarding, domain, dest_domain, is_maillist)"
		" VALUES ('list@d.test', 'list@d.test', 'd.test', 'd.test', 1)");
}

static const struct {
	const char *address;
	const char *want;
} cases[] = {
	{"alice@d.test", "ok alice@d.test"},
	{"ALICE@D.TEST", "ok alice@d.test"},
	{"alice+Work@d.test", "ok alice@d.test[work]"},
	{"alice+a+b@d.test", "ok alice@d.test[a+b]"},
	/* Forwardings, with and without a copy. */
	{"bob@d.test", "ok bob@d.test remote:bob@remote.test"},
	{"carol@d.test", "ok remote:c@remote.test"},
	{"bob+x@d.test", "ok bob@d.test[x] remote:bob+x@remote.test"},
	/* Aliases of a user; the detail goes along. */
	{"al@d.test", "ok alice@d.test"},
	{"al+x@d.test", "ok alice@d.test[x]"},
	{"al2@alias.test", "ok alice@d.test"},
	/* Alias accounts, nested. */
	{"team@d.test", "ok alice@d.test bob@d.test remote:bob@remote.test"},
	{"all@d.test", "ok remote:x@remote.test alice@d.test bob@d.test remote:c@remote.test"
		       " remote:bob@remote.test"},
	{"dead@d.test", "ok alice@d.test"}, /* its member falls to the catch-all */
	/* Loops. */
	{"ring1@d.test", "loops"},
	{"mixed@d.test", "ok alice@d.test"},
	/* Alias domains. */
	{"alice@alias.test", "ok alice@d.test"},
	{"alice+x@alias.test", "ok alice@d.test[x]"},
	{"bob@alias.test", "ok bob@d.test remote:bob@remote.test"},
	{"team@alias.test", "ok alice@d.test bob@d.test remote:bob@remote.test"},
	{"norow@alias.test", "ok norow@d.test"},
	{"u@offalias.test", "unknown"},
	/* Catch-all, and what it must not catch. */
	{"nobody@d.test", "ok alice@d.test"},
	{"nobody+x@d.test", "ok alice@d.test[x]"},
	{"nobody@alias.test", "ok alice@d.test"},
	{"nobody+x@alias.test", "ok alice@d.test[x]"},
	{"norow@d.test", "ok norow@d.test"},
	{"norow+x@d.test", "ok norow@d.test[x]"},
	{"off@d.test", "unknown"},
	{"off+x@d.test", "unknown"},
	{"off@alias.test", "unknown"},
	{"nodeliver@d.test", "unknown"},
	{"empty@d.test", "ok alice@d.test"},
	/* No catch-all here. */
	{"pl@plain.test", "ok pl@plain.test"},
	{"nobody@plain.test", "unknown"},
	/* Switched off. */
	{"u@off.test", "unknown"},
	/* Other servers. */
	{"x@backup.test", "ok remote:x@backup.test(relay:[192.0.2.1]:25)"},
	{"x+y@backup.test", "ok remote:x+y@backup.test(relay:[192.0.2.1]:25)"},
	{"gw@gate.test", "ok remote:gw@gate.test(smtp:[192.0.2.9]:25)"},
	{"nobody@gate.test", "unknown"},
	{"moved@d.test", "ok remote:moved@d.test(lmtp:inet:[192.0.2.7]:24)"},
	{"list@d.test", "ok remote:list@d.test(mlmmj:d.test/list)"},
	{"who@foreign.test", "not-ours remote:who@foreign.test"},
	/* Not addresses. */
	{"", "bad"},
	{"alice", "bad"},
	{"@d.test", "bad"},
	{"a b@d.test", "bad"},
	{"alice@", "bad"},
	{"Postmaster", "ok alice@d.test"}, /* first domain, whose catch-all is alice */
	{"+x@plain.test", "unknown"},
};

static void every_row(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	ORDER(&h, "domain set d.test --description first");
	edit(&h, "UPDATE domain SET created = '2020-01-01 00:00:00' WHERE domain = 'd.test'");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str got = routed(&h, cases[i].address);
		if (!str_eq(got, str_c(cases[i].want)))
			fail_msg("<%s>: %.*s, not %s", cases[i].address, STR_ARG(got),
				 cases[i].want);
	}
	home_free(&h);
}

/* One question tells of the sender as a question of its own would. */
static void sender_comes_along(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
		struct dir_route got = {0};
		struct dir_rcpt rcpt = {.address = STR("alice@d.test"),
					.sender = str_c(cases[i].address),
					.sender_too = true};
		struct fail why = FAIL_INIT;
		assert_ok(dir_route(h.d, &rcpt, &a, &got, &why), &why);
		assert_int_equal(got.verdict, DIR_OK);
		assert_int_equal(got.sender_unknown, strcmp(cases[i].want, "unknown") == 0);
	}
	home_free(&h);
}

static void outside_edits_count_at_once(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test");
	assert_str(routed(&h, "new@d.test"), "unknown");
	edit(&h, "INSERT INTO mailbox (username, domain) VALUES ('New@d.test', 'd.test');"
		 "INSERT INTO forwardings (address, forwarding, domain, dest_domain, is_forwarding)"
		 " VALUES ('New@d.test', 'New@d.test', 'd.test', 'd.test', 1)");
	assert_str(routed(&h, "new@d.test"), "ok new@d.test");
	edit(&h, "UPDATE mailbox SET active = 0");
	assert_str(routed(&h, "new@d.test"), "unknown");
	edit(&h, "UPDATE mailbox SET active = 1; UPDATE domain SET active = 0");
	assert_str(routed(&h, "new@d.test"), "unknown");
	home_free(&h);
}

static void ids_are_for_ever(void **state)
{
	struct home h;
	struct dir_account x;
	struct dir_account y;
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test");
	ORDER(&h, "user add a@d.test --name A");
	assert_ok(dir_account_by_address(h.d, STR("A@d.test"), &h.a, &x, &h.why), &h.why);
	assert_str(x.name, "A");
	ORDER(&h, "user del a@d.test");
	assert_int_equal(dir_account_by_id(h.d, x.id, &h.a, &y, &h.why), -FAIL_NOTFOUND);
	ORDER(&h, "user add a@d.test");
	assert_ok(dir_account_by_address(h.d, STR("a@d.test"), &h.a, &y, &h.why), &h.why);
	assert_true(y.id.v > x.id.v);
	/* Renamed by a panel: the same account. */
	edit(&h, "UPDATE mailbox SET username = 'b@d.test'");
	assert_ok(dir_account_by_address(h.d, STR("b@d.test"), &h.a, &x, &h.why), &h.why);
	assert_true(y.id.v == x.id.v);
	/* Loaded without triggers: an id is made when it is needed. */
	edit(&h, "DROP TRIGGER barid_mailbox_made;"
		 "INSERT INTO mailbox (username, domain) VALUES ('c@d.test', 'd.test')");
	assert_ok(dir_account_by_address(h.d, STR("c@d.test"), &h.a, &x, &h.why), &h.why);
	assert_true(x.id.v > y.id.v);
	home_free(&h);
}

static void quota_closes_the_door(void **state)
{
	struct home h;
	struct dir_account x;
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test");
	ORDER(&h, "user add a@d.test --quota 2");
	ORDER(&h, "user add b@d.test");
	ORDER(&h, "alias add both@d.test a@d.test b@d.test");
	assert_ok(dir_account_by_address(h.d, STR("a@d.test"), &h.a, &x, &h.why), &h.why);
	assert_int_equal(x.quota_bytes, 2 << 20);
	assert_ok(dir_usage(h.d, x.id, (2 << 20) - 1, 7, &h.why), &h.why);
	assert_str(routed(&h, "a@d.test"), "ok a@d.test");
	assert_ok(dir_usage(h.d, x.id, 2 << 20, 8, &h.why), &h.why);
	assert_str(routed(&h, "a@d.test"), "over-quota a@d.test");
	assert_str(routed(&h, "both@d.test"), "ok a@d.test b@d.test");
	assert_str(look(&h, "SELECT bytes FROM used_quota"), "");
	assert_ok(dir_flush(h.d, &h.why), &h.why);
	assert_str(look(&h, "SELECT bytes || ' ' || messages || ' ' || domain FROM used_quota"),
		   "2097152 8 d.test");
	dir_close(h.d);
	home_open(&h);
	assert_str(routed(&h, "a@d.test"), "over-quota a@d.test");
	ORDER(&h, "user set a@d.test --quota 1g");
	assert_str(routed(&h, "a@d.test"), "ok a@d.test");
	home_free(&h);
}

static void expansion_is_bounded(void **state)
{
	struct home h;
	char sql[400];
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test");
	ORDER(&h, "alias add big@d.test");
	for (unsigned part = 0; part < 2; part++) {
		(void)snprintf(sql, sizeof sql,
			       "WITH RECURSIVE s(i) AS (SELECT %u UNION ALL SELECT i + 1 FROM s "
			       "WHERE i < %u)"
			       " INSERT INTO forwardings (address, forwarding, domain, is_list)"
			       " SELECT 'big@d.test', 'm' || i || '@r.test', 'd.test', 1 FROM s",
			       part * 900, part * 900 + 899);
		edit(&h, sql);
		struct dir_route r;
		assert_ok(dir_route(h.d, &(struct dir_rcpt){.address = STR("big@d.test")}, &h.a, &r,
				    &h.why),
			  &h.why);
		assert_int_equal(r.verdict, part ? DIR_LOOPS : DIR_OK);
		assert_int_equal(r.n, part ? 0 : 900);
	}
	home_free(&h);
}

static void senders_are_themselves(void **state)
{
	static const struct {
		const char *address;
		int want;
	} senders[] = {
		{"alice@d.test", 1},
		{"Alice@D.test", 1},
		{"alice+x@d.test", 1},
		{"al@d.test", 1},
		{"al+x@d.test", 1},
		{"al2@alias.test", 1},
		{"alice@alias.test", 1},
		{"al@alias.test", 1},
		{"alice+x@alias.test", 1},
		{"bob@d.test", 0},
		{"team@d.test", 0},
		{"nobody@d.test", 0},
		{"alice@x.test", 0},
		{"", 0},
		{"alice", 0},
		{"alice@offalias.test", 0},
	};
	struct home h;
	struct dir_account x;
	(void)state;
	home_init(&h);
	fill(&h);
	assert_ok(dir_account_by_address(h.d, STR("alice@d.test"), &h.a, &x, &h.why), &h.why);
	for (size_t i = 0; i < ARRAY_LEN(senders); i++) {
		int r = dir_sender_allowed(h.d, x.id, str_c(senders[i].address), &h.why);
		if (r != senders[i].want)
			fail_msg("sender %s: %d", senders[i].address, r);
	}
	ORDER(&h, "user set alice@d.test --active off");
	assert_int_equal(dir_sender_allowed(h.d, x.id, STR("alice@d.test"), &h.why), 0);
	assert_int_equal(dir_sender_allowed(h.d, (struct account_id){999}, STR("a@d.test"), &h.why),
			 0);
	home_free(&h);
}

static void newer_file_is_refused(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	dir_close(h.d);
	h.d = NULL;
	edit(&h, "PRAGMA user_version = 99");
	assert_int_equal(dir_open(&h.c, &h.d, &h.why), -FAIL_UNSUPPORTED);
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),
		cmocka_unit_test(sender_comes_along),
		cmocka_unit_test(outside_edits_count_at_once),
		cmocka_unit_test(ids_are_for_ever),
		cmocka_unit_test(quota_closes_the_door),
		cmocka_unit_test(expansion_is_bounded),
		cmocka_unit_test(senders_are_themselves),
		cmocka_unit_test(newer_file_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
