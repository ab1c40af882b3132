/* SPDX-License-Identifier: Apache-2.0 */
/* Orders on forwardings, copies, delegated senders and relay hosts; and barid route. */
#include "service/dir/dir_test.h"

#include "base/buf.h"

static void assert_refused_as(struct home *h, const struct dir_scope *s, const char *text,
			      enum fail_code code, const char *says)
{
	int r = order_as(h, s, text);
	if (r != -(int)code || !strstr(h->why.public, says))
		fail_msg("\"%s\" gives %d: %s", text, r, h->why.public);
}

static const struct dir_scope everything = {.kind = DIR_SCOPE_GLOBAL};

static void assert_refused(struct home *h, const char *text, enum fail_code code, const char *says)
{
	assert_refused_as(h, &everything, text, code, says);
}

/* The rows of the last table: "a b; c d". */
static struct str table(struct home *h)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(64));
	for (size_t i = 0; i < h->t.n_rows * h->t.n_columns; i++)
		(void)buf_addf(&text, "%s%.*s",
			       i == 0			 ? ""
			       : i % h->t.n_columns == 0 ? "; "
							 : " ",
			       STR_ARG(h->t.cells[i]));
	return arena_str(&h->a, buf_str(&text));
}

static void begin(struct home *h)
{
	static const char *const orders[] = {
		"domain add d.test",
		"domain add e.test",
		"domain alias-add alias.test d.test",
		"user add a@d.test",
		"user add b@d.test",
		"user add x@e.test",
		"alias add team@d.test a@d.test",
	};
	home_init(h);
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		ORDER(h, orders[i]);
}

static struct str d_test[] = {STR("d.test")};
static const struct dir_scope of_d = {.kind = DIR_SCOPE_DOMAINS, .domains = d_test, .n_domains = 1};

static void forwardings(void **state)
{
	struct home h;
	(void)state;
	begin(&h);
	ORDER(&h, "forward add a@d.test one@r.test Two@R.test");
	ORDER(&h, "forward list d.test");
	assert_str(table(&h), "a@d.test one@r.test yes yes; a@d.test two@r.test yes yes");
	ORDER(&h, "user set a@d.test --keep-copy off");
	ORDER(&h, "forward del a@d.test one@r.test");
	ORDER(&h, "forward list");
	assert_str(table(&h), "a@d.test two@r.test no yes");
	assert_refused(&h, "forward del a@d.test one@r.test", FAIL_NOTFOUND, "does not forward");
	/* The last one goes: the mail stays, and is not lost. */
	ORDER(&h, "forward del a@d.test");
	assert_str(look(&h, "SELECT forwarding FROM forwardings WHERE address = 'a@d.test'"),
		   "a@d.test");
	assert_refused(&h, "forward add nobody@d.test one@r.test", FAIL_NOTFOUND, "no such user");
	assert_refused_as(&h, &of_d, "forward add x@e.test a@d.test", FAIL_PERM, "not yours");
	struct dir_scope self = {.kind = DIR_SCOPE_SELF, .account = STR("a@d.test")};
	assert_ok(order_as(&h, &self, "forward add a@d.test me@home.test"), &h.why);
	assert_refused_as(&h, &self, "forward add b@d.test me@home.test", FAIL_PERM, "not yours");
	home_free(&h);
}

static void copies(void **state)
{
	struct home h;
	(void)state;
	begin(&h);
	ORDER(&h, "bcc set a@d.test --received b@d.test --sent c@r.test");
	ORDER(&h, "bcc set @d.test --sent all@r.test");
	ORDER(&h, "bcc set d.test --sent log@r.test");
	ORDER(&h, "bcc list d.test");
	assert_str(table(&h), "a@d.test received b@d.test yes; a@d.test sent c@r.test yes;"
			      " d.test sent log@r.test yes");
	ORDER(&h, "bcc set a@d.test --sent none");
	ORDER(&h, "bcc list");
	assert_str(table(&h), "a@d.test received b@d.test yes; d.test sent log@r.test yes");
	ORDER(&h, "bcc del a@d.test");
	assert_refused(&h, "bcc del a@d.test", FAIL_NOTFOUND, "nobody gets copies");
	assert_refused(&h, "bcc set a@d.test --sent a@d.test", FAIL_CONFLICT, "itself");
	assert_refused(&h, "bcc set a@d.test", FAIL_SYNTAX, "usage");
	assert_refused(&h, "bcc set a@d.test --to a@d.test", FAIL_SYNTAX, "no key to");
	assert_refused(&h, "bcc set nowhere.test --sent b@d.test", FAIL_NOTFOUND, "no such domain");
	assert_refused_as(&h, &of_d, "bcc set e.test --sent b@d.test", FAIL_PERM, "not yours");
	assert_refused_as(&h, &of_d, "bcc del x@e.test", FAIL_PERM, "not yours");
	assert_ok(order_as(&h, &of_d, "bcc set b@d.test --sent c@r.test"), &h.why);
	/* Who goes takes the rows along. */
	ORDER(&h, "bcc set x@e.test --received b@d.test");
	ORDER(&h, "user del b@d.test");
	ORDER(&h, "bcc list");
	assert_str(table(&h), "d.test sent log@r.test yes");
	home_free(&h);
}

