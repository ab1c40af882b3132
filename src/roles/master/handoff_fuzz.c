/* SPDX-License-Identifier: Apache-2.0 */
/* What is read is written again the same, whatever a handoff holds. */
#include "base/check.h"
#include "roles/master/handoff.h"
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(handoff) struct handoff h = HANDOFF_INIT, again = HANDOFF_INIT;
	AUTO(buf) struct buf bytes = BUF_INIT(HANDOFF_MAX);
	if (handoff_read(str_make((const char *)data, size), &h, NULL) < 0)
		return 0;
	handoff_write(&h, &bytes);
	CHECK(handoff_read(buf_str(&bytes), &again, NULL) == 0);
	CHECK(again.children.n == h.children.n && again.listeners.n == h.listeners.n);
	return 0;
}
