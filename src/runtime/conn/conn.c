/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/conn/conn.h"
#include "base/check.h"
#include "runtime/conn/zip.h"
#include "runtime/tls/tls.h"
#include "sys/counter.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define STALL_MS     120000
#define FINISH_MS    600000 /* for all of the output after conn_finish */
#define LINGER_MS    2000
#define LINGER_BYTES MIB(1)
#define HELD_HIGH    MIB(2)  /* who has so much to take is not listened to */
#define FILE_COST    KIB(64) /* of a descriptor, in the same measure */
#define MERGE_MAX    KIB(16) /* small texts join the item before them up to this size */
#define READ_ROUNDS  8	     /* then others have their turn */

struct out_item {
	struct list link;
	struct buf text; /* when fd < 0 */
	size_t written;
	int fd;
	uint64_t offset;
	uint64_t left;
	bool zipped;   /* to be compressed */
	bool zip_anew; /* ... as the beginning of a stream */
};

COUNTER(bytes_read, "conn.read-bytes", "bytes from clients");
COUNTER(bytes_written, "conn.written-bytes", "bytes to clients");
COUNTER(bytes_unzipped, "conn.unzipped-bytes", "bytes that compressed input came to");
COUNTER(bytes_zipped, "conn.zipped-bytes", "bytes to clients before their compression");
COUNTER(zips, "conn.compressed", "connections whose client asked for compression");

enum io { IO_OK, IO_WANT_IN, IO_WANT_OUT, IO_EOF, IO_ERROR, IO_NO_ZIP };

/* --- reading and writing, with TLS or without
 * ------------------------------------------------------- */

static enum io from_errno(struct fail *why)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return IO_WANT_IN;
	(void)fail_errno(why, FAIL_PEER, "connection");
	return IO_ERROR;
}

static enum io from_tls(int r)
{
	return r == TLS_WANT_IN	   ? IO_WANT_IN
	       : r == TLS_WANT_OUT ? IO_WANT_OUT
	       : r == TLS_EOF	   ? IO_EOF
				   : IO_ERROR;
}

static enum io read_some(struct conn *c, char *into, size_t size, size_t *ret_n, struct fail *why)
{
	if (c->tls) {
		int r = tls_stream_read(c->tls, into, size, ret_n, why);
		counter_add(&bytes_read, r == 0 ? *ret_n : 0);
		return r == 0 ? IO_OK : from_tls(r);
	}
	ssize_t n = recv(c->io.fd, into, size, 0);
	if (n < 0)
		return from_errno(why);
	*ret_n = (size_t)n;
	counter_add(&bytes_read, (uint64_t)n);
	return n == 0 ? IO_EOF : IO_OK;
}

static enum io write_some(struct conn *c, struct str s, size_t *ret_n, struct fail *why)
{
	if (c->tls) {
		int r = tls_stream_write(c->tls, s, ret_n, why);
		c->sent += r == 0 ? *ret_n : 0;
		counter_add(&bytes_written, r == 0 ? *ret_n : 0);
		return r == 0 ? IO_OK : from_tls(r);
	}
	ssize_t n = send(c->io.fd, s.p, s.n, MSG_NOSIGNAL);
	if (n < 0) {
		enum io io = from_errno(why);
		return io == IO_WANT_IN ? IO_WANT_OUT : io;
	}
	*ret_n = (size_t)n;
	c->sent += (uint64_t)n;
	counter_add(&bytes_written, (uint64_t)n);
	return IO_OK;
}

/*
 * The client's text. IO_OK with *ret_n = 0: what came gives none yet; more may wait, also where
 * epoll does not see it.
 */
