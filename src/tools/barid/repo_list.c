/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations of a repository: writing and reading their lists, pruning.
 */
#include "base/check.h"
#include "base/civil.h"
#include "base/encode.h"
#include "base/num.h"
#include "sys/clock.h"
#include "sys/sha256.h"
#include "tools/barid/repo_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

void repo_generation_clear(struct repo_generation *g)
{
	for (size_t i = 0; i < g->files.n; i++)
		free(g->files.p[i].name);
	for (size_t i = 0; i < g->bad.n; i++)
		free(g->bad.p[i]);
	vec_clear(&g->files);
	vec_clear(&g->blocks);
	vec_clear(&g->bodies);
	vec_clear(&g->bad);
}

void repo_watch(struct repo *r, void (*fn)(void *arg, uint64_t bytes), void *arg)
{
	r->seen = fn;
	r->seen_arg = arg;
}

const struct repo_file *repo_find(const struct repo_generation *g, const char *name)
{
	for (size_t i = 0; i < g->files.n; i++)
		if (strcmp(g->files.p[i].name, name) == 0)
			return &g->files.p[i];
	return NULL;
}

int repo_add_file(struct repo *r, struct repo_generation *g, const char *name, int fd,
		  uint32_t mode, struct fail *why)
{
	AUTO_MEM char *piece = xcalloc(1, REPO_BLOCK);
	struct repo_file f = {.mode = mode, .first = g->blocks.n};
	for (;;) {
		size_t n = 0;
		ssize_t got = 1;
		while (n < REPO_BLOCK &&
		       (got = pread(fd, piece + n, REPO_BLOCK - n, (off_t)(f.size + n))) > 0)
			n += (size_t)got;
		if (got < 0)
			return fail_errno(why, FAIL_IO, "cannot read %s", name);
		if (n == 0)
			break;
		struct repo_hash h;
		int res = repo_put_block(r, str_make(piece, n), &h, why);
		if (res < 0)
			return res;
		*(struct repo_hash *)vec_push(&g->blocks) = h;
		f.size += n;
		f.n++;
		if (r->seen)
			r->seen(r->seen_arg, n);
	}
	f.name = xstrdup(name);
	*(struct repo_file *)vec_push(&g->files) = f;
	return 0;
}

/* --- writing
 * ------------------------------------------------------------------------------------------ */

struct list_out {
	FILE *f;
	struct sha256 *sum;
	struct buf line;
};

static void out_line(struct list_out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void out_line(struct list_out *o, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_reset(&o->line);
	(void)buf_vaddf(&o->line, fmt, ap);
	va_end(ap);
	(void)buf_addc(&o->line, '\n');
	sha256_add(o->sum, buf_str(&o->line));
	(void)fwrite(o->line.p, 1, o->line.n, o->f);
}

static const char *hex(struct buf *b, const void *p, size_t n)
{
	buf_reset(b);
	(void)hex_encode(b, str_make(p, n));
	return buf_c(b);
}

static void write_list(struct list_out *o, const struct repo_generation *g)
{
	AUTO(buf) struct buf a = BUF_INIT(128), b = BUF_INIT(128);
	out_line(o, "barid-backup 1");
	out_line(o, "taken %lld", (long long)g->taken.v);
	out_line(o, "program %s", BARID_VERSION);
	out_line(o, "server %s", g->online ? "running" : "stopped");
	if (g->account)
		out_line(o, "account %llu %s", (unsigned long long)g->account, g->address);
	if (g->mailbox[0])
		out_line(o, "mailbox %s", g->mailbox);
	out_line(o, "partitions %u", g->partitions);
	if (g->spool_epoch[0])
		out_line(o, "epoch %s", g->spool_epoch);
	for (size_t i = 0; i < g->files.n; i++) {
		const struct repo_file *f = &g->files.p[i];
		out_line(o, "file %llu %o %s", (unsigned long long)f->size, f->mode, f->name);
		for (size_t k = 0; k < f->n; k++)
			out_line(o, "b %s", hex(&a, g->blocks.p[f->first + k].b, 32));
	}
	for (size_t i = 0; i < g->bodies.n; i++) {
		const struct repo_body *x = &g->bodies.p[i];
		out_line(o, "body %s %llu %s %llx", hex(&a, x->hash.b, 32),
			 (unsigned long long)x->size, hex(&b, x->id, 16),
			 (unsigned long long)x->account);
	}
	for (size_t i = 0; i < g->bad.n; i++)
		out_line(o, "bad %s", g->bad.p[i]);
}

static void make_name(struct repo *r, struct repo_generation *g, char path[REPO_PATH_MAX])
{
	struct civil c;
	struct stat st;
	for (struct wall_us t = g->taken;; t.v += SEC_US) {
		civil_from_us(t, &c);
		(void)snprintf(g->name, sizeof g->name, "%04d%02u%02uT%02u%02u%02uZ",
			       (int)c.year % 10000, c.month % 100u, c.day % 100u, c.hour % 100u,
			       c.minute % 100u, c.second % 100u);
		(void)snprintf(path, REPO_PATH_MAX, "%s/generations/%s", r->dir, g->name);
		if (stat(path, &st) < 0)
			return;
	}
}

static int sync_folder(const char *path, struct fail *why)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return fail_errno(why, FAIL_IO, "cannot sync %s", path);
	return 0;
}

