/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/mime/subject.h"

static void bases(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"", ""},
		{"  ", ""},
		{"Lunch", "lunch"},
		{"Re: Lunch", "lunch"},
		{"RE:re: Re : Lunch", "lunch"},
		{"Fwd: [list] Re[2]: Lunch (fwd)", "lunch"},
		{"AW: WG: Mittag", "mittag"},
		{"[list] Lunch", "lunch"},
		{"[list]", "[list]"},
		{"Re: [list]", "[list]"},
		{"[Fwd: Re: Lunch]", "lunch"},
		{"  Lunch \t\r\n today ", "lunch today"},
		{"Re", "re"},
		{"Re:", ""},
		{"Reply: x", "reply: x"},
		{"[a[b] Lunch", "[a[b] lunch"},
		{"\xc3\x84rger", "\xc3\x84rger"},
		{"(fwd)", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(KIB(1));
		subject_base(&out, str_c(rows[i].in));
		assert_string_equal(out.n ? buf_c(&out) : "", rows[i].want);
	}
}

static void exact(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
		bool reply;
	} rows[] = {
		{"", "", false},
		{" \t ", "", false},
		{"Lunch \t  today", "Lunch today", false},
		{"re: Lunch", "Lunch", true},
		{"Re : [a] FW[b]:Lunch", "Lunch", true},
		{"[list] Re: Lunch", "Lunch", true},
		{"[list] Lunch", "Lunch", false},
		{"[list]", "[list]", false},
		{"[list] Re:", "", true},
		{"Re: [list]", "[list]", true},
		{"AW: Mittag", "AW: Mittag", false},
		{"Lunch (fwd) (FWD) ", "Lunch", true},
		{"(fwd)", "", true},
		{"[Fwd: Re: Lunch (fwd)]", "Lunch", true},
		{"[fwd: a] [b]", "[b]", false}, /* a blob at the front goes first */
		{"[fwd:]", "", true},
		{"[fwd: ]", "", true},
		{"Re[2]: Lunch", "Lunch", true},
		{"Re[2] Lunch", "Re[2] Lunch", false},
		{"Regards", "Regards", false},
		{"Fw", "Fw", false},
		{"fwd", "fwd", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(KIB(1));
		bool reply = subject_base_exact(&out, str_c(rows[i].in));
		assert_string_equal(out.n ? buf_c(&out) : "", rows[i].want);
		assert_int_equal(reply, rows[i].reply);
	}
}

/* Long runs of prefixes end, and in time. */
static void long_subjects(void **state)
{
	(void)state;
	AUTO(buf) struct buf in = BUF_INIT(MIB(1)), out = BUF_INIT(MIB(1));
	for (unsigned i = 0; i < 20000; i++)
		buf_add_c(&in, "Re: [x] ");
	buf_add_c(&in, "End");
	subject_base(&out, buf_str(&in));
	assert_str(buf_str(&out), "end");
	buf_reset(&out);
	assert_true(subject_base_exact(&out, buf_str(&in)));
	assert_str(buf_str(&out), "End");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bases),
		cmocka_unit_test(exact),
		cmocka_unit_test(long_subjects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
