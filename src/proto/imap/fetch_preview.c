/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_preview.c - PREVIEW and PREVIEW (LAZY) (RFC 8970).                      [proto, imap]
 *
 * The preview is a part of the message map. Maps that were made before there were previews have
 * none: LAZY says NIL then, and a client that wants it all the same has the scan role read the
 * message again. That may not say NIL (3.2), so what cannot be scanned is empty.
 */
#include "codec/imap/imap_write.h"
#include "proto/imap/fetch_int.h"
#include "sys/log.h"

#define SCAN_ARENA MIB(16)

static int scan_again(struct msg *m, struct buf *map, struct fail *why)
{
	struct imap_session *s = m->s;
	struct store_body file = STORE_BODY_INIT;
	struct store_content content = {0};
	int r = msg_body(m, why);
	if (r < 0)
		return r;
	if (m->body.fd < 0) {
		content.bytes = m->body.bytes;
		return s->hooks.scan(s->hooks.arg, &content, map, why);
	}
	file.fd = m->body.fd;
	file.size = m->body.size;
	file.sealed = true;
	memcpy(file.sha256, m->row->sha256, sizeof file.sha256);
	content.file = &file;
	return s->hooks.scan(s->hooks.arg, &content, map, why);
}

static void write_scanned(struct msg *m, struct buf *out)
{
	AUTO(buf) struct buf bytes = BUF_INIT(STORE_MAP_MAX);
	AUTO(arena) struct arena arena = ARENA_INIT(SCAN_ARENA);
	struct fail why = FAIL_INIT;
	struct mime_map *map;
	int r = scan_again(m, &bytes, &why);
	if (r == 0)
		r = mime_map_read(buf_str(&bytes), m->row->body_size, &arena, &map, &why);
	if (r < 0)
		log_event(LOG_WARN, "imap.no-preview", log_u64("uid", m->row->uid.v),
			  log_fail(&why));
	imap_write_string(out, r == 0 && map->has_preview ? map->preview : STR(""));
}

int preview_write(struct msg *m, const struct imap_fetch_att *att, struct buf *out,
		  struct fail *why)
{
	int r = msg_map(m, why);
	if (r < 0)
		return r;
	if (m->map->has_preview)
		imap_write_string(out, m->map->preview);
	else if (att->lazy)
		buf_add(out, STR("NIL"));
	else
		write_scanned(m, out);
	return 0;
}
