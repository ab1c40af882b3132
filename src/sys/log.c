/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/log.h"
#include "base/utf8.h"
#include "sys/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static const char *role_name = "barid";
static int stream = 2;
static _Atomic int file = -1;
static _Atomic int stream_limit = LOG_DEBUG;
static _Atomic bool torn; /* the last line in the file has no end */
static _Atomic int threshold = LOG_INFO;
static _Atomic uint64_t lost;
static _Thread_local struct trace_id trace_now;
static _Thread_local struct session_id session_now;

void log_open(const char *role, int fd, enum log_level level)
{
	role_name = role;
	stream = fd;
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

enum log_level log_level_now(void)
{
	return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

/*
 * The number stays the same and the file behind it changes at once (dup3): a thread that is
 * writing this moment finishes in the old one.
 */
void log_to_file(int fd)
{
	int before = atomic_load(&file);
	if (before < 0) {
		atomic_store(&file, fd);
		return;
	}
	if (fd >= 0 && dup3(fd, before, O_CLOEXEC) >= 0)
		atomic_store(&torn, false);
	if (fd >= 0)
		(void)close(fd);
}

void log_limit_stream(enum log_level level)
{
	atomic_store(&stream_limit, (int)level);
}

bool log_wants(enum log_level level)
{
	return level <= log_level_now() || (level == LOG_DEBUG && trace_now.v & LOG_TRACE_DEBUG);
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

bool log_level_parse(struct str s, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (str_eqi(s, str_c(level_names[i]))) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

uint64_t log_lost(void)
{
	return atomic_load_explicit(&lost, memory_order_relaxed);
}

void log_context(struct trace_id trace, struct session_id session)
{
	trace_now = trace;
	session_now = session;
}

/* ---- quoting ---- */

static bool is_plain(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || (c && strchr("_-.:/@+,<>()[]{}*!?%&#~;|^$", c));
}

static bool all_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_plain(s.p[i]))
			return false;
	return s.n > 0;
}

/* The next character of s at *pos, escaped, into out (room for 8); returns its length. */
static size_t escape_next(struct str s, size_t *pos, char out[8])
{
	static const char hex[] = "0123456789abcdef";
	size_t at = *pos;
	unsigned char c = (unsigned char)s.p[at];
	uint32_t cp = utf8_next(s, pos);
	bool c1 = cp >= 0x80 && cp < 0xa0; /* control characters of terminals */
	bool bad = cp == 0xfffd && *pos == at + 1;
	if (c >= 0x80 && !c1 && !bad) {
		memcpy(out, s.p + at, *pos - at);
		return *pos - at;
	}
	*pos = at + 1;
	char letter = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : '\0';
	if (c == '"' || c == '\\')
		letter = (char)c;
	if (c >= 0x20 && c < 0x7f && !letter) {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = letter ? letter : 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return letter ? 2 : 4;
}

size_t log_quote(struct str s, char *out, size_t size)
{
	if (s.n <= size && all_plain(s)) {
		memcpy(out, s.p, s.n);
		return s.n;
	}
	size_t n = 0;
	out[n++] = '"';
	for (size_t pos = 0; pos < s.n;) {
		char one[8];
		size_t len = escape_next(s, &pos, one);
		bool last = pos >= s.n;
		if (n + len + (last ? 1 : 4) > size) { /* keep room for ..." */
			memcpy(out + n, "...", 3);
			n += 3;
			break;
		}
		memcpy(out + n, one, len);
		n += len;
	}
	out[n++] = '"';
	return n;
}

/* ---- lines ---- */

struct line {
	char p[LOG_LINE_MAX + 1]; /* the first is for a newline before it, where one is missing */
	size_t n;
};

#define LINE_ROOM LOG_LINE_MAX /* the newline always fits */

static void add_text(struct line *l, const char *c)
{
	size_t n = MIN(strlen(c), LINE_ROOM - l->n);
	memcpy(l->p + l->n, c, n);
	l->n += n;
}

static void add_key(struct line *l, const char *key)
{
	add_text(l, " ");
	add_text(l, key);
	add_text(l, "=");
}

static void add_u64(struct line *l, uint64_t v)
{
	char text[24];
	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)v);
	add_text(l, text);
}

static void add_i64(struct line *l, int64_t v)
{
	char text[24];
	(void)snprintf(text, sizeof text, "%lld", (long long)v);
	add_text(l, text);
}

static void add_hex(struct line *l, uint64_t v)
{
	char text[24];
	(void)snprintf(text, sizeof text, "%llx", (unsigned long long)v);
	add_text(l, text);
}

static void add_quoted(struct line *l, struct str s)
{
	if (LINE_ROOM - l->n >= 8)
		l->n += log_quote(s, l->p + l->n, LINE_ROOM - l->n);
}

/* What lower case does to the bytes of a character beyond ASCII is none of our business. */
static void add_address(struct line *l, struct str s)
{
	size_t from = l->n;
	add_quoted(l, s);
	for (size_t i = from; i < l->n; i++)
		l->p[i] = ascii_lower(l->p[i]);
}

static void add_fail(struct line *l, const struct fail *f)
{
	add_text(l, " fail=");
	add_text(l, fail_name(f->code));
	add_text(l, " why=");
	add_quoted(l, str_c(f->detail));
	if (f->saved_errno) {
		add_text(l, " errno=");
		add_u64(l, (uint64_t)f->saved_errno);
	}
	if (f->file) {
		const char *slash = strrchr(f->file, '/');
		add_text(l, " at=");
		add_text(l, slash ? slash + 1 : f->file);
		add_text(l, ":");
		add_u64(l, (uint64_t)f->line);
	}
}

static void add_field(struct line *l, const struct log_field *f)
{
	switch (f->kind) {
	case LOG_KIND_NONE:
		return;
	case LOG_KIND_FAIL:
		add_fail(l, f->f);
		return;
	case LOG_KIND_STR:
		add_key(l, f->key);
		add_quoted(l, f->s);
		return;
	case LOG_KIND_ADDRESS:
		add_key(l, f->key);
		add_address(l, f->s);
		return;
	case LOG_KIND_U64:
		add_key(l, f->key);
		add_u64(l, f->u);
		return;
	case LOG_KIND_I64:
		add_key(l, f->key);
		add_i64(l, (int64_t)f->u);
		return;
	case LOG_KIND_HEX:
		add_key(l, f->key);
		add_hex(l, f->u);
		return;
	}
}

static bool put(int fd, const char *p, size_t n)
{
	ssize_t done;
	do
		done = write(fd, p, n);
	while (done < 0 && errno == EINTR);
	if (done > 0 && (size_t)done < n)
		errno = ENOSPC;
	return done == (ssize_t)n;
}

/* A disk that fills up in the middle of a line must not spoil the next one. */
static bool put_in_file(int fd, const struct line *l)
{
	bool mend = atomic_exchange(&torn, false);
	if (put(fd, l->p + !mend, l->n - !mend))
		return true;
	atomic_store(&torn, true);
	return false;
}

static void put_line(enum log_level level, const struct line *l)
{
	int fd = atomic_load_explicit(&file, memory_order_relaxed);
	bool lose = fd >= 0 && !put_in_file(fd, l);
	if (fd < 0 || (int)level <= atomic_load_explicit(&stream_limit, memory_order_relaxed))
		lose |= !put(stream, l->p + 1, l->n - 1);
	if (lose)
		atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
	struct line l;
	char when[CLOCK_TEXT_MAX];
	int saved = errno;
	l.p[0] = '\n';
	l.n = 1;
	add_text(&l, clock_iso8601(when, clock_wall()).p);
	add_text(&l, " ");
	add_text(&l, level_names[level]);
	add_text(&l, " ");
	add_text(&l, role_name);
	add_text(&l, "[");
	add_u64(&l, (uint64_t)getpid());
	add_text(&l, "] event=");
	add_text(&l, event);
	if (trace_now.v) {
		add_text(&l, " trace=");
		add_hex(&l, trace_now.v);
	}
	if (session_now.v) {
		add_text(&l, " session=");
		add_hex(&l, session_now.v);
	}
	for (size_t i = 0; i < n; i++)
		add_field(&l, &fields[i]);
	l.p[l.n++] = '\n';
	put_line(level, &l);
	errno = saved;
}
