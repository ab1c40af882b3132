/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/trace.h"
#include "base/num.h"
#include "base/text.h"
#include "base/utf8.h"
#include "sys/clock.h"
#include "tools/barid/cli.h"
#include "tools/barid/when.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOLLOW_MS  200
#define FOLLOW_MAX (64u << 20) /* one bite of a log that grows */

struct options {
	struct trace_query q;
	bool all, raw, follow, from_stdin;
	const struct cli *cli;
};

/* --- options
 * ---------------------------------------------------------------------------------- */

static bool take_flag(struct options *o, const char *word)
{
	bool *flag = strcmp(word, "--all") == 0	     ? &o->all
		     : strcmp(word, "--raw") == 0    ? &o->raw
		     : strcmp(word, "--follow") == 0 ? &o->follow
		     : strcmp(word, "-f") == 0	     ? &o->follow
		     : strcmp(word, "--stdin") == 0  ? &o->from_stdin
						     : NULL;
	if (flag)
		*flag = true;
	return flag != NULL;
}

static bool take_value(struct options *o, const char *word, const char *value)
{
	uint32_t n;
	if (strcmp(word, "--since") == 0)
		return when_read(value, &o->q.since);
	if (strcmp(word, "--until") == 0)
		return when_read(value, &o->q.until);
	if (strcmp(word, "--limit") != 0 || !num_parse_u32(str_c(value), &n) || n == 0)
		return false;
	o->q.limit = n;
	return true;
}

static bool read_options(const struct cli *c, struct arena *a, struct options *o)
{
	const char *key = NULL;
	struct options given = {.q = {.until = {INT64_MAX}, .limit = 10}, .cli = c};
	for (size_t i = 1; i < c->n; i++) {
		const char *word = c->args[i];
		if (take_flag(&given, word))
			continue;
		if (word[0] == '-' && word[1] == '-') {
			if (i + 1 == c->n || !take_value(&given, word, c->args[i + 1]))
				return false;
			i++;
		} else if (key) {
			return false;
		} else {
			key = word;
		}
	}
	if (!key || !*key)
		return false;
	*o = given;
	o->q = trace_query_make(str_c(key), a);
	o->q.since = given.q.since;
	o->q.until = given.q.until;
	o->q.limit = given.q.limit;
	return true;
}

/* --- for people
 * ------------------------------------------------------------------------------- */

static void print_line(const struct trace_line *x)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(16));
	trace_local_time(x->l.at, true, &text);
	(void)buf_addf(&text, "  %-6.*s ", STR_ARG(x->l.role));
	trace_sentence(&x->l, &text);
	(void)printf("  %s\n", buf_c(&text));
}

static void print_trace(const struct options *o, struct trace *t)
{
	AUTO(trace_story) struct trace_story s = TRACE_STORY_INIT;
	trace_tell(&o->q, t, o->all, &s);
	if (!t->id) {
		(void)puts(T("Outside of connections"));
	} else {
		(void)puts(buf_c(&s.summary));
		if (s.hint.n)
			(void)printf("  -> %s\n", buf_c(&s.hint));
		(void)printf("  trace %llx\n", (unsigned long long)t->id);
	}
	for (size_t i = 0; i < t->lines.n; i++)
		if (!t->lines.p[i].hidden)
			print_line(&t->lines.p[i]);
	if (s.hidden)
		(void)printf(
			T("  (%zu lines about other messages and recipients of this connection "
			  "are left out; --all shows them)\n"),
			s.hidden);
	(void)putchar('\n');
}

static void print_raw(const struct options *o, struct trace *t)
{
	AUTO(trace_story) struct trace_story s = TRACE_STORY_INIT;
	trace_tell(&o->q, t, o->all, &s);
	for (size_t i = 0; i < t->lines.n; i++)
		if (!t->lines.p[i].hidden)
			(void)printf("%.*s\n", STR_ARG(t->lines.p[i].text));
}

/* --- for programs
 * ----------------------------------------------------------------------------- */

static json_t *json_of(struct str s)
{
	return utf8_valid(s) ? json_stringn(s.n ? s.p : "", s.n) : json_string("(not UTF-8)");
}

static json_t *json_line(const struct trace_line *x)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(16));
	char when[CLOCK_TEXT_MAX], name[64];
	json_t *line = json_object(), *fields = json_object();
	struct str rest = x->l.fields, key, written;
	trace_sentence(&x->l, &text);
	(void)json_object_set_new(line, "time", json_string(clock_iso8601(when, x->l.at).p));
	(void)json_object_set_new(line, "level", json_of(x->l.level));
	(void)json_object_set_new(line, "role", json_of(x->l.role));
	(void)json_object_set_new(line, "event", json_of(x->l.event));
	(void)json_object_set_new(line, "text", json_of(buf_str(&text)));
	while (logfmt_next(&rest, &key, &written)) {
		AUTO(buf) struct buf value = BUF_INIT(KIB(4));
		(void)logfmt_value(written, &value);
		(void)snprintf(name, sizeof name, "%.*s", STR_ARG(key));
		(void)json_object_set_new(fields, name, json_of(buf_str(&value)));
	}
	(void)json_object_set_new(line, "fields", fields);
	return line;
}

static json_t *json_trace(const struct options *o, struct trace *t)
{
	AUTO(trace_story) struct trace_story s = TRACE_STORY_INIT;
	char id[24];
	json_t *all = json_object(), *lines = json_array();
	trace_tell(&o->q, t, o->all, &s);
	(void)snprintf(id, sizeof id, "%llx", (unsigned long long)t->id);
	(void)json_object_set_new(all, "trace", t->id ? json_string(id) : json_null());
	(void)json_object_set_new(all, "result", json_string(trace_end_name(s.end)));
	(void)json_object_set_new(all, "summary", json_of(buf_str(&s.summary)));
	(void)json_object_set_new(all, "hint", json_of(buf_str(&s.hint)));
	for (size_t i = 0; i < t->lines.n; i++)
		if (!t->lines.p[i].hidden)
			(void)json_array_append_new(lines, json_line(&t->lines.p[i]));
	(void)json_object_set_new(all, "lines", lines);
	return all;
}

