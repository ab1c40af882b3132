/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/source.h"
#include "base/check.h"
#include "base/num.h"
#include "runtime/db/db.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* --- a running server
 * ------------------------------------------------------------------------------------------ */

static int hold(struct tool_link *l, struct fail *why)
{
	static const struct msg_hold m = {0};
	return tool_ask(l, IPC_HOLD, &m, IPC_OK, NULL, why);
}

static int connect_all(struct source *s, struct fail *why)
{
	struct tool_server server = {0};
	int r = tool_connect(s->state, "queue", 0, &s->queue, &server, why);
	if (r < 0 || (r = hold(s->queue, why)) < 0)
		return r;
	s->online = true;
	s->partitions = server.partitions;
	s->users = xcalloc(server.user_workers, sizeof(struct tool_link *));
	for (uint32_t i = 0; i < server.user_workers; i++) {
		r = tool_connect(s->state, "user", i, &s->users[i], NULL, why);
		if (r == 0)
			s->n_users++;
		if (r == 0)
			r = hold(s->users[i], why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int ask_for_file(struct tool_link *l, uint32_t partition, int *ret_fd, struct fail *why)
{
	struct msg_snapshot m = {.partition = partition};
	struct msg_snapshot_file file;
	struct ipc_packet *p = NULL;
	int r = tool_ask(l, IPC_SNAPSHOT, &m, IPC_SNAPSHOT_FILE, &p, why);
	if (r < 0)
		return r;
	r = msg_snapshot_file_read(p, &file);
	*ret_fd = r < 0 ? -1 : ipc_packet_take_fd(p, file.file);
	ipc_packet_free(p);
	return *ret_fd < 0 ? fail_set(why, FAIL_PEER, NULL, "no file came") : 1;
}

/* --- files alone
 * ------------------------------------------------------------------------------------------ */

static int read_partitions(struct source *s, struct fail *why)
{
	char path[4200], text[256];
	(void)snprintf(path, sizeof path, "%s/store/meta", s->state);
	AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	struct str rest = str_make(text, n < 0 ? 0 : (size_t)n), line;
	while (str_cut(&rest, '\n', &line))
		if (str_starts(line, STR("partitions ")) &&
		    num_parse_u32(str_skip(line, 11), &s->partitions))
			return 0;
	if (fd < 0 && errno == ENOENT)
		return 0; /* never started: no mail yet */
	return fail_set(why, FAIL_CORRUPT, NULL, "%s does not name the partitions", path);
}

static int lock_state(struct source *s, struct fail *why)
{
	char path[4200];
	(void)snprintf(path, sizeof path, "%s/lock", s->state);
	s->state_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->state_lock < 0)
		return fail_errno(why, FAIL_IO, "cannot open %s", path);
	if (flock(s->state_lock, LOCK_EX | LOCK_NB) < 0)
		return fail_set(why, FAIL_BUSY, "The server is starting or stopping: try again.",
				"%s is locked", path);
	return read_partitions(s, why);
}

static int open_file(struct source *s, const char *path, int *ret_fd, struct fail *why)
{
	struct db_options o = {.path = path, .exclusive = true, .checkpoints_by_owner = true};
	if (access(path, F_OK) < 0)
		return 0;
	uint64_t format = 0;
	int r = db_open(&o, &s->held, why);
	if (r == 0)
		r = db_checkpoint(s->held, why);
	if (r == 0)
		r = db_number(s->held, "PRAGMA user_version", &format, why);
	if (r == 0 && !format) { /* it was begun, and ended with its server: nothing is in it */
		db_close(s->held);
		s->held = NULL;
		return 0;
	}
	if (r < 0)
		return r;
	*ret_fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? fail_errno(why, FAIL_IO, "%s", path) : 1;
}

/* --- either
 * ------------------------------------------------------------------------------------------ */

int source_open(struct source *s, const char *state, struct fail *why)
{
	*s = (struct source){.state = state, .state_lock = -1};
	int r = connect_all(s, why);
	return r == -FAIL_NOTFOUND && !s->online ? lock_state(s, why) : r;
}

int source_held(struct source *s, struct fail *why)
{
	if (!s->online)
		return 0;
	int r = hold(s->queue, why);
	return r < 0 ? fail_set(why, FAIL_CONFLICT,
				"A part of the server was started again while it was copied: begin "
				"again.",
				"queue lost its hold: %s", why->detail)
		     : 0;
}

void source_close(struct source *s)
{
	tool_close(s->queue);
	for (uint32_t i = 0; i < s->n_users; i++)
		tool_close(s->users[i]);
	free(s->users);
	db_close(s->held);
	if (s->state_lock > 0)
		(void)close(s->state_lock);
	*s = (struct source){.state_lock = -1};
}

int source_freeze(struct source *s, int partition, int *ret_fd, struct fail *why)
{
	char path[4200];
	*ret_fd = -1;
	if (s->online && partition < 0)
		return ask_for_file(s->queue, 0, ret_fd, why);
	if (s->online)
		return ask_for_file(s->users[(uint32_t)partition % s->n_users], (uint32_t)partition,
				    ret_fd, why);
	if (partition < 0)
		(void)snprintf(path, sizeof path, "%s/spool/spool.db", s->state);
	else
		(void)snprintf(path, sizeof path, "%s/store/part-%03d.db", s->state, partition);
	return open_file(s, path, ret_fd, why);
}

int source_thaw(struct source *s, int partition, struct fail *why)
{
	struct msg_snapshot_end m = {.partition = partition < 0 ? 0 : (uint32_t)partition};
	if (!s->online) {
		db_close(s->held);
		s->held = NULL;
		return 0;
	}
	return tool_ask(partition < 0 ? s->queue : s->users[(uint32_t)partition % s->n_users],
			IPC_SNAPSHOT_END, &m, IPC_OK, NULL, why);
}
