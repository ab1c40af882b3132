/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid doctor: what is wrong around the server, and what mends it.
 */
#include "tools/barid/doctor.h"
#include "base/check.h"
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"ok", "warn", "bad", "skipped"};

static struct str format(struct doctor *d, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static struct str format(struct doctor *d, const char *fmt, va_list ap)
{
	char said[2000];
	(void)vsnprintf(said, sizeof said, text_of(fmt), ap);
	return arena_str(&d->arena, str_c(said));
}

void doctor_say(struct doctor *d, enum doctor_level level, const char *check, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	*vec_push(&d->findings) = (struct finding){
		.level = level, .check = check, .text = format(d, fmt, ap), .mend = STR("")};
	va_end(ap);
}

void doctor_mend(struct doctor *d, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	d->findings.p[d->findings.n - 1].mend = format(d, fmt, ap);
	va_end(ap);
}

/* --- printing --- */

static void print_json(const struct doctor *d)
{
	static const struct str columns[] = {
		{"level", 5}, {"check", 5}, {"finding", 7}, {"mend", 4}};
	struct str *cells = xcalloc(d->findings.n * ARRAY_LEN(columns), sizeof *cells);
	for (size_t i = 0; i < d->findings.n; i++) {
		const struct finding *f = &d->findings.p[i];
		struct str *row = &cells[i * ARRAY_LEN(columns)];
		row[0] = str_c(level_names[f->level]);
		row[1] = str_c(f->check);
		row[2] = f->text;
		row[3] = f->mend;
	}
	struct cli_table t = {.name = "findings",
			      .columns = columns,
			      .n_columns = ARRAY_LEN(columns),
			      .cells = cells,
			      .n_cells = d->findings.n * ARRAY_LEN(columns)};
	cli_print(d->cli, &t);
	free(cells);
}

static void print_lines(const struct doctor *d)
{
	static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m", "\033[2m"};
	bool colour = isatty(STDOUT_FILENO);
	for (size_t i = 0; i < d->findings.n; i++) {
		const struct finding *f = &d->findings.p[i];
		struct str rest = f->mend, line;
		(void)printf("%s%-7s%s  %-11s  %.*s\n", colour ? colours[f->level] : "",
			     level_names[f->level], colour ? "\033[0m" : "", f->check,
			     STR_ARG(f->text));
		while (rest.n && str_cut(&rest, '\n', &line))
			(void)printf("                      %.*s\n", STR_ARG(line));
	}
}

static int verdict(const struct doctor *d)
{
	size_t n[4] = {0};
	for (size_t i = 0; i < d->findings.n; i++)
		n[d->findings.p[i].level]++;
	if (d->cli->json)
		print_json(d);
	else
		print_lines(d);
	if (!d->cli->json)
		(void)printf(T("\n%zu in order, %zu to look at, %zu to mend\n"), n[DOCTOR_OK],
			     n[DOCTOR_WARN], n[DOCTOR_BAD]);
	return n[DOCTOR_BAD] ? EXIT_FAILED : EXIT_DONE;
}

/* --- the command --- */

static bool parse(const struct cli *c, struct doctor *d, const char **resolver, bool *offline)
{
	for (size_t i = 1; i < c->n; i++) {
		const char *word = c->args[i];
		if (strcmp(word, "--offline") == 0)
			*offline = true;
		else if (strcmp(word, "--resolver") == 0 && i + 1 < c->n)
			*resolver = c->args[++i];
		else if (strcmp(word, "--domain") == 0 && i + 1 < c->n)
			d->only = c->args[++i];
		else
			return false;
	}
	return true;
}

static void read_conf(struct doctor *d)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	if (conf_load(d->cli->conf, &d->conf, &errors) < 0) {
		d->conf = NULL;
		struct str text = str_trim(buf_str(&errors));
		doctor_say(d, d->cli->dir ? DOCTOR_SKIPPED : DOCTOR_BAD, "settings", "%.*s",
			   STR_ARG(text));
		doctor_mend(d, "Correct it, then: barid check -c %s", d->cli->conf);
	} else {
		doctor_say(d, DOCTOR_OK, "settings", "%s is valid", d->cli->conf);
	}
	d->state_dir = d->cli->dir ? d->cli->dir : d->conf ? d->conf->state_dir : NULL;
}

int cli_doctor(const struct cli *c)
{
	struct doctor d = {.cli = c, .arena = ARENA_INIT(MIB(64))};
	const char *server = NULL;
	bool offline = false;
	if (!parse(c, &d, &server, &offline))
		return cli_usage("doctor");
	if (!offline && !(d.dns = resolver_open(server))) {
		(void)fputs(T("--resolver takes an IPv4 address, with :PORT if it is not 53.\n"),
			    stderr);
		return EXIT_USAGE;
	}
	read_conf(&d);
	doctor_machine(&d);
	doctor_server(&d);
	doctor_certificates(&d);
	doctor_dns(&d);
	int exit_code = verdict(&d);
	orders_close(d.orders);
	resolver_close(d.dns);
	vec_clear(&d.findings);
	vec_clear(&d.domains);
	conf_free(d.conf);
	arena_clear(&d.arena);
	return exit_code;
}
