/* SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"

void *vec_grow_(void *p, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return p;
	size_t to = MAX(need, *cap + *cap / 2 + 4);
	size_t bytes;
	CHECK(!__builtin_mul_overflow(to, size, &bytes));
	*cap = to;
	return xrealloc(p, bytes);
}
