/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/https.h"
#include "codec/dns/dns.h"
#include "codec/http/http_head.h"
#include "codec/http/http_reply.h"
#include "roles/relay/wire.h"
#include "roles/role/ask_dns.h"
#include "runtime/tls/tls_client.h"
#include "sys/clock.h"
#include <poll.h>
#include <stdio.h>

#define ADDRESSES_MAX 4u /* that are tried, of each family */

struct fetch {
	const struct https_question *q;
	struct mono_ns deadline;
	int fd;
	struct tls_stream *tls;
};

/* Until the stream is ready again. */
static int wait(struct fetch *f, int want, struct fail *why)
{
	int r = wire_wait(f->fd, want == TLS_WANT_OUT ? POLLOUT : POLLIN, f->deadline, why);
	return r == 0 ? fail_set(why, FAIL_DEADLINE, NULL, "no answer in time") : MIN(r, 0);
}

static int shake(struct fetch *f, struct fail *why)
{
	int r;
	while ((r = tls_stream_handshake(f->tls, why)) != TLS_OK) {
		if (r == TLS_EOF)
			return fail_set(why, FAIL_PEER, NULL, "closed in the handshake");
		r = r < 0 ? r : wait(f, r, why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int say(struct fetch *f, struct str s, struct fail *why)
{
	while (s.n > 0) {
		size_t n = 0;
		int r = tls_stream_write(f->tls, s, &n, why);
		if (r == TLS_EOF)
			return fail_set(why, FAIL_PEER, NULL, "closed");
		r = r <= 0 ? r : wait(f, r, why);
		if (r < 0)
			return r;
		s = str_skip(s, n);
	}
	return 0;
}

static int hear(struct fetch *f, struct buf *in, bool *ret_ended, struct fail *why)
{
	for (;;) {
		size_t n = 0;
		char *room = buf_room(in, 4096);
		if (!room)
			return fail_set(why, FAIL_LIMIT, NULL, "the answer is too large");
		int r = tls_stream_read(f->tls, room, 4096, &n, why);
		if (r == TLS_OK) {
			buf_added(in, n);
			return 0;
		}
		if (r == TLS_EOF) {
			*ret_ended = true;
			return 0;
		}
		r = r < 0 ? r : wait(f, r, why);
		if (r < 0)
			return r;
	}
}

static enum https_result judge(const struct https_question *q, const struct http_reply *reply,
			       struct fail *why)
{
	if (q->post.p && reply->status / 100 == 2)
		return HTTPS_DONE;
	if (!q->post.p && reply->status == 200 && str_eqi(reply->type, str_c(q->type)))
		return HTTPS_DONE;
	(void)fail_set(why, FAIL_PEER, NULL, "status %d, type %.*s", reply->status,
		       STR_ARG(reply->type));
	return HTTPS_FAILED;
}

static enum https_result converse(struct fetch *f, struct buf *body, struct fail *why)
{
	AUTO(buf)
	struct buf out = BUF_INIT(f->q->post.n + KIB(2)),
		   in = BUF_INIT(body->max + HTTP_HEAD_MAX + 8192);
	struct http_reply reply;
	bool ended = false;
	(void)buf_addf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
		       f->q->post.p ? "POST" : "GET", f->q->path, f->q->host);
	if (f->q->post.p)
		(void)buf_addf(&out, "Content-Type: %s\r\nContent-Length: %zu\r\n", f->q->type,
			       f->q->post.n);
	(void)buf_add_c(&out, "\r\n");
	(void)buf_add(&out, f->q->post);
	int r = say(f, buf_str(&out), why);
	if (r < 0)
		return HTTPS_FAILED;
	do {
		if (hear(f, &in, &ended, why) < 0)
			return HTTPS_FAILED;
		r = http_reply_parse(buf_str(&in), ended, &reply, body);
	} while (r == 0);
	if (r == 1)
		return judge(f->q, &reply, why);
	(void)fail_set(why, FAIL_PEER, NULL,
		       r == -FAIL_LIMIT ? "the answer is too large" : "the answer is no HTTP");
	return HTTPS_FAILED;
}

static enum https_result over_tls(struct fetch *f, struct buf *body, struct fail *why)
{
	const char *reason = "";
	struct tls_expect e = {.check = TLS_CHECK_AUTHORITY,
			       .server_name = f->q->host,
			       .names = &f->q->host,
			       .names_n = 1,
			       .whole_end = true}; /* a policy that was cut off is none */
	f->tls = tls_stream_connect(relay.tls, f->fd, &e);
	enum https_result result = HTTPS_FAILED;
	if (shake(f, why) == 0) {
		if (tls_stream_verdict(f->tls, &reason) == TLS_GOOD) {
			result = converse(f, body, why);
		} else {
			(void)fail_set(why, FAIL_PEER, NULL, "certificate: %s", reason);
			result = HTTPS_BAD_CERTIFICATE;
		}
		tls_stream_close_notify(f->tls);
	}
	tls_stream_free(f->tls);
	return result;
}

/* -1: not even connected. */
static int try_address(const struct https_question *q, const struct netaddr *a,
		       struct mono_ns deadline, struct buf *body, struct fail *why)
{
	AUTO_FD int fd = -1;
	int r = sock_connect(a, &fd, why);
	if (r == 0) {
		struct mono_ns soon = mono_add_ms(clock_mono(), q->time_ms / 4);
		r = wire_wait(fd, POLLOUT, soon.v < deadline.v ? soon : deadline, why);
		if (r == 0)
			(void)fail_set(why, FAIL_DEADLINE, NULL, "connecting takes too long");
		else if (r > 0 && sock_error(fd))
			r = fail_set(why, FAIL_PEER, NULL, "cannot connect");
	}
	if (r <= 0)
		return -1;
	struct fetch f = {.q = q, .deadline = deadline, .fd = fd};
	return (int)over_tls(&f, body, why);
}

static size_t addresses(const struct https_question *q, uint16_t type, struct arena *a,
			struct netaddr *v)
{
	struct dns_answer answer;
	struct fail why = FAIL_INIT;
	size_t n = 0;
	if (errand_resolve(q->errand, str_c(q->host), type, a, &answer, &why) < 0)
		return 0;
	for (size_t i = 0; i < answer.n && n < ADDRESSES_MAX; i++) {
		v[n] = (struct netaddr){.family = type == DNS_A ? AF_INET : AF_INET6,
					.port = q->port};
		if (type == DNS_A ? dns_read_a(answer.records[i], v[n].bytes)
				  : dns_read_aaaa(answer.records[i], v[n].bytes))
			n++;
	}
	return n;
}

enum https_result https_ask(const struct https_question *q, struct buf *body, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(128));
	struct netaddr v[2 * ADDRESSES_MAX];
	struct mono_ns deadline = mono_add_ms(clock_mono(), q->time_ms);
	size_t n = addresses(q, DNS_A, &a, v);
	n += addresses(q, DNS_AAAA, &a, v + n);
	(void)fail_set(why, FAIL_DNS, NULL, "%s has no address", q->host);
	for (size_t i = 0; i < n; i++) {
		int r = try_address(q, &v[i], deadline, body, why);
		if (r >= 0)
			return (enum https_result)r;
	}
	return HTTPS_FAILED;
}
