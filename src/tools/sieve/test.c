/* SPDX-License-Identifier: Apache-2.0 */
/* What a script would do with a message, and why. */
#include "base/num.h"
#include "base/text.h"
#include "codec/mime/address.h"
#include "codec/mime/date.h"
#include "codec/mime/header.h"
#include "codec/mime/index.h"
#include "service/sieve/sieve_regex.h"
#include "sys/clock.h"
#include "tools/sieve/tool.h"
#include <jansson.h>

struct test {
	const struct words *w;
	struct buf message;
	struct arena arena;
	json_t *trace;
	const char *folder; /* of the script */
};

static int64_t read_message(void *ctx, uint64_t off, char *to, size_t n)
{
	const struct test *t = ctx;
	struct str s = str_sub(buf_str(&t->message), (size_t)off, (size_t)off + n);
	if (s.n)
		memcpy(to, s.p, s.n);
	return (int64_t)s.n;
}

static void trace(void *ctx, uint32_t line, struct str text)
{
	struct test *t = ctx;
	if (t->w->json) {
		json_t *o = json_object();
		(void)json_object_set_new(o, "line", json_integer(line));
		(void)json_object_set_new(o, "text", json_stringn(text.p, text.n));
		(void)json_array_append_new(t->trace, o);
	} else if (!t->w->quiet) {
		(void)printf("%5u  %.*s\n", line, STR_ARG(text));
	}
}

static bool mailbox_exists(void *ctx, struct str name)
{
	const struct test *t = ctx;
	for (size_t i = 0; i < t->w->n_mailboxes; i++)
		if (str_eq(name, str_c(t->w->mailboxes[i])))
			return true;
	return str_eqi(name, STR("INBOX"));
}

static bool was_seen(void *ctx, struct str id)
{
	const struct test *t = ctx;
	return t->w->seen && str_ends(id, str_c(t->w->seen));
}

static int script(void *ctx, bool global, struct str name, struct arena *arena, struct str *ret)
{
	struct test *t = ctx;
	const char *folder = global ? t->w->global : t->folder;
	char path[4096];
	if (!folder)
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof path, "%s/%.*s%s", folder, STR_ARG(name),
			       i ? "" : ".sieve");
		if (access(path, R_OK) == 0)
			return compile_file(path, arena, ret) ? 1 : -FAIL_SYNTAX;
	}
	return 0;
}

/* The address in the first field of this name, or "". */
static struct str field_address(struct test *t, struct str name)
{
	struct str rest = buf_str(&t->message);
	struct header_field f;
	while (header_next(&rest, &f)) {
		struct addr a;
		if (!str_eqi(f.name, name))
			continue;
		AUTO(addr_parser) struct addr_parser p;
		addr_begin(&p, f.value);
		while (addr_next(&p, &a))
			if (a.kind == ADDR_MAILBOX && a.host.n)
				return arena_printf(&t->arena, "%.*s@%.*s", STR_ARG(a.mailbox),
						    STR_ARG(a.host));
		return STR("");
	}
	return STR_NULL;
}

static struct str choose(struct test *t, const char *given, struct str first, struct str second)
{
	if (given)
		return str_c(given);
	struct str s = field_address(t, first);
	if (!s.p)
		s = field_address(t, second);
	return s.p ? s : STR("");
}

static struct mime_map *map_of(struct test *t)
{
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, &t->arena);
	struct mime_map *map = NULL;
	struct fail why = FAIL_INIT;
	mime_index_feed(ix, buf_str(&t->message));
	if (mime_index_finish(ix, &map, &why) < 0)
		(void)fprintf(stderr, "%s\n", why.detail);
	return map;
}

