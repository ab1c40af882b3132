/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/reply_map.h"

/* In the order of enum fail_code: row i answers for code i + 1. */
static const struct reply_map rows[] = {
	{FAIL_TEMP, "NO", "UNAVAILABLE", 451, "4.3.0"},
	{FAIL_BUSY, "NO", "INUSE", 451, "4.3.2"},
	{FAIL_LIMIT, "NO", "LIMIT", 452, "4.5.3"},
	{FAIL_SYNTAX, "BAD", "", 501, "5.5.2"},
	{FAIL_NOTFOUND, "NO", "NONEXISTENT", 550, "5.1.1"},
	{FAIL_EXISTS, "NO", "ALREADYEXISTS", 550, "5.3.0"},
	{FAIL_PERM, "NO", "NOPERM", 550, "5.7.1"},
	{FAIL_AUTH, "NO", "AUTHENTICATIONFAILED", 535, "5.7.8"},
	{FAIL_QUOTA, "NO", "OVERQUOTA", 552, "5.2.2"},
	{FAIL_CONFLICT, "NO", "INUSE", 451, "4.3.0"},
	{FAIL_GONE, "NO", "NONEXISTENT", 550, "5.2.1"},
	{FAIL_UNSUPPORTED, "NO", "CANNOT", 502, "5.5.1"},
	{FAIL_TOOBIG, "NO", "TOOBIG", 552, "5.3.4"},
	{FAIL_DEADLINE, "NO", "UNAVAILABLE", 451, "4.3.0"},
	{FAIL_CANCELLED, "NO", "UNAVAILABLE", 451, "4.3.0"},
	{FAIL_PEER, "NO", "UNAVAILABLE", 451, "4.3.0"},
	{FAIL_DNS, "NO", "UNAVAILABLE", 451, "4.4.3"},
	{FAIL_IO, "NO", "UNAVAILABLE", 451, "4.3.0"},
	{FAIL_CORRUPT, "NO", "CORRUPTION", 451, "4.3.0"},
	{FAIL_BUG, "NO", "SERVERBUG", 451, "4.3.0"},
};

_Static_assert(sizeof rows / sizeof rows[0] == FAIL_CODE_COUNT - 1,
	       "every fail code needs an answer in every protocol");

const struct reply_map *reply_map_find(int r)
{
	if (r <= -FAIL_CODE_COUNT || r >= FAIL_CODE_COUNT || r == FAIL_NONE)
		r = FAIL_BUG;
	return &rows[(r < 0 ? -r : r) - 1];
}
