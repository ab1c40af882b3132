/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append_binary.c - parts with NUL bytes become base64 (append_int.h).          [proto, imap]
 */
#include "codec/mime/header.h"
#include "codec/mime/transfer.h"
#include "proto/imap/append_int.h"
#include "sys/fs.h"

#define PIECE	   KIB(48) /* a multiple of 3 */
#define HEADER_MAX MIB(1)  /* of a part that is changed */

struct rewrite {
	struct imap_session *s;
	const struct store_content *in;
	const struct mime_map *map;
	struct fs *fs;
	int fd; /* of the new body */
	uint64_t at, written;
	struct buf piece;
};

/* ---- reading and writing ------------------------------------------------------------------- */

/* Bytes [off, off + n) of the message, n <= PIECE: valid until the next call. */
static int read_piece(struct rewrite *w, uint64_t off, size_t n, struct str *ret, struct fail *why)
{
	size_t got = 0;
	if (!w->in->file) {
		*ret = str_sub(w->in->bytes, (size_t)off, (size_t)off + n);
		return 0;
	}
	struct fs_file file = {w->fs, w->in->file->fd};
	buf_reset(&w->piece);
	char *room = buf_room(&w->piece, n);
	if (!room)
		return fail_set(why, FAIL_BUG, NULL, "a piece of %zu bytes", n);
	int r = fs_pread(&file, room, n, off, &got, why);
	if (r == 0 && got != n)
		r = fail_set(why, FAIL_CORRUPT, NULL, "a body is cut");
	*ret = str_make(room, n);
	return r;
}

static int put(struct rewrite *w, struct str bytes, struct fail *why)
{
	struct fs_file file = {w->fs, w->fd};
	if (bytes.n == 0)
		return 0;
	int r = fs_pwrite(&file, bytes.p, bytes.n, w->written, why);
	w->written += bytes.n;
	return r;
}

/* Everything up to `to` goes over as it is. */
static int copy_to(struct rewrite *w, uint64_t to, struct fail *why)
{
	struct str piece;
	int r = 0;
	while (r == 0 && w->at < to) {
		r = read_piece(w, w->at, (size_t)MIN(to - w->at, PIECE), &piece, why);
		if (r == 0)
			r = put(w, piece, why);
		w->at += piece.n;
	}
	return r;
}

static int count_nul(struct rewrite *w, uint64_t from, uint64_t to, uint64_t *ret, struct fail *why)
{
	struct str piece;
	*ret = 0;
	for (uint64_t at = from; at < to; at += piece.n) {
		int r = read_piece(w, at, (size_t)MIN(to - at, PIECE), &piece, why);
		if (r < 0)
			return r;
		for (size_t i = str_find(piece, 0, '\0'); i < piece.n;
		     i = str_find(piece, i + 1, '\0'))
			++*ret;
	}
	return 0;
}

/* ---- one part ------------------------------------------------------------------------------ */

/* The header with another Content-Transfer-Encoding, its last field. */
static int change_header(struct str header, const char *encoding, struct buf *out, struct fail *why)
{
	struct str rest = header, fields = header;
	struct header_field f;
	size_t kept = 0;
	if (str_ends(fields, STR("\n")))
		fields.n -= str_ends(fields, STR("\r\n")) ? 2 : 1;
	struct str blank = str_skip(header, fields.n);
	if (blank.n == 0 || (fields.n > 0 && !str_ends(fields, STR("\n"))))
		return fail_set(why, FAIL_UNSUPPORTED, "A part with NUL bytes has a broken header.",
				"no empty line");
	while (header_next(&rest, &f)) {
		if (!str_eqi(f.name, STR("Content-Transfer-Encoding")))
			continue;
		size_t from = (size_t)(f.whole.p - header.p);
		buf_add(out, str_sub(header, kept, from));
		kept = from + f.whole.n;
	}
	buf_add(out, str_sub(header, kept, fields.n));
	buf_addf(out, "Content-Transfer-Encoding: %s\r\n", encoding);
	buf_add(out, blank);
	return out->failed ? fail_set(why, FAIL_LIMIT, NULL, "header of %zu bytes", header.n) : 0;
}

