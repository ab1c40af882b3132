/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rand.h - unpredictable bytes from the kernel.                                [sys]
 *
 * Fit for keys and ids. Never fails: aborts where the kernel has no entropy source.
 */
#ifndef BARID_SYS_RAND_H
#define BARID_SYS_RAND_H

#include "base/attr.h"

void rand_bytes(void *p, size_t n);
uint64_t rand_u64(void);

#endif
