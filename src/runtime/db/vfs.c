/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/db/vfs.h"
#include "base/buf.h"
#include "base/check.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/rand.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>

#define FILE_MODE 0600u

/* SQLite's lock bytes (sqlite.org/fileformat2.html 1.4): pending, reserved, and 510 shared ones. */
#define LOCK_FIRST_BYTE 0x40000000
#define LOCK_BYTES	512

struct vfs {
	sqlite3_vfs base; /* first: SQLite hands it back */
	struct fs *fs;
	char name[40];
	unsigned refs;
	struct vfs *next;
};

/*
 * SQLite writes a frame of the log as head and page, and a checkpoint page by page, mostly side by
 * side: they are gathered, and go to the file together when something else is done with it. A
 * connection in exclusive mode is alone with its files, and what must be on disk is synced.
 */
#define GATHER_MAX KIB(128)

struct vfs_file {
	sqlite3_file base; /* first, and of SQLite's allocation */
	struct fs_file *file;
	struct buf gathered; /* not written yet */
	uint64_t gathered_at;
	const char *path; /* SQLite keeps it alive while the file is open */
	bool writable;
	bool locked;
	bool sync_dir; /* the name is new: its folder must be synced with the first sync */
};

/* errno of this thread's last failed call, which SQLite asks for after an error. */
static _Thread_local int last_errno;

static int remember(const struct fail *why, int code)
{
	last_errno = why->saved_errno;
	return last_errno == ENOSPC || last_errno == EDQUOT ? SQLITE_FULL : code;
}

static struct vfs_file *file_of(sqlite3_file *f)
{
	return (struct vfs_file *)(void *)f;
}

static struct fs *fs_of(sqlite3_vfs *v)
{
	return ((struct vfs *)(void *)v)->fs;
}

/* ---- files ---- */

/* On failure they are forgotten: SQLite gives up the transaction, and writes it anew if ever. */
static int write_gathered(struct vfs_file *vf)
{
	struct fail why = FAIL_INIT;
	struct str s = buf_str(&vf->gathered);
	int r = s.n ? fs_pwrite(vf->file, s.p, s.n, vf->gathered_at, &why) : 0;
	buf_clear(&vf->gathered);
	return r < 0 ? remember(&why, SQLITE_IOERR_WRITE) : SQLITE_OK;
}

static int file_close(sqlite3_file *f)
{
	int rc = write_gathered(file_of(f));
	fs_close(TAKE(file_of(f)->file));
	return rc;
}

static bool overlaps_gathered(const struct vfs_file *vf, uint64_t at, size_t n)
{
	return at < vf->gathered_at + vf->gathered.n && vf->gathered_at < at + n;
}

static int file_read(sqlite3_file *f, void *into, int n, sqlite3_int64 at)
{
	struct fail why = FAIL_INIT;
	size_t got = 0;
	int rc = overlaps_gathered(file_of(f), (uint64_t)at, (size_t)n) ? write_gathered(file_of(f))
									: SQLITE_OK;
	if (rc != SQLITE_OK)
		return rc;
	if (fs_pread(file_of(f)->file, into, (size_t)n, (uint64_t)at, &got, &why) < 0)
		return remember(&why, SQLITE_IOERR_READ);
	if (got == (size_t)n)
		return SQLITE_OK;
	memset((char *)into + got, 0, (size_t)n - got); /* SQLite demands zeroes */
	return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	struct vfs_file *vf = file_of(f);
	bool fits = (uint64_t)at == vf->gathered_at + vf->gathered.n &&
		    vf->gathered.n + (size_t)n <= GATHER_MAX;
	int rc = fits ? SQLITE_OK : write_gathered(vf);
	if (rc != SQLITE_OK)
		return rc;
	if (!vf->gathered.n)
		vf->gathered_at = (uint64_t)at;
	return buf_add(&vf->gathered, str_make(data, (size_t)n)) < 0 ? SQLITE_NOMEM : SQLITE_OK;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct fail why = FAIL_INIT;
	int rc = write_gathered(file_of(f));
	if (rc != SQLITE_OK)
		return rc;
	if (fs_truncate(file_of(f)->file, (uint64_t)size, &why) < 0)
		return remember(&why, SQLITE_IOERR_TRUNCATE);
	return SQLITE_OK;
}

