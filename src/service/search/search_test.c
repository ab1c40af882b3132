/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_test.c - the index never excludes what reading finds: whatever is asked, whatever happens
 * to its files, whenever its process dies.
 */
#include "codec/mime/fuzzy.h"
#include "codec/mime/index.h"
#include "service/search/search_int.h"
#include "service/store/store_testing.h"
#include "sys/crash.h"
#include "sys/fs_fault.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 1300 /* a segment and a tail */

struct fixture {
	struct world *w;
	struct search *x;
	struct fs *fs;
	char root[200];
	unsigned told[4];
	uint64_t seed;
	VEC(struct store_text) texts; /* all messages, as reading finds them */
	struct arena arena;
};

static uint32_t draw(struct fixture *f, uint32_t below)
{
	f->seed = f->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(f->seed >> 33) % below;
}

static void tell(void *arg, enum search_event what, uint64_t partition, const struct fail *why)
{
	(void)partition;
	(void)why;
	((struct fixture *)arg)->told[what]++;
}

static void open_index(struct fixture *f, bool thread)
{
	const struct search_options o = {.root = f->root,
					 .fs = f->fs,
					 .cpu_percent = 100,
					 .delay_ns = thread ? MS_NS : 0,
					 .no_thread = !thread,
					 .tell = tell,
					 .arg = f};
	f->x = search_new(&o);
	f->w->o.news = search_news;
	f->w->o.news_arg = f->x;
}

static void begin(struct fixture *f, enum store_engine_kind kind, bool thread)
{
	*f = (struct fixture){.seed = 11, .fs = NULL};
	f->w = world_new(kind);
	f->arena = ARENA_INIT(MIB(64));
	(void)snprintf(f->root, sizeof f->root, "%s/search", f->w->dir.path);
	store_close(f->w->s);
	f->w->o.partitions = 1;
	f->w->o.root = f->root; /* a store of its own, with one partition */
	f->w->o.blobs = f->w->blobs;
	static char root[200];
	(void)snprintf(root, sizeof root, "%s/one", f->w->dir.path);
	f->w->o.root = root;
	open_index(f, thread);
	struct world *w = f->w;
	world_open(w);
	OK(store_account_ensure(w->s, ALICE, store_default_folders, &w->why));
	OK(search_start(f->x, w->s, &w->why));
}

static void end(struct fixture *f)
{
	search_stop(f->x);
	for (size_t i = 0; i < f->texts.n; i++)
		store_source_clear(&f->texts.p[i].body);
	vec_clear(&f->texts);
	arena_clear(&f->arena);
	world_free(f->w);
	search_free(f->x);
}

/* ---- mail ----------------------------------------------------------------------------------- */

static const char *const words[] = {"holiday",
				    "Plan",
				    "invoice",
				    "b\xc3\xbcro",
				    "caf\xc3\xa9",
				    "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82",
				    "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
				    "\xed\x95\x9c\xea\xb5\xad",
				    "stra\xc3\x9f!",
				    "x1",
				    "quarterly",
				    "zebra",
				    "delivery",
				    "oliver",
				    "\xf0\x9f\x98\x80",
				    "e\xcc\x81t\xc3\xa9"};

static void some_words(struct fixture *f, struct buf *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		(void)buf_add_c(out, words[draw(f, ARRAY_LEN(words))]);
		if (draw(f, 3) == 0) /* so that not all have the same */
			(void)buf_addf(out, "%x", draw(f, 4000));
		(void)buf_addc(out, ' ');
	}
}

