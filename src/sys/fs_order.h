/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs_order.h - a test orders the disk of a running role to fail.                     [sys]
 *
 *     barid debug disk queue "pwrite 3 eio"             the third write, once
 *     barid debug disk user "change 1 onwards enospc"   the disk is full
 *     barid debug disk user "datasync 1 onwards latency 5000"
 *     barid debug disk user off
 *
 * OP is a call of sys/fs.h (open reopen pread pwrite truncate datasync sync syncdir link rename
 * unlink mkdir list stat), `change` for all that change something, or `any`. Calls are counted from
 * the order on. `short` stores half of a write and then says ENOSPC. A role has one order; a new
 * one replaces it. The counter "fs.faults" counts the calls that were hit since the role started.
 */
#ifndef BARID_SYS_FS_ORDER_H
#define BARID_SYS_FS_ORDER_H

#include "base/str.h"

/*
 * False when the text is no order, or the build has no crash points. Thread-safe.
 */
bool fs_order(struct str text);

#endif