int repo_commit(struct repo *r, struct repo_generation *g, struct fail *why)
{
	char temp[REPO_PATH_MAX], path[REPO_PATH_MAX];
	unsigned char sum[SHA256_LEN];
	AUTO(buf) struct buf text = BUF_INIT(128);
	int res = repo_sync(r, why);
	if (res < 0)
		return res;
	repo_temp(r, "list", temp);
	int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct list_out o = {.f = fd < 0 ? NULL : fdopen(fd, "w"),
			     .line = BUF_INIT(LINE_MAX_BYTES)};
	if (!o.f)
		return fail_errno(why, FAIL_IO, "cannot write %s", temp);
	o.sum = sha256_begin();
	write_list(&o, g);
	sha256_end(o.sum, sum);
	bool good = fprintf(o.f, "end %s\n", hex(&text, sum, sizeof sum)) > 0 && !o.line.failed;
	good = fflush(o.f) == 0 && !ferror(o.f) && fsync(fileno(o.f)) == 0 && good;
	buf_clear(&o.line);
	if (fclose(o.f) != 0 || !good)
		return fail_errno(why, FAIL_IO, "cannot write %s", temp);
	/* Everything that the list names has its name for good, before the list has one. */
	AUTO_FD int all = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (all < 0 || syncfs(all) < 0)
		return fail_errno(why, FAIL_IO, "cannot sync %s", r->dir);
	make_name(r, g, path);
	if (rename(temp, path) < 0)
		return fail_errno(why, FAIL_IO, "cannot name %s", path);
	(void)snprintf(path, sizeof path, "%s/generations", r->dir);
	return sync_folder(path, why);
}

/* --- reading
 * ------------------------------------------------------------------------------------------ */

static bool word_hex(struct str *rest, void *into, size_t n)
{
	struct str word;
	AUTO(buf) struct buf raw = BUF_INIT(64);
	if (!str_cut(rest, ' ', &word) || word.n != 2 * n || hex_decode(&raw, word) < 0)
		return false;
	memcpy(into, raw.p, n);
	return true;
}

static bool word_u64(struct str *rest, uint64_t *ret)
{
	struct str word;
	return str_cut(rest, ' ', &word) && num_parse_u64(word, ret);
}

/* Names are ours: two levels at most, nothing that leaves the folder. */
static bool is_good_name(struct str s)
{
	if (s.n == 0 || s.n > 200 || s.p[0] == '/' || str_find_str(s, 0, STR("..")) < s.n)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ')
			return false;
	return true;
}

static bool read_file(struct str rest, struct repo_generation *g)
{
	struct str word;
	struct repo_file f = {.first = g->blocks.n};
	uint64_t size, mode = 0;
	if (!word_u64(&rest, &size) || !str_cut(&rest, ' ', &word) || !is_good_name(rest))
		return false;
	for (size_t i = 0; i < word.n && i < 5; i++)
		mode = mode * 8 + (uint64_t)(word.p[i] - '0') % 8;
	f.size = size;
	f.mode = (uint32_t)mode & 0777;
	f.name = xcalloc(1, rest.n + 1);
	memcpy(f.name, rest.p, rest.n);
	*(struct repo_file *)vec_push(&g->files) = f;
	return true;
}

static bool read_body(struct str rest, struct repo_generation *g)
{
	struct repo_body b = {0};
	struct str word;
	if (!word_hex(&rest, b.hash.b, 32) || !word_u64(&rest, &b.size) ||
	    !word_hex(&rest, b.id, 16) || !str_cut(&rest, ' ', &word) ||
	    !num_parse_hex_u64(word, &b.account))
		return false;
	*(struct repo_body *)vec_push(&g->bodies) = b;
	return true;
}

static bool copy_text(char *into, size_t size, struct str s)
{
	if (s.n == 0 || s.n >= size)
		return false;
	memcpy(into, s.p, s.n);
	into[s.n] = '\0';
	return true;
}

static bool read_account(struct str rest, struct repo_generation *g)
{
	return word_u64(&rest, &g->account) && copy_text(g->address, sizeof g->address, rest);
}

