/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"
#include "codec/mime/charset.h"
#include "codec/mime/subject.h"
#include "codec/order/msgid.h"
#include "codec/order/order_int.h"

#define TEXT_MAX  KIB(4) /* of one key: what differs later counts as alike */
#define REFS_MAX  200	 /* of one message: the first, and the last ones */
#define REFS_HEAD KIB(1) /* of a References field that is longer than both together, so much */
#define REFS_TAIL KIB(15)

struct order_table *order_table_new(const uint64_t seed[2])
{
	struct order_table *t = xcalloc(1, sizeof *t);
	memcpy(t->seed, seed, sizeof t->seed);
	t->text = BUF_INIT(ORDER_TEXT_MAX);
	(void)vec_push(&t->texts); /* the empty one */
	return t;
}

void order_table_free(struct order_table *t)
{
	if (!t)
		return;
	vec_clear(&t->rows);
	vec_clear(&t->texts);
	vec_clear(&t->refs);
	vec_clear(&t->ranked);
	vec_clear(&t->rank);
	buf_clear(&t->text);
	free(t->slots);
	free(t);
}

uint32_t order_table_last(const struct order_table *t)
{
	return t->rows.n ? t->rows.p[t->rows.n - 1].uid : 0;
}

size_t order_table_count(const struct order_table *t)
{
	return t->rows.n;
}

size_t order_table_bytes(const struct order_table *t)
{
	return sizeof *t + t->rows.cap * sizeof *t->rows.p + t->texts.cap * sizeof *t->texts.p +
	       t->refs.cap * sizeof *t->refs.p + t->ranked.cap * sizeof *t->ranked.p +
	       t->rank.cap * sizeof *t->rank.p + t->text.cap + t->n_slots * sizeof *t->slots;
}

/* ---- hashing ------------------------------------------------------------------------------- */

