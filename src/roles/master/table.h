/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - the answer to a management order, made cell by cell.               [roles, private]
 */
#ifndef BARID_ROLES_MASTER_TABLE_H
#define BARID_ROLES_MASTER_TABLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "runtime/ipc/ipc.h"

#define TABLE_CELLS_MAX	  4096
#define TABLE_COLUMNS_MAX 16

struct table {
	struct arena arena;
	struct msg_text columns[TABLE_COLUMNS_MAX];
	size_t columns_n;
	struct msg_text cells[TABLE_CELLS_MAX];
	size_t cells_n;
	struct buf message;  /* said below the table; at most 1000 bytes are sent */
	enum fail_code code; /* not 0: refused, and the cells say why */
};

/* `columns`: static names. */
struct table *table_new(const char *const *columns, size_t n);
void table_cell(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Answer the request, which stays the caller's, and free the table. */
void table_reply(struct ipc_packet *request, struct table *t);
void table_free(struct table *t);

#endif
