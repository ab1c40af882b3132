/* SPDX-License-Identifier: Apache-2.0 */
/* Any line: what is read lies within it, and a value is never longer than it was written. */
#include "base/check.h"
#include "codec/logfmt/logfmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct str part, struct str whole)
{
	CHECK(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = {(const char *)data, size};
	struct logfmt l;
	struct str key, value;
	AUTO(buf) struct buf b = BUF_INIT(1u << 20);
	if (!logfmt_parse(line, &l))
		return 0;
	inside(l.event, line);
	inside(l.role, line);
	struct str rest = l.fields;
	while (logfmt_next(&rest, &key, &value)) {
		inside(key, line);
		inside(value, line);
		buf_reset(&b);
		CHECK(logfmt_value(value, &b) == 0 && b.n <= value.n);
	}
	return 0;
}
