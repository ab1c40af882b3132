/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_binary.c - BINARY[...] and BINARY.SIZE[...] (RFC 3516 4.2, 4.3).         [proto, imap]
 *
 * A part is decoded in pieces as it is read. How long it is must be said before it: what is small
 * waits in memory, what is large in a nameless file that the answer then refers to. So memory does
 * not grow with the part, and nothing is decoded twice.
 */
#include "codec/imap/imap_write.h"
#include "codec/mime/transfer.h"
#include "proto/imap/fetch_int.h"
#include "sys/fs.h"

#define PIECE	   KIB(64)
#define MEMORY_MAX KIB(64) /* of encoded bytes: above, a file */

/* Where decoded bytes go: those in [from, from + left). */
struct sink {
	uint64_t from, left;
	uint64_t total; /* decoded so far, wanted or not */
	uint64_t n;	/* wanted */
	bool nul;
	struct buf *memory;   /* either, */
	struct fs_file *file; /* or, or neither: counting */
};

static int sink_take(struct sink *k, struct str piece, struct fail *why)
{
	uint64_t skip = k->from > k->total ? MIN(k->from - k->total, piece.n) : 0;
	struct str wanted = str_skip(piece, (size_t)skip);
	int r = 0;
	k->total += piece.n;
	wanted.n = (size_t)MIN(wanted.n, k->left);
	if (wanted.n == 0)
		return 0;
	k->nul |= memchr(wanted.p, 0, wanted.n) != NULL;
	if (k->memory)
		buf_add(k->memory, wanted);
	else if (k->file)
		r = fs_pwrite(k->file, wanted.p, wanted.n, k->n, why);
	k->n += wanted.n;
	k->left -= wanted.n;
	return r;
}

static int decode(struct msg *m, const struct mime_part *part, struct sink *k, struct fail *why)
{
	AUTO(buf) struct buf in = BUF_INIT(PIECE);
	AUTO(buf) struct buf out = BUF_INIT(2 * PIECE);
	struct transfer t = transfer_of(part->encoding);
	int r = msg_body(m, why);
	for (uint64_t at = 0; r == 0 && at < part->body_len && k->left > 0; at += in.n) {
		size_t n = (size_t)MIN(part->body_len - at, PIECE);
		buf_reset(&in);
		buf_reset(&out);
		char *room = buf_room(&in, n);
		if (!room)
			return fail_set(why, FAIL_LIMIT, NULL, "no room for a piece");
		r = msg_read(m, part->body_off + at, n, room, why);
		buf_added(&in, n);
		transfer_decode(&t, buf_str(&in), &out);
		if (r == 0)
			r = sink_take(k, buf_str(&out), why);
	}
	buf_reset(&out);
	transfer_decode_end(&t, &out);
	return r < 0 ? r : sink_take(k, buf_str(&out), why);
}

/* Is there something to decode? Multiparts and messages are what they are (RFC 2045 6.4). */
static bool is_encoded(const struct mime_part *part)
{
	return !(part->flags & (MIME_PART_MULTIPART | MIME_PART_MESSAGE)) &&
	       (part->encoding == MIME_ENC_BASE64 || part->encoding == MIME_ENC_QP);
}

static bool is_unknown(const struct mime_part *part)
{
	return !(part->flags & (MIME_PART_MULTIPART | MIME_PART_MESSAGE)) &&
	       (part->encoding == MIME_ENC_UUENCODE || part->encoding == MIME_ENC_OTHER);
}

/*
 * The part of a section; NULL when there is none. 1 = it must be decoded, 0 = its bytes are the
 * answer: *ret_bytes. An empty section is the whole message, which has no encoding of its own.
 */
