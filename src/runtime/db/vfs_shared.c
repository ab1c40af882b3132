/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VFS of databases that other programs may open, too: SQLite's own "unix", whose locks and
 * shared memory they know. Only names are taken as they are; and in a build with crash points what
 * it writes passes the hooks of sys/fs_hook.h first, as all other files do.
 */
#include "base/check.h"
#include "runtime/db/vfs.h"
#include "sys/fs_hook.h"
#include "sys/sync_delay.h"
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>

static sqlite3_vfs shared;
static const sqlite3_vfs *own;

static int full_path(sqlite3_vfs *v, const char *name, int size, char *ret)
{
	(void)v;
	size_t n = strlen(name);
	if (n >= (size_t)size)
		return SQLITE_CANTOPEN;
	memcpy(ret, name, n + 1);
	return SQLITE_OK;
}

#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS
static _Thread_local int last_errno; /* of a call that a hook made fail; else 0 */

/* A file of ours, and behind it the one of SQLite's own VFS. */
struct file {
	sqlite3_file base; /* first: SQLite's view of it */
	const char *path;
	sqlite3_file inner[]; /* one, with what the VFS has behind it */
};

/* A call on its way through the hooks. */
struct passage {
	struct fs_call c;
	sqlite3_file *inner;
	int flags;
	int rc;
};

static struct file *file_of(sqlite3_file *f)
{
	return (struct file *)(void *)f;
}

static sqlite3_file *inner_of(sqlite3_file *f)
{
	return file_of(f)->inner;
}

/* Through the hooks to `perform`, which notes what SQLite's own VFS says; `code` if a hook fails.
 */
static int pass(struct passage *p, int code)
{
	struct fail why = FAIL_INIT;
	int r = fs_real()->call(fs_real(), &p->c, &why);
	last_errno = r < 0 && p->rc == SQLITE_OK ? why.saved_errno : 0;
	if (r == 0 || p->rc != SQLITE_OK)
		return p->rc;
	return last_errno == ENOSPC ? SQLITE_FULL : code;
}

static int said(const struct passage *p, struct fail *why)
{
	return p->rc == SQLITE_OK ? 0 : fail_set(why, FAIL_IO, NULL, "SQLite says %d", p->rc);
}

static int perform_read(struct fs_call *c, struct fail *why)
{
	struct passage *p = CONTAINER_OF(c, struct passage, c);
	p->rc = p->inner->pMethods->xRead(p->inner, c->into, (int)c->n, (sqlite3_int64)c->at);
	return said(p, why);
}

static int file_read(sqlite3_file *f, void *into, int n, sqlite3_int64 at)
{
	struct passage p = {.c = {.op = FS_OP_PREAD,
				  .perform = perform_read,
				  .path = file_of(f)->path,
				  .into = into,
				  .n = (size_t)n,
				  .at = (uint64_t)at},
			    .inner = inner_of(f)};
	return pass(&p, SQLITE_IOERR_READ);
}

static int perform_write(struct fs_call *c, struct fail *why)
{
	struct passage *p = CONTAINER_OF(c, struct passage, c);
	p->rc = p->inner->pMethods->xWrite(p->inner, c->data, (int)c->n, (sqlite3_int64)c->at);
	return said(p, why);
}

static int file_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	struct passage p = {.c = {.op = FS_OP_PWRITE,
				  .perform = perform_write,
				  .path = file_of(f)->path,
				  .data = data,
				  .n = (size_t)n,
				  .at = (uint64_t)at},
			    .inner = inner_of(f)};
	return pass(&p, SQLITE_IOERR_WRITE);
}

static int perform_truncate(struct fs_call *c, struct fail *why)
{
	struct passage *p = CONTAINER_OF(c, struct passage, c);
	p->rc = p->inner->pMethods->xTruncate(p->inner, (sqlite3_int64)c->at);
	return said(p, why);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct passage p = {.c = {.op = FS_OP_TRUNCATE,
				  .perform = perform_truncate,
				  .path = file_of(f)->path,
				  .at = (uint64_t)size},
			    .inner = inner_of(f)};
	return pass(&p, SQLITE_IOERR_TRUNCATE);
}

static int perform_sync(struct fs_call *c, struct fail *why)
{
	struct passage *p = CONTAINER_OF(c, struct passage, c);
	p->rc = p->inner->pMethods->xSync(p->inner, p->flags);
	sync_delay();
	return said(p, why);
}

