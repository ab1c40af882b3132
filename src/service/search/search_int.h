/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_int.h - what the index's files share.                        [service/search, private]
 *
 * Messages of a partition are taken in ranges of 1024 ids. The range at work is a *tail*: a record
 * for each message, appended as they come. When its last id is in it, the tail is turned into a
 * *segment* and begins anew. A message has two arrays (filter.h), one for each enum text_place.
 *
 * Locks: part->lock guards `done` and the tail's numbers; the thread writes them, searches hold it
 * for reading. Everything else of a part belongs to the thread (search->step_lock).
 */
#ifndef BARID_SERVICE_SEARCH_SEARCH_INT_H
#define BARID_SERVICE_SEARCH_SEARCH_INT_H

#include "base/map.h"
#include "base/vec.h"
#include "codec/mime/grams.h"
#include "codec/mime/text.h"
#include "service/search/filter.h"
#include "service/search/pages.h"
#include "service/search/search.h"
#include <pthread.h>
#include <stdatomic.h>

#define TEXTS_VERSION  1u /* one more when sign.c, grams.c or text.c make other grams of a text */
#define RANGE_IDS      1024u
#define PLACES	       2u
#define GONE_DELAYS    4 /* so much later than what is new, what is gone is looked after */
#define PATH_MAX_      4200
#define TEXT_BYTES_MAX MIB(8) /* of a message's text; what has more is not narrowed */

/* What is known of a message in one place. */
enum sig {
	SIG_ABSENT = 0, /* nothing: no such message, or not indexed */
	SIG_EMPTY = 1,	/* no gram at all */
	SIG_ALL = 2,	/* too many to say */
	SIG_CLASS = 3,	/* + kind of the filter */
};

/* ---- the tail (tail.c) --------------------------------------------------------------------- */

struct tail_record { /* as in the file; the arrays follow */
	uint32_t magic;
	uint32_t size;
	uint64_t id;
	uint8_t sig[PLACES];
	uint16_t zero;
	uint32_t bytes; /* of the arrays */
	uint64_t sum;	/* over all, itself 0 */
};
struct tail {
	uint64_t made;	   /* for: as of struct spart; the caller's */
	struct fs_file *f; /* the thread's, while it works; searches open it for themselves */
	uint64_t range;
	uint64_t last; /* highest id; what is below and not there does not exist */
	uint64_t end;  /* of the valid bytes */
	/* a batch that began and did not end: its first id, how often */
	uint64_t try_id;
	uint32_t tries;
};
/* Open or make; drops what is not valid at its end. *ret_other: there was one that was made for
 * something else, and it is empty now. */
MUST_CHECK int tail_open(struct fs *fs, const char *path, uint64_t made, struct tail *t,
			 bool *ret_other, struct fail *why);
void tail_close(struct tail *t);
/* Open it again after tail_close. */
MUST_CHECK int tail_reopen(struct fs *fs, const char *path, struct tail *t, struct fail *why);
/* Begin a range, empty. */
MUST_CHECK int tail_begin(struct tail *t, uint64_t range, struct fail *why);
/* Note that a batch begins at `id`; with {0} that it has ended. */
MUST_CHECK int tail_try(struct tail *t, uint64_t id, struct fail *why);
/* Records in a row; the caller sets t->last and t->end under the lock. */
MUST_CHECK int tail_append(struct tail *t, struct str records, struct fail *why);
/* One record and its arrays to `out`. */
void tail_record_put(struct buf *out, const struct tail_record *head, struct str arrays);
/* fn for each record up to `end`; a negative result ends it. -FAIL_CORRUPT with *ret_end where the
 * valid ones end. */
typedef int (*tail_fn)(void *arg, const struct tail_record *r, const uint8_t *arrays, uint64_t at);
MUST_CHECK int tail_each(const struct tail *t, uint64_t end, tail_fn fn, void *arg,
			 uint64_t *ret_end, struct fail *why);
static inline size_t sig_bytes(uint8_t sig)
{
	return sig >= SIG_CLASS ? filter_bits(sig - SIG_CLASS) / 8 : 0;
}

/* ---- segments (segment.c, seal.c) ----------------------------------------------------------- */