static void write_mail(struct fixture *f, struct buf *out)
{
	static const char base64[] = "aG9saWRheSBwbGFuIG9mIHRoZSBoaWRkZW4gd29yZCBlbmNvZGVkbmVzcw==";
	AUTO(buf) struct buf text = BUF_INIT(10000);
	some_words(f, &text, 1 + draw(f, 12));
	(void)buf_addf(
		out, "From: =?utf-8?q?J=C3=BCrgen?= <j%u@example.test>\r\nSubject: ", draw(f, 50));
	(void)buf_addf(out, "=?utf-8?q?Gr=C3=BC=C3=9Fe_%x?= and\r\n folded %x\r\n", draw(f, 500),
		       draw(f, 500));
	switch (draw(f, 5)) {
	case 0:
		(void)buf_addf(out, "Content-Transfer-Encoding: base64\r\n\r\n%s\r\n", base64);
		break;
	case 1:
		(void)buf_addf(
			out,
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
			"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner %x\r\n"
			"\r\ninner %s\r\n--b\r\nContent-Type: image/png\r\nX-Part: note%x\r\n"
			"\r\nnot a text\r\n--b--\r\n",
			draw(f, 300), buf_c(&text), draw(f, 300));
		break;
	case 2:
		(void)buf_addf(
			out, "Content-Type: text/html; charset=iso-8859-1\r\n\r\n<b>\xe4%x</b>\r\n",
			draw(f, 3000));
		break;
	default:
		(void)buf_addf(out, "Content-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
			       buf_c(&text));
	}
}

static struct str map_of(struct arena *a, struct str message)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(MIB(8));
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, &scratch);
	AUTO(buf) struct buf out = BUF_INIT(MIB(1));
	struct mime_map *map;
	mime_index_feed(ix, message);
	assert_int_equal(mime_index_finish(ix, &map, NULL), 0);
	assert_int_equal(mime_map_write(map, &out), 0);
	return arena_str(a, buf_str(&out));
}

static void add_mail(struct fixture *f, const struct str *raw, size_t n)
{
	struct world *w = f->w;
	struct store_append_message *m = xcalloc(n, sizeof *m);
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	for (size_t i = 0; i < n; i++)
		m[i].content =
			(struct store_content){.prefix = STR("Received: by prefixed.test\r\n"),
					       .bytes = raw[i],
					       .map = map_of(&a, raw[i])};
	struct store_append ap = {.account = ALICE, .mailbox = STR("INBOX"), .messages = m, .n = n};
	struct store_append_result res;
	OK(store_append(w->s, &ap, &res, &w->why));
	free(m);
}

static void add_random(struct fixture *f, size_t n)
{
	while (n > 0) {
		AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
		struct str raw[100];
		size_t now = MIN(n, ARRAY_LEN(raw));
		for (size_t i = 0; i < now; i++) {
			AUTO(buf) struct buf mail = BUF_INIT(KIB(64));
			write_mail(f, &mail);
			raw[i] = arena_str(&a, buf_str(&mail));
		}
		add_mail(f, raw, now);
		n -= now;
	}
}

/* All messages of the store, read once. */
static void read_all(struct fixture *f)
{
	struct world *w = f->w;
	uint64_t from = 1;
	for (size_t n = 1; n > 0;) {
		struct store_text some[16];
		AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
		const struct store_span span = {.from = from, .to = UINT64_MAX, .max = 16};
		OK(store_texts(w->s, &span, &a, some, &n, &w->why));
		for (size_t i = 0; i < n; i++) {
			struct store_text *t = vec_push(&f->texts);
			*t = some[i];
			t->prefix = arena_str(&f->arena, t->prefix);
			t->map = arena_str(&f->arena, t->map);
			t->body.bytes = arena_str(&f->arena, t->body.bytes);
			from = t->id.v + 1;
		}
	}
}

/* ---- what reading says, what the index says -------------------------------------------------- */

static int64_t read_text(void *ctx, uint64_t off, char *to, size_t n)
{
	const struct store_text *t = ctx;
	struct str s = str_sub(t->body.bytes, (size_t)off, (size_t)off + n);
	memcpy(to, s.p, s.n);
	return (int64_t)s.n;
}

static bool is_in(struct store_text *t, const struct text_needle *n, unsigned places)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
	struct mime_map *map;
	struct text_source source = {read_text, t};
	assert_int_equal(mime_map_read(t->map, t->body.size, &a, &map, NULL), 0);
	if ((places & 1) && (text_contains(n, t->prefix) || text_contains(n, map->subject) ||
			     text_contains(n, map->from)))
		return true;
	return (places & 2) && text_search(&source, map, n, places & 1 ? TEXT_ALL : TEXT_BODY) == 1;
}

