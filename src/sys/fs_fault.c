/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How it works. Every call goes to fs_real() and takes effect on disk at once. Beside that, an
 * inode remembers the bytes of its last sync and which sectors were written since; the names keep
 * the state that is durable, and a journal keeps the changes that are not yet. A power cut decides
 * which of these survive and rewrites the folder. A file whose name goes gets another one in the
 * graveyard ("<folder>.fault/INODE"), from where a cut can bring it back.
 */
#include "sys/fs_fault.h"
#include "base/check.h"
#include "base/map.h"
#include "base/vec.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>

#define SECTOR	  512u
#define RULES_MAX 8

struct inode {
	int fd; /* our own opening, for the rewrite */
	struct {
		VEC_FIELDS(char);
	} synced;
	struct {
		VEC_FIELDS(bool);
	} dirty; /* per sector, since the last sync */
};

/* A name that was changed at least once; ino 0 = there is none. */
struct name {
	char *path;
	uint64_t durable;
	uint64_t after_cut;
	bool folder;
};

enum change_kind { CHANGE_ADD, CHANGE_REMOVE, CHANGE_MOVE };
struct change {
	enum change_kind kind;
	struct name *from; /* what is added, removed or moved */
	struct name *to;   /* MOVE: to where */
	uint64_t ino;
	bool from_synced; /* the folder of `from` was synced since */
	bool to_synced;
};

struct fs_fault {
	struct fs fs; /* first */
	pthread_mutex_t lock;
	char root[PATH_MAX]; /* resolved */
	char graveyard[PATH_MAX + 16];
	struct map inodes;
	struct strmap names;
	struct {
		VEC_FIELDS(struct change);
	} journal;
	struct fs_fault_rule rules[RULES_MAX];
	size_t n_rules;
	uint64_t calls[FS_OP_COUNT];
	uint64_t random;
	bool fired;
	bool dead;
};

/* A path below the root, resolved, and what is there now. */
struct place {
	char path[PATH_MAX * 2];
	uint64_t ino; /* 0 = nothing */
	bool folder;
	bool inside;
};

static bool coin(struct fs_fault *f)
{
	uint64_t z = f->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z >> 40) & 1;
}

/* ---- data ---- */

static uint64_t ino_of(int fd)
{
	struct stat st;
	CHECK(fstat(fd, &st) == 0);
	return st.st_ino;
}

static size_t size_of(int fd)
{
	struct stat st;
	CHECK(fstat(fd, &st) == 0);
	return (size_t)st.st_size;
}

static void read_range(int fd, char *into, size_t n, size_t at)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got = pread(fd, into + done, n - done, (off_t)(at + done));
		CHECK(got >= 0);
		if (got == 0)
			break;
		done += (size_t)got;
	}
	memset(into + done, 0, n - done);
}

static void free_inode(struct inode *i)
{
	if (!i)
		return;
	(void)close(i->fd);
	vec_clear(&i->synced);
	vec_clear(&i->dirty);
	free(i);
}

/* The record of the file that fd has open; made now, with its present bytes as the durable ones. */
static struct inode *inode_of(struct fs_fault *f, int fd)
{
	char path[40];
	uint64_t ino = ino_of(fd);
	struct inode *i = map_get(&f->inodes, ino);
	if (i)
		return i;
	i = xcalloc(1, sizeof *i);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	i->fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(i->fd >= 0);
	size_t n = size_of(fd);
	vec_reserve(&i->synced, n + 1);
	read_range(i->fd, i->synced.p, n, 0);
	i->synced.n = n;
	(void)map_put(&f->inodes, ino, i);
	return i;
}

/* A new file may have got the number of one that is gone. */
static void new_inode(struct fs_fault *f, int fd)
{
	free_inode(map_remove(&f->inodes, ino_of(fd)));
	(void)inode_of(f, fd);
}

static void mark_dirty(struct inode *i, uint64_t from, uint64_t to)
{
	for (uint64_t s = from / SECTOR; s * SECTOR < to; s++) {
		while (i->dirty.n <= s)
			*vec_push(&i->dirty) = false;
		i->dirty.p[s] = true;
	}
}

