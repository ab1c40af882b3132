/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/master/table.h"
#include "base/check.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct table *table_new(const char *const *columns, size_t n)
{
	struct table *t = xcalloc(1, sizeof *t);
	CHECK(n <= TABLE_COLUMNS_MAX);
	t->arena = ARENA_INIT(MIB(4));
	t->message = BUF_INIT(KIB(8));
	for (size_t i = 0; i < n; i++)
		t->columns[t->columns_n++].s = str_c(columns[i]);
	return t;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	char text[2000];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (t->cells_n < TABLE_CELLS_MAX)
		t->cells[t->cells_n++].s = arena_str(&t->arena, str_c(text));
}

void table_reply(struct ipc_packet *request, struct table *t)
{
	struct msg_admin_reply m = {.code = (uint16_t)t->code,
				    .text = str_sub(buf_str(&t->message), 0, 1000),
				    .columns = t->columns,
				    .columns_n = t->columns_n,
				    .cells = t->cells,
				    .cells_n = t->cells_n};
	(void)ipc_reply(request, IPC_ADMIN_REPLY, &m);
	table_free(t);
}

void table_free(struct table *t)
{
	arena_clear(&t->arena);
	buf_clear(&t->message);
	free(t);
}
