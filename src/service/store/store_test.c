/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_test.c - the conformance suite for each engine, and what only files can show.
 */
#include "service/store/store_conformance.c"

static enum store_engine_kind kind;

static int set_up(void **state)
{
	*state = world_new(kind);
	return 0;
}

static int tear_down(void **state)
{
	world_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest conformance[] = {CONFORMANCE_TESTS};
	kind = STORE_MEMORY;
	int failed = cmocka_run_group_tests_name("memory", conformance, NULL, NULL);
	kind = STORE_SQLITE;
	failed += cmocka_run_group_tests_name("sqlite", conformance, NULL, NULL);
	return failed;
}