static int file_sync(sqlite3_file *f, int flags)
{
	struct passage p = {
		.c = {.op = FS_OP_DATASYNC, .perform = perform_sync, .path = file_of(f)->path},
		.inner = inner_of(f),
		.flags = flags};
	return pass(&p, SQLITE_IOERR_FSYNC);
}

/* What follows does not change the content of a file. */

static int file_close(sqlite3_file *f)
{
	return inner_of(f)->pMethods->xClose(inner_of(f));
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return inner_of(f)->pMethods->xFileSize(inner_of(f), ret);
}

static int file_lock(sqlite3_file *f, int level)
{
	return inner_of(f)->pMethods->xLock(inner_of(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
	return inner_of(f)->pMethods->xUnlock(inner_of(f), level);
}

static int file_check_reserved(sqlite3_file *f, int *ret)
{
	return inner_of(f)->pMethods->xCheckReservedLock(inner_of(f), ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	return inner_of(f)->pMethods->xFileControl(inner_of(f), op, arg);
}

static int file_sector_size(sqlite3_file *f)
{
	return inner_of(f)->pMethods->xSectorSize(inner_of(f));
}

static int file_characteristics(sqlite3_file *f)
{
	return inner_of(f)->pMethods->xDeviceCharacteristics(inner_of(f));
}

static int file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
	return inner_of(f)->pMethods->xShmMap(inner_of(f), page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return inner_of(f)->pMethods->xShmLock(inner_of(f), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
	inner_of(f)->pMethods->xShmBarrier(inner_of(f));
}

static int file_shm_unmap(sqlite3_file *f, int remove)
{
	return inner_of(f)->pMethods->xShmUnmap(inner_of(f), remove);
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 2, /* shared memory, no mmap of the file */
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
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

struct opening {
	struct passage p;
	const char *name;
	int *ret_flags;
};

static int perform_open(struct fs_call *c, struct fail *why)
{
	struct opening *o = CONTAINER_OF(c, struct opening, p.c);
	o->p.rc = own->xOpen(&shared, o->name, o->p.inner, o->p.flags, o->ret_flags);
	return said(&o->p, why);
}

static int shared_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	(void)v;
	struct opening o = {.p = {.c = {.op = FS_OP_OPEN,
					.perform = perform_open,
					.path = name,
					.flags = flags & SQLITE_OPEN_CREATE ? FS_CREATE : 0},
				  .inner = inner_of(f),
				  .flags = flags},
			    .name = name,
			    .ret_flags = ret_flags};
	*file_of(f) = (struct file){.path = name};
	memset(inner_of(f), 0, (size_t)own->szOsFile);
	int rc = pass(&o.p, SQLITE_CANTOPEN);
	if (rc == SQLITE_OK)
		f->pMethods = &file_methods;
	return rc;
}

struct deletion {
	struct passage p;
	int sync_dir;
};

static int perform_delete(struct fs_call *c, struct fail *why)
{
	struct deletion *d = CONTAINER_OF(c, struct deletion, p.c);
	d->p.rc = own->xDelete(&shared, c->path, d->sync_dir);
	return said(&d->p, why);
}

static int shared_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
	(void)v;
	struct deletion d = {
		.p = {.c = {.op = FS_OP_UNLINK, .perform = perform_delete, .path = name}},
		.sync_dir = sync_dir};
	return pass(&d.p, SQLITE_IOERR_DELETE);
}

static int shared_last_error(sqlite3_vfs *v, int n, char *text)
{
	return last_errno ? last_errno : own->xGetLastError(v, n, text);
}

static void watch_calls(void)
{
	shared.szOsFile = (int)sizeof(struct file) + own->szOsFile;
	shared.xOpen = shared_open;
	shared.xDelete = shared_delete;
	shared.xGetLastError = shared_last_error;
}
#else
static void watch_calls(void) {}
#endif

static void register_shared(void)
{
	own = sqlite3_vfs_find("unix");
	CHECK(own);
	shared = *own;
	shared.pNext = NULL;
	shared.zName = "barid-unix";
	shared.xFullPathname = full_path;
	watch_calls();
	CHECK(sqlite3_vfs_register(&shared, 0) == SQLITE_OK);
}

const char *vfs_shared_name(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, register_shared);
	return shared.zName;
}
