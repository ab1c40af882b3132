/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order_thread.c - threads (RFC 5256 section 3).
 *
 * A node is a message of the set or, behind those, a dummy. While links are made only parents are
 * known; children come from one pass over all messages in the order of their dates, so that every
 * set of siblings is in order without being sorted (step 6). The steps are those of REFERENCES.
 */
#include "base/map.h"
#include "codec/order/order_int.h"

#define NONE UINT32_MAX

/* Ancestors looked at in all, for loops; a link that would need more is not made. Only mail made
 * for it comes near. */
#define WALKS_MAX(n) (UINT64_C(50000000) + 1000 * (uint64_t)(n))

struct node {
	uint32_t parent;	    /* NONE: top */
	uint32_t row;		    /* NONE: a dummy */
	uint32_t child, last, next; /* of the final tree */
	uint32_t children;	    /* while links are made: how many have it as parent */
};

struct threads {
	const struct order_table *t;
	size_t n; /* messages: nodes [0, n) */
	VEC(struct node) nodes;
	uint32_t *order; /* nodes of messages by date, of n */
	/* message id to node + 1 */
	struct map ids;
	uint64_t walks;
	VEC(uint32_t) top; /* in order */
};

/* Of a message, not of a dummy. */
static const struct order_row *row_of(const struct threads *th, uint32_t node)
{
	return &th->t->rows.p[th->nodes.p[node].row];
}

static bool is_dummy(const struct threads *th, uint32_t node)
{
	return th->nodes.p[node].row == NONE;
}

static uint32_t new_dummy(struct threads *th)
{
	uint32_t i = (uint32_t)th->nodes.n;
	*vec_push(&th->nodes) = (struct node){
		.parent = NONE, .row = NONE, .child = NONE, .last = NONE, .next = NONE};
	return i;
}

/* ---- (1) links ----------------------------------------------------------------------------- */

/* Number 0 would be no value for the map, so they are one more. */
static void *as_value(uint32_t node)
{
	return (void *)((uintptr_t)node + 1);
}

/* The message with this id, or a dummy for it. */
static uint32_t node_of_id(struct threads *th, uint64_t id)
{
	const void *found = map_get(&th->ids, id);
	if (found)
		return (uint32_t)((uintptr_t)found - 1);
	uint32_t node = new_dummy(th);
	map_put(&th->ids, id, as_value(node));
	return node;
}

/* The first message with an id has it; others have none. */
static void give_ids(struct threads *th)
{
	for (uint32_t i = 0; i < th->n; i++) {
		uint64_t id = row_of(th, i)->message_id;
		if (id && !map_get(&th->ids, id))
			map_put(&th->ids, id, as_value(i));
	}
}

/* Is `node` an ancestor of `of`, or the same? Also when there is no time to look. */
static bool is_above(struct threads *th, uint32_t node, uint32_t of)
{
	if (node == of)
		return true;
	if (th->nodes.p[node].children == 0)
		return false;
	for (uint32_t up = of; up != NONE; up = th->nodes.p[up].parent) {
		if (up == node || th->walks == 0)
			return true;
		th->walks--;
	}
	return false;
}

static void unlink_node(struct threads *th, uint32_t node)
{
	uint32_t parent = th->nodes.p[node].parent;
	if (parent == NONE)
		return;
	th->nodes.p[parent].children--;
	th->nodes.p[node].parent = NONE;
}

static void link_node(struct threads *th, uint32_t parent, uint32_t node)
{
	if (is_above(th, node, parent))
		return;
	th->nodes.p[node].parent = parent;
	th->nodes.p[parent].children++;
}

static void link_message(struct threads *th, uint32_t node)
{
	const struct order_row *row = row_of(th, node);
	uint32_t before = NONE;
	for (uint32_t i = 0; i < row->n_refs; i++) {
		uint32_t one = node_of_id(th, th->t->refs.p[row->refs + i]);
		if (before != NONE && th->nodes.p[one].parent == NONE)
			link_node(th, before, one);
		before = one;
	}
	if (before != NONE && before == th->nodes.p[node].parent)
		return;
	unlink_node(th, node);
	if (before != NONE)
		link_node(th, before, node);
}

/* ---- (2), (3) dummies go ------------------------------------------------------------------- */

/*
 * The nearest message above, or else the highest dummy. Every dummy on the way then leads there
 * at once, so that all calls together look at each node a few times only.
 */
