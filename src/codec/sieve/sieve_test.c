/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/sieve/sieve.h"
#include "codec/sieve/sieve_testing.h"

static struct str compiled(struct arena *arena, const char *script)
{
	struct sieve_notes notes;
	struct str blob = STR_NULL;
	struct fail why = FAIL_INIT;
	int r = sieve_compile(str_c(script), NULL, arena, &notes, &blob, &why);
	if (r < 0)
		fail_msg("%s: %u:%u %.*s", script, notes.n ? notes.p[0].line : 0,
			 notes.n ? notes.p[0].column : 0,
			 STR_ARG(notes.n ? notes.p[0].text : STR("")));
	return blob;
}

/* What goes wrong, where: "line:column severity". */
static void test_notes(void **state)
{
	(void)state;
	static const struct {
		const char *script, *where, *text;
	} cases[] = {
		{"keep", "1:5 error", "A semicolon is missing here, or an opening brace."},
		{"keep;\n\n  discard 3;", "3:11 error", "\"discard\" takes fewer arguments"},
		{"fileinto \"a\";", "1:1 error", "require \"fileinto\";"},
		{"require \"nix\";", "1:9 error", "There is no extension \"nix\""},
		{"keep;\nrequire \"fileinto\";", "2:1 error", "at the beginning"},
		{"if true { keep; ", "1:17 error", "closing brace"},
		{"# x\n/* y", "2:1 error", "comment has no end"},
		{"redirect \"a b\";", "1:10 error", "no mail address"},
		{"if header :contains :is \"a\" \"b\" {}", "1:21 error", "does not go with"},
		{"if header \"a:\" \"b\" {}", "1:11 warning", "name of a header field"},
		{"if size :over 99999999999999999999 {}", "1:15 error", "too large"},
		{"else {}", "1:1 error", "has to follow"},
		{"if not header \"a\" \"b\", true {}", "1:22 error", "semicolon"},
		{"redirect \"a@b.example\";\nkeep :flags \"x\";", "2:6 error",
		 "require \"imap4flags\""},
		{"keep; \"", "1:7 error", "quotation mark"},
		{"require \"vacation\"; vacation text:\nabc\n", "1:30 error", "has no end"},
		{"if address \"subject\" \"x\" {}", "1:12 error", "holds no addresses"},
		{"\xff", "1:1 error", "UTF-8"},
		{"require \"imap4flags\"; setflag \"a]\";", "1:31 warning", "no flag of IMAP"},
		{"require \"variables\"; set \"1a\" \"\";", "1:26 error", "no name of a variable"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
		struct sieve_notes notes;
		struct str blob;
		char where[64];
		int r = sieve_compile(str_c(cases[i].script), NULL, &arena, &notes, &blob, NULL);
		assert_true(notes.n > 0);
		bool error = notes.p[0].severity == SIEVE_ERROR;
		assert_int_equal(r, error ? -FAIL_SYNTAX : 0);
		(void)snprintf(where, sizeof where, "%u:%u %s", notes.p[0].line, notes.p[0].column,
			       error ? "error" : "warning");
		if (strcmp(where, cases[i].where) != 0 ||
		    str_find_str(notes.p[0].text, 0, str_c(cases[i].text)) >= notes.p[0].text.n)
			fail_msg("%s: %s %.*s", cases[i].script, where, STR_ARG(notes.p[0].text));
	}
}

/* Bounds of a script are told, and kept. */
static void test_limits(void **state)
{
	(void)state;
	struct sieve_limits limits = SIEVE_LIMITS_DEFAULT;
	struct sieve_options options = {.limits = &limits};
	AUTO(buf) struct buf deep = BUF_INIT(MIB(1));
	for (unsigned i = 0; i < 100; i++)
		(void)buf_add(&deep, STR("if not not true { "));
	static const char *const scripts[] = {"keep; keep; keep; keep;", "redirect [\"a\",\"b\"];",
					      "keep; # xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
	limits.nodes = 3;
	limits.values = 1;
	limits.script_bytes = 40;
	for (size_t i = 0; i <= ARRAY_LEN(scripts); i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
		struct sieve_notes notes;
		struct str blob,
			script = i < ARRAY_LEN(scripts) ? str_c(scripts[i]) : buf_str(&deep);
		if (i == ARRAY_LEN(scripts))
			limits = SIEVE_LIMITS_DEFAULT;
		assert_int_equal(sieve_compile(script, &options, &arena, &notes, &blob, NULL),
				 -FAIL_SYNTAX);
		assert_int_equal(notes.errors, 1);
	}
}

static const char everything[] =
	"require [\"fileinto\", \"variables\", \"foreverypart\", \"mime\", \"include\"];\n"
	"if anyof(header :matches \"subject\" \"*x*\", not size :over 1K) { fileinto \"${1}\"; }\n"
	"elsif true { keep; } else { discard; }\n"
	"foreverypart { if exists :mime \"content-id\" { break; } }\n"
	"include :optional \"other\";\n";

static void run_whatever(const struct sieve_program *p)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(4));
	struct str text = STR("Subject: axb\r\nTo: a@b.example\r\n\r\nbody\r\n");
	struct sieve_message m;
	struct sieve_run_limits limits = SIEVE_RUN_LIMITS_DEFAULT;
	struct sieve_host host = {.limits = &limits};
	struct sieve_result result = SIEVE_RESULT_INIT;
	limits.steps = 5000;
	assert_true(memory_message(&arena, &text, &m));
	int r = sieve_run(p, &host, &m, &arena, &result, NULL);
	assert_true(r <= 0);
}

