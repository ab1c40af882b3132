/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "service/sieve/sieve_regex.h"
#include "sys/clock.h"
#include "tools/sieve/tool.h"
#include <jansson.h>

static int compile(const char *path, struct arena *arena, struct sieve_notes *notes,
		   struct str *ret)
{
	AUTO(buf) struct buf script = BUF_INIT(MIB(2));
	struct sieve_options options = {.regex = &sieve_regex};
	struct fail why = FAIL_INIT;
	*notes = (struct sieve_notes){0};
	if (!read_file(path, &script))
		return -FAIL_IO;
	struct str text = arena_str(arena, buf_str(&script));
	return sieve_compile(text.p ? text : STR(""), &options, arena, notes, ret, &why);
}

static const char *severity(const struct sieve_note *n)
{
	return n->severity == SIEVE_ERROR ? "error" : "warning";
}

static void print_notes(const char *path, const struct sieve_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		const struct sieve_note *n = &notes->p[i];
		(void)fprintf(stderr, "%s:%u:%u: %s: %.*s\n", path, n->line, n->column,
			      n->severity == SIEVE_ERROR ? T("error") : T("warning"),
			      STR_ARG(n->text));
	}
}

bool compile_file(const char *path, struct arena *arena, struct str *ret)
{
	struct sieve_notes notes;
	int r = compile(path, arena, &notes, ret);
	print_notes(path, &notes);
	return r == 0;
}

static void add_json(json_t *all, const char *path, const struct sieve_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		const struct sieve_note *n = &notes->p[i];
		json_t *o = json_object();
		(void)json_object_set_new(o, "file", json_string(path));
		(void)json_object_set_new(o, "line", json_integer(n->line));
		(void)json_object_set_new(o, "column", json_integer(n->column));
		(void)json_object_set_new(o, "severity", json_string(severity(n)));
		(void)json_object_set_new(o, "text", json_stringn(n->text.p, n->text.n));
		(void)json_array_append_new(all, o);
	}
}

static void print_program(struct str blob)
{
	AUTO(buf) struct buf out = BUF_INIT(MIB(64));
	struct sieve_program p;
	struct fail why = FAIL_INIT;
	if (sieve_program_open(blob, NULL, &p, &why) < 0) {
		(void)fprintf(stderr, "%s\n", why.detail);
		return;
	}
	sieve_program_write(&p, &out);
	(void)fputs(buf_c(&out), stdout);
}

/* How long the compiler takes: the best of some, in microseconds, without reading the file. */
static void print_time(const char *path)
{
	AUTO(buf) struct buf script = BUF_INIT(MIB(2));
	struct sieve_options options = {.regex = &sieve_regex};
	int64_t best = INT64_MAX;
	if (!read_file(path, &script))
		return;
	for (unsigned i = 0; i < 20; i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
		struct sieve_notes notes;
		struct str blob;
		int64_t begun = clock_mono().v;
		if (sieve_compile(buf_str(&script), &options, &arena, &notes, &blob, NULL) < 0)
			return;
		best = MIN(best, clock_mono().v - begun);
	}
	(void)printf("%s: %lld us\n", path, (long long)best / 1000);
}

int check_scripts(const struct words *w)
{
	AUTO(buf) struct buf names = BUF_INIT(KIB(8));
	json_t *all = json_array();
	bool good = true;
	if (w->extensions) {
		sieve_extensions_write(0, &names);
		(void)printf("%s\n", buf_c(&names));
	}
	for (size_t i = 0; i < w->n_files; i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
		struct sieve_notes notes;
		struct str blob;
		int r = compile(w->files[i], &arena, &notes, &blob);
		good = good && r == 0;
		if (w->json)
			add_json(all, w->files[i], &notes);
		else
			print_notes(w->files[i], &notes);
		if (r == 0 && w->program)
			print_program(blob);
		if (r == 0 && w->time)
			print_time(w->files[i]);
	}
	if (w->json) {
		(void)json_dumpf(all, stdout, JSON_INDENT(1));
		(void)putchar('\n');
	}
	json_decref(all);
	return good ? EXIT_DONE : EXIT_FAILED;
}