static void data_synced(struct inode *i)
{
	size_t n = size_of(i->fd);
	vec_reserve(&i->synced, n + 1);
	if (n > i->synced.n)
		memset(i->synced.p + i->synced.n, 0, n - i->synced.n);
	i->synced.n = n;
	for (size_t s = 0; s < i->dirty.n; s++) {
		size_t at = s * SECTOR;
		if (i->dirty.p[s] && at < n)
			read_range(i->fd, i->synced.p + at, MIN((size_t)SECTOR, n - at), at);
	}
	i->dirty.n = 0;
}

static void cut_data(struct fs_fault *f, struct inode *i, enum fs_cut_mode mode)
{
	size_t n = size_of(i->fd);
	bool keep_size = mode == FS_CUT_TORN && coin(f);
	if (mode == FS_CUT_KEEP)
		return;
	for (size_t s = 0; s < i->dirty.n; s++) {
		char sector[SECTOR] = {0};
		size_t at = s * SECTOR;
		if (!i->dirty.p[s] || (mode == FS_CUT_TORN && coin(f)))
			continue;
		if (at < i->synced.n)
			memcpy(sector, i->synced.p + at, MIN((size_t)SECTOR, i->synced.n - at));
		CHECK(pwrite(i->fd, sector, SECTOR, (off_t)at) == SECTOR);
	}
	CHECK(ftruncate(i->fd, (off_t)(keep_size ? n : i->synced.n)) == 0);
}

/* ---- names ---- */

static void resolve(struct fs_fault *f, const char *path, struct place *ret)
{
	char parent[PATH_MAX], real[PATH_MAX];
	struct stat st;
	const char *slash = strrchr(path, '/');
	*ret = (struct place){0};
	if (fs_parent(path, parent, sizeof parent, NULL) < 0 || !realpath(parent, real))
		return;
	(void)snprintf(ret->path, sizeof ret->path, "%s/%s", real, slash ? slash + 1 : path);
	size_t n = strlen(f->root);
	ret->inside = strncmp(ret->path, f->root, n) == 0 && ret->path[n] == '/';
	if (lstat(ret->path, &st) == 0) {
		ret->ino = st.st_ino;
		ret->folder = S_ISDIR(st.st_mode);
	}
}

/*
 * Must be called before the name is changed: what is there now is then durable, if it was never
 * changed before.
 */
static struct name *name_of(struct fs_fault *f, const struct place *at)
{
	struct name *n = strmap_get(&f->names, str_c(at->path));
	if (n)
		return n;
	n = xcalloc(1, sizeof *n);
	*n = (struct name){.path = xstrdup(at->path), .durable = at->ino, .folder = at->folder};
	(void)strmap_put(&f->names, str_c(n->path), n);
	return n;
}

static void grave_path(struct fs_fault *f, uint64_t ino, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s/%llu", f->graveyard, (unsigned long long)ino);
}

static bool buried(struct fs_fault *f, uint64_t ino)
{
	char grave[PATH_MAX * 2];
	grave_path(f, ino, grave, sizeof grave);
	return access(grave, F_OK) == 0;
}

static void bury(struct fs_fault *f, const char *path, uint64_t ino)
{
	char grave[PATH_MAX * 2];
	grave_path(f, ino, grave, sizeof grave);
	CHECK(link(path, grave) == 0 || errno == EEXIST);
}

static void journal(struct fs_fault *f, enum change_kind kind, struct name *from, struct name *to,
		    uint64_t ino)
{
	*vec_push(&f->journal) = (struct change){
		.kind = kind, .from = from, .to = to, .ino = ino, .to_synced = to == NULL};
}

/* Carry out one change on a state of the names: the durable one, or that after a cut. */
static void apply(const struct change *c, bool after_cut)
{
	uint64_t *from = after_cut ? &c->from->after_cut : &c->from->durable;
	if (c->kind == CHANGE_ADD) {
		*from = c->ino;
	} else if (*from == c->ino) {
		*from = 0;
		if (c->to)
			*(after_cut ? &c->to->after_cut : &c->to->durable) = c->ino;
	}
}

