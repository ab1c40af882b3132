/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any log files under any key: the first line is the key, the rest the log. The lines of a trace
 * are lines of the log, in order, and there is a story and a sentence for each.
 */
#include "base/check.h"
#include "sys/log.h"
#include "tools/barid/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell(const struct trace_query *q, struct trace *t, struct str log)
{
	AUTO(trace_story) struct trace_story story = TRACE_STORY_INIT;
	AUTO(buf) struct buf sentence = BUF_INIT(KIB(64));
	for (size_t i = 0; i < t->lines.n; i++) {
		struct str line = t->lines.p[i].text;
		CHECK(line.p >= log.p && line.p + line.n <= log.p + log.n);
		CHECK(!memchr(line.p, '\n', line.n));
		buf_reset(&sentence);
		trace_sentence(&t->lines.p[i].l, &sentence);
		CHECK(sentence.n > 0);
	}
	trace_tell(q, t, false, &story);
	CHECK(trace_end_name(story.end)[0] && story.hidden <= t->lines.n);
}

/* What the log writes of a text, its reader reads as that text. */
static void quote(struct str text)
{
	char line[4 * KIB(1) + 8];
	AUTO(buf) struct buf plain = BUF_INIT(KIB(8));
	if (text.n > KIB(1) / 2)
		return;
	size_t n = log_quote(text, line, sizeof line);
	CHECK(n <= sizeof line);
	CHECK(logfmt_value(str_make(line, n), &plain) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(1));
	struct str log = str_make((const char *)data, size), key;
	struct trace_files files = TRACE_FILES_INIT;
	AUTO(trace_found) struct trace_found found = {0};
	if (size == 0 || size > KIB(16) || !str_cut(&log, '\n', &key) || log.n == 0)
		return 0;
	quote(key);
	*vec_push(&files.v) = (struct trace_file){.bytes = log};
	struct trace_query q = trace_query_make(key, &arena);
	trace_search(&files, &q, &found);
	CHECK(found.v.n <= q.limit);
	for (size_t i = 0; i < found.v.n; i++)
		tell(&q, found.v.p[i], log);
	vec_clear(&files.v);
	return 0;
}