static void print_json(const struct options *o, const struct trace_found *found)
{
	json_t *all = json_object(), *traces = json_array();
	for (size_t i = 0; i < found->v.n; i++)
		(void)json_array_append_new(traces, json_trace(o, found->v.p[i]));
	(void)json_object_set_new(all, "traces", traces);
	(void)json_object_set_new(all, "more", json_integer((json_int_t)found->more));
	char *text = json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	(void)puts(text ? text : "{}");
	free(text);
	json_decref(all);
}

static void print_all(const struct options *o, const struct trace_found *found)
{
	if (o->cli->json) {
		print_json(o, found);
		return;
	}
	for (size_t i = 0; i < found->v.n; i++)
		if (o->raw)
			print_raw(o, found->v.p[i]);
		else
			print_trace(o, found->v.p[i]);
	if (found->more && !o->raw)
		(void)printf(
			T("%zu older connections are not shown: --limit %zu shows all, --since "
			  "and --until choose.\n"),
			found->more, found->more + o->q.limit);
}

/* --- following
 * -------------------------------------------------------------------------------- */

/* Lines that come: those with the key, and from then on all of their traces. */
static void follow_line(const struct options *o, struct map *traces, struct str text)
{
	struct trace_line x = {.text = text};
	if (!logfmt_parse(text, &x.l))
		return;
	bool known = x.l.trace && map_get(traces, x.l.trace);
	if (!known && !trace_query_matches(&o->q, &x.l))
		return;
	if (x.l.trace)
		(void)map_put(traces, x.l.trace, traces);
	if (o->raw)
		(void)printf("%.*s\n", STR_ARG(text));
	else
		print_line(&x);
	(void)fflush(stdout);
}

static void follow_bytes(const struct options *o, struct map *traces, struct buf *b)
{
	struct str all = buf_str(b);
	size_t used = 0, end;
	while ((end = str_find(all, used, '\n')) < all.n) {
		follow_line(o, traces, str_sub(all, used, end));
		used = end + 1;
	}
	buf_drop(b, used);
}

/* The file's successor, once nothing more comes in it; -1: none yet. */
static int successor(const char *path, int fd)
{
	struct stat ours, named;
	int next = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (next >= 0 && fstat(next, &named) == 0 && fstat(fd, &ours) == 0 &&
	    named.st_ino != ours.st_ino)
		return next;
	if (next >= 0)
		(void)close(next);
	return -1;
}

/* Until somebody interrupts it. */
static int follow(const struct options *o, const char *dir, struct trace_files *f,
		  const struct trace_found *found)
{
	struct map traces = {0};
	struct buf b = BUF_INIT(FOLLOW_MAX);
	off_t at = (off_t)f->live_size;
	char path[4200];
	(void)snprintf(path, sizeof path, "%s/log/barid.log", dir);
	for (size_t i = 0; i < found->v.n; i++)
		if (found->v.p[i]->id)
			(void)map_put(&traces, found->v.p[i]->id, &traces);
	while (f->live >= 0) {
		char *room = buf_room(&b, KIB(64));
		ssize_t n = room ? pread(f->live, room, KIB(64), at) : 0;
		if (!room)
			buf_reset(&b); /* 64 MiB without a line end: not ours */
		if (n > 0) {
			buf_added(&b, (size_t)n);
			at += n;
			follow_bytes(o, &traces, &b);
			continue;
		}
		int next = successor(path, f->live);
		if (next >= 0) {
			(void)close(f->live);
			f->live = next;
			at = 0;
		} else {
			(void)usleep(FOLLOW_MS * 1000);
		}
	}
	return EXIT_FAILED;
}

/* --- all
 * -------------------------------------------------------------------------------------- */

static int open_log(const struct options *o, const char *dir, struct trace_files *f)
{
	struct fail why = FAIL_INIT;
	int r = o->from_stdin ? trace_files_read(STDIN_FILENO, f, &why)
			      : trace_files_open(dir, f, &why);
	if (r == 0)
		return EXIT_DONE;
	(void)fprintf(stderr, "%s\n", why.detail);
	if (r == -FAIL_NOTFOUND)
		(void)fputs(
			T("Does this server log to standard error alone (log_to)? Then: journalctl "
			  "-u barid -o cat | barid trace --stdin KEY\n"),
			stderr);
	else if (r == -FAIL_PERM)
		(void)fputs(T("The log may be read by root and by members of the group adm.\n"),
			    stderr);
	return EXIT_FAILED;
}

int cli_trace(const struct cli *c)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	AUTO(trace_files) struct trace_files files = TRACE_FILES_INIT;
	AUTO(trace_found) struct trace_found found = {0};
	struct options o;
	tzset();
	if (!read_options(c, &a, &o))
		return cli_usage("trace");
	const char *dir = o.from_stdin ? "" : cli_state_dir(c);
	if (!dir)
		return EXIT_FAILED;
	int r = open_log(&o, dir, &files);
	if (r != EXIT_DONE)
		return r;
	trace_search(&files, &o.q, &found);
	print_all(&o, &found);
	if (o.follow)
		return follow(&o, dir, &files, &found);
	if (found.v.n == 0) {
		if (!c->json)
			(void)fprintf(stderr,
				      T("The log has nothing about %s. Keys are: an address, "
					"@domain, an IP address, a Message-ID, a queue number, a "
					"trace id.\n"),
				      o.q.key.p);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
