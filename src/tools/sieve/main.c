/* SPDX-License-Identifier: Apache-2.0 */
/* barid-sieve check|test: what `barid sieve check` and `barid sieve test` start. */
#include "base/text.h"
#include "tools/sieve/tool.h"

int main(int argc, char **argv)
{
	struct words w;
	text_set_language_from_environment();
	bool known = argc > 1 && (strcmp(argv[1], "check") == 0 || strcmp(argv[1], "test") == 0);
	bool check = known && strcmp(argv[1], "check") == 0;
	if (!known || !words_take(argc - 2, argv + 2, &w) ||
	    (check ? w.n_files == 0 && !w.extensions : w.n_files != 2)) {
		(void)fputs(T("Usage: barid sieve check [--program] [--extensions] [--json] "
			      "SCRIPT ...\n"
			      "       barid sieve test SCRIPT MESSAGE [--from A] [--to A] ...\n"),
			    stderr);
		return EXIT_USAGE;
	}
	return check ? check_scripts(&w) : test_script(&w);
}
