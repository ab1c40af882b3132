/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid check: is the file good, what is odd about it, and what would a reload change?
 *
 * Exit code: 0 good (perhaps with warnings), 1 not good (with --strict: or warnings), 2 wrong
 * usage.
 */
#include "base/check.h"
#include "base/text.h"
#include "base/vec.h"
#include "runtime/cert.h"
#include "runtime/services.h"
#include "service/access/access.h"
#include "sys/clock.h"
#include "tools/barid/orders.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_MAX KIB(64)

struct change {
	const struct conf_setting *setting;
	char *running, *fresh;
};

struct check {
	const struct cli *cli;
	bool strict;
	struct conf *conf;
	struct buf problems, warnings; /* lines */
	bool server;		       /* one runs, and answered */
	VEC(struct change) changes;
};

static void line(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void line(struct buf *out, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)buf_vaddf(out, fmt, ap);
	va_end(ap);
	(void)buf_addc(out, '\n');
}

/* --- certificates
 * ------------------------------------------------------------------------------------------- */

static bool read_file(struct check *k, const char *path, bool secret, struct buf *out)
{
	struct fail why = FAIL_INIT;
	struct stat st;
	if (cli_read_file(path, out, &why) < 0) {
		line(&k->problems, "%s", why.detail);
		return false;
	}
	if (secret && stat(path, &st) == 0 && (st.st_mode & S_IROTH))
		line(&k->warnings, T("%s can be read by every user of this machine: chmod 600 it"),
		     path);
	return true;
}

/* True when this certificate is good for the hostname. */
static bool check_pair(struct check *k, size_t i)
{
	const char *path = k->conf->tls_certificate.p[i];
	AUTO(buf) struct buf chain = BUF_INIT(PEM_MAX), key = BUF_INIT(PEM_MAX);
	struct cert_about about;
	struct fail why = FAIL_INIT;
	char text[500];
	bool read = read_file(k, path, false, &chain);
	if (!read_file(k, k->conf->tls_key.p[i], true, &key) || !read)
		return false;
	int r = cert_read(buf_str(&chain), &about, &why);
	if (r == 0)
		r = cert_check_key(buf_str(&chain), buf_str(&key), &why);
	if (key.p)
		explicit_bzero(key.p, key.n);
	if (r < 0) {
		line(&k->problems, "%s: %s", path, why.detail);
		return false;
	}
	if (cert_complaint(&about, clock_wall(), text, sizeof text))
		line(&k->warnings, "%s: %s", path, text);
	return cert_covers(buf_str(&chain), k->conf->hostname);
}

static bool any_listen(const struct conf *c)
{
	for (size_t i = 0; i < SERVICES; i++)
		if (!service_defs[i].internal && service_listen(&service_defs[i], c)->n)
			return true;
	return false;
}

static void check_certificates(struct check *k)
{
	bool covered = false;
	for (size_t i = 0; i < k->conf->tls_certificate.n; i++)
		covered |= check_pair(k, i);
	if (!covered && !k->problems.n && any_listen(k->conf))
		line(&k->warnings,
		     T("no certificate is for %s, the hostname: clients will complain when they "
		       "connect to it. Add one under [tls] certificate"),
		     k->conf->hostname);
}

/* --- legal, but odd
 * ----------------------------------------------------------------------------------------- */

static void check_reach(struct check *k)
{
	for (size_t i = 0; i < SERVICES; i++) {
		const struct conf_list *l = service_listen(&service_defs[i], k->conf);
		for (size_t a = 0; service_defs[i].internal && a < l->n; a++) {
			struct netaddr at;
			if (netaddr_parse(str_c(l->p[a]), &at) && !netaddr_is_loopback(&at))
				line(&k->warnings,
				     T("[%s] listen = %s can be reached from outside, but the "
				       "service is for programs of this machine: use 127.0.0.1"),
				     service_defs[i].name, l->p[a]);
		}
	}
}