struct outcome {
	size_t found, excluded;
};

static struct outcome compare(struct fixture *f, struct str needle, unsigned places)
{
	struct outcome o = {0};
	struct search_question q;
	size_t n = f->texts.n;
	AUTO_MEM struct search_doc *docs = xcalloc(n + 1, sizeof *docs);
	AUTO_MEM uint8_t *maybe = xcalloc(1, n / 8 + 1);
	AUTO(text_needle) struct text_needle *t = text_needle_new(needle);
	memset(maybe, 0xff, n / 8 + 1);
	for (size_t i = 0; i < n; i++)
		docs[i] = (struct search_doc){f->texts.p[i].id.v, f->texts.p[i].size};
	if (search_question_of(needle, places, &q))
		search_ask(f->x, &(struct search_ask){ALICE, docs, n, &q, 1, &maybe});
	for (size_t i = 0; i < n; i++) {
		bool in = is_in(&f->texts.p[i], t, places);
		bool out = !(maybe[i / 8] >> i % 8 & 1);
		o.found += in;
		o.excluded += out;
		if (in && out)
			fail_msg("\"%.*s\" is in message %llu", STR_ARG(needle),
				 (unsigned long long)docs[i].id);
	}
	return o;
}

static void begin_text(void *ctx, enum text_place place)
{
	(void)place;
	fuzzy_look_begin(ctx, 100);
}

static bool take_text(void *ctx, struct str utf8)
{
	return fuzzy_look_take(ctx, utf8);
}

static bool is_nearly_in(struct store_text *t, const struct fuzzy *fuzzy)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
	struct mime_map *map;
	struct fuzzy_look l;
	struct text_source source = {read_text, t};
	struct text_sink sink = {begin_text, take_text, &l};
	fuzzy_look_init(&l, fuzzy, false);
	assert_int_equal(mime_map_read(t->map, t->body.size, &a, &map, NULL), 0);
	assert_true(text_each(&source, map, TEXT_BODY, &sink) >= 0);
	return fuzzy_look_end(&l) > 0;
}

/* Whatever FUZZY finds in bodies, no question about a word of it may exclude. */
static struct outcome compare_fuzzy(struct fixture *f, struct str needle)
{
	struct outcome o = {0};
	size_t n = f->texts.n;
	AUTO_MEM struct search_doc *docs = xcalloc(n + 1, sizeof *docs);
	AUTO_MEM uint8_t *maybe = xcalloc(1, n / 8 + 1);
	AUTO(fuzzy) struct fuzzy *fuzzy = fuzzy_new(needle);
	for (size_t i = 0; i < n; i++)
		docs[i] = (struct search_doc){f->texts.p[i].id.v, f->texts.p[i].size};
	for (size_t k = 0; k < fuzzy_count(fuzzy); k++) {
		AUTO(buf) struct buf word = BUF_INIT(4 * FUZZY_WORD_MAX + 1);
		struct search_question q;
		size_t lack = 0;
		fuzzy_word(fuzzy, k, &word, &lack);
		if (!search_question_of_word(buf_str(&word), lack, 1u << TEXT_IN_BODY, &q))
			continue;
		memset(maybe, 0xff, n / 8 + 1);
		search_ask(f->x, &(struct search_ask){ALICE, docs, n, &q, 1, &maybe});
		for (size_t i = 0; i < n; i++) {
			bool in = is_nearly_in(&f->texts.p[i], fuzzy);
			bool out = !(maybe[i / 8] >> i % 8 & 1);
			o.found += in;
			o.excluded += out;
			if (in && out)
				fail_msg("\"%.*s\" is nearly in message %llu", STR_ARG(needle),
					 (unsigned long long)docs[i].id);
		}
	}
	return o;
}