static int sync_parent(struct fs *fs, const char *path, struct fail *why)
{
	char folder[PATH_MAX];
	int r = fs_parent(path, folder, sizeof folder, why);
	return r < 0 ? r : fs_sync_dir(fs, folder, why);
}

static int file_sync(sqlite3_file *f, int flags)
{
	(void)flags; /* fdatasync also writes a new size; times do not matter */
	struct vfs_file *vf = file_of(f);
	struct fail why = FAIL_INIT;
	int rc = write_gathered(vf);
	if (rc != SQLITE_OK)
		return rc;
	if (fs_datasync(vf->file, &why) < 0)
		return remember(&why, SQLITE_IOERR_FSYNC);
	if (vf->sync_dir && sync_parent(vf->file->fs, vf->path, &why) < 0)
		return remember(&why, SQLITE_IOERR_DIR_FSYNC);
	vf->sync_dir = false;
	return SQLITE_OK;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	struct fail why = FAIL_INIT;
	int rc = write_gathered(file_of(f));
	if (rc != SQLITE_OK)
		return rc;
	uint64_t size;
	if (fs_file_size(file_of(f)->file, &size, &why) < 0)
		return remember(&why, SQLITE_IOERR_FSTAT);
	*ret = (sqlite3_int64)size;
	return SQLITE_OK;
}

static int file_lock(sqlite3_file *f, int level)
{
	(void)level;
	struct vfs_file *vf = file_of(f);
	if (vf->locked)
		return SQLITE_OK;
	struct flock lk = {
		.l_type = vf->writable ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = LOCK_FIRST_BYTE,
		.l_len = LOCK_BYTES,
	};
	if (fcntl(fs_file_fd(vf->file), F_OFD_SETLK, &lk) < 0) {
		last_errno = errno;
		return errno == EAGAIN || errno == EACCES ? SQLITE_BUSY : SQLITE_IOERR_LOCK;
	}
	vf->locked = true;
	return SQLITE_OK;
}

static int file_unlock(sqlite3_file *f, int level)
{
	(void)f;
	(void)level;
	return SQLITE_OK; /* kept until the file is closed */
}

static int file_check_reserved(sqlite3_file *f, int *ret)
{
	(void)f;
	*ret = 0;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	(void)f;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *f)
{
	(void)f;
	return 4096;
}

static int file_characteristics(sqlite3_file *f)
{
	(void)f;
	/* As SQLite's own VFS assumes: a write never harms bytes beside it when the power goes. */
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 1, /* no shared memory, no mmap */
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
};

/* ---- the file system ---- */

#define COMPANIONS (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL)

/*
 * When root opens a database that belongs to a role's user, a journal or log that this creates
 * must belong to that user, or the role cannot open it later. The name is the database's + "-...".
 */
