/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_int.h - does a message meet a search key?                             [proto, imap]
 *
 * Keys are looked at on three levels, cheapest first: what the mailbox map holds in memory, what
 * one row with its message map tells, and the bytes. A verdict that a level cannot give is OPEN;
 * the last level gives all. So FROM "x" BODY "y" opens only bodies of mail from x.
 */
#ifndef BARID_PROTO_IMAP_SEARCH_INT_H
#define BARID_PROTO_IMAP_SEARCH_INT_H

#include "base/map.h"
#include "base/vec.h"
#include "codec/mime/fuzzy.h"
#include "codec/mime/text.h"
#include "proto/imap/fetch_int.h"
#include "service/search/search.h"

enum search_level { SEARCH_MEMORY, SEARCH_ROW, SEARCH_BYTES };
enum search_verdict { SEARCH_NO, SEARCH_YES, SEARCH_OPEN };

/* A message that memory left open. */
struct search_row {
	uint64_t flags;
	struct modseq modseq;
	struct message_id id;
	struct uid uid;
	uint32_t seq, size;
	uint32_t doc; /* its number among those that the index was asked about */
};
/* The index about the texts of a tree (search_index.c). Without one, everything stays open. */
struct search_index {
	struct search *search;
	VEC(struct search_question) questions; /* question i is of keys[i] */
	VEC(const struct imap_search_key *) keys;
	VEC(struct search_row) rows; /* by sequence number */
	VEC(uint8_t *) maybe;	     /* of question i, a bit for each row */
	bool asked;
	const struct search_row
		*row; /* that is looked at now; NULL: the index is not to be heard */
};

/* A tree of keys, ready for messages of the selected mailbox. */
struct search_tree {
	const struct imap_search_key *key;
	unsigned columns;    /* enum store_column that the row level needs */
	struct map needles;  /* of HEADER, BODY and TEXT, by the key's address */
	struct map fuzzies;  /* of those that are fuzzy and have words: struct fuzzy */
	bool scored;	     /* how well a message fits is asked for, too */
	struct seqset saved; /* "$", when a key had it */
	struct search_index index;
	struct wall_us now; /* one moment for all OLDER and YOUNGER of the command */
};

/*
 * Prepare `key`: its sets are resolved in place. -FAIL_UNSUPPORTED: a text that is not UTF-8. Clear
 * the tree also after a failure.
 */
MUST_CHECK int search_tree_init(struct search_tree *t, struct imap_session *s,
				struct imap_search_key *key, struct fail *why);
void search_tree_clear(struct search_tree *t);
DEFINE_AUTO(search_tree, struct search_tree, search_tree_clear);

/* `key` is one of the tree. Errors come from reading only, so SEARCH_MEMORY never fails. */
MUST_CHECK int search_eval(const struct search_tree *t, struct msg *m,
			   const struct imap_search_key *key, enum search_level level,
			   enum search_verdict *ret, struct fail *why);

/* ---- the index (search_index.c) -------------------------------------------------------------- */

/* A key with a text, while the tree is prepared; fuzzy: NULL, or what is looked for then. */
void search_index_key(struct search_tree *t, const struct imap_search_key *key,
		      const struct fuzzy *fuzzy);
/* True: the row will be asked about, and is to be looked at again afterwards. */
bool search_index_takes(struct search_tree *t, const struct store_message *row);
void search_index_ask(struct search_tree *t, struct account_id account);
/* Is the key's text certainly not in the message of index.row? */
bool search_index_excludes(const struct search_tree *t, const struct imap_search_key *key);
void search_index_clear(struct search_index *x);
/* A row with the tree's columns, on the levels behind SEARCH_MEMORY. *ret: 0, or how well it
 * matches (1 to 100; 100 unless t->scored). A message that cannot be read matches nothing, and the
 * log says so; errors are those of a store that does not work. */
MUST_CHECK int search_match(struct imap_session *s, const struct search_tree *t,
			    const struct store_message *row, unsigned *ret, struct fail *why);

/* ---- fuzzy keys (search_fuzzy.c) ----------------------------------------------------------- */