/* Parts of what there is, with an ASCII letter changed or two exchanged. */
static struct outcome compare_many_fuzzy(struct fixture *f, unsigned rounds)
{
	struct outcome sum = {0};
	for (unsigned i = 0; i < rounds; i++) {
		AUTO(buf) struct buf text = BUF_INIT(1000);
		some_words(f, &text, 1 + draw(f, 2));
		size_t at = text.n > 2 ? 1 + draw(f, (unsigned)text.n - 2) : 0;
		bool ascii = text.n > 2 && ((text.p[at] | text.p[at - 1]) & 0x80) == 0;
		char before = ascii ? text.p[at - 1] : 0;
		if (ascii && draw(f, 2)) {
			text.p[at - 1] = text.p[at];
			text.p[at] = before;
		} else if (ascii) {
			text.p[at] = 'q';
		}
		struct outcome o = compare_fuzzy(f, buf_str(&text));
		sum.found += o.found;
		sum.excluded += o.excluded;
	}
	return sum;
}

/* Random parts of what there is, and some that is not there. */
static struct outcome compare_many(struct fixture *f, unsigned rounds)
{
	struct outcome sum = {0};
	for (unsigned i = 0; i < rounds; i++) {
		AUTO(buf) struct buf text = BUF_INIT(1000);
		some_words(f, &text, 2);
		size_t from = 0, to = 0;
		for (unsigned k = draw(f, 4); k-- && from < text.n;)
			(void)utf8_next(buf_str(&text), &from);
		to = from;
		for (unsigned k = 1 + draw(f, 8); k-- && to < text.n;)
			(void)utf8_next(buf_str(&text), &to);
		struct outcome o = compare(f, str_sub(buf_str(&text), from, to), 1 + draw(f, 3));
		sum.found += o.found;
		sum.excluded += o.excluded;
	}
	return sum;
}

static void catch_up(struct fixture *f)
{
	struct world *w = f->w;
	int r;
	while ((r = search_step(f->x, &w->why)) > 0)
		continue;
	assert_ok(r, &w->why);
}

static uint64_t missing(struct fixture *f)
{
	struct search_stats s;
	search_get_stats(f->x, &s);
	return s.missing;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void run_never_wrong(enum store_engine_kind kind)
{
	struct fixture f;
	begin(&f, kind, false);
	add_random(&f, MANY / 2);
	read_all(&f);
	assert_int_equal(compare_many(&f, 3).excluded, 0); /* nothing is indexed */
	for (unsigned i = 0; i < 20; i++)
		(void)!search_step(f.x, NULL);
	(void)compare_many(&f, 5); /* in the middle */
	catch_up(&f);
	add_random(&f, MANY - MANY / 2);
	f.texts.n = 0;
	read_all(&f);
	assert_int_equal(f.texts.n, MANY);
	catch_up(&f);
	assert_int_equal(missing(&f), 0);
	struct outcome o = compare_many_fuzzy(&f, 60);
	assert_true(o.found > 0 && o.excluded > 0);
	o = compare_many(&f, 40);
	assert_true(o.found > 500);
	assert_true(o.excluded > (size_t)40 * MANY / 2);
	assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, MANY);
	assert_true(compare(&f, STR("ncodednes"), 2).found > 100); /* in base64 */
	assert_true(compare(&f, STR("gr\xc3\xbc\xc3\x9f"), 1).found == MANY);
	o = compare(&f, STR("\xe6\x9c\xac"), 2);
	assert_true(o.found > 100 && o.excluded + o.found > MANY * 9 / 10);
	end(&f);
}

static void test_never_wrong(void **state)
{
	(void)state;
	run_never_wrong(STORE_MEMORY);
	run_never_wrong(STORE_SQLITE);
}

