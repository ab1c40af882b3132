/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies that are files: nameless while they are written, `<id>.q` in the blob tree while a row
 * names them. Order of a submission: verify, fdatasync, link, fsync of the folder, row. A crash
 * before the row leaves at most a name without row, which the sweep removes.
 */
#include "spool_int.h"

#include "base/encode.h"
#include "sys/crash.h"
#include "sys/rand.h"
#include "sys/sha256.h"
#include <errno.h>
#include <fcntl.h>

enum { BODIES_MAX = 4096, BLOB_MODE = 0660, BLOB_FOLDER_MODE = 0770 };

static struct str id_str(const struct spool_body_id *id)
{
	return str_make((const char *)id->b, SPOOL_BODY_LEN);
}

/* blob/xx, and blob/xx/<hex>.q when with_name. */
static void body_path(const struct spool *sp, struct spool_body_id id, bool with_name,
		      char path[BODY_PATH_MAX])
{
	AUTO(buf) struct buf hex = BUF_INIT(64);

	(void)hex_encode(&hex, id_str(&id));
	(void)snprintf(path, BODY_PATH_MAX, "%s/%.2s%s%s%s", sp->blob_folder, buf_c(&hex),
		       with_name ? "/" : "", with_name ? buf_c(&hex) : "", with_name ? ".q" : "");
}

static void body_free(struct body *b)
{
	fs_close(b->file);
	free(b);
}

/* NULL when there is none; else to be given back with body_put. */
static struct body *body_get(struct spool *sp, struct spool_body_id id)
{
	LOCKED(&sp->bodies.lock);
	struct body *b = strmap_get(&sp->bodies.by_id, id_str(&id));
	if (b)
		b->refs++;
	return b;
}

static void body_put(struct spool *sp, struct body *b)
{
	if (!b)
		return;
	(void)pthread_mutex_lock(&sp->bodies.lock);
	bool last = --b->refs == 0;
	(void)pthread_mutex_unlock(&sp->bodies.lock);
	if (last)
		body_free(b);
}

static int body_register(struct spool *sp, struct body *b, struct fail *why)
{
	LOCKED(&sp->bodies.lock);
	if (sp->bodies.by_id.n >= BODIES_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "%d bodies are being written", BODIES_MAX);
	(void)strmap_put(&sp->bodies.by_id, id_str(&b->id), b);
	return 0;
}