static int write_header(struct rewrite *w, const struct mime_part *p, const char *encoding,
			struct fail *why)
{
	AUTO(buf) struct buf old = BUF_INIT(HEADER_MAX);
	AUTO(buf) struct buf new = BUF_INIT(HEADER_MAX + KIB(1));
	struct str piece;
	uint64_t end = p->header_off + p->header_len;
	int r = copy_to(w, p->header_off, why);
	while (r == 0 && w->at < end) {
		r = read_piece(w, w->at, (size_t)MIN(end - w->at, PIECE), &piece, why);
		if (r == 0 && buf_add(&old, piece) < 0)
			r = fail_set(why, FAIL_LIMIT, "The header of a part is too large.",
				     "%llu bytes", (unsigned long long)p->header_len);
		w->at += piece.n;
	}
	if (r == 0)
		r = change_header(buf_str(&old), encoding, &new, why);
	return r < 0 ? r : put(w, buf_str(&new), why);
}

static int write_base64(struct rewrite *w, const struct mime_part *p, struct fail *why)
{
	AUTO(buf) struct buf out = BUF_INIT(2 * PIECE);
	struct transfer t = {0};
	struct str piece;
	uint64_t end = p->body_off + p->body_len;
	int r = 0;
	while (r == 0 && w->at < end) {
		r = read_piece(w, w->at, (size_t)MIN(end - w->at, PIECE), &piece, why);
		buf_reset(&out);
		if (r == 0)
			base64_lines(&t, piece, &out);
		if (r == 0)
			r = put(w, buf_str(&out), why);
		w->at += piece.n;
	}
	buf_reset(&out);
	base64_lines_end(&t, &out);
	return r < 0 ? r : put(w, buf_str(&out), why);
}

/* ---- the message --------------------------------------------------------------------------- */

static bool is_leaf(const struct mime_part *p)
{
	return !(p->flags & (MIME_PART_MULTIPART | MIME_PART_MESSAGE));
}

static bool is_unencoded(const struct mime_part *p)
{
	return p->encoding == MIME_ENC_7BIT || p->encoding == MIME_ENC_8BIT ||
	       p->encoding == MIME_ENC_BINARY;
}

static int write_part(struct rewrite *w, const struct mime_part *p, uint64_t *nuls,
		      struct fail *why)
{
	uint64_t here = 0;
	/* What holds other parts may say 7bit, 8bit or binary only (RFC 2045 6.4). */
	if (!is_leaf(p))
		return p->encoding == MIME_ENC_BINARY ? write_header(w, p, "8bit", why) : 0;
	if (!is_unencoded(p))
		return 0;
	int r = count_nul(w, p->body_off, p->body_off + p->body_len, &here, why);
	if (r < 0 || here == 0)
		return r;
	*nuls -= here;
	r = write_header(w, p, "base64", why);
	return r < 0 ? r : write_base64(w, p, why);
}

static int write_all(struct rewrite *w, struct fail *why)
{
	uint64_t nuls = 0;
	int r = count_nul(w, 0, w->map->size, &nuls, why);
	for (uint32_t i = 0; r == 0 && i < w->map->n_parts; i++)
		r = write_part(w, &w->map->parts[i], &nuls, why);
	if (r == 0 && nuls > 0)
		r = fail_set(why, FAIL_UNSUPPORTED,
			     "The message holds a NUL byte where none can be encoded.",
			     "%llu NUL outside of parts", (unsigned long long)nuls);
	return r < 0 ? r : copy_to(w, w->map->size, why);
}

int append_binary(struct imap_session *s, const struct store_content *in,
		  const struct mime_map *map, struct store_body *ret, struct fail *why)
{
	AUTO(store_body) struct store_body body = STORE_BODY_INIT;
	int r = store_body_create(s->store, map->size + map->size / 2, &body, why);
	if (r < 0)
		return r;
	struct rewrite w = {.s = s,
			    .in = in,
			    .map = map,
			    .fs = s->config.fs ? s->config.fs : fs_real(),
			    .fd = body.fd,
			    .piece = BUF_INIT(PIECE)};
	r = write_all(&w, why);
	buf_clear(&w.piece);
	if (r == 0)
		r = store_body_seal(s->store, &body, why);
	if (r < 0)
		return r;
	*ret = body;
	body = STORE_BODY_INIT;
	return 0;
}