static void spoil(const char *path, long at)
{
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	int c = fgetc(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	(void)fputc(c ^ 0x10, file);
	assert_int_equal(fclose(file), 0);
}

static void test_damage(void **state)
{
	struct fixture f;
	char path[PATH_MAX_];
	(void)state;
	begin(&f, STORE_SQLITE, false);
	add_random(&f, MANY);
	read_all(&f);
	catch_up(&f);
	part_path_segment(f.x, f.x->parts[0], 0, path);
	const long places[] = {3, 5000, 60000};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		f.told[SEARCH_DAMAGED] = 0;
		spoil(path, places[i]);
		for (unsigned k = 0; k < 60 && !f.told[SEARCH_DAMAGED]; k++)
			(void)compare_many(&f, 1);
		assert_int_equal(f.told[SEARCH_DAMAGED], 1);
		assert_true(missing(&f) >= 1000);
		catch_up(&f);
		assert_int_equal(missing(&f), 0);
		assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, MANY);
	}
	assert_int_equal(unlink(path), 0); /* taken away while it is known */
	(void)compare_many(&f, 2);
	catch_up(&f);
	part_path_tail(f.x, f.x->parts[0], path);
	spoil(path, 200);
	assert_true(compare(&f, STR("never there at all"), 3).excluded >= 1000);
	struct world *w = f.w;
	OK(search_rebuild(f.x, 0, &w->why));
	assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, 0);
	catch_up(&f);
	assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, MANY);
	end(&f);
}

static void test_disk_full(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, STORE_SQLITE, false);
	AUTO(testdir) struct testdir d = testdir_new();
	struct fs_fault *fault = fs_fault_new(d.path, 1);
	add_random(&f, MANY);
	read_all(&f);
	for (uint64_t nth = 1; nth < 300; nth = nth * 3 + 1) {
		search_stop(f.x);
		search_free(f.x);
		f.fs = fs_fault_fs(fault);
		(void)snprintf(f.root, sizeof f.root, "%s/i%u", d.path, (unsigned)nth);
		open_index(&f, false);
		struct world *w = f.w;
		OK(search_start(f.x, w->s, &w->why));
		fs_fault_recount(fault);
		fs_fault_add(fault, &(struct fs_fault_rule){.op = FS_OP_PWRITE,
							    .nth = nth,
							    .onwards = true,
							    .what = FS_FAULT_SHORT});
		int r = 1;
		while (r > 0)
			r = search_step(f.x, &w->why);
		(void)compare_many(&f, 2);
		if (r == 0)
			break;
		assert_int_equal(r, -FAIL_LIMIT);
		fs_fault_recount(fault);
		catch_up(&f);
		(void)compare_many(&f, 4);
		assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, MANY);
	}
	assert_true(fs_fault_calls(fault, FS_OP_PWRITE) > 0);
	search_stop(f.x);
	search_free(f.x);
	fs_fault_free(fault);
	f.fs = NULL;
	(void)snprintf(f.root, sizeof f.root, "%s/last", f.w->dir.path);
	open_index(&f, false);
	end(&f);
}

/* What is expunged and purged leaves the files. */
static void test_gone(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, STORE_SQLITE, false);
	struct world *w = f.w;
	char path[PATH_MAX_];
	add_random(&f, MANY);
	catch_up(&f);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	struct store_set set = set_of(w, v, 100, 599, true);
	struct store_flagset deleted = {.bits = STORE_DELETED};
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	OK(store_view_store(v, &set, STORE_FLAGS_ADD, &deleted, NULL, &res, &w->why));
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	(void)sync_view(w, v, STORE_SYNC_EXPUNGE);
	struct store_purge_result purged;
	OK(store_purge(w->s, ALICE, (struct wall_us){INT64_MAX}, 10000, &purged, &w->why));
	assert_int_equal(purged.messages, 500);
	catch_up(&f);
	part_path_segment(f.x, f.x->parts[0], 0, path);
	AUTO_MEM struct segment *g = xcalloc(1, sizeof *g);
	OK(segment_open(fs_real(), path, f.x->parts[0]->made, 0, g, &w->why));
	size_t kept = 0;
	for (size_t i = 0; i < RANGE_IDS; i++)
		kept += g->head.entry[i].sig[0] != SIG_ABSENT;
	assert_true(kept >= 520 && kept <= 530);
	segment_close(g);
	read_all(&f);
	assert_int_equal(f.texts.n, MANY - 500);
	(void)compare_many(&f, 20);
	assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, MANY - 500);
	store_view_close(TAKE(v));
	OK(store_account_delete(w->s, ALICE, &w->why));
	catch_up(&f);
	assert_int_equal(access(path, F_OK), -1);
	struct search_status s;
	OK(search_get_status(f.x, 0, &s, &w->why));
	assert_true(s.bytes < 100); /* an empty tail */
	end(&f);
}