static int may(struct home *h, const char *who, const char *sender)
{
	struct dir_account x;
	assert_ok(dir_account_by_address(h->d, str_c(who), &h->a, &x, &h->why), &h->why);
	return dir_sender_allowed(h->d, x.id, str_c(sender), &h->why);
}

static void delegated_senders(void **state)
{
	struct home h;
	(void)state;
	begin(&h);
	assert_int_equal(may(&h, "b@d.test", "a@d.test"), 0);
	ORDER(&h, "send-as add b@d.test a@d.test");
	assert_int_equal(may(&h, "b@d.test", "A@d.test"), 1);
	assert_int_equal(may(&h, "b@d.test", "a+x@d.test"), 1);
	assert_int_equal(may(&h, "b@d.test", "a@alias.test"), 1); /* the same person */
	assert_int_equal(may(&h, "a@d.test", "b@d.test"), 0);
	assert_int_equal(may(&h, "x@e.test", "a@d.test"), 0);
	/* The members of an alias, under its name. */
	assert_int_equal(may(&h, "a@d.test", "team@d.test"), 0);
	ORDER(&h, "send-as add team@d.test team@d.test");
	assert_int_equal(may(&h, "a@d.test", "team@d.test"), 1);
	assert_int_equal(may(&h, "b@d.test", "team@d.test"), 0);
	/* Everybody of a domain; any sender of a domain; any sender at all. */
	ORDER(&h, "send-as add @d.test noreply@d.test");
	assert_int_equal(may(&h, "b@d.test", "noreply@d.test"), 1);
	assert_int_equal(may(&h, "x@e.test", "noreply@d.test"), 0);
	ORDER(&h, "send-as add x@e.test @r.test");
	assert_int_equal(may(&h, "x@e.test", "any@r.test"), 1);
	assert_int_equal(may(&h, "x@e.test", "any@s.test"), 0);
	ORDER(&h, "send-as add x@e.test *");
	assert_int_equal(may(&h, "x@e.test", "any@s.test"), 1);
	ORDER(&h, "send-as list d.test");
	assert_str(table(&h), "@d.test noreply@d.test yes; b@d.test a@d.test yes;"
			      " team@d.test team@d.test yes");
	ORDER(&h, "send-as del b@d.test a@d.test");
	assert_int_equal(may(&h, "b@d.test", "a@d.test"), 0);
	assert_refused(&h, "send-as del b@d.test a@d.test", FAIL_NOTFOUND, "was not allowed");
	assert_refused(&h, "send-as add no@d.test a@d.test", FAIL_NOTFOUND, "neither a user");
	edit(&h, "UPDATE barid_send_as SET active = 0");
	assert_int_equal(may(&h, "a@d.test", "team@d.test"), 0);
	/* An administrator gives away what is theirs alone. */
	assert_ok(order_as(&h, &of_d, "send-as add b@d.test a@alias.test"), &h.why);
	assert_refused_as(&h, &of_d, "send-as add b@d.test x@e.test", FAIL_PERM, "not yours");
	assert_refused_as(&h, &of_d, "send-as add b@d.test @e.test", FAIL_PERM, "not yours");
	assert_refused_as(&h, &of_d, "send-as add b@d.test *", FAIL_PERM, "global");
	assert_refused_as(&h, &of_d, "send-as add x@e.test a@d.test", FAIL_PERM, "not yours");
	assert_refused_as(&h, &of_d, "send-as add b@d.test b@r.test", FAIL_PERM, "not yours");
	/* Made again is somebody else; renamed is the same. */
	ORDER(&h, "send-as add b@d.test a@d.test");
	edit(&h, "UPDATE mailbox SET username = 'c@d.test' WHERE username = 'b@d.test'");
	assert_int_equal(may(&h, "c@d.test", "a@d.test"), 1);
	edit(&h, "DELETE FROM mailbox WHERE username = 'a@d.test'");
	assert_int_equal(may(&h, "c@d.test", "a@d.test"), 0);
	ORDER(&h, "domain del e.test --force yes");
	assert_str(look(&h, "SELECT count(*) FROM barid_send_as WHERE domain = 'e.test'"), "0");
	home_free(&h);
}

