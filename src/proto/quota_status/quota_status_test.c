/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "proto/quota_status/quota_status.h"

static int full(void *ctx, struct str recipient, uint64_t size, struct fail *why)
{
	(void)ctx;
	(void)why;
	if (str_eq(recipient, STR("full@d.example")))
		return 1;
	if (str_eq(recipient, STR("small@d.example")))
		return size > 1000;
	return str_eq(recipient, STR("down@d.example"))	  ? -FAIL_DEADLINE
	       : str_eq(recipient, STR("busy@d.example")) ? -FAIL_BUSY
							  : 0;
}

static void expect(const char *request, bool defer, int want, const char *answer)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	struct quota_status q = {.full = full, .defer = defer};
	unsigned failed;
	assert_int_equal(quota_status_answer(&q, str_c(request), &out, &failed), want);
	assert_str(buf_str(&out), answer);
}

#define ASK(state, recipient, size)                                                                \
	"request=smtpd_access_policy\nprotocol_state=" state "\nrecipient=" recipient              \
	"\nsize=" size "\n\n"
#define DUNNO	"action=DUNNO\n\n"
#define IS_FULL "action=552 5.2.2 Mailbox is full\n\n"

static void test_answers(void **state)
{
	(void)state;
	expect(ASK("RCPT", "full@d.example", "0"), false, 0, IS_FULL);
	expect(ASK("END-OF-MESSAGE", "full@D.Example", "10"), false, 0, IS_FULL);
	expect(ASK("MAIL", "full@d.example", "0"), false, 0, DUNNO);
	expect(ASK("DATA", "full@d.example", "0"), false, 0, DUNNO);
	expect(ASK("RCPT", "small@d.example", "1000"), false, 0, DUNNO);
	expect(ASK("RCPT", "small@d.example", "1001"), false, 0, IS_FULL);
	expect(ASK("RCPT", "", "0"), false, 0, DUNNO);
	expect(ASK("RCPT", "not an address", "0"), false, 0, DUNNO);
	expect(ASK("RCPT", "nobody@x.example", "0"), false, 0, DUNNO);
	expect(ASK("RCPT", "full@d.example", "0") ASK("RCPT", "x@d.example", "0"), false, 0,
	       IS_FULL DUNNO);
}

static void test_failures(void **state)
{
	(void)state;
	expect(ASK("RCPT", "down@d.example", "0"), false, 0, DUNNO);
	expect(ASK("RCPT", "down@d.example", "0"), true, 0,
	       "action=450 4.3.0 The mailbox cannot be looked at now, please try again later\n\n");
	expect(ASK("RCPT", "full@d.example", "0") ASK("RCPT", "busy@d.example", "0"), false,
	       -FAIL_BUSY, "");
	/* What was asked before is answered, then the connection ends. */
	expect(ASK("RCPT", "full@d.example", "0") "nonsense\n\n", false, 1, IS_FULL);
	expect("request=other\n\n", false, 1, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers),
					   cmocka_unit_test(test_failures)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