static enum io read_text(struct conn *c, char *into, size_t size, size_t *ret_n, struct fail *why)
{
	if (!c->zip || (!c->zip->in_on && !zip_has_input(c->zip)))
		return read_some(c, into, size, ret_n, why);
	for (bool fed = false;; fed = true) {
		int r = zip_take(c->zip, into, size, ret_n, why);
		counter_add(&bytes_unzipped, *ret_n);
		if (r != 0)
			return r == ZIP_END ? IO_EOF : IO_NO_ZIP;
		if (*ret_n > 0 || fed)
			return IO_OK;
		size_t n = 0;
		enum io io = read_some(c, into, size, &n, why);
		if (io != IO_OK)
			return io;
		zip_feed(c->zip, (struct str){into, n});
	}
}

/* --- life
 * -----------------------------------------------------------------------------------------------
 */

static void item_free(struct conn *c, struct out_item *item)
{
	list_remove(&item->link);
	if (item->fd >= 0) {
		(void)close(item->fd);
		c->held -= FILE_COST;
	} else {
		c->held -= item->text.n - item->written;
	}
	buf_clear(&item->text);
	free(item);
}

static void drop_output(struct conn *c)
{
	LIST_EACH (&c->out, n)
		item_free(c, CONTAINER_OF(n, struct out_item, link));
	c->out_bytes = 0;
}

static void free_now(struct conn *c)
{
	if (c->again_posted)
		return; /* the posted task frees it */
	buf_clear(&c->kept);
	zip_free(c->zip);
	free(c);
}

static void end(struct conn *c, enum conn_end how, const struct fail *why)
{
	if (c->closing)
		return;
	c->closing = true;
	int fd = c->io.fd;
	if (c->tls && how == CONN_END_OURS && !c->handshaking)
		tls_stream_close_notify(c->tls);
	tls_stream_free(c->tls);
	c->tls = NULL;
	loop_remove(c->loop, &c->io);
	(void)close(fd);
	loop_timer_clear(c->loop, &c->timer);
	loop_timer_clear(c->loop, &c->stall);
	drop_output(c);
	c->busy++;
	c->ops->ended(c, how, why);
	c->owner = NULL;
	if (--c->busy == 0)
		free_now(c);
}

/* Around every callback: the connection stays in memory until the outermost one has returned. */
static void enter(struct conn *c)
{
	c->busy++;
}

static bool leave(struct conn *c)
{
	bool alive = !c->closing;
	if (--c->busy == 0 && !alive)
		free_now(c);
	return alive;
}

/* Each command of a client that does not read would add to what is kept for it. */
static bool may_read(const struct conn *c)
{
	return !c->paused && !c->eof && !c->finishing && !c->closing && !c->handshaking &&
	       c->held < HELD_HIGH;
}

static void read_again(struct conn *c)
{
	if (c->again_posted || !may_read(c))
		return;
	c->again_posted = true;
	loop_post(c->loop, &c->again);
}

static bool has_output(const struct conn *c)
{
	return !list_empty(&c->out) || (c->zip && zip_pending(c->zip).n);
}

static void update_interest(struct conn *c)
{
	if (c->closing || c->handshaking || c->lingering)
		return; /* each watches for what it needs itself */
	bool out = has_output(c) || c->tls_wants_out;
	/* A pause is often over before the client speaks: ready() stops listening if it does. */
	bool in = may_read(c) || (c->paused && (c->io.events & EPOLLIN));
	loop_want(c->loop, &c->io, (in ? EPOLLIN : 0u) | (out ? EPOLLOUT : 0u));
}

/* --- output
 * --------------------------------------------------------------------------------------------- */

/* The next bytes of the item: its text, or a piece of its file. */
static int next_bytes(struct out_item *item, struct str *ret, struct fail *why)
{
	static char chunk[CONN_READ_SIZE]; /* one loop thread per process */
	if (item->fd < 0) {
		*ret = str_skip(buf_str(&item->text), item->written);
		return 0;
	}
	ssize_t n = pread(item->fd, chunk, MIN(item->left, (uint64_t)sizeof chunk),
			  (off_t)item->offset);
	if (n < 0)
		return fail_errno(why, FAIL_IO, "reading a body file");
	if (n == 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "a body file is shorter than it was");
	*ret = (struct str){chunk, (size_t)n};
	return 0;
}

