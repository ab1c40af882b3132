/* SPDX-License-Identifier: Apache-2.0 */
#include "service/policy/policy_testing.h"

#define CLIENT "client_address=192.0.2.1\nreverse_client_name=Mail.Dynamic.test\n"

static void null_sender(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	place_says(&p, "sender=\nrecipient=b@y.test\nsasl_username=alice@example.test\n",
		   "554 5.7.1 Policy rejection due to null sender");
	assert_string_equal(p.verdict.rule, "reject_null_sender");
	place_says(&p, "sender=\nrecipient=b@y.test\n" CLIENT, "DUNNO");
	place_says(&p, "sender=a@example.test\nrecipient=b@y.test\nsasl_username=a@example.test\n",
		   "DUNNO");
	p.inside = true;
	place_says(&p, "sender=\nrecipient=b@y.test\nsasl_username=alice@example.test\n", "DUNNO");
	p.inside = false;
	p.settings.off[POLICY_RULE_REJECT_NULL_SENDER] = true;
	place_says(&p, "sender=\nrecipient=b@y.test\nsasl_username=alice@example.test\n", "DUNNO");
	assert_false(place_step(&p, "reject_null_sender")->asked);
	place_end(&p);
}

static void hostname(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	place_says(&p, "sender=a@x.test\nrecipient=root@mx.example.test\n" CLIENT,
		   "554 5.7.1 Not authorized");
	place_says(&p, "sender=a@x.test\nrecipient=root@mx\n" CLIENT, "554 5.7.1 Not authorized");
	place_says(&p, "sender=a@x.test\nrecipient=Postmaster@mx.example.test\n" CLIENT, "DUNNO");
	place_says(&p, "sender=\nrecipient=SRS0=x=y=z=w@mx.example.test\n" CLIENT, "DUNNO");
	place_says(&p, "sender=\nrecipient=SRS0+x=y=z=w@mx.example.test\n" CLIENT, "DUNNO");
	place_says(&p, "sender=\nrecipient=SRS1-x=y=z=w@mx.example.test\n" CLIENT, "DUNNO");
	place_says(&p, "sender=a@x.test\nrecipient=root@mx\nclient_address=127.0.0.1\n", "DUNNO");
	p.settings.hostname = "example.test";
	place_says(&p, "sender=a@x.test\nrecipient=root@example.test\n" CLIENT, "DUNNO");
	p.settings.hostname = "broken.test";
	p.settings.off[POLICY_RULE_LIST_ACCESS] = true; /* it would defer */
	place_says(&p, "sender=a@x.test\nrecipient=root@broken.test\n" CLIENT, "DUNNO");
	assert_true(p.verdict.failed);
	p.settings.on_failure = POLICY_FAILURE_DEFER;
	place_says(&p, "sender=a@x.test\nrecipient=root@broken.test\n" CLIENT,
		   "451 4.7.1 Policy service is not available, please try again later");
	place_end(&p);
}

static void reverse_names(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	const char *from = "sender=a@x.test\nrecipient=b@example.test\n" CLIENT;
	place_says(&p, from, "DUNNO");
	place_sql(&p, "INSERT INTO wblist_rdns (rdns, wb) VALUES ('.Dynamic.test', 'B')");
	place_says(&p, from, "554 5.7.1 Blacklisted");
	assert_string_equal(p.verdict.why, "mail.dynamic.test is on the black list: .dynamic.test");
	place_says(&p,
		   "sender=a@x.test\nrecipient=b@example.test\nclient_address=192.0.2.1\n"
		   "reverse_client_name=dynamic.test\n",
		   "554 5.7.1 Blacklisted");
	place_says(&p, "client_address=192.0.2.1\nreverse_client_name=mydynamic.test\n", "DUNNO");
	place_says(&p, "client_address=192.0.2.1\nreverse_client_name=unknown\n", "DUNNO");
	place_sql(&p, "INSERT INTO wblist_rdns (rdns, wb) VALUES ('mail.dynamic.test', 'W')");
	place_says(&p, from, "DUNNO");
	place_says(&p,
		   "client_address=192.0.2.1\nreverse_client_name=x.dynamic.test\n"
		   "sasl_username=alice@example.test\nsender=alice@example.test\n",
		   "DUNNO");
	place_end(&p);
}

static void no_addresses(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	place_says(&p, "sender=nonsense\nrecipient=b@example.test\n", "DUNNO");
	place_says(&p, "sender=a@x.test\nrecipient=@\n", "DUNNO");
	assert_int_equal(p.walk.n, 0);
	place_end(&p);
}

/* Another program's edit counts within a second. */
static void edits_of_others(void **state)
{
	const struct timespec second = {.tv_sec = 1};
	struct place p;
	struct fail why = FAIL_INIT;
	(void)state;
	place_begin(&p);
	place_says(&p, CLIENT, "DUNNO");
	AUTO(db) struct db *db = place_other(&p);
	assert_ok(db_exec(db, "INSERT INTO wblist_rdns (rdns, wb) VALUES ('.test', 'B')", &why),
		  &why);
	(void)nanosleep(&second, NULL);
	place_says(&p, CLIENT, "554 5.7.1 Blacklisted");
	place_end(&p);
}