static void inherit_owner(struct fs *fs, const char *name, struct fs_file *file)
{
	char base[PATH_MAX];
	struct fs_stat db, own;
	struct str s = str_c(name);
	size_t dash = str_rfind(s, '-');
	if (geteuid() != 0 || dash == s.n || dash >= sizeof base)
		return;
	memcpy(base, name, dash);
	base[dash] = '\0';
	if (fs_stat(fs, base, &db, NULL) < 0 || fs_file_stat(file, &own, NULL) < 0)
		return;
	/* On failure the file stays root's: the role then reports that it cannot open it. */
	if ((db.uid != own.uid || db.gid != own.gid) &&
	    fchown(fs_file_fd(file), db.uid, db.gid) < 0)
		last_errno = errno;
}

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	struct vfs_file *vf = file_of(f);
	struct fs *fs = fs_of(v);
	struct fail why = FAIL_INIT;
	struct fs_stat st;
	*vf = (struct vfs_file){.path = name, .gathered = BUF_INIT(GATHER_MAX)};
	if (!name)
		return SQLITE_CANTOPEN; /* a temporary file: temp_store=MEMORY never asks for one */
	/* Folders of roles are opened by root too: nobody leads it elsewhere with a link. */
	unsigned how = FS_READ | FS_NOFOLLOW;
	how |= flags & SQLITE_OPEN_READWRITE ? FS_WRITE : 0;
	how |= flags & SQLITE_OPEN_CREATE ? FS_CREATE : 0;
	how |= flags & SQLITE_OPEN_EXCLUSIVE ? FS_EXCL : 0;
	bool fresh = (how & FS_CREATE) && fs_stat(fs, name, &st, NULL) == -FAIL_NOTFOUND;
	if (fs_open(fs, name, how, FILE_MODE, &vf->file, &why) < 0)
		return remember(&why, SQLITE_CANTOPEN);
	if (fresh && (flags & COMPANIONS)) {
		inherit_owner(fs, name, vf->file);
		vf->sync_dir = true;
	}
	vf->writable = how & FS_WRITE;
	vf->base.pMethods = &file_methods;
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
	struct fail why = FAIL_INIT;
	int r = fs_unlink(fs_of(v), name, &why);
	if (r == -FAIL_NOTFOUND)
		return SQLITE_IOERR_DELETE_NOENT;
	if (r < 0)
		return remember(&why, SQLITE_IOERR_DELETE);
	if (sync_dir && sync_parent(fs_of(v), name, &why) < 0)
		return remember(&why, SQLITE_IOERR_DIR_FSYNC);
	return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *v, const char *name, int what, int *ret)
{
	struct fail why = FAIL_INIT;
	struct fs_stat st;
	int r = fs_stat(fs_of(v), name, &st, &why);
	if (r < 0 && r != -FAIL_NOTFOUND)
		return remember(&why, SQLITE_IOERR_ACCESS);
	/* An empty journal counts as none (as in SQLite's own VFS). */
	*ret = r == 0 && (what != SQLITE_ACCESS_EXISTS || st.size > 0);
	return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *v, const char *name, int size, char *ret)
{
	(void)v;
	size_t n = strlen(name);
	if (n >= (size_t)size)
		return SQLITE_CANTOPEN;
	memcpy(ret, name, n + 1);
	return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *v, int n, char *ret)
{
	(void)v;
	rand_bytes(ret, (size_t)n);
	return n;
}

static int vfs_sleep(sqlite3_vfs *v, int us)
{
	(void)v;
	struct timespec ts = {us / 1000000, us % 1000000 * 1000L};
	(void)nanosleep(&ts, NULL);
	return us;
}

static int vfs_time(sqlite3_vfs *v, sqlite3_int64 *ret)
{
	(void)v;
	*ret = clock_wall().v / 1000 + INT64_C(210866760000000); /* from the Julian epoch, in ms */
	return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *v, int n, char *text)
{
	(void)v;
	(void)n;
	(void)text;
	return last_errno;
}

/* ---- registry ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct vfs *all;

static struct vfs *register_new(struct fs *fs)
{
	struct vfs *v = xcalloc(1, sizeof *v);
	v->fs = fs;
	(void)snprintf(v->name, sizeof v->name, "barid-%p", (void *)fs);
	v->base = (sqlite3_vfs){
		.iVersion = 2,
		.szOsFile = sizeof(struct vfs_file),
		.mxPathname = PATH_MAX - 16,
		.zName = v->name,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_path,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xGetLastError = vfs_last_error,
		.xCurrentTimeInt64 = vfs_time,
	};
	CHECK(sqlite3_vfs_register(&v->base, 0) == SQLITE_OK);
	v->next = all;
	all = v;
	return v;
}

struct vfs *vfs_ref(struct fs *fs)
{
	(void)pthread_mutex_lock(&lock);
	struct vfs *v = all;
	while (v && v->fs != fs)
		v = v->next;
	if (!v)
		v = register_new(fs);
	v->refs++;
	(void)pthread_mutex_unlock(&lock);
	return v;
}

void vfs_unref(struct vfs *v)
{
	if (!v)
		return;
	(void)pthread_mutex_lock(&lock);
	if (--v->refs == 0) {
		struct vfs **at = &all;
		while (*at != v)
			at = &(*at)->next;
		*at = v->next;
		(void)sqlite3_vfs_unregister(&v->base);
		free(v);
	}
	(void)pthread_mutex_unlock(&lock);
}

const char *vfs_name(const struct vfs *v)
{
	return v->name;
}