struct segment_entry { /* as in the file */
	uint32_t size;
	uint8_t sig[PLACES];
	uint16_t column[PLACES];
	uint16_t zero;
};
struct segment_matrix {
	uint64_t at;
	uint32_t columns;
	uint32_t zero;
};
struct segment_head {
	uint32_t magic, version;
	uint64_t range;
	uint32_t entries, zero;
	struct segment_entry entry[RANGE_IDS];
	struct segment_matrix matrix[PLACES][FILTER_CLASSES];
};
struct segment {
	struct pages pages;
	struct segment_head head;
};
uint64_t segment_seed(uint64_t made, uint64_t range);
MUST_CHECK int segment_open(struct fs *fs, const char *path, uint64_t made, uint64_t range,
			    struct segment *ret, struct fail *why);
void segment_close(struct segment *g);

/* Part of the documents of an ask: those of one range. */
struct ask {
	const struct search_doc *docs;
	size_t from, to; /* of docs */
	const struct search_question *questions;
	size_t n_questions;
	uint8_t *const *maybe;
};
static inline void ask_exclude(const struct ask *a, size_t question, size_t doc)
{
	a->maybe[question][doc / 8] &= (uint8_t) ~(1u << doc % 8);
}
MUST_CHECK int segment_ask(struct segment *g, const struct ask *a, struct fail *why);
MUST_CHECK int tail_ask(struct fs *fs, const char *path, uint64_t end, const struct ask *a,
			struct fail *why);

/* What a segment is made of: all of a tail, or what is left of another segment. */
struct seal_entry {
	uint64_t id;
	uint32_t size;
	uint8_t sig[PLACES];
	uint64_t at[PLACES]; /* in the tail's file; or a column of the segment */
};
struct seal {
	struct fs *fs;
	uint64_t made, range;
	const struct tail *tail; /* or: */
	struct segment *segment;
	const struct seal_entry *entries; /* ascending by id */
	size_t n;
};
/* Written beside and renamed: `path` has all of it or is as before. */
MUST_CHECK int seal_write(const struct seal *s, const char *path, struct fail *why);

/* ---- the index ------------------------------------------------------------------------------ */

struct spart {
	uint64_t no;
	/* Of which file, and by which rules for texts: files that were made for something else say
	 * nothing about these messages. Known while it is open. */
	uint64_t made;
	pthread_rwlock_t lock;
	bool open;
	struct map done; /* range + 1 of the segments that are there */
	struct tail tail;
	_Atomic uint64_t last;	/* message id */
	_Atomic uint64_t front; /* ranges below are done */
	_Atomic uint64_t whole; /* everything up to this id was found in the index, when not 0 */
	atomic_bool news;
	/* news of messages that are gone; under search->lock */
	uint64_t gone_from, gone_to;
	int64_t gone_at;
	/* the thread's */
	VEC(uint64_t) check; /* ranges that may hold messages that are gone */
	bool reopened;	     /* after damage, and nothing went well since */
	uint64_t careful;    /* up to this id, message by message: one of them ended a process */
};

struct search {
	struct search_options o;
	struct fs *fs;
	struct store *store;
	struct spart **parts; /* by partition; NULL: not of this process */
	unsigned n_parts;
	_Atomic unsigned cpu;
	pthread_mutex_t step_lock; /* who steps: the thread, or a rebuild */
	pthread_mutex_t lock;	   /* what follows */
	pthread_cond_t cond;
	bool wake, started;
	pthread_t thread;
	atomic_bool stop, paused;
	_Atomic uint64_t indexed, cpu_us, questions, asked, excluded, damaged;
	struct grams grams[PLACES]; /* under step_lock; memory only while there is work */
};

/* ROOT/NNN, with '/' and the range in hexadecimal, or "tail", behind it. */
void part_folder(const struct search *x, const struct spart *p, char buf[PATH_MAX_]);
void part_path_segment(const struct search *x, const struct spart *p, uint64_t range,
		       char buf[PATH_MAX_]);
void part_path_tail(const struct search *x, const struct spart *p, char buf[PATH_MAX_]);
static inline bool part_has(const struct spart *p, uint64_t range)
{
	return map_get(&p->done, range + 1) != NULL;
}
void search_tell_(struct search *x, enum search_event what, uint64_t partition,
		  const struct fail *why);
/* A segment is of no use: it goes, and is made again. Not with p->lock held. */
void part_forget_segment(struct search *x, struct spart *p, uint64_t range, const struct fail *why);
void search_wake(struct search *x);
/* step.c: some work in one partition; 1 = there is more. */
MUST_CHECK int part_step(struct search *x, struct spart *p, struct fail *why);
/* sign.c: a message's record. */
void sign_message(struct search *x, const struct store_text *m, bool poison, struct buf *out);

#endif