static uint32_t kept_parent(struct threads *th, uint32_t node)
{
	uint32_t up = th->nodes.p[node].parent, found = up;
	if (up == NONE)
		return NONE;
	while (is_dummy(th, found) && th->nodes.p[found].parent != NONE)
		found = th->nodes.p[found].parent;
	while (up != found) {
		uint32_t next = th->nodes.p[up].parent;
		th->nodes.p[up].parent = found;
		up = next;
	}
	return found;
}

static void prune(struct threads *th)
{
	for (size_t i = th->n; i < th->nodes.n; i++)
		th->nodes.p[i].children = 0;
	for (uint32_t i = 0; i < th->n; i++) {
		uint32_t parent = kept_parent(th, i);
		th->nodes.p[i].parent = parent;
		if (parent != NONE && is_dummy(th, parent))
			th->nodes.p[parent].children++;
	}
	/* One child alone takes the dummy's place. */
	for (uint32_t i = 0; i < th->n; i++) {
		uint32_t parent = th->nodes.p[i].parent;
		if (parent != NONE && is_dummy(th, parent) && th->nodes.p[parent].children == 1)
			th->nodes.p[i].parent = NONE;
	}
}

/* ---- (4), (6) siblings in order ------------------------------------------------------------ */

/* Children and top from parents, by date. A dummy, which is always at the top, stands where its
 * first child would. */
static void build(struct threads *th)
{
	struct node *nodes = th->nodes.p;
	th->top.n = 0;
	for (size_t i = 0; i < th->nodes.n; i++)
		nodes[i].child = nodes[i].last = nodes[i].next = NONE;
	for (size_t i = 0; i < th->n; i++) {
		uint32_t node = th->order[i], parent = nodes[node].parent;
		if (parent == NONE) {
			*vec_push(&th->top) = node;
			continue;
		}
		if (nodes[parent].child == NONE) {
			nodes[parent].child = node;
			if (is_dummy(th, parent))
				*vec_push(&th->top) = parent;
		} else {
			nodes[nodes[parent].last].next = node;
		}
		nodes[parent].last = node;
	}
}

/* ---- (5) by subject ------------------------------------------------------------------------ */

/* The message that speaks for a thread. */
static const struct order_row *speaker(const struct threads *th, uint32_t node)
{
	return row_of(th, is_dummy(th, node) ? th->nodes.p[node].child : node);
}

static bool is_reply(const struct threads *th, uint32_t node)
{
	return !is_dummy(th, node) && row_of(th, node)->is_reply;
}

static void fill_subjects(struct threads *th, uint32_t *table)
{
	for (size_t i = 0; i < th->top.n; i++) {
		uint32_t node = th->top.p[i], subject = speaker(th, node)->subject;
		if (subject == 0)
			continue;
		uint32_t there = table[subject];
		if (there == NONE ||
		    (!is_dummy(th, there) &&
		     (is_dummy(th, node) || (is_reply(th, there) && !is_reply(th, node)))))
			table[subject] = node;
	}
}

/* All children of a dummy go below another one. */
static void move_children(struct threads *th, uint32_t from, uint32_t to)
{
	for (uint32_t i = th->nodes.p[from].child; i != NONE; i = th->nodes.p[i].next)
		th->nodes.p[i].parent = to;
}

static void merge_one(struct threads *th, uint32_t node, uint32_t *there)
{
	if (is_dummy(th, node) && is_dummy(th, *there)) {
		move_children(th, node, *there);
	} else if (is_dummy(th, *there) || (is_reply(th, node) && !is_reply(th, *there))) {
		th->nodes.p[node].parent = *there;
	} else {
		uint32_t dummy = new_dummy(th);
		th->nodes.p[node].parent = dummy;
		th->nodes.p[*there].parent = dummy;
		*there = dummy;
	}
}

static void merge_subjects(struct threads *th)
{
	size_t n = th->t->texts.n;
	uint32_t *table = xcalloc(n, sizeof *table);
	memset(table, 0xff, n * sizeof *table); /* NONE */
	fill_subjects(th, table);
	for (size_t i = 0; i < th->top.n; i++) {
		uint32_t node = th->top.p[i], subject = speaker(th, node)->subject;
		/* What has been put below a new dummy meanwhile is the one of the table. */
		if (subject && table[subject] != node && th->nodes.p[node].parent == NONE)
			merge_one(th, node, &table[subject]);
	}
	free(table);
}

/* ---- the other two ------------------------------------------------------------------------- */

