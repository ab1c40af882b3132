/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a script: what compiles is a program that opens, can be shown, and runs within its
 * bounds; notes lie within the script. */
#include "base/check.h"
#include "codec/sieve/sieve.h"
#include "codec/sieve/sieve_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const struct sieve_program *p)
{
	static struct str text = {
		"From: a@b.example\r\nTo: c+d@e.example\r\nSubject: =?utf-8?q?x=20y?=\r\n"
		"Date: Tue, 3 Feb 2026 12:00:00 +0100\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/mixed; "
		"boundary=b\r\n\r\nfront\r\n--b\r\n\r\nhello\r\n--b\r\n"
		"Content-Type: text/html\r\n\r\n<p>you&amp;me</p>\r\n--b--\r\nback\r\n",
		0};
	struct arena arena = ARENA_INIT(MIB(16));
	struct sieve_message m;
	struct sieve_result result = SIEVE_RESULT_INIT;
	struct sieve_run_limits limits = SIEVE_RUN_LIMITS_DEFAULT;
	struct sieve_host host = {
		.envelope = {.from = STR("a@b.example"), .to = STR("c@e.example")},
		.limits = &limits,
		.spam_percent = 40};
	struct fail why = FAIL_INIT;
	struct buf out = BUF_INIT(MIB(8));
	limits.steps = 20000;
	text.n = strlen(text.p);
	CHECK(memory_message(&arena, &text, &m));
	int r = sieve_run(p, &host, &m, &arena, &result, &why);
	CHECK(r == 0 || result.error.n || why.code);
	CHECK(result.n_actions <= limits.actions);
	if (r == 0)
		sieve_result_write(&result, &out);
	buf_clear(&out);
	arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str script = {(const char *)data, size}, blob = STR_NULL;
	struct arena arena = ARENA_INIT(MIB(32));
	struct buf out = BUF_INIT(MIB(32));
	struct sieve_notes notes;
	struct sieve_program p;
	struct fail why = FAIL_INIT;
	int r = sieve_compile(script, NULL, &arena, &notes, &blob, &why);
	CHECK((r == 0) == (notes.errors == 0));
	for (size_t i = 0; i < notes.n; i++)
		CHECK(notes.p[i].line >= 1 && notes.p[i].line <= size + 1 &&
		      notes.p[i].column <= size + 1 && notes.p[i].text.n);
	if (r == 0) {
		CHECK(sieve_program_open(blob, NULL, &p, &why) == 0);
		sieve_program_write(&p, &out);
		run(&p);
	}
	buf_clear(&out);
	arena_clear(&arena);
	return 0;
}
