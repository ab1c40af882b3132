/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a stored program: refused, or run without harm and within the bounds. */
#include "base/check.h"
#include "codec/sieve/sieve.h"
#include "codec/sieve/sieve_run.h"
#include "codec/sieve/sieve_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct str text = {"From: a@b.example\nTo: c@e.example\nSubject: x\n\nbody\n", 0};
	struct str blob = {(const char *)data, size};
	struct arena arena = ARENA_INIT(MIB(8));
	struct buf out = BUF_INIT(MIB(8));
	struct sieve_program p;
	struct sieve_message m;
	struct sieve_result result = SIEVE_RESULT_INIT;
	struct sieve_run_limits limits = SIEVE_RUN_LIMITS_DEFAULT;
	struct sieve_host host = {
		.envelope = {.from = STR("a@b.example"), .to = STR("c@e.example")},
		.limits = &limits};
	struct fail why = FAIL_INIT;
	limits.steps = 5000;
	text.n = strlen(text.p);
	if (sieve_program_open(blob, NULL, &p, &why) == 0) {
		sieve_program_write(&p, &out);
		CHECK(memory_message(&arena, &text, &m));
		int r = sieve_run(&p, &host, &m, &arena, &result, &why);
		CHECK(r <= 0 && result.n_actions <= limits.actions);
	}
	buf_clear(&out);
	arena_clear(&arena);
	return 0;
}
