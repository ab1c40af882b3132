/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - structured events, one line each.                                    [sys]
 *
 *     log_event(LOG_INFO, "smtp.accept", log_u64("size", n));
 *
 *     2026-11-22T00:13:44.123456Z info mta[123] event=smtp.accept trace=1f session=2a size=812
 *
 * Each line is at most LOG_LINE_MAX bytes and written with one write(2), so lines of several
 * processes on one descriptor do not mix. Values are quoted so that nobody can forge a line. No
 * allocation, no lock. Layers 0-4 do not log errors, they return them; proto/ and roles/ log once.
 * Never pass a secret. A write that fails is dropped and counted (log_lost): a full disk costs
 * lines, never a session.
 *
 * There are two places for lines: a stream (standard error) and a file. With a file, the stream
 * can be kept for what is urgent. A trace id with LOG_TRACE_DEBUG set asks for its debug lines
 * whatever the level is: so one client can be looked at closely, in all roles.
 *
 * Names and fields of events are an interface: people's scripts read them.
 */
#ifndef BARID_SYS_LOG_H
#define BARID_SYS_LOG_H

#include "base/fail.h"
#include "base/ids.h"
#include "base/str.h"

#define LOG_LINE_MAX 2048

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/*
 * Start-up: name of the role (borrowed), where lines go, and the least urgent level that is
 * written. Before: "barid", 2, LOG_INFO.
 */
void log_open(const char *role, int fd, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_level_now(void);
/*
 * Lines go to this file as well, which must be open for appending; owned from now on. Given a
 * second time it takes the first one's place, and no line falls in between. Never from two threads.
 */
void log_to_file(int fd);
/* While there is a file: less urgent lines than this stay off the stream. LOG_DEBUG = none do. */
void log_limit_stream(enum log_level level);
bool log_wants(enum log_level level);
/* "error", "warn", "info", "debug". */
bool log_level_parse(struct str s, enum log_level *ret);
const char *log_level_name(enum log_level level);
uint64_t log_lost(void);

/* What this thread is working for; written into every line of it. 0 = none. */
void log_context(struct trace_id trace, struct session_id session);

#define LOG_TRACE_DEBUG (UINT64_C(1) << 63)

enum log_kind {
	LOG_KIND_NONE,
	LOG_KIND_STR,
	LOG_KIND_ADDRESS,
	LOG_KIND_U64,
	LOG_KIND_I64,
	LOG_KIND_HEX,
	LOG_KIND_FAIL
};
struct log_field {
	const char *key;
	enum log_kind kind;
	struct str s;
	uint64_t u;
	const struct fail *f;
};

static inline struct log_field log_str(const char *key, struct str s)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_STR, .s = s};
}
/* A mail address: written in lower case, so that it is found however somebody wrote it. */
static inline struct log_field log_address(const char *key, struct str s)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_ADDRESS, .s = s};
}
static inline struct log_field log_c(const char *key, const char *c)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_STR, .s = str_c(c)};
}
static inline struct log_field log_u64(const char *key, uint64_t v)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_U64, .u = v};
}
static inline struct log_field log_i64(const char *key, int64_t v)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_I64, .u = (uint64_t)v};
}
static inline struct log_field log_hex(const char *key, uint64_t v)
{
	return (struct log_field){.key = key, .kind = LOG_KIND_HEX, .u = v};
}
/* fail=CODE why="detail" at=file:line errno=N */
static inline struct log_field log_fail(const struct fail *f)
{
	return (struct log_field){.key = "fail", .kind = LOG_KIND_FAIL, .f = f};
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);
#define log_event(level, event, ...)                                                               \
	do {                                                                                       \
		if (log_wants(level)) {                                                            \
			const struct log_field fields_[] = {{.kind = LOG_KIND_NONE},               \
							    ##__VA_ARGS__};                        \
			log_write(level, event, fields_, ARRAY_LEN(fields_));                      \
		}                                                                                  \
	} while (0)

/*
 * Write s as a value into out[0, size): bare when it is plain, else in double quotes with
 * backslash escapes (\" \\ \n \r \t \xHH for control and non-UTF-8 bytes). Cut with "..." inside
 * the quotes when it does not fit. Returns the bytes used; size must be at least 8.
 */
size_t log_quote(struct str s, char *out, size_t size);

#endif
