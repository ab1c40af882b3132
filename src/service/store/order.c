/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/store_int.h"
#include "service/store/store_order.h"
#include "sys/rand.h"

#define ORDER_BYTES   MIB(64) /* of all tables that nobody uses now */
#define ORDER_KEEP_NS (50 * SEC_NS)
#define STEP_ROWS     512
/* A mailbox is read as a whole unless so many times more messages are missing than are asked for.
 */
#define WORTH 8

struct order_key {
	uint64_t account, mailbox, uidvalidity, epoch;
};

/* The table of one mailbox. */
struct order_box {
	struct order_key key;
	unsigned refs;	  /* under store->order_lock, as link, bytes and used */
	struct list link; /* store->order_lru */
	size_t bytes;	  /* as counted in store->order_bytes */
	int64_t used;
	pthread_rwlock_t lock;
	struct order_table *table; /* under lock */
};

struct store_order {
	struct store_view *v;
	const uint32_t *uid;
	size_t n;
	bool by_text;
	struct order_box *box;	 /* NULL: the table is this one's own */
	struct order_table *own; /* when box is NULL */
	struct store_set set;	 /* what is read */
	struct store_reader *reader;
	struct arena arena; /* of the set */
	struct arena scratch;
};

/* ---- the tables of the store --------------------------------------------------------------- */

static struct order_table *new_table(void)
{
	uint64_t seed[2];
	rand_bytes(seed, sizeof seed);
	return order_table_new(seed);
}

static struct str key_str(const struct order_key *k)
{
	return str_make((const char *)k, sizeof *k);
}

/* Nobody has it: out of the store. Under order_lock. */
static void forget(struct store *s, struct order_box *b)
{
	strmap_remove(&s->orders, key_str(&b->key));
	list_remove(&b->link);
	s->order_bytes -= b->bytes;
	order_table_free(b->table);
	pthread_rwlock_destroy(&b->lock);
	free(b);
}

static void cool(struct store *s, size_t bytes, int64_t older_than)
{
	struct list *next;
	pthread_mutex_lock(&s->order_lock);
	for (struct list *l = s->order_lru.next; l != &s->order_lru; l = next) {
		struct order_box *b = CONTAINER_OF(l, struct order_box, link);
		next = l->next;
		if (b->refs == 0 && (s->order_bytes > bytes || b->used <= older_than))
			forget(s, b);
	}
	pthread_mutex_unlock(&s->order_lock);
}

void orders_cool(struct store *s, bool all)
{
	cool(s, all ? 0 : ORDER_BYTES, all ? INT64_MAX : store_mono() - ORDER_KEEP_NS);
	if (all)
		strmap_clear(&s->orders);
}

static struct order_box *take_box(struct store_view *v)
{
	struct store *s = v->s;
	struct order_key key = {v->info.account.v, v->info.mailbox.v, v->info.uidvalidity,
				v->epoch};
	pthread_mutex_lock(&s->order_lock);
	struct order_box *b = strmap_get(&s->orders, key_str(&key));
	if (!b) {
		b = xcalloc(1, sizeof *b);
		b->key = key;
		b->table = new_table();
		pthread_rwlock_init(&b->lock, NULL);
		list_init(&b->link);
		strmap_put(&s->orders, key_str(&b->key), b);
	}
	b->refs++;
	list_remove(&b->link);
	list_append(&s->order_lru, &b->link);
	pthread_mutex_unlock(&s->order_lock);
	return b;
}

static void leave_box(struct store *s, struct order_box *b)
{
	pthread_rwlock_rdlock(&b->lock);
	size_t bytes = order_table_bytes(b->table);
	pthread_rwlock_unlock(&b->lock);
	pthread_mutex_lock(&s->order_lock);
	s->order_bytes += bytes - b->bytes; /* wraps when it shrinks */
	b->bytes = bytes;
	b->used = store_mono();
	b->refs--;
	pthread_mutex_unlock(&s->order_lock);
	cool(s, ORDER_BYTES, INT64_MIN);
}

/* Expunged messages stay in a table: when they are most of it, and nobody else relies on it, it
 * begins anew. */
static void renew(struct store *s, struct order_box *b, uint32_t exists)
{
	pthread_mutex_lock(&s->order_lock);
	if (b->refs == 1) {
		pthread_rwlock_wrlock(&b->lock); /* nobody has it */
		if (order_table_count(b->table) > 2 * (size_t)exists + 4096) {
			order_table_free(b->table);
			b->table = new_table();
		}
		pthread_rwlock_unlock(&b->lock);
	}
	pthread_mutex_unlock(&s->order_lock);
}

/* ---- one use ------------------------------------------------------------------------------- */

const struct order_table *store_order_lock(struct store_order *o)
{
	if (!o->box)
		return o->own;
	pthread_rwlock_rdlock(&o->box->lock);
	return o->box->table;
}

void store_order_unlock(struct store_order *o)
{
	if (o->box)
		pthread_rwlock_unlock(&o->box->lock);
}