/* "user password", or "-". */
static struct str login_for(struct home *h, const char *sender, const char *nexthop)
{
	struct dir_relay_login l = {0};
	int r = dir_relay_login(h->d, str_c(sender), str_c(nexthop), &l, &h->why);
	assert_true(r >= 0);
	return r ? arena_printf(&h->a, "%s %s", l.username, l.password) : STR("-");
}

static void relay_hosts(void **state)
{
	struct home h;
	(void)state;
	begin(&h);
	ORDER(&h, "relayhost set a@d.test [smart.test]:587 --user joe --password s3cret-of-joe");
	ORDER(&h, "relayhost set @d.test smtp:other.test");
	ORDER(&h, "relayhost set b@d.test direct");
	ORDER(&h, "relayhost login default --user all --password everybodys");
	dir_configure(h.d, NULL, "[Big.test]:25");
	ORDER(&h, "relayhost list");
	assert_str(table(&h), "@d.test smtp:other.test ; a@d.test [smart.test]:587 joe;"
			      " b@d.test direct ; default [Big.test]:25 all");
	/* For the sender's own next hop alone, however it is written. */
	assert_str(login_for(&h, "a@d.test", "[smart.test]:587"), "joe s3cret-of-joe");
	assert_str(login_for(&h, "A+x@d.test", "smtp:[SMART.test]:587"), "joe s3cret-of-joe");
	assert_str(login_for(&h, "a@d.test", "[smart.test]"), "-");
	assert_str(login_for(&h, "a@d.test", "evil.test"), "-");
	assert_str(login_for(&h, "b@d.test", "[smart.test]:587"), "-");
	assert_str(login_for(&h, "b@d.test", "other.test"), "-");
	assert_str(login_for(&h, "x@e.test", "[big.test]:25"), "all everybodys");
	assert_str(login_for(&h, "", "relay:[big.test]:25"), "all everybodys");
	assert_str(login_for(&h, "", "big.test"), "-");
	/* Nothing in the file tells them. */
	assert_str(look(&h,
			"SELECT count(*) FROM barid_relay_login WHERE instr(secret,"
			" CAST('s3cret' AS BLOB)) OR instr(secret, CAST('everybodys' AS BLOB))"),
		   "0");
	/* A row that was moved to another account opens nothing. */
	struct dir_relay_login l = {0};
	edit(&h, "INSERT INTO barid_relay_login SELECT '@d.test', username, secret, modified FROM"
		 " barid_relay_login WHERE account = 'a@d.test'");
	assert_int_equal(dir_relay_login(h.d, STR("z@d.test"), STR("other.test"), &l, &h.why),
			 -FAIL_CORRUPT);
	/* Another host does not get the password of the first. */
	ORDER(&h, "relayhost set a@d.test [evil.test]:587");
	assert_str(login_for(&h, "a@d.test", "[evil.test]:587"), "-");
	ORDER(&h, "relayhost login a@d.test --user eve --password p2");
	assert_str(login_for(&h, "a@d.test", "[evil.test]:587"), "eve p2");
	ORDER(&h, "relayhost logout a@d.test");
	assert_refused(&h, "relayhost logout a@d.test", FAIL_NOTFOUND, "no login");
	ORDER(&h, "relayhost login a@d.test --user eve --password p2");
	ORDER(&h, "relayhost del a@d.test");
	assert_str(look(&h, "SELECT count(*) FROM barid_relay_login WHERE account = 'a@d.test'"),
		   "0");
	assert_refused(&h, "relayhost login a@d.test --user u --password p", FAIL_NOTFOUND,
		       "has no relay host");
	assert_refused(&h, "relayhost login default --user u", FAIL_SYNTAX, "empty");
	assert_refused(&h, "relayhost set a@d.test [x]:587 --password p", FAIL_SYNTAX, "--user");
	assert_refused(&h, "relayhost set a@d.test discard:", FAIL_SYNTAX, "no relay host");
	assert_refused(&h, "relayhost set a@d.test lmtp:[h]:24", FAIL_SYNTAX, "no relay host");
	assert_refused_as(&h, &of_d, "relayhost set a@d.test [h]:25", FAIL_PERM, "global");
	assert_refused_as(&h, &of_d, "relayhost list", FAIL_PERM, "global");
	home_free(&h);
}

