/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - `barid trace`: what the log knows about one message, address or connection.   [tools]
 *
 * trace_files.c    the log files as bytes in memory (mapped), oldest first
 * trace_search.c   pass 1: key -> trace ids, newest first; pass 2: all lines of these ids
 * trace_story.c    one trace: which lines belong to the key's messages, and how it ended
 * trace_words.c    an event -> a sentence
 * trace.c          options, printing, following
 *
 * All texts borrow from the files until trace_files_clear.
 */
#ifndef BARID_TOOLS_BARID_TRACE_H
#define BARID_TOOLS_BARID_TRACE_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "codec/logfmt/logfmt.h"

/* --- trace_files.c --- */
struct trace_file {
	struct str bytes;
	bool mapped;
};
struct trace_files {
	VEC(struct trace_file) v; /* oldest first */
	int live;		  /* barid.log, for following; -1: none */
	size_t live_size;	  /* what of it is in v */
};
#define TRACE_FILES_INIT ((struct trace_files){.live = -1})
/* FAIL_NOTFOUND: there is no log file. FAIL_PERM. */
MUST_CHECK int trace_files_open(const char *state_dir, struct trace_files *ret, struct fail *why);
/* All of a descriptor (standard input), at most 4 GiB. */
MUST_CHECK int trace_files_read(int fd, struct trace_files *ret, struct fail *why);
void trace_files_clear(struct trace_files *f);
DEFINE_AUTO(trace_files, struct trace_files, trace_files_clear);

/* --- trace_search.c --- */
struct trace_query {
	struct str key;	  /* as given, without <> */
	struct str lower; /* the same in lower case: how addresses are logged */
	uint64_t number;  /* of the queue; 0 = the key is none */
	uint64_t id;	  /* a trace id; 0 = the key is none */
	struct wall_us since, until;
	size_t limit; /* traces */
};
struct trace_line {
	struct logfmt l;
	struct str text;  /* the whole line */
	bool match;	  /* has the key itself */
	bool hidden;	  /* of another message of the same connection */
	unsigned segment; /* trace_story.c */
};
struct trace {
	uint64_t id; /* 0: lines without a trace that have the key */
	struct wall_us last_match;
	VEC(struct trace_line) lines; /* by time */
};
struct trace_found {
	struct map by_id;
	VEC(struct trace *) v; /* newest match first */
	size_t more;	       /* traces that the limit left out */
};
/* What kind of key it is. The arena keeps what is made of it. */
struct trace_query trace_query_make(struct str key, struct arena *a);
bool trace_query_matches(const struct trace_query *q, const struct logfmt *l);
void trace_search(const struct trace_files *f, const struct trace_query *q,
		  struct trace_found *ret);
void trace_found_clear(struct trace_found *f);
DEFINE_AUTO(trace_found, struct trace_found, trace_found_clear);

/* --- trace_story.c --- */
enum trace_end {
	TRACE_END_NONE,	   /* nothing that concerns a message */
	TRACE_END_REFUSED, /* a command, a message or a login was refused */
	TRACE_END_DELIVERED,
	TRACE_END_WAITING,    /* accepted, not delivered to all */
	TRACE_END_FAILED,     /* given up; a report tells the sender */
	TRACE_END_UNFINISHED, /* the connection ended in the middle */
};
struct trace_story {
	enum trace_end end;
	struct wall_us at; /* of the line that decided */
	struct buf summary;
	struct buf hint; /* what to do; may be empty */
	size_t hidden;	 /* lines of other messages */
};
#define TRACE_STORY_INIT ((struct trace_story){.summary = BUF_INIT(4096), .hint = BUF_INIT(1024)})
/* Marks hidden lines, unless `all`. */
void trace_tell(const struct trace_query *q, struct trace *t, bool all, struct trace_story *ret);
void trace_story_clear(struct trace_story *s);
DEFINE_AUTO(trace_story, struct trace_story, trace_story_clear);
const char *trace_end_name(enum trace_end e);

/* --- trace_words.c --- */
/* One sentence, or the event's name and its fields where there is none for it. */
void trace_sentence(const struct logfmt *l, struct buf *out);
/*
 * `{field}` is its value, `{field:time}` a moment in local time; `[...]` is left out when a field
 * in it is missing or empty.
 */
void trace_fill(const char *sentence, const struct logfmt *l, struct buf *out);
/* "2026-11-22 14:02:11 +0100" */
void trace_local_time(struct wall_us t, bool with_ms, struct buf *out);
/* A value as people read it. */
void trace_value(const struct logfmt *l, const char *key, struct buf *out);
bool trace_has(const struct logfmt *l, const char *key, const char *value);
uint64_t trace_number(const struct logfmt *l, const char *key); /* 0 = none */

#endif