void store_order_end(struct store_order *o)
{
	if (!o)
		return;
	store_read_end(o->reader);
	if (o->box)
		leave_box(o->v->s, o->box);
	order_table_free(o->own);
	arena_clear(&o->arena);
	arena_clear(&o->scratch);
	free(o);
}

/* Every message of the view above this UID. */
static int set_above(struct store_order *o, uint32_t uid, struct fail *why)
{
	struct store_range rest = {uid + 1, STORE_STAR};
	o->set = (struct store_set){0};
	if (uid == UINT32_MAX || o->v->info.uidnext.v <= uid + 1)
		return 0;
	int r = store_view_resolve(o->v, &rest, 1, true, &o->arena, &o->set, why);
	/* "*" is the last message, whatever its UID. */
	if (r == 0 && o->set.n && o->set.runs[o->set.n - 1].last.v <= uid)
		o->set = (struct store_set){0};
	return r;
}

/* Only what is asked for, in a table that goes with it. */
static int read_alone(struct store_order *o, struct fail *why)
{
	struct store *s = o->v->s;
	if (o->box)
		leave_box(s, o->box);
	o->box = NULL;
	o->own = new_table();
	struct store_range *ranges = arena_array(&o->arena, struct store_range, o->n);
	if (!ranges)
		return fail_set(why, FAIL_LIMIT, "Too many messages.", "arena full, %zu messages",
				o->n);
	for (size_t i = 0; i < o->n; i++)
		ranges[i] = (struct store_range){o->uid[i], o->uid[i]};
	return store_view_resolve(o->v, ranges, o->n, true, &o->arena, &o->set, why);
}

static int begin_reading(struct store_order *o, struct fail *why)
{
	if (o->set.count == 0)
		return 0;
	return store_read_begin(o->v, &o->set, STORE_COL_MAP, (struct modseq){0}, &o->reader, why);
}

static int choose(struct store_order *o, struct fail *why)
{
	const struct order_table *t = store_order_lock(o);
	bool has = order_table_has(t, o->uid, o->n);
	uint32_t last = order_table_last(t);
	store_order_unlock(o);
	if (has)
		return 0;
	int r = set_above(o, last, why);
	if (r == 0 && o->set.count / WORTH > o->n)
		r = read_alone(o, why);
	return r < 0 ? r : begin_reading(o, why);
}

/* Up to two sets of the whole view. */
#define SETS_MAX MIB(96)

int store_order_begin(struct store_view *v, const uint32_t *uid, size_t n, bool by_text,
		      struct store_order **ret, struct fail *why)
{
	AUTO(store_order) struct store_order *o = xcalloc(1, sizeof *o);
	*o = (struct store_order){.v = v,
				  .uid = uid,
				  .n = n,
				  .by_text = by_text,
				  .arena = ARENA_INIT(SETS_MAX),
				  .scratch = ARENA_INIT(2 * STORE_MAP_MAX + MIB(16))};
	o->box = take_box(v);
	renew(v->s, o->box, v->info.exists);
	int r = choose(o, why);
	if (r == 0)
		*ret = TAKE(o);
	return r;
}

static int add_row(struct store_order *o, const struct store_message *row, struct fail *why)
{
	struct mime_map *map = NULL;
	arena_reset(&o->scratch);
	/* A map that is broken orders as an empty one; FETCH tells of it. */
	if (mime_map_read(row->map, row->body_size, &o->scratch, &map, NULL) < 0)
		map = NULL;
	struct order_message m = {row->uid.v, row->size, row->internaldate, map};
	if (o->box)
		pthread_rwlock_wrlock(&o->box->lock);
	bool added = order_table_add(o->box ? o->box->table : o->own, &m);
	if (o->box)
		pthread_rwlock_unlock(&o->box->lock);
	return added ? 0 : fail_set(why, FAIL_LIMIT, "Too many messages.", "order table is full");
}

static void rank(struct store_order *o)
{
	if (!o->by_text)
		return;
	if (o->box)
		pthread_rwlock_wrlock(&o->box->lock);
	order_table_rank(o->box ? o->box->table : o->own);
	if (o->box)
		pthread_rwlock_unlock(&o->box->lock);
}

/* What this session still sees may have been gone for the one that filled the table. */
static int finish(struct store_order *o, struct fail *why)
{
	bool has = order_table_has(store_order_lock(o), o->uid, o->n);
	store_order_unlock(o);
	if (has) {
		rank(o);
		return 0;
	}
	if (!o->box)
		return fail_set(why, FAIL_BUG, NULL, "messages are missing after reading them");
	int r = read_alone(o, why);
	if (r == 0)
		r = begin_reading(o, why);
	return r < 0 ? r : 1;
}

int store_order_step(struct store_order *o, struct fail *why)
{
	struct store_message row;
	for (unsigned i = 0; o->reader && i < STEP_ROWS; i++) {
		int r = store_read_next(o->reader, &row, why);
		if (r > 0)
			r = add_row(o, &row, why);
		else if (r == 0) {
			store_read_end(o->reader);
			o->reader = NULL;
		}
		if (r < 0)
			return r;
	}
	return o->reader ? 1 : finish(o, why);
}
