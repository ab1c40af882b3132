/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_index.c - what the index says about messages that memory left open.   [proto, imap]
 *
 * The index only excludes (service/search/search.h). So a key whose text is certainly not in a
 * message is answered with NO on the memory level already, and AND, OR and NOT do the rest.
 */
#include "proto/imap/search_int.h"
#include "service/search/search.h"

#define ROWS_MIN 4 /* fewer are read sooner than asked for */
/* Each costs reading and a bit for each message; what more texts are asked for is read. */
#define QUESTIONS_MAX 32

static unsigned places_of(enum imap_search_op op)
{
	if (op == IMAP_SEARCH_HEADER)
		return 1u << TEXT_IN_HEADER;
	return 1u << TEXT_IN_BODY | (op == IMAP_SEARCH_TEXT ? 1u << TEXT_IN_HEADER : 0);
}

/* Each word is a question. */
static void fuzzy_key(struct search_index *x, const struct imap_search_key *key,
		      const struct fuzzy *fuzzy)
{
	for (size_t i = 0; i < fuzzy_count(fuzzy) && x->questions.n < QUESTIONS_MAX; i++) {
		AUTO(buf) struct buf word = BUF_INIT(4 * FUZZY_WORD_MAX + 1);
		struct search_question q;
		size_t lack = 0;
		fuzzy_word(fuzzy, i, &word, &lack);
		if (!search_question_of_word(buf_str(&word), lack, places_of(key->op), &q))
			continue;
		*vec_push(&x->questions) = q;
		*vec_push(&x->keys) = key;
	}
}

void search_index_key(struct search_tree *t, const struct imap_search_key *key,
		      const struct fuzzy *fuzzy)
{
	struct search_index *x = &t->index;
	struct search_question q;
	if (!x->search || x->questions.n >= QUESTIONS_MAX)
		return;
	if (fuzzy) {
		fuzzy_key(x, key, fuzzy);
		return;
	}
	if (!search_question_of(key->text, places_of(key->op), &q))
		return;
	*vec_push(&x->questions) = q;
	*vec_push(&x->keys) = key;
}

void search_index_clear(struct search_index *x)
{
	for (size_t i = 0; i < x->maybe.n; i++)
		free(x->maybe.p[i]);
	vec_clear(&x->maybe);
	vec_clear(&x->questions);
	vec_clear(&x->keys);
	vec_clear(&x->rows);
}

bool search_index_takes(struct search_tree *t, const struct store_message *row)
{
	struct search_index *x = &t->index;
	if (x->questions.n == 0 || x->asked)
		return false;
	*vec_push(&x->rows) = (struct search_row){.flags = row->flags,
						  .modseq = row->modseq,
						  .id = row->id,
						  .uid = row->uid,
						  .seq = row->seq,
						  .size = row->size};
	return true;
}

static int by_id(const void *a, const void *b)
{
	const struct search_row *x = *(struct search_row *const *)a;
	const struct search_row *y = *(struct search_row *const *)b;
	return x->id.v < y->id.v ? -1 : x->id.v > y->id.v;
}

/* The documents, ascending by id; each row learns which one it is. */
static struct search_doc *make_docs(struct search_index *x)
{
	size_t n = x->rows.n;
	struct search_doc *docs = xcalloc(n, sizeof *docs);
	AUTO_MEM struct search_row **order = xcalloc(n, sizeof *order);
	bool sorted = true;
	for (size_t i = 0; i < n; i++) {
		order[i] = &x->rows.p[i];
		sorted &= i == 0 || x->rows.p[i - 1].id.v <= x->rows.p[i].id.v;
	}
	if (!sorted)
		qsort(order, n, sizeof *order, by_id);
	for (size_t i = 0; i < n; i++) {
		docs[i] = (struct search_doc){order[i]->id.v, order[i]->size};
		order[i]->doc = (uint32_t)i;
	}
	return docs;
}

void search_index_ask(struct search_tree *t, struct account_id account)
{
	struct search_index *x = &t->index;
	x->asked = true;
	if (x->rows.n < ROWS_MIN)
		return;
	AUTO_MEM struct search_doc *docs = make_docs(x);
	for (size_t i = 0; i < x->questions.n; i++) {
		uint8_t **bits = vec_push(&x->maybe);
		*bits = xcalloc(x->rows.n / 8 + 1, 1);
		memset(*bits, 0xff, x->rows.n / 8 + 1);
	}
	search_ask(x->search, &(struct search_ask){.account = account,
						   .docs = docs,
						   .n_docs = x->rows.n,
						   .questions = x->questions.p,
						   .n_questions = x->questions.n,
						   .maybe = x->maybe.p});
}

bool search_index_excludes(const struct search_tree *t, const struct imap_search_key *key)
{
	const struct search_index *x = &t->index;
	if (!x->row)
		return false;
	for (size_t i = 0; i < x->maybe.n; i++)
		if (x->keys.p[i] == key && !(x->maybe.p[i][x->row->doc / 8] >> x->row->doc % 8 & 1))
			return true;
	return false;
}