static void transports_are_checked(void **state)
{
	struct home h;
	(void)state;
	begin(&h);
	ORDER(&h, "domain set d.test --transport smtp:[192.0.2.1]:25 --backupmx on");
	ORDER(&h, "domain set d.test --transport dovecot --backupmx off");
	ORDER(&h, "user set a@d.test --transport lmtp:[192.0.2.1]:24");
	ORDER(&h, "user set a@d.test --transport=");
	assert_refused(&h, "user set a@d.test --transport pipe:x", FAIL_SYNTAX, "no transport");
	assert_refused(&h, "domain set d.test --transport [", FAIL_SYNTAX, "no transport");
	home_free(&h);
}

static void told_step_by_step(void **state)
{
	struct home h;
	(void)state;
	begin(&h);
	ORDER(&h, "forward add b@d.test far@away.example");
	ORDER(&h, "bcc set d.test --received a@d.test");
	ORDER(&h, "relayhost set @e.test [smart.test]:587");
	ORDER(&h, "route explain b+w@alias.test --sender x@e.test");
	assert_str(table(&h),
		   "1 b+w@alias.test forwardings -; 2 b+w@d.test forwardings (alias domain) -;"
		   " 3 b@alias.test forwardings -;"
		   " 4 b@d.test forwardings (alias domain) b@d.test, far@away.example;"
		   " 5 b+w@d.test forwardings -; 6 b@d.test forwardings b@d.test, far@away.example;"
		   " 7 b@d.test mailbox account 2, detail w;"
		   " 8 @e.test sender_relayhost [smart.test]:587;"
		   " 9 far+w@away.example - another server's: relayed by [smart.test]:587;"
		   " 10 d.test recipient_bcc_domain copy to a@d.test;"
		   " 11 a@d.test forwardings a@d.test; 12 a@d.test mailbox account 1;"
		   " end b@d.test mailbox account 2, detail w;"
		   " end far+w@away.example next hop [smart.test]:587;"
		   " copy a@d.test mailbox account 1; reply b+w@alias.test RCPT 250 2.1.5");
	ORDER(&h, "route explain far@away.example");
	assert_str(table(&h),
		   "1 far@away.example - another server's: by MX of away.example;"
		   " end far@away.example next hop MX of away.example;"
		   " reply far@away.example RCPT 250 2.1.5 (without a login: 554 5.7.1)");
	ORDER(&h, "domain set e.test --transport error:5.1.6");
	ORDER(&h, "route explain x@e.test");
	assert_str(table(&h),
		   "1 x@e.test forwardings x@e.test; 2 x@e.test domain transport"
		   " error:5.1.6; reply x@e.test RCPT 550 5.1.6 Address is undeliverable");
	/* An administrator sees the own domain's rows, and where they lead, no further. */
	ORDER(&h, "alias add out@d.test x@e.test");
	assert_ok(order_as(&h, &of_d, "route explain out@d.test"), &h.why);
	assert_str(table(&h), "1 out@d.test forwardings x@e.test;"
			      " 2 x@e.test forwardings (of a domain that is not yours to see);"
			      " 3 x@e.test domain (of a domain that is not yours to see);"
			      " reply out@d.test RCPT 550 5.1.6 Address is undeliverable");
	assert_refused_as(&h, &of_d, "route explain x@e.test", FAIL_PERM, "not yours");
	/* Nor what another domain's alias leads to. */
	ORDER(&h, "alias add team@e.test secret@private.example b@d.test");
	ORDER(&h, "alias add both@d.test team@e.test open@private.example");
	assert_ok(order_as(&h, &of_d, "route explain both@d.test"), &h.why);
	struct str told = table(&h);
	assert_true(str_find_str(told, 0, STR("secret")) == told.n);
	assert_true(str_find_str(told, 0, STR("b@d.test")) == told.n);
	assert_true(str_find_str(told, 0, STR(" end open@private.example next hop")) < told.n);
	assert_true(str_find_str(told, 0, STR(" end - - (of a domain that is not yours")) < told.n);
	ORDER(&h, "bcc set e.test --sent spy@private.example");
	assert_refused_as(&h, &of_d, "route explain a@d.test --sender x@e.test", FAIL_PERM,
			  "not yours");
	assert_ok(order_as(&h, &of_d, "route explain a@d.test --sender x@away.example"), &h.why);
	assert_ok(order_as(&h, &of_d, "route explain a@alias.test"), &h.why);
	assert_refused(&h, "route explain a@d.test --colour red", FAIL_SYNTAX, "usage");
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forwardings),
		cmocka_unit_test(copies),
		cmocka_unit_test(delegated_senders),
		cmocka_unit_test(relay_hosts),
		cmocka_unit_test(transports_are_checked),
		cmocka_unit_test(told_step_by_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
