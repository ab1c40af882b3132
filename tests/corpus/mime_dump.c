/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_dump.c - print the message map of each file named on standard input as a line of JSON.
 *
 *     find DIR -type f | mime-dump
 *
 * Every message is indexed twice, whole and in pieces of 7 bytes, and its map goes through the
 * binary form; both must give the same bytes. Texts are base64. For mime_oracle.py.
 */
#include "base/encode.h"
#include "codec/mime/index.h"
#include "codec/mime/transfer.h"
#include <stdio.h>

static void key(struct buf *out, const char *name, struct str text)
{
	(void)buf_addf(out, ",\"%s\":\"", name);
	(void)base64_encode(out, text);
	(void)buf_addc(out, '"');
}

static void number(struct buf *out, const char *name, uint64_t v)
{
	(void)buf_addf(out, ",\"%s\":%llu", name, (unsigned long long)v);
}

static void part_print(struct buf *out, const struct mime_map *map, uint32_t i, struct str message)
{
	const struct mime_part *p = &map->parts[i];
	struct str body = str_sub(message, p->body_off, p->body_off + p->body_len);
	AUTO(buf) struct buf decoded = BUF_INIT(message.n + 64);
	struct transfer t = transfer_of(p->encoding);
	(void)buf_addf(out, "%s{\"i\":%u", i ? "," : "", i);
	number(out, "parent", p->parent);
	number(out, "flags", p->flags);
	number(out, "children", p->children);
	number(out, "header_off", p->header_off);
	number(out, "header_len", p->header_len);
	number(out, "body_off", p->body_off);
	number(out, "body_len", p->body_len);
	number(out, "lines", p->lines);
	number(out, "encoding", p->encoding);
	key(out, "type", p->type);
	key(out, "subtype", p->subtype);
	key(out, "charset", p->charset);
	key(out, "filename", p->filename);
	if (!(p->flags & (MIME_PART_MULTIPART | MIME_PART_MESSAGE))) {
		transfer_decode(&t, body, &decoded);
		transfer_decode_end(&t, &decoded);
		key(out, "decoded", buf_str(&decoded));
	}
	(void)buf_addc(out, '}');
}

static void map_print(struct buf *out, const char *path, const struct mime_map *map,
		      struct str message)
{
	(void)buf_addf(out, "{\"file\":\"%s\"", path);
	number(out, "size", map->size);
	number(out, "lines", map->lines);
	number(out, "flags", map->flags);
	(void)buf_addf(out, ",\"sent\":%lld,\"zone\":%d", (long long)map->sent.v, map->zone_min);
	key(out, "envelope", map->envelope);
	key(out, "body", map->body);
	key(out, "bodystructure", map->bodystructure);
	key(out, "subject", map->subject);
	key(out, "from", map->from);
	key(out, "message_id", map->message_id);
	(void)buf_add(out, STR(",\"fields\":["));
	for (uint32_t i = 0; i < map->n_fields; i++)
		(void)buf_addf(out, "%s[%llu,%llu]", i ? "," : "",
			       (unsigned long long)map->fields[i].off,
			       (unsigned long long)map->fields[i].len);
	(void)buf_add(out, STR("],\"parts\":["));
	for (uint32_t i = 0; i < map->n_parts; i++)
		part_print(out, map, i, message);
	(void)buf_add(out, STR("]}\n"));
}

static int map_make(struct str message, size_t step, struct arena *arena, struct buf *binary,
		    struct mime_map **ret, struct fail *why)
{
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, arena);
	for (size_t at = 0; at < message.n; at += step)
		mime_index_feed(ix, str_sub(message, at, at + step));
	int r = mime_index_finish(ix, ret, why);
	return r < 0 ? r : mime_map_write(*ret, binary);
}

static int file_dump(const char *path)
{
	AUTO(buf) struct buf message = BUF_INIT(MIB(256));
	AUTO(buf) struct buf whole = BUF_INIT(MIB(64));
	AUTO(buf) struct buf pieces = BUF_INIT(MIB(64));
	AUTO(buf) struct buf out = BUF_INIT(MIB(1024));
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	struct mime_map *map;
	struct fail why = FAIL_INIT;
	FILE *f = fopen(path, "rb");
	size_t n;
	if (!f)
		return -FAIL_IO;
	while ((n = fread(buf_room(&message, KIB(64)), 1, KIB(64), f)) > 0)
		buf_added(&message, n);
	(void)fclose(f);
	int r = map_make(buf_str(&message), 7, &arena, &pieces, &map, &why);
	if (r == 0)
		r = map_make(buf_str(&message), message.n + 1, &arena, &whole, &map, &why);
	if (r == 0 && !str_eq(buf_str(&whole), buf_str(&pieces)))
		r = fail_set(&why, FAIL_BUG, NULL, "whole and pieces differ");
	if (r == 0)
		r = mime_map_read(buf_str(&whole), message.n, &arena, &map, &why);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, why.detail);
		return r;
	}
	map_print(&out, path, map, buf_str(&message));
	(void)fwrite(out.p, 1, out.n, stdout);
	return 0;
}

int main(void)
{
	char line[4096];
	int status = 0;
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (file_dump(line) < 0)
			status = 1;
	}
	return status;
}