static void print_json(const struct test *t, const struct sieve_result *r)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct str rest, line;
	json_t *all = json_object(), *actions = json_array();
	sieve_result_write(r, &b);
	rest = buf_str(&b);
	while (rest.n && str_cut(&rest, '\n', &line))
		if (line.n && !r->error.n)
			(void)json_array_append_new(actions, json_stringn(line.p, line.n));
	(void)json_object_set_new(all, "actions", actions);
	(void)json_object_set_new(all, "implicit_keep", json_boolean(r->keep));
	if (r->error.n) {
		(void)json_object_set_new(all, "error", json_stringn(r->error.p, r->error.n));
		(void)json_object_set_new(all, "line", json_integer(r->error_line));
	}
	(void)json_object_set(all, "trace", t->trace);
	(void)json_dumpf(all, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	(void)putchar('\n');
	json_decref(all);
}

static void print_text(const struct test *t, const struct sieve_result *r)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	sieve_result_write(r, &b);
	if (!t->w->quiet)
		(void)putchar('\n');
	(void)fputs(buf_c(&b), stdout);
	for (size_t i = 0; i < r->n_actions && !r->error.n && !t->w->quiet; i++)
		if (r->actions[i].header.p)
			(void)printf(T("\nThe header that action %zu goes with:\n%.*s"), i + 1,
				     STR_ARG(r->actions[i].header));
	if (r->keep && r->keep_header.p && !r->error.n && !t->w->quiet)
		(void)printf(T("\nThe header that is kept:\n%.*s"), STR_ARG(r->keep_header));
}

static int number(const char *text, int otherwise)
{
	uint32_t n;
	return text && num_parse_u32(str_c(text), &n) && n <= 100 ? (int)n : otherwise;
}

static int run(struct test *t)
{
	struct sieve_program p;
	struct sieve_result result = SIEVE_RESULT_INIT;
	struct fail why = FAIL_INIT;
	struct str blob;
	if (!compile_file(t->w->files[0], &t->arena, &blob))
		return EXIT_FAILED;
	if (sieve_program_open(blob, NULL, &p, &why) < 0) {
		(void)fprintf(stderr, "%s\n", why.detail);
		return EXIT_FAILED;
	}
	struct mime_map *map = map_of(t);
	if (!map)
		return EXIT_FAILED;
	struct str header = str_sub(buf_str(&t->message), 0, (size_t)map->parts[0].header_len);
	struct sieve_message message = {
		.header = header, .map = map, .source = {read_message, t}, .size = t->message.n};
	struct str to = choose(t, t->w->to, STR("Delivered-To"), STR("To"));
	struct sieve_host host = {
		.now = clock_wall(),
		.envelope = {.from = choose(t, t->w->from, STR("Return-Path"), STR("From")),
			     .to = to},
		.owner = to,
		.delimiter = '+',
		.spam_percent = number(t->w->spam, -1),
		.virus = number(t->w->virus, 0),
		.regex = &sieve_regex,
		.mailbox_exists = mailbox_exists,
		.duplicate = was_seen,
		.script = script,
		.trace = trace,
		.ctx = t};
	if (t->w->now && !date_parse(str_c(t->w->now), &host.now, &host.zone_min)) {
		(void)fprintf(stderr, T("%s is no date; one is \"3 Feb 2026 12:00:00 +0100\".\n"),
			      t->w->now);
		return EXIT_USAGE;
	}
	int r = sieve_run(&p, &host, &message, &t->arena, &result, &why);
	if (t->w->json)
		print_json(t, &result);
	else
		print_text(t, &result);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

int test_script(const struct words *w)
{
	struct test t = {.w = w,
			 .message = BUF_INIT(MIB(256)),
			 .arena = ARENA_INIT(MIB(512)),
			 .trace = json_array()};
	const char *slash = strrchr(w->files[0], '/');
	struct str folder = slash ? str_make(w->files[0], (size_t)(slash - w->files[0])) : STR(".");
	t.folder = w->scripts ? w->scripts : arena_c(&t.arena, folder);
	int code = read_file(w->files[1], &t.message) ? run(&t) : EXIT_FAILED;
	buf_clear(&t.message);
	arena_clear(&t.arena);
	json_decref(t.trace);
	return code;
}