static uint64_t rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3: fast on short texts, and nobody without the seed can make two texts meet. */
static uint64_t hash_of(const struct order_table *t, struct str s)
{
	uint64_t v[4] = {t->seed[0] ^ UINT64_C(0x736f6d6570736575),
			 t->seed[1] ^ UINT64_C(0x646f72616e646f6d),
			 t->seed[0] ^ UINT64_C(0x6c7967656e657261),
			 t->seed[1] ^ UINT64_C(0x7465646279746573)};
	uint64_t last = (uint64_t)s.n << 56;
	for (; s.n >= 8; s = str_skip(s, 8)) {
		uint64_t word;
		memcpy(&word, s.p, sizeof word);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t i = 0; i < s.n; i++)
		last |= (uint64_t)(unsigned char)s.p[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- texts --------------------------------------------------------------------------------- */

static struct str text_of(const struct order_table *t, uint32_t number)
{
	const struct order_text *text = &t->texts.p[number];
	return text->n ? str_make(t->text.p + text->at, text->n) : STR_NULL;
}

int order_text_cmp(const struct order_table *t, uint32_t a, uint32_t b)
{
	const struct order_text *x = &t->texts.p[a], *y = &t->texts.p[b];
	if (a == b)
		return 0;
	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	return str_cmp(text_of(t, a), text_of(t, b));
}

static uint64_t head_of(struct str s)
{
	uint64_t head = 0;
	for (size_t i = 0; i < 8; i++)
		head = head << 8 | (i < s.n ? (unsigned char)s.p[i] : 0);
	return head;
}

static size_t slot_of(const struct order_table *t, struct str key)
{
	size_t i = hash_of(t, key) & (t->n_slots - 1);
	while (t->slots[i] && !str_eq(text_of(t, t->slots[i]), key))
		i = (i + 1) & (t->n_slots - 1);
	return i;
}

static void grow_slots(struct order_table *t)
{
	free(t->slots);
	t->n_slots = t->n_slots ? t->n_slots * 2 : 64;
	t->slots = xcalloc(t->n_slots, sizeof *t->slots);
	for (uint32_t i = 1; i < t->texts.n; i++)
		t->slots[slot_of(t, text_of(t, i))] = i;
}

/* The number of a key. False: no room. */
static bool intern(struct order_table *t, struct str key, uint32_t *ret)
{
	*ret = 0;
	if (key.n == 0)
		return true;
	if (t->texts.n >= t->n_slots / 2)
		grow_slots(t);
	size_t at = slot_of(t, key);
	if (!t->slots[at]) {
		struct order_text text = {head_of(key), (uint32_t)t->text.n, (uint32_t)key.n};
		if (t->texts.n == UINT32_MAX || buf_add(&t->text, key) < 0)
			return false;
		t->slots[at] = (uint32_t)t->texts.n;
		*vec_push(&t->texts) = text;
	}
	*ret = t->slots[at];
	return true;
}

/* i;unicode-casemap: title case, decomposed, as UTF-8, whose bytes compare as the characters do. */
static void fold(struct str utf8, struct buf *out)
{
	buf_reset(out);
	for (size_t pos = 0; pos < utf8.n && !out->failed;) {
		uint32_t to[CHARSET_FOLD_MAX];
		if ((unsigned char)utf8.p[pos] < 0x80) {
			(void)buf_addc(out, ascii_upper(utf8.p[pos++]));
			continue;
		}
		size_t n = charset_fold(utf8_next(utf8, &pos), to);
		for (size_t i = 0; i < n; i++)
			(void)utf8_put(out, to[i]);
	}
}

static bool intern_text(struct order_table *t, struct str utf8, uint32_t *ret)
{
	AUTO(buf) struct buf key = BUF_INIT(TEXT_MAX);
	fold(utf8, &key);
	return intern(t, buf_str(&key), ret);
}

static bool intern_subject(struct order_table *t, struct str utf8, struct order_row *row)
{
	AUTO(buf) struct buf base = BUF_INIT(TEXT_MAX);
	row->is_reply = subject_base_exact(&base, str_sub(utf8, 0, TEXT_MAX - 1));
	return intern_text(t, buf_str(&base), &row->subject);
}

/* ---- message ids --------------------------------------------------------------------------- */

struct ids {
	struct order_table *t;
	struct buf scratch;
	size_t n;	       /* in all */
	uint64_t id[REFS_MAX]; /* the first one stays, behind it a ring of the last ones */
};

static uint64_t id_of(const struct order_table *t, struct str id)
{
	uint64_t number = hash_of(t, id);
	return number ? number : 1;
}

static void take_ids(struct ids *ids, struct str text, size_t max)
{
	struct str id;
	while (ids->n < max && msgid_next(&text, &ids->scratch, &id)) {
		size_t at = ids->n < REFS_MAX ? ids->n : 1 + (ids->n - 1) % (REFS_MAX - 1);
		ids->id[at] = id_of(ids->t, id);
		ids->n++;
	}
}

/* RFC 5256 section 3: References, or else the first id of In-Reply-To. */
static void take_references(struct ids *ids, const struct mime_map *map)
{
	struct str refs = map->references;
	if (refs.n > REFS_HEAD + REFS_TAIL) {
		take_ids(ids, str_sub(refs, 0, REFS_HEAD), 1);
		refs = str_skip(refs, refs.n - REFS_TAIL);
	}
	take_ids(ids, refs, SIZE_MAX);
	if (ids->n == 0)
		take_ids(ids, str_sub(map->in_reply_to, 0, REFS_TAIL), 1);
}

static void add_references(struct order_table *t, const struct mime_map *map, struct order_row *row)
{
	struct ids ids = {.t = t, .scratch = BUF_INIT(KIB(2))};
	take_references(&ids, map);
	size_t n = MIN(ids.n, REFS_MAX);
	row->refs = (uint32_t)t->refs.n;
	row->n_refs = (uint16_t)n;
	for (size_t i = 0; i < n; i++) {
		/* The ring begins behind the one that was written last. */
		size_t at =
			i == 0 || ids.n <= REFS_MAX ? i : 1 + (ids.n - 1 + i - 1) % (REFS_MAX - 1);
		*vec_push(&t->refs) = ids.id[at];
	}
	buf_clear(&ids.scratch);
}

static void add_message_id(struct order_table *t, const struct mime_map *map, struct order_row *row)
{
	AUTO(buf) struct buf scratch = BUF_INIT(KIB(2));
	struct str text = str_sub(map->message_id, 0, REFS_TAIL), id;
	row->message_id = msgid_next(&text, &scratch, &id) ? id_of(t, id) : 0;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static int64_t seconds(struct wall_us at)
{
	return at.v >= 0 ? at.v / SEC_US : -((-at.v + SEC_US - 1) / SEC_US);
}

static bool add_map(struct order_table *t, const struct mime_map *map, struct order_row *row)
{
	bool dated = !(map->flags & (MIME_MISSING_DATE | MIME_BAD_DATE));
	if (dated || map->flags & MIME_DEFAULT_DATE)
		row->sent = seconds(map->sent);
	if (!intern_subject(t, map->subject, row) ||
	    !intern_text(t, map->first_from.mailbox, &row->from) ||
	    !intern_text(t, map->first_to.mailbox, &row->to) ||
	    !intern_text(t, map->first_cc.mailbox, &row->cc) ||
	    !intern_text(t, map->first_from.display, &row->display_from) ||
	    !intern_text(t, map->first_to.display, &row->display_to) ||
	    t->refs.n > UINT32_MAX - REFS_MAX)
		return false;
	add_message_id(t, map, row);
	add_references(t, map, row);
	return true;
}

bool order_table_add(struct order_table *t, const struct order_message *m)
{
	struct order_row row = {.uid = m->uid, .size = m->size};
	if (m->uid <= order_table_last(t))
		return true;
	row.arrival = row.sent = seconds(m->internaldate);
	if (t->rows.n >= UINT32_MAX - 1 || (m->map && !add_map(t, m->map, &row)))
		return false;
	*vec_push(&t->rows) = row;
	return true;
}

/* The row of a UID, looked for from row `low` on; the one behind it when it is not there. */
static size_t find_row(const struct order_table *t, size_t low, uint32_t uid)
{
	/* Most are the next one. */
	if (low < t->rows.n && t->rows.p[low].uid == uid)
		return low;
	return vec_lower_from(&t->rows, low, .uid, uid);
}

bool order_table_has(const struct order_table *t, const uint32_t *uid, size_t n)
{
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		at = find_row(t, at, uid[i]);
		if (at == t->rows.n || t->rows.p[at].uid != uid[i])
			return false;
		at++;
	}
	return true;
}

void order_rows_find(const struct order_table *t, const uint32_t *uid, size_t n, uint32_t *ret)
{
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		at = find_row(t, at, uid[i]);
		CHECK(at < t->rows.n && t->rows.p[at].uid == uid[i]);
		ret[i] = (uint32_t)at++;
	}
}
