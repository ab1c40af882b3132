/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders of administrators, and look-ups of addresses. Each line of the input is an order, its
 * words divided by blanks; "?ADDRESS [SENDER]" asks where mail for the address goes; '!' before an
 * order makes it one of the administrator of d.test, after which e.test and its user are as they
 * were.
 */
#include "service/dir/dir_test.h"
#include "sys/log.h"

#define LINES_MAX 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct home home;

static void end(void)
{
	testdir_remove(&home.folder);
}

static void begin(void)
{
	home_init(&home);
	(void)atexit(end);
	log_set_level(LOG_ERROR);
}

/* What the input before has made is gone. */
static void refill(struct home *h)
{
	static const char *const tables[] = {"domain",
					     "mailbox",
					     "alias",
					     "alias_domain",
					     "forwardings",
					     "domain_admins",
					     "sender_bcc_user",
					     "sender_bcc_domain",
					     "recipient_bcc_user",
					     "recipient_bcc_domain",
					     "sender_relayhost",
					     "barid_send_as",
					     "barid_relay_login"};
	AUTO(db) struct db *db = NULL;
	struct db_options o = {.path = h->path};
	arena_reset(&h->a);
	assert_ok(db_open(&o, &db, &h->why), &h->why);
	assert_ok(db_exec(db, "PRAGMA synchronous = OFF", &h->why), &h->why);
	assert_ok(db_begin(db, &h->why), &h->why);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		char sql[80];
		(void)snprintf(sql, sizeof sql, "DELETE FROM %s", tables[i]);
		assert_ok(db_exec(db, sql, &h->why), &h->why);
	}
	assert_ok(db_commit(db, &h->why), &h->why);
	ORDER(h, "domain add d.test");
	ORDER(h, "domain add e.test");
	ORDER(h, "user add a@d.test --password-hash {PLAIN}x");
	ORDER(h, "user add b@e.test --password-hash {PLAIN}x");
}

static void add_table(struct home *h, const char *text, struct buf *out)
{
	int r = order(h, text);
	(void)buf_addf(out, "%d\n", r);
	for (size_t i = 0; r >= 0 && i < h->t.n_rows * h->t.n_columns; i++)
		(void)buf_addf(out, "%.*s\n", STR_ARG(h->t.cells[i]));
}

/* All that an administrator sees of e.test. */
static void look_at_other(struct home *h, struct buf *out)
{
	add_table(h, "domain show e.test", out);
	add_table(h, "user list e.test", out);
	add_table(h, "alias list e.test", out);
	add_table(h, "user show b@e.test", out);
	add_table(h, "forward list e.test", out);
	add_table(h, "bcc list e.test", out);
	add_table(h, "send-as list e.test", out);
	add_table(h, "relayhost list", out);
}

static void order_small(struct home *h, const char *text)
{
	struct str mine[] = {STR("d.test")};
	struct dir_scope scope = {.kind = DIR_SCOPE_DOMAINS, .domains = mine, .n_domains = 1};
	AUTO(buf) struct buf before = BUF_INIT(KIB(256)), after = BUF_INIT(KIB(256));
	look_at_other(h, &before);
	int r = order_as(h, &scope, text);
	assert_true(r >= 0 || h->why.code);
	look_at_other(h, &after);
	assert_true(str_eq(buf_str(&before), buf_str(&after)));
}

static void look_up(struct home *h, struct str rest)
{
	struct str address = rest, sender = STR("");
	(void)str_cut(&rest, ' ', &address);
	sender = rest.p ? rest : sender;
	struct dir_rcpt rcpt = {.address = address, .sender = sender, .size = 10};
	struct dir_route route = {0};
	h->why = FAIL_INIT;
	int r = dir_route(h->d, &rcpt, &h->a, &route, &h->why);
	assert_true(r == 0 || h->why.code);
	for (size_t i = 0; r == 0 && i < route.n; i++)
		assert_true(route.dests[i].address.n > 0);
	for (size_t i = 0; r == 0 && i < route.n_copies; i++)
		assert_true(route.copies[i].address.n > 0);
	if (r == 0 && route.verdict == DIR_REFUSED)
		for (size_t i = 0; i < route.refusal.n; i++)
			assert_true(route.refusal.p[i] >= ' ' && route.refusal.p[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make((const char *)data, size), line;
	struct home *h = &home;
	if (!h->d)
		begin();
	if (size == 0 || size > KIB(2) || memchr(data, 0, size))
		return 0;
	refill(h);
	for (unsigned i = 0; i < LINES_MAX && rest.n && str_cut(&rest, '\n', &line); i++) {
		const char *text = arena_c(&h->a, str_skip(line, 1));
		if (!text || str_find_str(line, 0, STR("--password ")) < line.n ||
		    str_find_str(line, 0, STR("passwd")) < line.n)
			continue; /* a hash takes as long as a hundred other orders */
		if (str_starts(line, STR("?")))
			look_up(h, str_c(text));
		else if (str_starts(line, STR("!")))
			order_small(h, text);
		else if (order(h, arena_c(&h->a, line)) < 0)
			assert_true(h->why.code);
	}
	return 0;
}