int spool_body_create(struct spool *sp, uint64_t size_hint, struct spool_body_id *ret_id,
		      int *ret_fd, struct fail *why)
{
	char folder[BODY_PATH_MAX];
	struct body *b = xcalloc(1, sizeof *b);

	(void)size_hint; /* room is not reserved: a full disk shows at the write or the sync */
	b->refs = 1;
	rand_bytes(b->id.b, SPOOL_BODY_LEN);
	body_path(sp, b->id, false, folder);
	int r = fs_mkdir_all(sp->fs, folder, BLOB_FOLDER_MODE, why);
	if (r == 0)
		r = fs_open(sp->fs, folder, FS_READ | FS_WRITE | FS_NAMELESS, BLOB_MODE, &b->file,
			    why);
	AUTO_FD int fd = -1;
	if (r == 0) {
		fd = fcntl(fs_file_fd(b->file), F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			r = fail_errno(why, FAIL_LIMIT, "duplicating a body's descriptor");
	}
	if (r == 0)
		r = body_register(sp, b, why);
	if (r < 0) {
		body_free(b);
		return r;
	}
	*ret_id = b->id;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int begin_seal(struct spool *sp, struct body *b, struct fail *why)
{
	LOCKED(&sp->bodies.lock);
	if (b->claimed || b->sealing)
		return fail_set(why, FAIL_CONFLICT, NULL, "the body was submitted already");
	b->sealing = true;
	return 0;
}

static void end_seal(struct spool *sp, struct body *b, const struct spool_sealed *out)
{
	LOCKED(&sp->bodies.lock);
	b->sealing = false;
	if (!out)
		return;
	b->size = out->size;
	memcpy(b->sha256, out->sha256, SPOOL_HASH_LEN);
	b->still = out->still;
	b->sealed = true;
}

/* Our own descriptor goes first: behind a writer that has closed its own, nobody can write. */
static int take_view(struct body *b, struct spool_sealed *out, struct fail *why)
{
	AUTO(fs_file) struct fs_file *view = NULL;
	int r = fs_reopen_readonly(b->file, &view, why);
	if (r < 0)
		return r;
	fs_close(b->file);
	b->file = TAKE(view);
	out->still = fs_is_still(b->file);
	return sha256_of_file(b->file, out->sha256, &out->size, why);
}

static int seal(struct spool *sp, struct body *b, struct spool_sealed *ret, struct fail *why)
{
	struct spool_sealed out = {.fd = -1};
	int r = begin_seal(sp, b, why);
	if (r < 0)
		return r;
	r = take_view(b, &out, why);
	if (r < 0) {
		fail_wrap(why, r, "sealing a body");
	} else {
		out.fd = fcntl(fs_file_fd(b->file), F_DUPFD_CLOEXEC, 0);
		if (out.fd < 0)
			r = fail_errno(why, FAIL_LIMIT, "duplicating a body's descriptor");
	}
	end_seal(sp, b, r == 0 ? &out : NULL);
	if (r == 0)
		*ret = out;
	return r;
}

int spool_body_seal(struct spool *sp, struct spool_body_id id, struct spool_sealed *ret,
		    struct fail *why)
{
	struct body *b = body_get(sp, id);

	if (!b)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no such body is being written");
	int r = seal(sp, b, ret, why);
	body_put(sp, b);
	return r;
}

static struct body *unregister(struct spool *sp, struct spool_body_id id, bool even_claimed)
{
	LOCKED(&sp->bodies.lock);
	struct body *b = strmap_get(&sp->bodies.by_id, id_str(&id));
	if (!b || (b->claimed && !even_claimed))
		return NULL;
	(void)strmap_remove(&sp->bodies.by_id, id_str(&id));
	return b;
}

void body_forget(struct spool *sp, struct spool_body_id id)
{
	body_put(sp, unregister(sp, id, true));
}

void spool_body_drop(struct spool *sp, struct spool_body_id id)
{
	body_put(sp, unregister(sp, id, false));
}

static int claim(struct spool *sp, const struct spool_message *m, struct fail *why)
{
	LOCKED(&sp->bodies.lock);
	struct body *b = strmap_get(&sp->bodies.by_id, id_str(&m->body_id));
	if (!b || !b->sealed || b->claimed)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no such body was sealed");
	b->claimed = true;
	if (m->body_size != b->size || memcmp(m->sha256, b->sha256, SPOOL_HASH_LEN) != 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "the body is not what was sealed");
	return 0;
}

int body_claim(struct spool *sp, const struct spool_message *m, struct fail *why)
{
	int r = claim(sp, m, why);

	if (r == -FAIL_CORRUPT)
		body_forget(sp, m->body_id);
	return r;
}

void bodies_clear(struct spool *sp)
{
	MAP_EACH (&sp->bodies.by_id, i)
		body_free(sp->bodies.by_id.slots[i].value);
	strmap_clear(&sp->bodies.by_id);
}

/* The writer still has its descriptor: what counts is what goes to disk now. */
static int compare(const struct body *b, struct fail *why)
{
	uint8_t hash[SPOOL_HASH_LEN];
	uint64_t size = 0;
	int r = sha256_of_file(b->file, hash, &size, why);

	if (r == 0 && (size != b->size || memcmp(hash, b->sha256, SPOOL_HASH_LEN) != 0))
		r = fail_set(why, FAIL_CORRUPT, NULL, "the body changed after it was sealed");
	return r;
}

static int keep(struct spool *sp, const struct body *b, struct fail *why)
{
	char path[BODY_PATH_MAX];
	int r = b->still ? 0 : compare(b, why);

	if (r == 0)
		r = fs_datasync(b->file, why);
	if (r < 0)
		return r;
	CRASH_POINT("spool.body-synced");
	body_path(sp, b->id, true, path);
	r = fs_link(b->file, path, why);
	if (r < 0)
		return r;
	CRASH_POINT("spool.body-linked");
	body_path(sp, b->id, false, path);
	r = fs_sync_dir(sp->fs, path, why);
	/* Who made the folder may have died before its name was synced: once for each folder. */
	atomic_bool *kept = &sp->folder_kept[b->id.b[0]];
	if (r == 0 && !atomic_load(kept) && (r = fs_sync_dir(sp->fs, sp->blob_folder, why)) == 0)
		atomic_store(kept, true);
	CRASH_POINT("spool.body-kept");
	if (r < 0)
		body_unlink(sp, b->id);
	return r;
}

int body_keep(struct spool *sp, struct spool_body_id id, struct fail *why)
{
	struct body *b = body_get(sp, id);

	if (!b)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no such body was sealed");
	int r = keep(sp, b, why);
	body_put(sp, b);
	return r;
}

void body_unlink(struct spool *sp, struct spool_body_id id)
{
	char path[BODY_PATH_MAX];

	if (atomic_load(&sp->keep_bodies) > 0) {
		atomic_store(&sp->kept_some, true);
		return;
	}
	body_path(sp, id, true, path);
	CRASH_POINT("spool.before-unlink");
	(void)!fs_unlink(sp->fs, path, NULL); /* else the next sweep */
	CRASH_POINT("spool.after-unlink");
}

int body_open(struct spool *sp, struct spool_body_id id, struct fs_file **ret, struct fail *why)
{
	char path[BODY_PATH_MAX];

	body_path(sp, id, true, path);
	return fs_open(sp->fs, path, FS_READ | FS_NOFOLLOW, 0, ret, why);
}

/* ---- sweeping ---- */

struct sweep {
	struct spool *sp;
	char folder[BODY_PATH_MAX];
	VEC(struct spool_body_id) orphans;
};

static int sweep_name(void *arg, const char *name, enum fs_kind kind)
{
	struct sweep *w = arg;
	struct str s = str_c(name);
	struct spool_body_id id;
	AUTO(buf) struct buf raw = BUF_INIT(SPOOL_BODY_LEN);

	if (kind != FS_KIND_FILE || !str_ends(s, STR(".q")) ||
	    hex_decode(&raw, str_sub(s, 0, s.n - 2)) < 0 || raw.n != SPOOL_BODY_LEN)
		return 0;
	memcpy(id.b, raw.p, SPOOL_BODY_LEN);
	/* Being submitted: it leaves the table only after its row is there. */
	struct body *b = body_get(w->sp, id);
	body_put(w->sp, b);
	if (b)
		return 0;
	SPOOL_DB(w->sp);
	int r = rows_body_known(w->sp, id, NULL);
	if (r == 0)
		*(struct spool_body_id *)vec_push(&w->orphans) = id;
	return MIN(r, 0);
}

static int sweep_folder(void *arg, const char *name, enum fs_kind kind)
{
	struct sweep *w = arg;

	if (kind != FS_KIND_FOLDER || strlen(name) != 2)
		return 0;
	(void)snprintf(w->folder, sizeof w->folder, "%s/%s", w->sp->blob_folder, name);
	return fs_list(w->sp->fs, w->folder, sweep_name, w, NULL);
}

int body_sweep(struct spool *sp, struct fail *why)
{
	struct sweep *w = xcalloc(1, sizeof *w);

	w->sp = sp;
	int r = fs_list(sp->fs, sp->blob_folder, sweep_folder, w, why);
	for (size_t i = 0; r == 0 && i < w->orphans.n; i++)
		body_unlink(sp, w->orphans.p[i]);
	vec_clear(&w->orphans);
	free(w);
	return r;
}