static void session_log(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	const char *bad = "sender=\nrecipient=B@y.test\nsasl_username=alice@example.test\n" CLIENT
			  "instance=1a.2b\nserver_port=587\nencryption_protocol=TLSv1.3\n";
	place_ask(&p, bad);
	place_ask(&p, "sender=a@x.test\nrecipient=b@y.test\n" CLIENT); /* DUNNO at RCPT: none */
	place_ask(&p, "protocol_state=END-OF-MESSAGE\nsender=a@x.test\n" CLIENT);
	p.dry = true;
	place_ask(&p, bad);
	place_await(&p, "SELECT count(*) FROM smtp_sessions", 2);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM smtp_sessions WHERE action ="
					  " 'REJECT' AND sasl_domain = 'example.test' AND"
					  " recipient = 'b@y.test' AND instance = '1a.2b' AND"
					  " server_port = 587 AND client_address = '192.0.2.1' AND"
					  " reason LIKE '%null sender' AND"
					  " encryption_protocol = 'TLSv1.3'"),
			 1);
	/* What waits is written at a clean end. */
	p.dry = false;
	place_ask(&p, bad);
	policy_close(p.policy);
	place_open(&p);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM smtp_sessions"), 3);
	place_end(&p);
}

/* The file cannot be had, then it can: nobody waits, and what was to be written is. */
static void locked_out(void **state)
{
	struct place p;
	struct fail why = FAIL_INIT;
	struct policy_health h;
	(void)state;
	place_begin(&p);
	AUTO(db) struct db *db = place_other(&p);
	assert_ok(db_begin(db, &why), &why);
	struct mono_ns begun = clock_mono();
	for (unsigned i = 0; i < 100; i++)
		place_says(&p, "sender=\nrecipient=b@y.test\nsasl_username=alice@example.test\n",
			   "554 5.7.1 Policy rejection due to null sender");
	assert_true(clock_mono().v - begun.v < 5 * SEC_NS);
	const struct timespec moment = {.tv_nsec = 50 * MS_NS};
	for (h.stale = false; !h.stale; policy_health(p.policy, &h))
		(void)nanosleep(&moment, NULL);
	assert_true(h.open && h.problem[0]);
	place_says(&p, CLIENT "sender=a@x.test\n", "DUNNO");
	db_rollback(db);
	place_await(&p, "SELECT count(*) FROM smtp_sessions", 100);
	for (; h.stale; policy_health(p.policy, &h))
		(void)nanosleep(&moment, NULL);
	place_end(&p);
}

/* No folder at first: rules that need rows say what is configured, and do not wait. */
static void folder_gone(void **state)
{
	struct place p;
	struct fail why = FAIL_INIT;
	(void)state;
	place_begin(&p);
	policy_close(p.policy);
	(void)snprintf(p.path, sizeof p.path, "%s", testdir_path(&p.dir, "gone/policy.db"));
	p.policy = policy_open(p.path, &p.settings.keep, &why);
	assert_int_not_equal(why.code, FAIL_NONE);
	place_says(&p, CLIENT, "DUNNO");
	assert_true(p.verdict.failed);
	assert_true(place_step(&p, "wblist_rdns")->verdict.failed);
	p.settings.on_failure = POLICY_FAILURE_DEFER;
	place_says(&p, CLIENT, "451 4.7.1 Policy service is not available, please try again later");
	policy_close(p.policy);
	p.policy = NULL;
	place_end(&p);
}

static void actions(void **state)
{
	(void)state;
	static const struct {
		struct policy_verdict v;
		const char *id, *text;
	} rows[] = {
		{{.act = POLICY_DUNNO, .text = "x"}, "1", "DUNNO"},
		{{.act = POLICY_OK}, "", "OK"},
		{{POLICY_REJECT, 554, "5.7.1", "No", NULL, "", false}, "1f", "REJECT No (1f)"},
		{{POLICY_REJECT, 550, "5.1.1", "No", NULL, "", false}, "", "550 5.1.1 No"},
		{{POLICY_DEFER, 451, "4.7.1", "Later", NULL, "", false}, "", "451 4.7.1 Later"},
		{{POLICY_DEFER_IF_PERMIT, 451, "4.7.1", "L", NULL, "", false},
		 "",
		 "DEFER_IF_PERMIT L"},
		{{.act = POLICY_DISCARD, .text = "Policy discard"}, "", "DISCARD Policy discard"},
		{{.act = POLICY_PREPEND, .text = "X-A: b"}, "", "PREPEND X-A: b"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(4));
		policy_verdict_action(&rows[i].v, str_c(rows[i].id), &b);
		assert_str(buf_str(&b), rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_sender),	   cmocka_unit_test(hostname),
		cmocka_unit_test(reverse_names),   cmocka_unit_test(no_addresses),
		cmocka_unit_test(edits_of_others), cmocka_unit_test(session_log),
		cmocka_unit_test(locked_out),	   cmocka_unit_test(folder_gone),
		cmocka_unit_test(actions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