static bool whole_internet(const struct conf_list *nets)
{
	for (size_t i = 0; i < nets->n; i++) {
		struct netcidr net;
		if (netcidr_parse(str_c(nets->p[i]), &net) && net.bits < 8)
			return true;
	}
	return false;
}

static void check_networks(struct check *k)
{
	for (size_t i = 0; i < conf_settings_n; i++) {
		const struct conf_setting *s = &conf_settings[i];
		char name[CONF_NAME_MAX];
		if (s->type == CONF_NETWORKS &&
		    whole_internet((const void *)((const char *)k->conf + s->offset)))
			line(&k->warnings,
			     T("%.*s names more than 16 million addresses: is that meant?"),
			     STR_ARG(conf_name(s, name)));
	}
}

static void check_names(struct check *k)
{
	const struct conf *c = k->conf;
	if (!strchr(c->hostname, '.'))
		line(&k->warnings,
		     T("hostname = %s has no domain: other servers will not accept it. Set it to "
		       "the "
		       "full name that the address of this machine resolves to"),
		     c->hostname);
	if (c->trusted_networks.n)
		line(&k->warnings, T("trusted_networks is set: passwords from there cross the "
				     "network in the clear"));
}

static void look_for_oddities(struct check *k)
{
	check_names(k);
	check_networks(k);
	check_reach(k);
	if (getuid() != 0)
		line(&k->warnings, T("not root: roles would share one user; their memory is apart, "
				     "their files are not"));
}

/* --- what runs
 * ------------------------------------------------------------------------------------------------
 */

static void compare_one(struct check *k, struct str name, struct str running)
{
	char buf[CONF_NAME_MAX];
	for (size_t i = 0; i < conf_settings_n; i++) {
		const struct conf_setting *s = &conf_settings[i];
		AUTO(buf) struct buf fresh = BUF_INIT(MIB(1));
		if (!str_eq(conf_name(s, buf), name))
			continue;
		conf_show_value(k->conf, s, &fresh);
		if (str_eq(fresh.n ? buf_str(&fresh) : STR(""), running))
			return;
		*vec_push(&k->changes) =
			(struct change){.setting = s,
					.running = strndup(running.n ? running.p : "", running.n),
					.fresh = xstrdup(buf_c(&fresh))};
		return;
	}
}

static void take_running(void *context, const struct order_answer *answer)
{
	struct check *k = context;
	const struct cli_table *t = &answer->table;
	if (answer->r < 0 || answer->code || t->n_columns < 2)
		return;
	k->server = true;
	for (size_t i = 0; i + 1 < t->n_cells; i += t->n_columns)
		compare_one(k, t->cells[i], t->cells[i + 1]);
}

static void compare_with_server(struct check *k)
{
	const struct str words[] = {STR("conf")};
	const char *dir = k->cli->dir ? k->cli->dir : k->conf->state_dir;
	struct orders *o = orders_connect(k->cli, dir);
	if (!o)
		return;
	orders_give(o, words, ARRAY_LEN(words), take_running, k);
	orders_close(o);
}

static const char *effect_of(const struct conf_setting *s)
{
	switch (s->apply) {
	case CONF_LIVE:
		return T("on reload");
	case CONF_NEW:
		return T("on reload, for new connections");
	case CONF_RESTART:
		return "after a restart";
	}
	return "";
}

/* --- output
 * ---------------------------------------------------------------------------------------------------
 */

static json_t *json_lines(const struct buf *b)
{
	json_t *all = json_array();
	struct str rest = b->n ? buf_str(b) : STR_NULL, one;
	while (str_cut(&rest, '\n', &one))
		if (one.n)
			(void)json_array_append_new(all, json_stringn(one.p, one.n));
	return all;
}