/* How far from what a fuzzy key asks for a day or a size may be. 0: it fits; else 1 to 100: how
 * well it fits still; -1: it does not. */
int fuzzy_day(enum imap_search_op op, int32_t day, int32_t wanted);
int fuzzy_size(const struct imap_search_key *key, uint64_t size);
/* HEADER, BODY and TEXT, on the row or bytes level. */
MUST_CHECK int search_fuzzy(const struct search_tree *t, struct msg *m,
			    const struct imap_search_key *key, enum search_level level,
			    enum search_verdict *ret, struct fail *why);
/* How well a message fits that the tree matches: 1 to 100. */
MUST_CHECK int search_score(const struct search_tree *t, struct msg *m, unsigned *ret,
			    struct fail *why);

/* Put what is stored under the names of FILTER keys (RFC 5466) into the running command, before
 * anything else looks at its keys. RUN_DONE, RUN_CLOSE when the reply says that there is no such
 * filter, or negative. (search_filter.c) */
MUST_CHECK int search_filters(struct imap_session *s, struct fail *why);

/* ---- what was found (search_write.c) ------------------------------------------------------- */

struct search_hit {
	uint32_t seq;
	struct uid uid;
	struct modseq modseq;
	uint8_t score; /* 1 to 100 */
};
struct search_hits {
	enum imap_cmd_kind kind; /* SEARCH, SORT, THREAD */
	uint32_t returned;	 /* enum imap_search_return; 0: a SEARCH, SORT or THREAD response */
	struct imap_partial partial;
	uint32_t count;
	struct search_hit min, max; /* when count > 0; the ends of the order that was asked for */
	struct modseq highest;
	VEC(struct search_hit) list; /* empty when `returned` needs none */
};
/* What the running SEARCH returns. */
uint32_t search_returned(const struct imap_session *s);
/* Each message once, in any order. */
void search_hits_add(struct search_hits *h, const struct store_message *row, unsigned score);
/* All are there: in the order of the mailbox. */
void search_hits_sort(struct search_hits *h);
/* What PARTIAL asks for, as a piece of the list; n = 0: nothing. */
struct search_range {
	size_t at, n;
};
struct search_range search_partial(const struct search_hits *h);
/* Save as asked for, and write the SEARCH or ESEARCH response. RUN_DONE; the reply is NO when the
 * result was too large to be saved. */
int search_tell(struct imap_session *s, struct search_hits *h, struct imap_out *out);

/* ---- in what order (search_order.c) -------------------------------------------------------- */

struct search_order;
struct order_by;
/* Bring what SORT or THREAD found, which is in the order of the mailbox, into theirs: call until it
 * returns RUN_DONE; RUN_MORE gives the thread back. THREAD is answered by this. *order is NULL to
 * begin with, and has to be freed. */
MUST_CHECK int search_order_step(struct imap_session *s, struct search_hits *h,
				 struct search_order **order, struct imap_out *out,
				 struct fail *why);
void search_order_free(struct search_order *order);
/* The criteria of a SORT; NULL when the arena is full. `score`: of each message, for RELEVANCY. */
struct order_by *search_order_by(const struct imap_search *cmd, struct arena *arena,
				 const uint8_t *score);

/* What the map says of a header field. */
enum field_known {
	FIELD_UNKNOWN, /* nothing */
	FIELD_ABSENT,
	FIELD_THERE, /* the header has it */
	FIELD_HERE,  /* here is its text, decoded */
};
enum field_known search_known_field(const struct mime_map *map, struct str name, struct str *ret);
/* For struct text_source: the body of a message. */
struct search_reading {
	struct msg *m;
	struct fail *why;
};
int64_t search_read_body(void *search_reading, uint64_t off, char *to, size_t n);

/* The keys HEADER, BODY and TEXT (search_text.c), on the row or bytes level. */
MUST_CHECK int search_text(const struct search_tree *t, struct msg *m,
			   const struct imap_search_key *key, enum search_level level,
			   enum search_verdict *ret, struct fail *why);

#endif
