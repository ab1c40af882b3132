/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/conn/zip.h"
#include "base/check.h"
#include "runtime/conn/conn.h"

#define OUT_MAX KIB(64)
#define RAW_MAX (2 * CONN_READ_SIZE) /* a read, and what was kept before compression began */

struct conn_zip *zip_new(void)
{
	struct conn_zip *z = xcalloc(1, sizeof *z);
	z->raw = BUF_INIT(RAW_MAX);
	z->history = DEFLATE_HISTORY_INIT;
	z->out = BUF_INIT(OUT_MAX);
	return z;
}

void zip_free(struct conn_zip *z)
{
	if (!z)
		return;
	inflater_clear(&z->in);
	buf_clear(&z->raw);
	buf_clear(&z->history);
	buf_clear(&z->out);
	free(z);
}

void zip_start(struct conn_zip *z)
{
	inflater_clear(&z->in);
	z->in_on = z->out_on = z->out_new = true;
	z->leaving = false;
}

void zip_end(struct conn_zip *z)
{
	z->leaving = z->in_on;
	z->out_on = false;
}

/* --- in
 * ------------------------------------------------------------------------------------------------
 */

static void used(struct conn_zip *z, struct str rest)
{
	buf_drop(&z->raw, z->raw.n - rest.n);
	if (z->raw.n == 0)
		buf_clear(&z->raw);
}

/* What belongs to the last flush; behind it everything is as it came. */
static int leave(struct conn_zip *z, struct str *in, struct fail *why)
{
	int r = inflater_leave(&z->in, in, why);
	if (r <= 0)
		return r;
	z->in_on = z->leaving = false;
	inflater_clear(&z->in);
	return 0;
}

static size_t take_plain(struct str *in, char *into, size_t room)
{
	size_t n = MIN(in->n, room);
	if (n)
		memcpy(into, in->p, n);
	*in = str_skip(*in, n);
	return n;
}

int zip_take(struct conn_zip *z, char *into, size_t room, size_t *ret_n, struct fail *why)
{
	struct str in = buf_str(&z->raw);
	int r = 0;
	*ret_n = 0;
	if (z->leaving)
		r = leave(z, &in, why);
	if (r == 0 && !z->in_on)
		*ret_n = take_plain(&in, into, room);
	else if (r == 0 && !z->leaving)
		r = inflater_take(&z->in, &in, into, room, ret_n, why);
	used(z, in);
	if (r == 0 && z->in_on && z->in.over && *ret_n == 0 && !z->leaving)
		return ZIP_END;
	return r;
}

void zip_feed(struct conn_zip *z, struct str raw)
{
	struct buf all = BUF_INIT(RAW_MAX);
	CHECK(buf_add(&all, raw) == 0);
	CHECK(buf_add(&all, buf_str(&z->raw)) == 0);
	buf_clear(&z->raw);
	z->raw = all;
}

/* --- out
 * -----------------------------------------------------------------------------------------------
 */

size_t zip_add(struct conn_zip *z, struct str text, bool anew)
{
	/* It has no state of its own between two pieces, so all connections share it. */
	static _Thread_local struct deflater *deflater;
	CHECK(zip_pending(z).n == 0);
	if (!deflater)
		deflater = deflater_new();
	if (anew)
		buf_reset(&z->history);
	struct str piece = str_sub(text, 0, DEFLATE_PIECE);
	deflater_add(deflater, &z->history, piece, &z->out);
	return piece.n;
}

struct str zip_pending(const struct conn_zip *z)
{
	return str_skip(buf_str(&z->out), z->out_at);
}

void zip_sent(struct conn_zip *z, size_t n)
{
	z->out_at += n;
	if (z->out_at < z->out.n)
		return;
	buf_clear(&z->out);
	z->out_at = 0;
}