static bool read_line(struct str line, struct repo_generation *g)
{
	struct str key, rest = line;
	uint64_t v = 0;
	if (!str_cut(&rest, ' ', &key))
		return false;
	if (str_eq(key, STR("b"))) {
		struct repo_hash h;
		if (g->files.n == 0 || !word_hex(&rest, h.b, 32))
			return false;
		g->files.p[g->files.n - 1].n++;
		*(struct repo_hash *)vec_push(&g->blocks) = h;
		return true;
	}
	if (str_eq(key, STR("body")))
		return read_body(rest, g);
	if (str_eq(key, STR("file")))
		return read_file(rest, g);
	if (str_eq(key, STR("account")))
		return read_account(rest, g);
	if (str_eq(key, STR("mailbox")))
		return copy_text(g->mailbox, sizeof g->mailbox, rest);
	if (str_eq(key, STR("epoch")))
		return copy_text(g->spool_epoch, sizeof g->spool_epoch, rest);
	if (str_eq(key, STR("taken"))) {
		bool good = num_parse_u64(rest, &v);
		g->taken.v = (int64_t)(v & INT64_MAX);
		return good;
	}
	if (str_eq(key, STR("partitions"))) {
		g->partitions = (uint32_t)(num_parse_u64(rest, &v) ? v : 0);
		return g->partitions <= 65536;
	}
	if (str_eq(key, STR("server")))
		g->online = str_eq(rest, STR("running"));
	if (str_eq(key, STR("bad"))) {
		char *text = xcalloc(1, rest.n + 1);
		memcpy(text, rest.n ? rest.p : "", rest.n);
		*(char **)vec_push(&g->bad) = text;
	}
	return true; /* lines of a later minor version */
}

static int parse_list(FILE *f, struct repo_generation *g, struct fail *why)
{
	char line[LINE_MAX_BYTES];
	struct sha256 *h = sha256_begin();
	unsigned char sum[SHA256_LEN], want[SHA256_LEN];
	bool ended = false;
	int r = 0;
	for (size_t n = 0; r == 0 && !ended && fgets(line, sizeof line, f); n++) {
		struct str s = str_c(line);
		bool whole = s.n > 0 && s.p[s.n - 1] == '\n';
		struct str text = str_sub(s, 0, s.n - whole), end = str_skip(text, 4);
		if (n == 0 && whole && !str_eq(text, STR("barid-backup 1")))
			r = fail_set(why, FAIL_UNSUPPORTED,
				     "This backup was made by a newer barid.", "%s", g->name);
		else if (whole && str_starts(text, STR("end ")))
			ended = word_hex(&end, want, sizeof want);
		else if (!whole || (n > 0 && !read_line(text, g)))
			r = fail_set(why, FAIL_CORRUPT, NULL,
				     "line %zu of the list of %s is damaged", n + 1, g->name);
		if (!ended)
			sha256_add(h, s);
	}
	sha256_end(h, sum);
	if (r == 0 && (!ended || memcmp(sum, want, sizeof sum) != 0))
		r = fail_set(why, FAIL_CORRUPT, NULL, "the list of %s is damaged", g->name);
	return r;
}

int repo_read(struct repo *r, const char *name, struct repo_generation *ret, struct fail *why)
{
	char path[REPO_PATH_MAX];
	*ret = (struct repo_generation){0};
	(void)snprintf(ret->name, sizeof ret->name, "%s", name);
	(void)snprintf(path, sizeof path, "%s/generations/%s", r->dir, name);
	FILE *f = is_good_name(str_c(name)) ? fopen(path, "re") : NULL;
	if (!f)
		return fail_set(why, FAIL_NOTFOUND, "There is no such generation.", "%s", path);
	int res = parse_list(f, ret, why);
	(void)fclose(f);
	if (res < 0)
		repo_generation_clear(ret);
	return res;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int repo_list(struct repo *r, struct repo_names *ret, struct fail *why)
{
	char path[REPO_PATH_MAX];
	VEC(char *) names = {0};
	(void)snprintf(path, sizeof path, "%s/generations", r->dir);
	DIR *d = opendir(path);
	if (!d)
		return fail_errno(why, FAIL_IO, "cannot read %s", path);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			*(char **)vec_push(&names) = xstrdup(e->d_name);
	(void)closedir(d);
	if (names.n > 1)
		qsort(names.p, names.n, sizeof *names.p, by_text);
	*ret = (struct repo_names){names.p, names.n};
	return 0;
}

void repo_names_clear(struct repo_names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->p[i]);
	free(n->p);
	*n = (struct repo_names){0};
}