static enum io write_zipped(struct conn *c, struct fail *why)
{
	while (c->zip && zip_pending(c->zip).n) {
		size_t n = 0;
		enum io io = write_some(c, zip_pending(c->zip), &n, why);
		if (io != IO_OK)
			return io;
		zip_sent(c->zip, n);
	}
	return IO_OK;
}

static enum io write_text(struct conn *c, struct out_item *item, struct str s, size_t *ret_n,
			  struct fail *why)
{
	if (!item->zipped)
		return write_some(c, s, ret_n, why);
	*ret_n = zip_add(c->zip, s, item->zip_anew);
	item->zip_anew = false;
	counter_add(&bytes_zipped, *ret_n);
	return IO_OK;
}

/* Write the front item further; IO_OK when it is done. */
static enum io write_item(struct conn *c, struct out_item *item, struct fail *why)
{
	while (item->fd >= 0 ? item->left > 0 : item->written < item->text.n) {
		struct str s = STR_NULL;
		size_t n = 0;
		enum io io = write_zipped(c, why);
		if (io != IO_OK)
			return io;
		if (next_bytes(item, &s, why) < 0)
			return IO_ERROR;
		io = write_text(c, item, s, &n, why);
		if (io != IO_OK)
			return io;
		c->out_bytes -= n;
		if (item->fd >= 0) {
			item->offset += n;
			item->left -= n;
		} else {
			item->written += n;
			c->held -= n;
		}
	}
	return IO_OK;
}

static enum io write_queue(struct conn *c, struct fail *why)
{
	enum io io = IO_OK;
	while (io == IO_OK && !list_empty(&c->out)) {
		struct out_item *item = CONTAINER_OF(c->out.next, struct out_item, link);
		io = write_item(c, item, why);
		if (io == IO_OK)
			item_free(c, item);
	}
	return io == IO_OK ? write_zipped(c, why) : io;
}

/*
 * What is written from now on goes out together: each segment costs both ends more than the bytes
 * in it. Where the kernel or the kind of socket knows nothing of it, it goes out as it is written.
 */