/* ---- dying ---------------------------------------------------------------------------------- */

static void die_at(struct fixture *f, const char *point, unsigned hit)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct world *w = f->w;
		struct fail why;
		open_index(f, false);
		if (store_open(&w->o, &w->s, &why) < 0 || search_start(f->x, w->s, &why) < 0)
			_exit(3);
		crash_arm(point, hit);
		while (search_step(f->x, &why) > 0)
			continue;
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_crash(void **state)
{
	static const struct {
		const char *point;
		unsigned hit;
	} points[] = {{"search.signing", 1},	  {"search.before-append", 5},
		      {"search.after-append", 5}, {"search.after-append", 30},
		      {"search.before-seal", 1},  {"search.after-seal", 1},
		      {"search.before-append", 4}};
	struct fixture f;
	(void)state;
	if (!crash_points())
		skip();
	begin(&f, STORE_SQLITE, false);
	struct world *w = f.w;
	add_random(&f, MANY);
	read_all(&f);
	search_stop(f.x);
	store_close(w->s);
	search_free(f.x);
	for (size_t i = 0; i < ARRAY_LEN(points); i++)
		die_at(&f, points[i].point, points[i].hit);
	open_index(&f, false);
	world_open(w);
	OK(search_start(f.x, w->s, &w->why));
	(void)compare_many(&f, 3);
	catch_up(&f);
	assert_int_equal(missing(&f), 0);
	assert_int_equal(f.told[SEARCH_DAMAGED], 0);
	assert_int_equal(f.told[SEARCH_POISON], 0);
	(void)compare_many(&f, 10);
	assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, MANY);
	end(&f);
}

/* A message that ends the process is left out in the end: the index goes on. */
static void test_poison(void **state)
{
	struct fixture f;
	(void)state;
	if (!crash_points())
		skip();
	begin(&f, STORE_SQLITE, false);
	struct world *w = f.w;
	add_random(&f, 40);
	read_all(&f);
	search_stop(f.x);
	store_close(w->s);
	search_free(f.x);
	die_at(&f, "search.signing", 2); /* the batch that begins with the 17th */
	die_at(&f, "search.signing", 1); /* it alone */
	open_index(&f, false);
	world_open(w);
	OK(search_start(f.x, w->s, &w->why));
	catch_up(&f);
	assert_int_equal(f.told[SEARCH_POISON], 1);
	assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, 39);
	end(&f);
}

/* ---- other files ------------------------------------------------------------------------------
 */

/* Mails of one size, whose ids are the next ones. */
static void add_alike(struct fixture *f, const char *word, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char mail[80];
		(void)snprintf(mail, sizeof mail, "Subject: x\r\n\r\n%s%05u\r\n", word, i);
		struct str raw = str_c(mail);
		add_mail(f, &raw, 1);
	}
}

static void stop_all(struct fixture *f)
{
	search_stop(f->x);
	store_close(f->w->s);
	search_free(f->x);
}

static void copy_file(struct fixture *f, const char *from, const char *to)
{
	char path[2][300], bytes[4096];
	(void)snprintf(path[0], sizeof path[0], "%s/%s", f->w->o.root, from);
	(void)snprintf(path[1], sizeof path[1], "%s/%s", f->w->o.root, to);
	int in = open(path[0], O_RDONLY), out = open(path[1], O_CREAT | O_WRONLY | O_TRUNC, 0600);
	assert_true(in >= 0 && out >= 0);
	for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	close(in);
	close(out);
}

static void start_all(struct fixture *f, const char *word, unsigned n)
{
	struct world *w = f->w;
	open_index(f, false);
	world_open(w);
	OK(store_account_ensure(w->s, ALICE, store_default_folders, &w->why));
	if (n)
		add_alike(f, word, n);
	OK(search_start(f->x, w->s, &w->why));
	catch_up(f);
	f->texts.n = 0;
	read_all(f);
}