int repo_extract(struct repo *r, const struct repo_generation *g, const struct repo_file *f,
		 const char *path, struct fail *why)
{
	AUTO(buf) struct buf plain = BUF_INIT(REPO_BLOCK + 64);
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(why, FAIL_IO, "cannot make %s", path);
	uint64_t at = 0;
	for (size_t i = 0; i < f->n; i++) {
		int res = repo_get_block(r, &g->blocks.p[f->first + i], &plain, why);
		if (res < 0)
			return fail_wrap(why, res, "%s", f->name);
		if (pwrite(fd, plain.p, plain.n, (off_t)at) != (ssize_t)plain.n)
			return fail_errno(why, FAIL_IO, "cannot write %s", path);
		at += plain.n;
	}
	if (at != f->size)
		return fail_set(why, FAIL_CORRUPT, NULL, "%s has %llu bytes instead of %llu",
				f->name, (unsigned long long)at, (unsigned long long)f->size);
	if (fsync(fd) < 0)
		return fail_errno(why, FAIL_IO, "cannot sync %s", path);
	return 0;
}

/* --- pruning
 * ------------------------------------------------------------------------------------------ */

struct hashes {
	VEC(struct repo_hash) v;
};

static int by_hash(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct repo_hash));
}

static void scope_of(const struct repo_generation *g, char text[1400])
{
	(void)snprintf(text, 1400, "%llu %s %s", (unsigned long long)g->account, g->address,
		       g->mailbox);
}

/* From the newest on: those beyond `keep` of their scope go, the others name what stays. */
static int choose(struct repo *r, size_t keep, struct hashes *stay, struct repo_pruned *ret,
		  struct fail *why)
{
	AUTO(repo_names) struct repo_names names = {0};
	VEC(char *) scopes = {0};
	int res = repo_list(r, &names, why);
	for (size_t i = names.n; res == 0 && i-- > 0;) {
		AUTO(repo_generation) struct repo_generation g = {0};
		char scope[1400], path[REPO_PATH_MAX];
		res = repo_read(r, names.p[i], &g, why);
		if (res < 0)
			break; /* what a damaged list names is not known: nothing goes */
		size_t same = 0;
		scope_of(&g, scope);
		for (size_t k = 0; k < scopes.n; k++)
			same += strcmp(scopes.p[k], scope) == 0;
		if (same >= keep) {
			(void)snprintf(path, sizeof path, "%s/generations/%s", r->dir, g.name);
			if (unlink(path) < 0)
				res = fail_errno(why, FAIL_IO, "cannot remove %s", path);
			ret->generations++;
			continue;
		}
		*(char **)vec_push(&scopes) = xstrdup(scope);
		for (size_t k = 0; k < g.blocks.n; k++)
			*(struct repo_hash *)vec_push(&stay->v) = g.blocks.p[k];
		for (size_t k = 0; k < g.bodies.n; k++)
			*(struct repo_hash *)vec_push(&stay->v) = g.bodies.p[k].hash;
	}
	for (size_t k = 0; k < scopes.n; k++)
		free(scopes.p[k]);
	vec_clear(&scopes);
	return res;
}

static void sweep_folder(const char *path, const struct hashes *stay, struct repo_pruned *ret)
{
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		struct repo_hash h;
		struct str name = str_c(e->d_name);
		struct stat st;
		if (str_ends(name, STR(".damaged")))
			(void)unlinkat(dirfd(d), e->d_name, 0);
		if (!word_hex(&name, h.b, 32) ||
		    bsearch(&h, stay->v.p, stay->v.n, sizeof h, by_hash) ||
		    fstatat(dirfd(d), e->d_name, &st, 0) < 0 ||
		    unlinkat(dirfd(d), e->d_name, 0) < 0)
			continue;
		ret->objects++;
		ret->bytes += (uint64_t)st.st_size;
	}
	if (d)
		(void)closedir(d);
}

int repo_prune(struct repo *r, size_t keep, struct repo_pruned *ret, struct fail *why)
{
	static const char *const kinds[] = {"blocks", "bodies"};
	struct hashes stay = {0};
	char path[REPO_PATH_MAX];
	*ret = (struct repo_pruned){0};
	/* An empty array for bsearch must not be NULL. */
	*(struct repo_hash *)vec_push(&stay.v) = (struct repo_hash){0};
	int res = choose(r, keep, &stay, ret, why);
	(void)snprintf(path, sizeof path, "%s/generations", r->dir);
	if (res == 0) /* no list comes back whose blocks are gone */
		res = sync_folder(path, why);
	if (res == 0)
		qsort(stay.v.p, stay.v.n, sizeof *stay.v.p, by_hash);
	for (size_t k = 0; res == 0 && k < ARRAY_LEN(kinds); k++)
		for (unsigned i = 0; i < 256; i++) {
			(void)snprintf(path, sizeof path, "%s/%s/%02x", r->dir, kinds[k], i);
			sweep_folder(path, &stay, ret);
		}
	vec_clear(&stay.v);
	return res;
}
