/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c - partitions and bodies that stand still for a backup (store.h, "backup").
 *
 * A partition is one SQLite file with a write-ahead log. Folded into the file, the log is empty and
 * the file is complete in itself; as long as nobody folds again, everything new goes to the log and
 * the file's bytes stay. So a snapshot costs one checkpoint, blocks nobody, and is read by whoever
 * holds the descriptor.
 */
#include "service/store/store_int.h"
#include "sys/fs.h"
#include <fcntl.h>

void store_keep_bodies(struct store *s, bool on)
{
	if (on)
		s->keep_bodies++;
	else if (--s->keep_bodies == 0 && atomic_exchange(&s->kept_some, false))
		s->sweep_at = 0;
}

static int open_file(struct part *p, int *ret_fd, uint64_t *ret_size, struct fail *why)
{
	char path[BLOB_PATH_MAX];
	AUTO(fs_file) struct fs_file *f = NULL;
	int r = part_path(p, path, sizeof path, why);
	if (r < 0 || (r = fs_open(p->store->fs, path, FS_READ, 0, &f, why)) < 0 ||
	    (r = fs_file_size(f, ret_size, why)) < 0)
		return r;
	*ret_fd = fcntl(fs_file_fd(f), F_DUPFD_CLOEXEC, 3);
	return *ret_fd < 0 ? fail_errno(why, FAIL_LIMIT, "a descriptor for a snapshot") : 0;
}

static int freeze(struct part *p, int *ret_fd, uint64_t *ret_size, struct fail *why)
{
	const struct engine_ops *ops = p->store->ops;
	if (p->frozen)
		return fail_set(why, FAIL_BUSY, "Another backup reads the same mailboxes.",
				"partition %llu is frozen", (unsigned long long)p->no);
	int r = ops->checkpoint(p->e, why);
	if (r < 0)
		return r;
	if (ops->log_bytes(p->e) > 0)
		return fail_set(why, FAIL_BUSY, NULL, "the log of partition %llu does not fold",
				(unsigned long long)p->no);
	if ((r = open_file(p, ret_fd, ret_size, why)) < 0)
		return r;
	p->frozen = true;
	p->thawed = false;
	return 0;
}

int store_snapshot(struct store *s, uint64_t partition, int *ret_fd, uint64_t *ret_size,
		   struct fail *why)
{
	struct part *p;
	if (!s->ops->on_disk)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "a store in memory has no files");
	int r = part_by_number(s, partition, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = freeze(p, ret_fd, ret_size, why);
	part_leave(p);
	return r;
}

int store_snapshot_end(struct store *s, uint64_t partition, struct fail *why)
{
	struct part *p;
	int r = part_by_number(s, partition, &p, why);
	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	bool whole = p->frozen && !p->thawed;
	p->frozen = p->thawed = false;
	pthread_mutex_unlock(&p->lock);
	if (!whole)
		return fail_set(why, FAIL_CONFLICT, "The file changed while it was read.",
				"partition %llu", (unsigned long long)partition);
	return 0;
}