/* A program with any bit changed, or cut, is refused or runs without harm. */
static void test_program(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	AUTO(buf) struct buf shown = BUF_INIT(KIB(64));
	struct str blob = compiled(&arena, everything);
	struct sieve_program p;
	struct fail why = FAIL_INIT;
	size_t refused = 0;
	assert_ok(sieve_program_open(blob, NULL, &p, &why), &why);
	sieve_program_write(&p, &shown);
	assert_true(str_find_str(buf_str(&shown), 0, STR("fileinto $\"${1}\"")) < shown.n);
	for (size_t n = 0; n < blob.n; n++)
		assert_true(sieve_program_open(str_sub(blob, 0, n), NULL, &p, &why) < 0);
	char *copy = arena_c(&arena, blob);
	for (size_t i = 0; i < blob.n; i++)
		for (unsigned b = 0; b < 8; b++) {
			copy[i] = (char)(copy[i] ^ 1 << b);
			int r = sieve_program_open(str_make(copy, blob.n), NULL, &p, &why);
			refused += r < 0;
			if (r == 0)
				run_whatever(&p);
			copy[i] = (char)(copy[i] ^ 1 << b);
		}
	assert_true(refused > blob.n * 4);
	copy[4] = SIEVE_PROGRAM_VERSION + 1;
	assert_int_equal(sieve_program_open(str_make(copy, blob.n), NULL, &p, &why),
			 -FAIL_UNSUPPORTED);
}

/* Time, memory and actions of a run have bounds; each ends the script with a sentence. */
static void test_run_limits(void **state)
{
	(void)state;
	static const struct {
		const char *script, *error;
		uint64_t steps;
		size_t memory;
	} cases[] = {
		{"if header :contains \"subject\" \"q\" { keep; }", "takes too long", 1, MIB(4)},
		{"require [\"variables\"]; set \"a\" \"xxxxxxxxxxxxxxxx\";"
		 "set \"a\" \"${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}\";"
		 "set \"a\" \"${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}\";"
		 "set \"a\" \"${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}\";"
		 "set \"a\" \"${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}\";",
		 "too much memory", 100000, KIB(64)},
		{"redirect \"a@b.example\"; redirect \"b@b.example\"; redirect \"c@b.example\";",
		 "2 times", 1000, MIB(4)},
		{"require \"fileinto\"; fileinto \"a\"; fileinto \"b\"; fileinto \"c\"; fileinto "
		 "\"d\";",
		 "3 actions", 1000, MIB(4)},
		{"require [\"include\"]; include \"x\";", "no script \"x\"", 1000, MIB(4)},
		{"require [\"ihave\"]; error \"mine\";", "mine", 1000, MIB(4)},
		{"require [\"reject\"]; keep; reject \"no\";", "cannot be refused", 1000, MIB(4)},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena) struct arena program = ARENA_INIT(MIB(8));
		AUTO(arena) struct arena parts = ARENA_INIT(MIB(4));
		AUTO(arena) struct arena arena = ARENA_INIT(cases[i].memory);
		struct str text = STR("Subject: axb\r\n\r\nbody\r\n");
		struct sieve_message m;
		struct sieve_run_limits limits = SIEVE_RUN_LIMITS_DEFAULT;
		struct sieve_host host = {.limits = &limits};
		struct sieve_result result = SIEVE_RESULT_INIT;
		struct sieve_program p;
		struct fail why = FAIL_INIT;
		limits.steps = cases[i].steps;
		limits.redirects = 2;
		limits.actions = 3;
		assert_true(memory_message(&parts, &text, &m));
		assert_ok(sieve_program_open(compiled(&program, cases[i].script), NULL, &p, &why),
			  &why);
		assert_true(sieve_run(&p, &host, &m, &arena, &result, &why) < 0);
		if (str_find_str(result.error, 0, str_c(cases[i].error)) >= result.error.n)
			fail_msg("%s: %.*s", cases[i].script, STR_ARG(result.error));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_run_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