/* Another file with the same ids and sizes: the index forgets what it knew. */
static void test_other_file(void **state)
{
	struct fixture f;
	char path[300];
	(void)state;
	begin(&f, STORE_SQLITE, false);
	add_alike(&f, "first", 20);
	catch_up(&f);
	stop_all(&f);
	(void)snprintf(path, sizeof path, "%s/part-000.db", f.w->o.root);
	assert_int_equal(unlink(path), 0);
	start_all(&f, "other", 20);
	assert_int_equal(compare(&f, STR("other000"), 2).found, 20);
	assert_int_equal(compare(&f, STR("first000"), 2).excluded, 20);
	assert_int_equal(f.told[SEARCH_DAMAGED], 0);
	end(&f);
}

/* The same file as it was before: ids are given again. */
static void test_older_file(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, STORE_SQLITE, false);
	add_alike(&f, "first", 20);
	catch_up(&f);
	stop_all(&f);
	copy_file(&f, "part-000.db", "aside");
	start_all(&f, "later", 1030);
	stop_all(&f);
	copy_file(&f, "aside", "part-000.db");
	start_all(&f, "other", 200);
	assert_int_equal(compare(&f, STR("other000"), 2).found, 100);
	assert_int_equal(compare(&f, STR("later000"), 2).excluded, 220);
	end(&f);
}

/* What a killed process was writing goes. */
static void test_rest_goes(void **state)
{
	struct fixture f;
	char path[300];
	(void)state;
	begin(&f, STORE_SQLITE, false);
	add_alike(&f, "first", 2);
	catch_up(&f);
	stop_all(&f);
	(void)snprintf(path, sizeof path, "%s/000/00000000.new", f.root);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	start_all(&f, "", 0);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(compare(&f, STR("never there"), 2).excluded, 2);
	end(&f);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void test_thread(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, STORE_SQLITE, true);
	for (unsigned round = 0; round < 6; round++) {
		add_random(&f, 200);
		f.texts.n = 0;
		read_all(&f);
		(void)compare_many(&f, 2);
	}
	while (missing(&f) > 0)
		(void)usleep(2000);
	(void)compare_many(&f, 5);
	assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, 1200);
	search_set_cpu(f.x, 0);
	assert_int_equal(compare(&f, STR("never there at all"), 3).excluded, 0);
	end(&f);
}

/* ---- filters -------------------------------------------------------------------------------- */

static void test_filter(void **state)
{
	struct fixture f = {.seed = 5};
	(void)state;
	for (unsigned kind = 0; kind < FILTER_CLASSES; kind += 5) {
		size_t bits = filter_bits(kind), columns = 19;
		uint8_t *arrays = xcalloc(columns, bits / 8);
		uint8_t *rows = xcalloc(bits, 3);
		const uint8_t *column[19];
		uint32_t gram[19][50];
		for (size_t c = 0; c < columns; c++) {
			for (size_t i = 0; i < 50; i++)
				gram[c][i] = draw(&f, UINT32_MAX);
			filter_fill(arrays + c * (bits / 8), kind, gram[c], 50);
			column[c] = arrays + c * (bits / 8);
			for (size_t i = 0; i < 50; i++)
				assert_true(filter_has(column[c], kind, gram[c][i]));
		}
		filter_turn(column, columns, bits, rows);
		for (size_t r = 0; r < bits; r++)
			for (size_t c = 0; c < columns; c++)
				assert_int_equal(rows[r * 3 + c / 8] >> c % 8 & 1,
						 column[c][r / 8] >> r % 8 & 1);
		free(arrays);
		free(rows);
	}
	for (size_t n = 0; n <= FILTER_GRAMS_MAX; n += 997)
		assert_true(n * 9 <= filter_bits(filter_class(n)) * 2u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),	   cmocka_unit_test(test_never_wrong),
		cmocka_unit_test(test_damage),	   cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_gone),	   cmocka_unit_test(test_crash),
		cmocka_unit_test(test_poison),	   cmocka_unit_test(test_thread),
		cmocka_unit_test(test_other_file), cmocka_unit_test(test_older_file),
		cmocka_unit_test(test_rest_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
