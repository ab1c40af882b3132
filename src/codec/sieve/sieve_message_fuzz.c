/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a message, under a script that looks at all of it. */
#include "base/check.h"
#include "codec/sieve/sieve.h"
#include "codec/sieve/sieve_html.h"
#include "codec/sieve/sieve_run.h"
#include "codec/sieve/sieve_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char script[] =
	"require [\"fileinto\",\"variables\",\"body\",\"date\",\"index\",\"mime\",\"foreverypart\","
	"\"extracttext\",\"replace\",\"enclose\",\"editheader\",\"relational\",\"duplicate\","
	"\"comparator-i;unicode-casemap\",\"comparator-i;ascii-numeric\",\"vacation\",\"convert\"];"
	"\n"
	"if header :matches \"subject\" \"*?a*\" { set :length \"n\" \"${2}\"; }\n"
	"if header :comparator \"i;unicode-casemap\" :contains [\"to\",\"subject\"] \"\303\251\" "
	"{ addheader \"X-A\" \"${0}\"; }\n"
	"if address :domain :matches [\"from\",\"to\",\"cc\"] \"*.*\" { deleteheader \"${1}\"; }\n"
	"if date :originalzone \"date\" \"iso8601\" \"2026\" { addheader \"X-B\" \"b\"; }\n"
	"if date :index 1 :last \"received\" \"std11\" \"x\" { keep; }\n"
	"if duplicate { keep; }\n"
	"if body :contains \"zz\" { fileinto \"a\"; }\n"
	"if body :raw :matches \"*q*z*\" { fileinto \"b\"; }\n"
	"if body :content [\"text\",\"multipart\",\"message/rfc822\"] :contains \"k\" "
	"{ fileinto \"c\"; }\n"
	"if header :count \"ge\" :comparator \"i;ascii-numeric\" [\"received\",\"to\"] \"2\" "
	"{ fileinto \"d\"; }\n"
	"if header :mime :anychild :param \"charset\" :contains \"content-type\" \"8\" "
	"{ fileinto \"e\"; }\n"
	"foreverypart { if header :mime :contenttype \"content-type\" \"text/html\" {\n"
	" extracttext :first 100 \"t\"; replace \"<${t}>\"; } foreverypart { break; } }\n"
	"if convert \"text/html\" \"text/plain\" \"\" { fileinto \"f\"; }\n"
	"enclose :subject \"s\" :headers [\"to\"] \"text\";\n"
	"vacation \"away\";\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size}, blob;
	struct arena arena = ARENA_INIT(MIB(64));
	struct buf out = BUF_INIT(MIB(64));
	struct sieve_notes notes;
	struct sieve_program p;
	struct sieve_message m;
	struct sieve_result result = SIEVE_RESULT_INIT;
	struct sieve_run_limits limits = SIEVE_RUN_LIMITS_DEFAULT;
	struct sieve_host host = {
		.envelope = {.from = STR("a@b.example"), .to = STR("c@e.example")},
		.limits = &limits};
	struct fail why = FAIL_INIT;
	limits.steps = 200000;
	CHECK(sieve_compile(str_c(script), NULL, &arena, &notes, &blob, &why) == 0);
	CHECK(sieve_program_open(blob, NULL, &p, &why) == 0);
	if (memory_message(&arena, &text, &m)) {
		int r = sieve_run(&p, &host, &m, &arena, &result, &why);
		CHECK(r <= 0 && result.n_actions <= limits.actions);
		for (size_t i = 0; r == 0 && i < result.n_keep_body; i++) {
			const struct sieve_piece *piece = &result.keep_body[i];
			CHECK(piece->text.p || piece->off + piece->len <= size);
		}
	}
	sieve_html_words(&out, text);
	CHECK(out.n <= size * 4 + 16);
	buf_clear(&out);
	arena_clear(&arena);
	return 0;
}
