/* SPDX-License-Identifier: Apache-2.0 */
/* The table of HELO names that comes with barid: etc/access/helo, made part of the program. */
#include "service/access/access.h"

extern const char access_helo_table[];
extern const size_t access_helo_table_n;

struct str access_builtin_helo(void)
{
	return str_make(access_helo_table, access_helo_table_n);
}
