/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.h - an index that narrows down which messages a text may be in.       [service, role user]
 *
 * The index never says that a text is in a message, only that it is not: who searches reads what is
 * left. So it may lag behind, lose files or be deleted at any time, and answers stay right. It is
 * kept in files of its own below the store, made from the store again when they are missing or
 * damaged, and is in no backup. Formats: docs/formats/search-index.md; why so: docs/adr/0036.
 *
 * One thread of its own follows the store, partition by partition, in the order of message ids
 * (which never change what they mean). Its share of a processor is bounded. It holds a partition
 * for a few messages at a time and never waits for a commit.
 *
 * Threads: search_ask and search_get_status from any thread; search_news from a committer.
 */
#ifndef BARID_SERVICE_SEARCH_SEARCH_H
#define BARID_SERVICE_SEARCH_SEARCH_H

#include "service/store/store.h"

struct search;
struct fs;

enum search_event {
	SEARCH_DAMAGED, /* a file was not what was written, or is gone: it will be made again */
	SEARCH_PAUSED,	/* the index cannot be written; tried again in a minute */
	SEARCH_RESUMED,
	SEARCH_POISON, /* a message that ended the process twice stays out of the index */
};

struct search_options {
	const char *root; /* the folder, made when missing */
	struct fs *fs;	  /* NULL: the real one */
	unsigned shard, shards;
	unsigned cpu_percent; /* of one processor, 1 to 100; 0 = the index is off */
	int64_t delay_ns;     /* after news, so that one round takes more than one message */
	bool no_thread;	      /* tests call search_step */
	/* Called on any thread. `why` is NULL with SEARCH_RESUMED. */
	void (*tell)(void *arg, enum search_event what, uint64_t partition, const struct fail *why);
	void *arg;
};

/* Before the store is opened: its options take search_news. Touches no file. */
struct search *search_new(const struct search_options *o);
/* With the store open; begins to follow it. Not for a store with a file per account. */
MUST_CHECK int search_start(struct search *x, struct store *s, struct fail *why);
/* Ends its thread; before the store is closed. */
void search_stop(struct search *x);
void search_free(struct search *x); /* stopped; NULL is fine */
/* Another share; 0 switches it off: files stay, and are not asked. */
void search_set_cpu(struct search *x, unsigned cpu_percent);

/* For store_options.news, with the struct search as its argument. */
void search_news(void *search, const struct store_news *n);

/* ---- asking ------------------------------------------------------------------------------- */

struct search_doc {
	uint64_t id;
	uint32_t size; /* of the message: another one is not the message that was indexed */
};

#define SEARCH_GRAMS_MAX 24 /* more say little */
struct search_question {
	uint32_t gram[SEARCH_GRAMS_MAX]; /* codec/mime/grams.h */
	size_t n;			 /* 0: it narrows nothing */
	size_t need;			 /* so many of them must be there; n for a substring */
	unsigned places;		 /* 1u << enum text_place */
};
/* The grams of a needle, and all of them needed. False: it has none, only reading helps. */
bool search_question_of(struct str needle, unsigned places, struct search_question *ret);
/* The same for a word that may be spelled otherwise: `lack` of its grams may be missing, marks
 * count nowhere (fuzzy_word of codec/mime/fuzzy.h). False: nothing is left to ask for. */
bool search_question_of_word(struct str word, size_t lack, unsigned places,
			     struct search_question *ret);

struct search_ask {
	struct account_id account;
	const struct search_doc *docs; /* ascending by id */
	size_t n_docs;
	const struct search_question *questions;
	size_t n_questions;
	/* For each question n_docs bits, all set by the caller: what certainly does not fit is
	 * cleared. */
	uint8_t *const *maybe;
};
/*
 * Which of these messages may fit? Costs a few page reads per 1024 messages of the partition,
 * whatever the messages hold.
 */
void search_ask(struct search *x, const struct search_ask *ask);

/* ---- looking after it ---------------------------------------------------------------------- */

struct search_status {
	bool on, paused;
	uint64_t last;	  /* highest message id of the partition */
	uint64_t missing; /* ids that are not in the index yet */
	uint64_t files, bytes;
};
/* Of one partition, which is one of this process. */
MUST_CHECK int search_get_status(struct search *x, uint64_t partition, struct search_status *ret,
				 struct fail *why);
/* Forget all of a partition, and make it again. */
MUST_CHECK int search_rebuild(struct search *x, uint64_t partition, struct fail *why);

struct search_stats {
	uint64_t indexed, cpu_us, missing, questions, asked, excluded, damaged;
	bool paused;
};
void search_get_stats(struct search *x, struct search_stats *ret);

/* Some work: 1 = there is more, 0 = all is done. For tests without the thread. */
MUST_CHECK int search_step(struct search *x, struct fail *why);

#endif
