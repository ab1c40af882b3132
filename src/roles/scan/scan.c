/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan - the only role that parses messages: bytes (or a read-only file) in, message map out.
 *
 * It has no file, no socket but those to mta, queue and user, and no thread: one message at a time,
 * so that a crash costs that message's attempt and nothing else. What it returns is checked by
 * whoever uses it (mime_map_read).
 */
#include "codec/mime/index.h"
#include "codec/mime/map.h"
#include "codec/mime/preview.h"
#include "roles/role/role.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include "sys/sha256.h"
#include <unistd.h>

COUNTER(scanned, "scan.messages", "messages analysed");

#define PIECE	    KIB(64)
#define ARENA_BYTES MIB(16)
#define MAP_BYTES   MIB(4)

/* Feed the whole message to the indexer and the hash. */
static int feed(const struct msg_scan *m, struct mime_index *ix, struct sha256 *hash,
		struct fail *why)
{
	static char piece[PIECE];
	if (m->file < 0) {
		mime_index_feed(ix, m->body);
		if (hash)
			sha256_add(hash, m->body);
		return 0;
	}
	uint64_t at = 0;
	while (at < m->size) {
		ssize_t n = pread(m->file, piece, MIN(sizeof piece, m->size - at), (off_t)at);
		if (n <= 0)
			return fail_errno(why, FAIL_IO, "reading a message to scan");
		struct str s = {piece, (size_t)n};
		mime_index_feed(ix, s);
		if (hash)
			sha256_add(hash, s);
		at += (uint64_t)n;
	}
	return 0;
}

/* The message once more, where the preview looks. */
static int64_t read_again(void *ctx, uint64_t off, char *to, size_t n)
{
	const struct msg_scan *m = ctx;
	if (m->file < 0) {
		struct str s = str_sub(m->body, (size_t)off, (size_t)off + n);
		memcpy(to, s.p, s.n);
		return (int64_t)s.n;
	}
	ssize_t got = pread(m->file, to, n, (off_t)off);
	return got < 0 ? -FAIL_IO : got;
}

/* A message is delivered without a preview rather than not at all. */
static void add_preview(const struct msg_scan *m, struct mime_map *map, struct arena *arena)
{
	struct text_source source = {read_again, (void *)(uintptr_t)m};
	int r = preview_make(map, &source, arena);
	if (r < 0)
		log_event(LOG_WARN, "scan.no-preview", log_i64("code", r));
}

static int scan(const struct msg_scan *m, struct buf *map_bytes, unsigned char sha[SHA256_LEN],
		struct fail *why)
{
	AUTO(arena) struct arena arena = ARENA_INIT(ARENA_BYTES);
	struct mime_index_defaults defaults = {.date = m->default_date,
					       .message_id = m->default_message_id};
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, &defaults, &arena);
	struct sha256 *hash = m->hashed ? NULL : sha256_begin();
	struct mime_map *map = NULL;
	int r = feed(m, ix, hash, why);
	if (hash)
		sha256_end(hash, sha);
	if (r == 0)
		r = mime_index_finish(ix, &map, why);
	if (r == 0)
		add_preview(m, map, &arena);
	if (r == 0 && mime_map_write(map, map_bytes) < 0)
		r = fail_set(why, FAIL_LIMIT, NULL, "the message map is larger than %zu bytes",
			     MAP_BYTES);
	return r;
}

static void answer(struct ipc_packet *p)
{
	struct msg_scan m;
	struct fail why = FAIL_INIT;
	AUTO(buf) struct buf map = BUF_INIT(MAP_BYTES);
	unsigned char sha[SHA256_LEN];
	if (msg_scan_read(p, &m) < 0 || (m.file < 0 && m.size != m.body.n)) {
		(void)fail_set(&why, FAIL_PEER, NULL, "bad scan request");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	CRASH_POINT("scan.message");
	if (scan(&m, &map, sha, &why) < 0) {
		log_event(LOG_WARN, "scan.failed", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	counter_add(&scanned, 1);
	struct msg_scan_reply reply = {.map = buf_str(&map),
				       .sha256 = {(const char *)sha, m.hashed ? 0 : sizeof sha}};
	CRASH_POINT("scan.before-reply");
	(void)ipc_reply(p, IPC_SCAN_REPLY, &reply);
	CRASH_POINT("scan.after-reply");
}

static int scan_open(struct role *role, struct fail *why)
{
	(void)role;
	(void)why;
	return 0;
}

static void message(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	(void)role;
	log_context(ipc_packet_trace(p), (struct session_id){0});
	if (ipc_packet_type(p) == IPC_SCAN)
		answer(p);
	else
		role_refused(from, ipc_packet_type(p), "not its business");
	log_context((struct trace_id){0}, (struct session_id){0});
	ipc_packet_free(p);
}

static const char *const peers[] = {"mta", "queue", "user", NULL};
static const struct role_ops ops = {
	.name = "scan", .peers = peers, .open = scan_open, .message = message};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