/* By base subject and date; the first of each subject has the others as children. */
static void by_subject(struct threads *th)
{
	size_t n = th->t->texts.n;
	uint32_t *first = xcalloc(n, sizeof *first);
	memset(first, 0xff, n * sizeof *first);
	for (size_t i = 0; i < th->n; i++) {
		uint32_t node = th->order[i], subject = row_of(th, node)->subject;
		if (first[subject] == NONE)
			first[subject] = node;
		else
			th->nodes.p[node].parent = first[subject];
	}
	free(first);
	build(th);
}

/* The top of its thread. What is found is kept for all on the way, so that none is gone twice. */
static uint32_t top_of(const struct threads *th, uint32_t node, uint32_t *known)
{
	uint32_t top = node;
	while (known[top] == NONE && th->nodes.p[top].parent != NONE)
		top = th->nodes.p[top].parent;
	if (known[top] != NONE)
		top = known[top];
	for (uint32_t up = node; up != top && known[up] == NONE; up = th->nodes.p[up].parent)
		known[up] = top;
	return top;
}

/* REFS: threads by their latest message, which is the first one of each going backwards. */
static void sort_by_latest(struct threads *th)
{
	size_t n = th->nodes.n, to = th->top.n;
	uint32_t *known = xcalloc(n, sizeof *known);
	bool *seen = xcalloc(n, sizeof *seen);
	memset(known, 0xff, n * sizeof *known);
	for (size_t i = th->n; i-- > 0;) {
		uint32_t top = top_of(th, th->order[i], known);
		if (!seen[top])
			th->top.p[--to] = top;
		seen[top] = true;
	}
	CHECK(to == 0);
	free(seen);
	free(known);
}

/* ---- the response -------------------------------------------------------------------------- */

/* Behind a node of which all below is written: the next sibling up the tree, closing what ends. */
static uint32_t next_up(const struct threads *th, uint32_t node, uint32_t root, struct buf *out)
{
	const struct node *nodes = th->nodes.p;
	while (node != root) {
		uint32_t parent = nodes[node].parent;
		bool alone = nodes[parent].child == node && nodes[node].next == NONE;
		if (!alone)
			(void)buf_addc(out, ')');
		if (nodes[node].next != NONE) {
			(void)buf_addc(out, '(');
			return nodes[node].next;
		}
		node = parent;
	}
	return NONE;
}

/* One thread: an only child follows its parent, several stand in parentheses each. */
static void write_thread(const struct threads *th, uint32_t root, const uint32_t *number,
			 struct buf *out)
{
	const struct node *nodes = th->nodes.p;
	(void)buf_addc(out, '(');
	for (uint32_t node = root; node != NONE;) {
		if (!is_dummy(th, node))
			(void)buf_add_u64(out, number[node]);
		uint32_t child = nodes[node].child;
		if (child == NONE) {
			node = next_up(th, node, root, out);
			continue;
		}
		if (!is_dummy(th, node))
			(void)buf_addc(out, ' ');
		if (nodes[child].next != NONE)
			(void)buf_addc(out, '(');
		node = child;
	}
	(void)buf_addc(out, ')');
}

static void references(struct threads *th, bool with_subjects)
{
	give_ids(th);
	for (uint32_t i = 0; i < th->n; i++)
		link_message(th, i);
	prune(th);
	build(th);
	if (with_subjects) {
		merge_subjects(th);
		build(th);
	} else {
		sort_by_latest(th);
	}
}

void order_thread_write(const struct order_table *t, enum order_thread how, const uint32_t *uid,
			const uint32_t *number, size_t n, struct buf *out)
{
	static const struct order_by by_date = {.what = ORDER_DATE};
	struct threads th = {.t = t, .n = n, .walks = WALKS_MAX(n)};
	if (n == 0)
		return;
	uint32_t *rows = xcalloc(n, sizeof *rows);
	th.order = xcalloc(n, sizeof *th.order);
	order_rows_find(t, uid, n, rows);
	order_sort(t, &by_date, 1, uid, n, th.order);
	vec_reserve(&th.nodes, n);
	for (size_t i = 0; i < n; i++)
		th.nodes.p[new_dummy(&th)].row = rows[i];
	if (how == ORDER_THREAD_ORDEREDSUBJECT)
		by_subject(&th);
	else
		references(&th, how == ORDER_THREAD_REFERENCES);
	for (size_t i = 0; i < th.top.n; i++)
		write_thread(&th, th.top.p[i], number, out);
	map_clear(&th.ids);
	vec_clear(&th.nodes);
	vec_clear(&th.top);
	free(th.order);
	free(rows);
}
