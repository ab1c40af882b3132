/* SPDX-License-Identifier: Apache-2.0 */
/* A record of any bytes: no field is longer than the record, and quoting is undone once. */
#include "base/check.h"
#include "codec/csv/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	struct str fields[64];
	struct arena a = ARENA_INIT(MIB(8));
	int n = csv_split(s, csv_separator(s), &a, fields, ARRAY_LEN(fields));
	CHECK(n != 0 && n <= (int)ARRAY_LEN(fields));
	for (int i = 0; i < n; i++)
		CHECK(fields[i].p && fields[i].n <= size);
	CHECK(n < 0 || csv_complete(s) || str_find(s, 0, '"') < s.n);
	arena_clear(&a);
	return 0;
}