static bool is_child(const char *path, const char *folder)
{
	size_t n = strlen(folder);
	return strncmp(path, folder, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/');
}

static void names_synced(struct fs_fault *f, const char *folder)
{
	char real[PATH_MAX];
	size_t left = 0;
	if (!realpath(folder, real))
		return;
	for (size_t i = 0; i < f->journal.n; i++) {
		struct change c = f->journal.p[i];
		c.from_synced |= is_child(c.from->path, real);
		c.to_synced |= c.to && is_child(c.to->path, real);
		if (c.from_synced && c.to_synced)
			apply(&c, false);
		else
			f->journal.p[left++] = c;
	}
	f->journal.n = left;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void cut_names(struct fs_fault *f, enum fs_cut_mode mode)
{
	struct place now;
	char grave[PATH_MAX * 2];
	MAP_EACH (&f->names, i) {
		struct name *n = f->names.slots[i].value;
		n->after_cut = n->durable;
	}
	for (size_t i = 0; i < f->journal.n; i++)
		if (mode == FS_CUT_KEEP || (mode == FS_CUT_TORN && coin(f)))
			apply(&f->journal.p[i], true);
	/*
	 * First out of the way with every file that must go or move, then the names that must be.
	 */
	MAP_EACH (&f->names, i) {
		struct name *n = f->names.slots[i].value;
		resolve(f, n->path, &now);
		if (now.ino == 0 || now.ino == n->after_cut || n->folder)
			continue;
		bury(f, n->path, now.ino);
		CHECK(unlink(n->path) == 0);
	}
	MAP_EACH (&f->names, i) {
		struct name *n = f->names.slots[i].value;
		resolve(f, n->path, &now);
		if (n->after_cut == 0 || now.ino == n->after_cut)
			continue;
		grave_path(f, n->after_cut, grave, sizeof grave);
		CHECK(link(grave, n->path) == 0 || errno == ENOENT); /* its folder may be gone */
	}
	MAP_EACH (&f->names, i) {
		struct name *n = f->names.slots[i].value;
		if (n->folder && n->after_cut == 0)
			(void)nftw(n->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	}
}

static void cut(struct fs_fault *f, enum fs_cut_mode mode)
{
	if (f->dead)
		return;
	f->dead = true;
	MAP_EACH (&f->inodes, i)
		cut_data(f, f->inodes.slots[i].value, mode);
	cut_names(f, mode);
}

/* ---- calls ---- */

/* Before a call that changes names: remember, and keep what would be lost. */
static void before(struct fs_fault *f, const struct fs_call *c, struct place *from,
		   struct place *to)
{
	resolve(f, c->path, from);
	if (c->to)
		resolve(f, c->to, to);
	if (c->op != FS_OP_UNLINK && c->op != FS_OP_RENAME)
		return;
	if (from->inside && from->ino && !from->folder)
		bury(f, from->path, from->ino);
	if (to->inside && to->ino && !to->folder)
		bury(f, to->path, to->ino);
}

static void after(struct fs_fault *f, const struct fs_call *c, const struct place *from,
		  const struct place *to)
{
	struct place now;
	if (!from->inside)
		return;
	struct name *n = name_of(f, from);
	switch ((int)c->op) {
	case FS_OP_OPEN:
		if (from->ino == 0)
			journal(f, CHANGE_ADD, n, NULL, ino_of(c->fd));
		break;
	case FS_OP_LINK:
		journal(f, CHANGE_ADD, n, NULL, ino_of(c->file->fd));
		break;
	case FS_OP_MKDIR:
		resolve(f, c->path, &now);
		n->folder = true;
		journal(f, CHANGE_ADD, n, NULL, now.ino);
		break;
	case FS_OP_UNLINK:
		journal(f, CHANGE_REMOVE, n, NULL, from->ino);
		break;
	case FS_OP_RENAME:
		CHECK(!from->folder && to->inside); /* not modelled */
		journal(f, CHANGE_MOVE, n, name_of(f, to), from->ino);
		break;
	default:
		break;
	}
}

static int name_call(struct fs_fault *f, struct fs_call *c, struct fail *why)
{
	struct place from = {0}, to = {0};
	before(f, c, &from, &to);
	int r = fs_real()->call(&f->fs, c, why);
	if (r < 0)
		return r;
	if (c->op == FS_OP_OPEN && from.ino == 0)
		new_inode(f, c->fd);
	after(f, c, &from, &to);
	return 0;
}

static int open_call(struct fs_fault *f, struct fs_call *c, struct fail *why)
{
	if (c->flags & FS_CREATE)
		return name_call(f, c, why);
	int r = fs_real()->call(&f->fs, c, why);
	if (r == 0 && (c->flags & FS_NAMELESS))
		new_inode(f, c->fd);
	return r;
}

static int write_call(struct fs_fault *f, struct fs_call *c, struct fail *why)
{
	struct inode *i = inode_of(f, c->file->fd);
	size_t was = size_of(i->fd);
	if (c->op == FS_OP_PWRITE)
		mark_dirty(i, c->at, c->at + c->n);
	else
		mark_dirty(i, MIN(c->at, was), MAX(c->at, was));
	return fs_real()->call(&f->fs, c, why);
}

static int simulated(int errnum, const struct fs_call *c, struct fail *why)
{
	errno = errnum;
	return fail_errno(why, fs_fail_code(errnum), "simulated, fs op %d %s", (int)c->op,
			  c->path ? c->path : "");
}

/* The call as it works without a fault. */
static int perform(struct fs_fault *f, struct fs_call *c, struct fail *why)
{
	int r;
	switch ((int)c->op) {
	case FS_OP_OPEN:
		return open_call(f, c, why);
	case FS_OP_LINK:
	case FS_OP_RENAME:
	case FS_OP_UNLINK:
	case FS_OP_MKDIR:
		return name_call(f, c, why);
	case FS_OP_PWRITE:
	case FS_OP_TRUNCATE:
		return write_call(f, c, why);
	case FS_OP_DATASYNC:
	case FS_OP_SYNC:
		data_synced(inode_of(f, c->file->fd));
		return 0; /* there is no disk to wait for */
	case FS_OP_SYNC_DIR:
		names_synced(f, c->path);
		return access(c->path, F_OK) == 0 ? 0 : simulated(errno, c, why);
	case FS_OP_STAT:
		r = fs_real()->call(&f->fs, c, why);
		if (r == 0 && c->stat->kind == FS_KIND_FILE && buried(f, c->stat->inode))
			c->stat->links--;
		return r;
	default:
		return fs_real()->call(&f->fs, c, why);
	}
}

static int perform_cut(struct fs_fault *f, struct fs_call *c, enum fs_cut_mode mode,
		       struct fail *why)
{
	bool is_sync = c->op == FS_OP_DATASYNC || c->op == FS_OP_SYNC || c->op == FS_OP_SYNC_DIR;
	int r = is_sync ? -1 : perform(f, c, NULL);
	if (r == 0 && (c->op == FS_OP_OPEN || c->op == FS_OP_REOPEN))
		(void)close(c->fd);
	cut(f, mode);
	return simulated(EIO, c, why);
}

static int perform_short(struct fs_fault *f, struct fs_call *c, struct fail *why)
{
	if (c->op != FS_OP_PWRITE)
		return simulated(EIO, c, why);
	c->n /= 2;
	int r = c->n > 0 ? perform(f, c, why) : 0;
	return r < 0 ? r : simulated(ENOSPC, c, why);
}

static const struct fs_fault_rule *match(struct fs_fault *f, enum fs_op op)
{
	f->calls[op]++;
	f->calls[FS_OP_ANY]++;
	for (size_t i = 0; i < f->n_rules; i++) {
		const struct fs_fault_rule *r = &f->rules[i];
		uint64_t count = f->calls[r->op];
		if ((r->op == FS_OP_ANY || r->op == op) &&
		    (count == r->nth || (r->onwards && count > r->nth)))
			return r;
	}
	return NULL;
}

static int call_locked(struct fs_fault *f, struct fs_call *c, struct fail *why)
{
	if (f->dead)
		return simulated(EIO, c, why);
	const struct fs_fault_rule *rule = match(f, c->op);
	if (!rule)
		return perform(f, c, why);
	f->fired = true;
	switch (rule->what) {
	case FS_FAULT_EIO:
		return simulated(EIO, c, why);
	case FS_FAULT_ENOSPC:
		return simulated(ENOSPC, c, why);
	case FS_FAULT_SHORT:
		return perform_short(f, c, why);
	case FS_FAULT_CUT:
		return perform_cut(f, c, rule->cut, why);
	case FS_FAULT_LATENCY:
		(void)usleep(rule->latency_us);
		break;
	}
	return perform(f, c, why);
}

static int fault_call(struct fs *fs, struct fs_call *c, struct fail *why)
{
	struct fs_fault *f = CONTAINER_OF(fs, struct fs_fault, fs);
	(void)pthread_mutex_lock(&f->lock);
	int r = call_locked(f, c, why);
	(void)pthread_mutex_unlock(&f->lock);
	return r;
}

struct fs_fault *fs_fault_new(const char *folder, uint64_t seed)
{
	struct fs_fault *f = xcalloc(1, sizeof *f);
	f->fs.call = fault_call;
	f->random = seed;
	/* fs_list holds it while its callback makes calls of its own. */
	pthread_mutexattr_t nested;
	(void)pthread_mutexattr_init(&nested);
	(void)pthread_mutexattr_settype(&nested, PTHREAD_MUTEX_RECURSIVE);
	(void)pthread_mutex_init(&f->lock, &nested);
	(void)pthread_mutexattr_destroy(&nested);
	CHECK(realpath(folder, f->root));
	(void)snprintf(f->graveyard, sizeof f->graveyard, "%s.fault", f->root);
	CHECK(mkdir(f->graveyard, 0700) == 0);
	return f;
}

void fs_fault_free(struct fs_fault *f)
{
	if (!f)
		return;
	(void)nftw(f->graveyard, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	MAP_EACH (&f->inodes, i)
		free_inode(f->inodes.slots[i].value);
	MAP_EACH (&f->names, i) {
		struct name *n = f->names.slots[i].value;
		free(n->path);
		free(n);
	}
	map_clear(&f->inodes);
	strmap_clear(&f->names);
	vec_clear(&f->journal);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

struct fs *fs_fault_fs(struct fs_fault *f)
{
	return &f->fs;
}

void fs_fault_add(struct fs_fault *f, const struct fs_fault_rule *rule)
{
	(void)pthread_mutex_lock(&f->lock);
	CHECK(f->n_rules < RULES_MAX);
	f->rules[f->n_rules++] = *rule;
	(void)pthread_mutex_unlock(&f->lock);
}

void fs_fault_recount(struct fs_fault *f)
{
	(void)pthread_mutex_lock(&f->lock);
	memset(f->calls, 0, sizeof f->calls);
	f->n_rules = 0;
	f->fired = false;
	(void)pthread_mutex_unlock(&f->lock);
}

uint64_t fs_fault_calls(struct fs_fault *f, enum fs_op op)
{
	(void)pthread_mutex_lock(&f->lock);
	uint64_t n = f->calls[op];
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}

bool fs_fault_fired(struct fs_fault *f)
{
	(void)pthread_mutex_lock(&f->lock);
	bool fired = f->fired;
	(void)pthread_mutex_unlock(&f->lock);
	return fired;
}

void fs_fault_power_cut(struct fs_fault *f, enum fs_cut_mode mode)
{
	(void)pthread_mutex_lock(&f->lock);
	cut(f, mode);
	(void)pthread_mutex_unlock(&f->lock);
}