static int find_part(struct msg *m, const struct imap_section *section,
		     const struct mime_part **ret, struct section_bytes *ret_bytes,
		     struct fail *why)
{
	int r = msg_map(m, why);
	if (r < 0)
		return r;
	*ret = mime_map_part(m->map, section->part, section->part_count);
	if (!*ret)
		return 0;
	if (section->part_count == 0) {
		*ret_bytes = (struct section_bytes){m->row->prefix, 0, m->row->body_size};
		return 0;
	}
	if (is_unknown(*ret)) {
		m->unknown_cte = true;
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "unknown transfer encoding");
	}
	*ret_bytes = (struct section_bytes){.off = (*ret)->body_off, .len = (*ret)->body_len};
	return is_encoded(*ret);
}

/* A literal that holds NUL is a literal8; one that does not tells so by being none. */
static void write_head(struct buf *out, uint64_t n, bool nul)
{
	if (nul)
		buf_addc(out, '~');
	imap_write_literal_head(out, n);
}

static int write_small(struct msg *m, const struct mime_part *part, struct sink *k,
		       struct imap_out *out, struct fail *why)
{
	AUTO(buf) struct buf memory = BUF_INIT(MEMORY_MAX + KIB(1));
	k->memory = &memory;
	int r = decode(m, part, k, why);
	if (r == 0 && memory.failed)
		r = fail_set(why, FAIL_BUG, NULL, "a part grew by decoding");
	if (r < 0)
		return r;
	write_head(&out->text, k->n, k->nul);
	buf_add(&out->text, buf_str(&memory));
	return 0;
}

static int write_large(struct msg *m, const struct mime_part *part, struct sink *k,
		       struct imap_out *out, struct fail *why)
{
	AUTO(store_body) struct store_body body = STORE_BODY_INIT;
	int r = store_body_create(m->s->store, part->body_len, &body, why);
	if (r < 0)
		return r;
	struct fs_file file = {m->s->config.fs ? m->s->config.fs : fs_real(), body.fd};
	k->file = &file;
	r = decode(m, part, k, why);
	if (r < 0)
		return r;
	write_head(&out->text, k->n, k->nul);
	if (k->n > 0)
		imap_out_file(out, TAKE_FD(body.fd), 0, k->n);
	return 0;
}

/* As it is stored: NUL can only be where the map says that there is one. */
static int write_plain(struct msg *m, const struct section_bytes *bytes,
		       const struct imap_fetch_att *att, struct imap_out *out, struct fail *why)
{
	uint64_t total = bytes->head.n + bytes->len;
	uint64_t from = att->partial ? MIN(att->offset, total) : 0;
	uint64_t n = att->partial ? MIN(att->count, total - from) : total;
	write_head(&out->text, n, m->map->flags & MIME_HAS_NUL);
	return n > 0 ? section_write(m, bytes, from, n, out, why) : 0;
}

int binary_write(struct msg *m, const struct imap_fetch_att *att, struct imap_out *out,
		 struct fail *why)
{
	const struct mime_part *part;
	struct section_bytes bytes;
	struct sink k = {.from = att->partial ? att->offset : 0,
			 .left = att->partial ? att->count : UINT64_MAX};
	int r = find_part(m, &att->section, &part, &bytes, why);
	if (r < 0)
		return r;
	if (!part) {
		buf_add(&out->text, STR("NIL"));
		return 0;
	}
	if (r == 0)
		return write_plain(m, &bytes, att, out, why);
	if (part->body_len <= MEMORY_MAX)
		return write_small(m, part, &k, out, why);
	return write_large(m, part, &k, out, why);
}

int binary_write_size(struct msg *m, const struct imap_fetch_att *att, struct buf *out,
		      struct fail *why)
{
	const struct mime_part *part;
	struct section_bytes bytes;
	struct sink k = {.left = UINT64_MAX};
	int r = find_part(m, &att->section, &part, &bytes, why);
	if (r > 0)
		r = decode(m, part, &k, why);
	else if (r == 0 && part)
		k.n = bytes.head.n + bytes.len;
	if (r == 0)
		buf_add_u64(out, k.n);
	return r;
}
