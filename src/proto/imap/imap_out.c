/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/imap/imap_out.h"

static void drop_pieces(struct imap_out *o, size_t keep)
{
	while (o->pieces.n > keep) {
		struct imap_out_piece *piece = vec_pop(&o->pieces);
		o->file_bytes -= piece->length;
		if (piece->fd >= 0)
			(void)close(piece->fd);
	}
}

void imap_out_reset(struct imap_out *o)
{
	drop_pieces(o, 0);
	buf_reset(&o->text);
}

void imap_out_clear(struct imap_out *o)
{
	imap_out_reset(o);
	vec_clear(&o->pieces);
	buf_clear(&o->text);
}

void imap_out_file(struct imap_out *o, int fd, uint64_t offset, uint64_t length)
{
	if (length == 0) {
		(void)close(fd);
		return;
	}
	struct imap_out_piece *piece = vec_push(&o->pieces);
	*piece = (struct imap_out_piece){o->text.n, fd, offset, length};
	o->file_bytes += length;
}

struct imap_out_mark imap_out_mark(const struct imap_out *o)
{
	CHECK(!o->text.failed);
	return (struct imap_out_mark){o->text.n, o->pieces.n};
}

void imap_out_rollback(struct imap_out *o, struct imap_out_mark mark)
{
	drop_pieces(o, mark.pieces_n);
	buf_cut(&o->text, mark.text_n);
	o->text.failed = false;
}
