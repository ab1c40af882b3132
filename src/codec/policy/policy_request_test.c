/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/policy/policy_request.h"

static const char full[] = "request=smtpd_access_policy\n"
			   "protocol_state=RCPT\n"
			   "protocol_name=ESMTP\n"
			   "client_address=2001:db8::9\n"
			   "client_name=mx.remote.test\n"
			   "client_port=40021\n"
			   "reverse_client_name=mx.remote.test\n"
			   "server_address=192.0.2.25\n"
			   "server_port=25\n"
			   "helo_name=mx.remote.test\n"
			   "sender=a+b=c@remote.test\n"
			   "recipient=bob@example.test\n"
			   "recipient_count=0\n"
			   "queue_id=\n"
			   "instance=1a2b.5f6e7d80.9.0\n"
			   "size=20480\n"
			   "etrn_domain=\n"
			   "stress=\n"
			   "sasl_method=plain\n"
			   "sasl_username=Alice@Example.test\n"
			   "sasl_sender=\n"
			   "ccert_subject=\n"
			   "ccert_issuer=\n"
			   "ccert_fingerprint=\n"
			   "ccert_pubkey_fingerprint=\n"
			   "encryption_protocol=TLSv1.3\n"
			   "encryption_cipher=TLS_AES_256_GCM_SHA384\n"
			   "encryption_keysize=256\n"
			   "policy_context=submission\n"
			   "compatibility_level=3.6\n"
			   "mail_version=3.7.11\n"
			   "an_attribute_of_tomorrow=x\n"
			   "\n";

static void every_attribute(void **state)
{
	(void)state;
	struct policy_request r;
	assert_int_equal(policy_request_parse(str_c(full), &r), 0);
	assert_int_equal(r.state, POLICY_STATE_RCPT);
	assert_str(r.protocol_name, "ESMTP");
	assert_str(r.client_address, "2001:db8::9");
	assert_int_equal(r.client_port, 40021);
	assert_str(r.server_address, "192.0.2.25");
	assert_int_equal(r.server_port, 25);
	assert_str(r.sender, "a+b=c@remote.test");
	assert_str(r.recipient, "bob@example.test");
	assert_str(r.instance, "1a2b.5f6e7d80.9.0");
	assert_int_equal(r.size, 20480);
	assert_str(r.sasl_username, "Alice@Example.test");
	assert_str(r.encryption_cipher, "TLS_AES_256_GCM_SHA384");
	assert_int_equal(r.encryption_keysize, 256);
	assert_str(r.policy_context, "submission");
	assert_str(r.compatibility_level, "3.6");
	assert_str(r.mail_version, "3.7.11");
	assert_str(r.stress, "");
}

/* Postfix 2.1 said little; nothing of it is needed but the kind. */
static void old_and_sparse(void **state)
{
	(void)state;
	struct policy_request r;
	assert_int_equal(policy_request_parse(STR("request=smtpd_access_policy\n\n"), &r), 0);
	assert_int_equal(r.state, POLICY_STATE_OTHER);
	assert_str(r.sender, "");
	assert_int_equal(policy_request_parse(STR("request=smtpd_access_policy\r\nsize=-1\r\n"
						  "protocol_state=end-of-message\r\n\r\n"),
					      &r),
			 0);
	assert_int_equal(r.state, POLICY_STATE_END_OF_MESSAGE);
	assert_int_equal(r.size, 0);
	assert_int_equal(policy_request_parse(STR("request=smtpd_access_policy\nsender=a@x\n"
						  "sender=b@x\nprotocol_state=NEW\n\nsender=c@x"),
					      &r),
			 0);
	assert_str(r.sender, "b@x");
	assert_int_equal(r.state, POLICY_STATE_OTHER);
}

