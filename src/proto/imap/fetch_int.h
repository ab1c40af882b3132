/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_int.h - one message as FETCH and SEARCH read it.                       [proto, imap]
 *
 * What a client sees as the message is prefix + body. Rows come from the store's reader; map
 * and body are fetched when something asks for them, once, into a scratch arena that lives as
 * long as the message.
 */
#ifndef BARID_PROTO_IMAP_FETCH_INT_H
#define BARID_PROTO_IMAP_FETCH_INT_H

#include "codec/mime/map.h"
#include "proto/imap/imap_int.h"

struct msg {
	struct imap_session *s;
	const struct store_message *row;
	struct mime_map *map;	  /* NULL: not read yet */
	struct store_source body; /* fd -1 and bytes.p NULL: not open */
	bool body_open;
	bool unknown_cte; /* BINARY failed for a transfer encoding that nobody knows (RFC 3516) */
};

/* Begin with a row; forgets what the scratch arena held. End releases the body. */
void msg_begin(struct msg *m, struct imap_session *s, const struct store_message *row);
void msg_end(struct msg *m);

/* Needs STORE_COL_MAP. */
MUST_CHECK int msg_map(struct msg *m, struct fail *why);
/* Make m->body usable. */
MUST_CHECK int msg_body(struct msg *m, struct fail *why);
/* Copy bytes [off, off + len) of the open body, which has them. */
MUST_CHECK int msg_read(struct msg *m, uint64_t off, size_t len, char *into, struct fail *why);
/* Bytes [off, off + len) of the body in memory: for headers and text that is looked at. */
MUST_CHECK int msg_load(struct msg *m, uint64_t off, uint64_t len, struct str *ret,
			struct fail *why);

/* A section: `head`, then bytes [off, off + len) of the body. */
struct section_bytes {
	struct str head;
	uint64_t off;
	uint64_t len;
};
/*
 * Where BODY[section] lies (RFC 3501 6.4.5). 1 = found, 0 = the message has no such section (NIL).
 * Needs STORE_COL_PREFIX, and STORE_COL_MAP unless the section is the whole message.
 */
MUST_CHECK int section_find(struct msg *m, const struct imap_section *section,
			    struct section_bytes *ret, struct fail *why);
/* Append bytes [from, from + n) of a section to the answer; files above 64 KiB as descriptors. */
MUST_CHECK int section_write(struct msg *m, const struct section_bytes *bytes, uint64_t from,
			     uint64_t n, struct imap_out *out, struct fail *why);

/* fetch_binary.c: the value of BINARY[...] and BINARY.SIZE[...] (RFC 3516 4.3). Needs
 * STORE_COL_PREFIX and STORE_COL_MAP. */
MUST_CHECK int binary_write(struct msg *m, const struct imap_fetch_att *att, struct imap_out *out,
			    struct fail *why);
MUST_CHECK int binary_write_size(struct msg *m, const struct imap_fetch_att *att, struct buf *out,
				 struct fail *why);

/* fetch_preview.c: the value of PREVIEW (RFC 8970). Needs STORE_COL_MAP. */
MUST_CHECK int preview_write(struct msg *m, const struct imap_fetch_att *att, struct buf *out,
			     struct fail *why);

/* One attribute, "NAME value". */
MUST_CHECK int fetch_item_write(struct msg *m, const struct imap_fetch_att *att,
				struct imap_out *out, struct fail *why);
/* Columns that an attribute needs (enum store_column). */
unsigned fetch_item_columns(const struct imap_fetch_att *att);
/* Does it set \Seen (RFC 3501 6.4.5)? */
bool fetch_item_sets_seen(const struct imap_fetch_att *att);

#endif