static void print_json(const struct check *k)
{
	json_t *all = json_object(), *changes = json_array();
	for (size_t i = 0; i < k->changes.n; i++) {
		const struct change *c = &k->changes.p[i];
		char name[CONF_NAME_MAX];
		struct str n = conf_name(c->setting, name);
		json_t *row = json_object();
		(void)json_object_set_new(row, "setting", json_stringn(n.p, n.n));
		(void)json_object_set_new(row, "running", json_string(c->running));
		(void)json_object_set_new(row, "file", json_string(c->fresh));
		(void)json_object_set_new(row, "effect", json_string(effect_of(c->setting)));
		(void)json_array_append_new(changes, row);
	}
	(void)json_object_set_new(all, "file", json_string(k->cli->conf));
	(void)json_object_set_new(all, "good", json_boolean(k->problems.n == 0));
	(void)json_object_set_new(all, "problems", json_lines(&k->problems));
	(void)json_object_set_new(all, "warnings", json_lines(&k->warnings));
	(void)json_object_set_new(all, "server", json_string(k->server ? "running" : "none"));
	(void)json_object_set_new(all, "changes", changes);
	char *text = json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	(void)puts(text ? text : "{}");
	free(text);
	json_decref(all);
}

static void print_changes(const struct check *k)
{
	static const struct str columns[] = {STR("setting"), STR("running"), STR("file"),
					     STR("takes effect")};
	size_t n = 0, width = ARRAY_LEN(columns);
	struct str *cells = xcalloc(k->changes.n * width, sizeof *cells);
	char(*names)[CONF_NAME_MAX] = xcalloc(k->changes.n, sizeof *names);
	for (size_t i = 0; i < k->changes.n; i++) {
		const struct change *c = &k->changes.p[i];
		cells[n++] = conf_name(c->setting, names[i]);
		cells[n++] = c->running[0] ? str_c(c->running) : STR("(empty)");
		cells[n++] = c->fresh[0] ? str_c(c->fresh) : STR("(empty)");
		cells[n++] = str_c(effect_of(c->setting));
	}
	struct cli_table t = {.columns = columns, .n_columns = width, .cells = cells, .n_cells = n};
	cli_print(k->cli, &t);
	free(cells);
	free(names);
}

static void print_text(const struct check *k)
{
	struct str rest = k->warnings.n ? buf_str(&k->warnings) : STR_NULL, one;
	(void)fputs(buf_c(&k->problems), stderr);
	while (str_cut(&rest, '\n', &one))
		if (one.n)
			(void)printf("Warning: %.*s\n", STR_ARG(one));
	if (k->problems.n)
		return;
	(void)printf(T("%s is good.\n"), k->cli->conf);
	if (!k->server)
		(void)puts(T("No server was asked: none runs, or this user may not ask it."));
	else if (!k->changes.n)
		(void)puts(T("The running server has the same settings."));
	else
		print_changes(k);
}

static bool parse_options(struct check *k)
{
	for (size_t i = 1; i < k->cli->n; i++) {
		if (strcmp(k->cli->args[i], "--strict") != 0)
			return false;
		k->strict = true;
	}
	return true;
}

static int print_default(void)
{
	AUTO(buf) struct buf text = BUF_INIT(MIB(1));
	conf_write_default(&text);
	return fputs(buf_c(&text), stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
}

int cli_check(const struct cli *c)
{
	struct check k = {.cli = c, .problems = BUF_INIT(KIB(256)), .warnings = BUF_INIT(KIB(256))};
	if (c->n == 2 && strcmp(c->args[1], "--default") == 0)
		return print_default();
	if (!parse_options(&k))
		return cli_usage("check");
	if (conf_load(c->conf, &k.conf, &k.problems) == 0 &&
	    access_check_conf(k.conf, &k.problems) == 0) {
		conf_fill(k.conf);
		check_certificates(&k);
		look_for_oddities(&k);
		compare_with_server(&k);
	}
	if (c->json)
		print_json(&k);
	else
		print_text(&k);
	bool good = !k.problems.n && !(k.strict && k.warnings.n);
	for (size_t i = 0; i < k.changes.n; i++) {
		free(k.changes.p[i].running);
		free(k.changes.p[i].fresh);
	}
	vec_clear(&k.changes);
	conf_free(k.conf);
	buf_clear(&k.problems);
	buf_clear(&k.warnings);
	return good ? EXIT_DONE : EXIT_FAILED;
}