static void what_is_none(void **state)
{
	(void)state;
	static const struct {
		struct str text;
		int r;
	} rows[] = {
		{{NULL, 0}, -FAIL_SYNTAX},
		{{"\n", 1}, -FAIL_SYNTAX},
		{{"sender=a@b\n\n", 12}, -FAIL_SYNTAX},
		{{"request=smtpd_access_policy\nhello\n\n", 35}, -FAIL_SYNTAX},
		{{"request=smtpd_access_policy\n=x\n\n", 32}, -FAIL_SYNTAX},
		{{"request=smtpd_access_policy\nsender=a\0b\n\n", 41}, -FAIL_SYNTAX},
		{{"request=junk_policy\n\n", 21}, -FAIL_UNSUPPORTED},
		{{"request=\n\n", 10}, -FAIL_UNSUPPORTED},
	};
	struct policy_request r;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (policy_request_parse(rows[i].text, &r) != rows[i].r)
			fail_msg("row %zu", i);
	AUTO(buf) struct buf b = BUF_INIT(KIB(16));
	buf_add_c(&b, "request=smtpd_access_policy\n");
	for (unsigned i = 0; i < POLICY_ATTRIBUTES_MAX; i++)
		buf_add_c(&b, "x=y\n");
	assert_int_equal(policy_request_parse(buf_str(&b), &r), -FAIL_LIMIT);
}

/* Cut at every offset, and with more behind it: the end is where it is. */
static void frames(void **state)
{
	(void)state;
	size_t end = 0, n = sizeof full - 1;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(policy_frame_end(str_make(full, i), &end), 0);
	assert_int_equal(policy_frame_end(str_make(full, n), &end), 1);
	assert_int_equal(end, n);
	assert_int_equal(policy_frame_end(STR("a=b\r\n\r\nrequest"), &end), 1);
	assert_int_equal(end, 7);
	assert_int_equal(policy_frame_end(STR("\nx"), &end), 1);
	assert_int_equal(end, 1);
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	while (b.n < POLICY_REQUEST_MAX - 1)
		buf_addc(&b, 'x');
	assert_int_equal(policy_frame_end(buf_str(&b), &end), 0);
	buf_addc(&b, 'x');
	assert_int_equal(policy_frame_end(buf_str(&b), &end), -FAIL_TOOBIG);
}

static void answers(void **state)
{
	(void)state;
	static const struct {
		const char *action, *text;
	} rows[] = {
		{"DUNNO", "action=DUNNO\n\n"},
		{"", "action=DUNNO\n\n"},
		{"REJECT a\nb\r\tc\x7f", "action=REJECT a b  c \n\n"},
		{"451 4.7.1 Later, \xc3\xa9", "action=451 4.7.1 Later, \xc3\xa9\n\n"},
	};
	AUTO(buf) struct buf b = BUF_INIT(KIB(16));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&b);
		policy_answer_write(&b, str_c(rows[i].action));
		assert_str(buf_str(&b), rows[i].text);
	}
	static char longer[POLICY_ACTION_MAX + 50];
	memset(longer, 'a', sizeof longer);
	buf_reset(&b);
	policy_answer_write(&b, str_make(longer, sizeof longer));
	assert_int_equal(b.n, 7 + POLICY_ACTION_MAX + 2);
}

static void there_and_back(void **state)
{
	(void)state;
	struct policy_request r, again;
	AUTO(buf) struct buf a = BUF_INIT(KIB(16)), b = BUF_INIT(KIB(16));
	assert_int_equal(policy_request_parse(str_c(full), &r), 0);
	r.smtputf8 = true;
	policy_request_write(&r, &a);
	assert_int_equal(policy_request_parse(buf_str(&a), &again), 0);
	policy_request_write(&again, &b);
	assert_str(buf_str(&b), buf_c(&a));
	r.helo_name = STR("evil\nsender=x@y");
	buf_reset(&a);
	policy_request_write(&r, &a);
	assert_int_equal(policy_request_parse(buf_str(&a), &again), 0);
	assert_str(again.helo_name, "evil");
	assert_str(again.sender, "a+b=c@remote.test");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_attribute), cmocka_unit_test(old_and_sparse),
		cmocka_unit_test(what_is_none),	   cmocka_unit_test(frames),
		cmocka_unit_test(answers),	   cmocka_unit_test(there_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