static void cork(const struct conn *c, int on)
{
	(void)setsockopt(c->io.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

/* --- the last moments
 * ------------------------------------------------------------------------------------- */

/* Throw away what the client still sends, until it has seen our end. */
static void discard(struct conn *c)
{
	static char bin[CONN_READ_SIZE];
	for (;;) {
		ssize_t n = recv(c->io.fd, bin, sizeof bin, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		c->discarded += n > 0 ? (size_t)n : 0;
		if (n <= 0 || c->discarded > LINGER_BYTES) {
			end(c, CONN_END_OURS, NULL);
			return;
		}
	}
}

/* Everything is written. Closing on unread input would make the kernel reset the connection. */
static void finished(struct conn *c)
{
	char one;
	if (c->eof || (!c->kept.n && !(c->zip && c->zip->raw.n) &&
		       recv(c->io.fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)) {
		end(c, CONN_END_OURS, NULL);
		return;
	}
	if (c->tls)
		tls_stream_close_notify(c->tls);
	tls_stream_free(c->tls);
	c->tls = NULL;
	(void)shutdown(c->io.fd, SHUT_WR);
	c->lingering = true;
	loop_want(c->loop, &c->io, EPOLLIN);
	loop_timer_in(c->loop, &c->stall, LINGER_MS);
}

void conn_flush(struct conn *c)
{
	struct fail why = FAIL_INIT;
	size_t before = c->out_bytes;
	bool full = c->held >= HELD_HIGH;
	uint64_t sent = c->sent;
	if (c->closing || c->handshaking || c->lingering)
		return;
	enum io io = write_queue(c, &why);
	if (io == IO_ERROR || io == IO_EOF) {
		end(c, CONN_END_PEER, &why);
		return;
	}
	if (!has_output(c) && c->finishing) {
		finished(c);
		return;
	}
	if (!has_output(c))
		loop_timer_clear(c->loop, &c->stall);
	else if (!c->stall.pos || c->sent != sent)
		loop_timer_in(c->loop, &c->stall, STALL_MS);
	update_interest(c);
	if (full)
		read_again(c);
	if (c->ops->drained && c->out_bytes < before && !c->finishing) {
		enter(c);
		c->ops->drained(c, c->out_bytes);
		(void)leave(c);
	}
}

static struct out_item *new_item(struct conn *c, size_t text_max)
{
	struct out_item *item = xcalloc(1, sizeof *item);
	item->text = BUF_INIT(text_max);
	item->zipped = conn_zip_is_on(c);
	if (item->zipped) {
		item->zip_anew = c->zip->out_new;
		c->zip->out_new = false;
	}
	list_append(&c->out, &item->link);
	return item;
}

void conn_write(struct conn *c, struct str text)
{
	if (c->closing || c->finishing || text.n == 0)
		return;
	struct out_item *last =
		list_empty(&c->out) ? NULL : CONTAINER_OF(c->out.prev, struct out_item, link);
	if (!last || last->fd >= 0 || last->text.n + text.n > MERGE_MAX ||
	    last->zipped != conn_zip_is_on(c) || (last->zipped && c->zip->out_new)) {
		last = new_item(c, MAX(text.n, MERGE_MAX));
		last->fd = -1;
	}
	CHECK(buf_add(&last->text, text) == 0);
	c->out_bytes += text.n;
	c->held += text.n;
}

void conn_write_file(struct conn *c, int fd, uint64_t offset, uint64_t length)
{
	if (c->closing || c->finishing || length == 0) {
		(void)close(fd);
		return;
	}
	struct out_item *item = new_item(c, 0);
	item->fd = fd;
	item->offset = offset;
	item->left = length;
	c->out_bytes += length;
	c->held += FILE_COST;
}

/* --- input
 * ---------------------------------------------------------------------------------------------- */

static bool zip_input_is_on(const struct conn *c)
{
	return c->zip && c->zip->in_on;
}

/* Offer what was kept, or what is fresh; keep what is left over. The caller has entered. */
static void offer(struct conn *c, struct str fresh)
{
	CHECK(!c->kept.n || !fresh.n);
	struct str in = c->kept.n ? buf_str(&c->kept) : fresh;
	size_t had = in.n;
	bool zipped = zip_input_is_on(c);
	c->offering = true;
	c->resumed = false;
	c->ops->input(c, &in);
	c->offering = false;
	if (c->closing)
		return;
	if (!zipped && zip_input_is_on(c)) { /* what is left is compressed */
		zip_feed(c->zip, in);
		in = STR("");
	}
	if (c->handshaking) { /* STARTTLS: what came behind it in plain text is void (RFC 3207 6) */
		buf_clear(&c->kept);
		return;
	}
	if (c->kept.n)
		buf_drop(&c->kept, had - MIN(in.n, had));
	else if (in.n)
		CHECK(buf_add(&c->kept, in) == 0);
	if (!c->kept.n)
		buf_clear(&c->kept);
	else if (!c->resumed)
		conn_pause(c);
}

/* The client sends no more. What it asked for may still be under way. */
static void at_eof(struct conn *c)
{
	if (!c->ops->eof) {
		end(c, CONN_END_PEER, NULL);
		return;
	}
	c->eof = true;
	update_interest(c);
	c->ops->eof(c);
}

/* Less came than was asked for: more is not there, or epoll will say so. */
static bool is_drained(const struct conn *c, size_t n)
{
	return n < CONN_READ_SIZE && !(c->tls && tls_stream_pending(c->tls)) &&
	       !(c->zip && zip_has_input(c->zip));
}

/* The caller has entered. */
static void read_input(struct conn *c)
{
	static char piece[CONN_READ_SIZE];
	struct fail why = FAIL_INIT;
	enum io io = IO_OK;
	c->tls_wants_out = false;
	if (c->kept.n && may_read(c))
		offer(c, STR(""));
	bool drained = false;
	for (int i = 0; i < READ_ROUNDS && io == IO_OK && !drained && may_read(c) && !c->kept.n;
	     i++) {
		size_t n = 0;
		io = read_text(c, piece, sizeof piece, &n, &why);
		if (io != IO_OK)
			break;
		if (n)
			offer(c, (struct str){piece, n});
		explicit_bzero(piece, n); /* it may have been a password */
		drained = !c->closing && is_drained(c, n);
	}
	if (c->closing || c->handshaking)
		return;
	if (io == IO_ERROR || io == IO_NO_ZIP) {
		end(c,
		    io == IO_NO_ZIP ? CONN_END_ZIP
		    : c->tls	    ? CONN_END_TLS
				    : CONN_END_PEER,
		    &why);
		return;
	}
	if (io == IO_EOF) {
		at_eof(c);
		return;
	}
	c->tls_wants_out = io == IO_WANT_OUT;
	/* What TLS has decrypted already does not show in epoll. */
	if (io == IO_OK && !drained && may_read(c))
		conn_resume(c);
	update_interest(c);
}

static void go_on_with_handshake(struct conn *c)
{
	struct fail why = FAIL_INIT;
	int r = tls_stream_handshake(c->tls, &why);
	if (r == TLS_WANT_IN || r == TLS_WANT_OUT) {
		loop_want(c->loop, &c->io, r == TLS_WANT_IN ? EPOLLIN : EPOLLOUT);
		return;
	}
	if (r != 0) {
		end(c, CONN_END_TLS, &why);
		return;
	}
	c->handshaking = false;
	c->ops->secured(c);
	conn_flush(c);
	/* The client's first words may have come with the end of the handshake. */
	if (may_read(c))
		conn_resume(c);
}

static void handshake(struct conn *c)
{
	cork(c, 1); /* the session ticket and what is said first */
	go_on_with_handshake(c);
	cork(c, 0);
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct conn *c = CONTAINER_OF(io, struct conn, io);
	enter(c);
	bool readable = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) ||
			((events & EPOLLOUT) && c->tls_wants_out);
	if (c->handshaking) {
		handshake(c);
	} else if (c->lingering) {
		discard(c);
	} else {
		if ((events & EPOLLOUT) && has_output(c))
			conn_flush(c);
		if (readable && may_read(c))
			read_input(c);
		else if (c->closing || c->lingering)
			; /* the flush was the last one */
		else if (events & (EPOLLHUP | EPOLLERR))
			end(c, CONN_END_PEER, NULL);
		else if (events & EPOLLIN)
			loop_want(c->loop, &c->io, c->io.events & ~(uint32_t)EPOLLIN);
	}
	(void)leave(c);
}

static void run_again(struct loop_task *task)
{
	struct conn *c = CONTAINER_OF(task, struct conn, again);
	c->again_posted = false;
	if (c->closing) {
		if (c->busy == 0)
			free_now(c);
		return;
	}
	enter(c);
	if (may_read(c))
		read_input(c);
	(void)leave(c);
}

void conn_pause(struct conn *c)
{
	c->paused = true;
	update_interest(c);
}

void conn_resume(struct conn *c)
{
	if (c->closing)
		return;
	c->paused = false;
	c->resumed = true;
	update_interest(c);
	read_again(c);
}

/* --- the rest
 * --------------------------------------------------------------------------------------------- */

static void timer_fired(struct loop_timer *t)
{
	struct conn *c = CONTAINER_OF(t, struct conn, timer);
	if (c->finishing) {
		end(c, CONN_END_STALLED, NULL);
		return;
	}
	enter(c);
	c->ops->timeout(c);
	(void)leave(c);
}

static void stalled(struct loop_timer *t)
{
	struct conn *c = CONTAINER_OF(t, struct conn, stall);
	end(c, c->lingering ? CONN_END_OURS : CONN_END_STALLED, NULL);
}

struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *owner)
{
	struct conn *c = xcalloc(1, sizeof *c);
	c->loop = loop;
	c->ops = ops;
	c->owner = owner;
	c->io.ready = ready;
	c->timer.fire = timer_fired;
	c->stall.fire = stalled;
	c->again.run = run_again;
	c->kept = BUF_INIT(CONN_READ_SIZE);
	c->paused = true;
	list_init(&c->out);
	loop_add(loop, &c->io, fd, 0);
	return c;
}

void conn_start_tls(struct conn *c, struct tls_ctx *ctx, const char *alpn)
{
	enter(c);
	conn_flush(c);
	if (!c->closing && has_output(c))
		end(c, CONN_END_STALLED, NULL); /* it must not go out encrypted, later */
	if (!leave(c))
		return;
	if (!c->offering) /* else offer() drops it when the callback has returned */
		buf_clear(&c->kept);
	zip_free(c->zip); /* with what came before TLS and was not unpacked */
	c->zip = NULL;
	c->tls = tls_stream_new(ctx, c->io.fd);
	if (alpn)
		tls_stream_expect_alpn(c->tls, alpn);
	c->handshaking = true;
	loop_want(c->loop, &c->io, EPOLLIN);
}

struct str conn_tls_text(const struct conn *c)
{
	return c->tls && !c->handshaking ? tls_stream_text(c->tls) : STR("");
}

void conn_ask_certificate(struct conn *c)
{
	if (c->tls && c->handshaking)
		tls_stream_ask_certificate(c->tls);
}

void conn_client_names(const struct conn *c, struct tls_client_names *ret)
{
	*ret = (struct tls_client_names){{0}, {0}};
	if (c->tls && !c->handshaking)
		tls_stream_client_names(c->tls, ret);
}

bool conn_tls_binds(const struct conn *c)
{
	return c->tls && !c->handshaking && tls_stream_ems(c->tls);
}

bool conn_tls_exporter(const struct conn *c, unsigned char out[32])
{
	return c->tls && !c->handshaking && tls_stream_exporter(c->tls, out, NULL) == 0;
}

void conn_tls_details(const struct conn *c, struct str *ret_sni, bool *ret_ems)
{
	CHECK(c->tls && !c->handshaking);
	*ret_sni = tls_stream_sni(c->tls);
	*ret_ems = tls_stream_ems(c->tls);
}

void conn_start_zip(struct conn *c)
{
	if (c->closing || c->finishing)
		return;
	if (!c->zip)
		c->zip = zip_new();
	CHECK(!c->zip->in_on);
	counter_add(&zips, 1);
	zip_start(c->zip);
	if (c->offering) /* offer() sees to what is left */
		return;
	zip_feed(c->zip, buf_str(&c->kept));
	buf_clear(&c->kept);
}

void conn_end_zip(struct conn *c)
{
	if (c->zip)
		zip_end(c->zip);
}

bool conn_zip_is_on(const struct conn *c)
{
	return c->zip && c->zip->out_on;
}

bool conn_zip_may_begin(const struct conn *c)
{
	return !c->zip || (!c->zip->out_on && !c->zip->in_on);
}

void conn_timeout(struct conn *c, uint64_t ms)
{
	if (c->closing || c->finishing)
		return;
	if (ms)
		loop_timer_in(c->loop, &c->timer, (int64_t)ms);
	else
		loop_timer_clear(c->loop, &c->timer);
}

void conn_finish(struct conn *c)
{
	if (c->closing || c->finishing)
		return;
	if (c->handshaking) {
		end(c, CONN_END_OURS, NULL);
		return;
	}
	c->finishing = true;
	cork(c, 1); /* the last words, TLS's end and the connection's */
	loop_timer_in(c->loop, &c->timer, FINISH_MS);
	conn_flush(c);
}

void conn_close(struct conn *c)
{
	end(c, CONN_END_OURS, NULL);
}
