/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/conf.h"
#include "base/check.h"
#include "base/num.h"
#include "base/text.h"
#include "base/vec.h"
#include "codec/milter/milter_name.h"
#include "runtime/conf_int.h"
#include "sys/fs.h"
#include "sys/sock.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <unistd.h>

#define FILE_MAX_BYTES MIB(1)
#define INCLUDE_DEPTH  8
#define TABLES_MAX     8

struct parse {
	struct conf *conf;
	struct buf *errors;
	struct conf_place *said; /* per setting: where it was said; line 0 = nowhere */
	bool may_include;
	bool lenient; /* pass over what is not known */
	unsigned depth;
	VEC(char *) names; /* of included files */
};

static const struct unit {
	const char *name;
	uint64_t factor;
} sizes[] = {{"GiB", UINT64_C(1) << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}},
  durations[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};

static int read_file(struct parse *ps, const char *path, const struct conf_place *from);

static void complain(struct parse *ps, const struct conf_place *at, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static void complain(struct parse *ps, const struct conf_place *at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	conf_vcomplain(ps->errors, at, fmt, ap);
	va_end(ap);
}

/* --- values
 * ----------------------------------------------------------------------------------------- */

static void write_scaled(struct buf *out, uint64_t v, const struct unit *units, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v >= units[i].factor && v % units[i].factor == 0) {
			(void)buf_addf(out, "%llu %s", (unsigned long long)(v / units[i].factor),
				       units[i].name);
			return;
		}
	(void)buf_addf(out, "0 %s", units[n - 1].name);
}

static void write_number(struct buf *out, enum conf_type type, uint64_t v)
{
	if (type == CONF_SIZE)
		write_scaled(out, v, sizes, ARRAY_LEN(sizes));
	else if (type == CONF_DURATION)
		write_scaled(out, v, durations, ARRAY_LEN(durations));
	else
		(void)buf_add_u64(out, v);
}

static bool parse_scaled(struct str s, const struct unit *units, size_t n, uint64_t *ret)
{
	size_t digits = 0;
	while (digits < s.n && ascii_digit(s.p[digits]))
		digits++;
	uint64_t v;
	if (!num_parse_u64(str_sub(s, 0, digits), &v))
		return false;
	struct str unit = str_trim(str_skip(s, digits));
	for (size_t i = 0; i < n; i++)
		if (str_eqi(unit, str_c(units[i].name)))
			return !__builtin_mul_overflow(v, units[i].factor, ret);
	return false;
}

static const char *allowed_form(enum conf_type type)
{
	return type == CONF_SIZE       ? T("a number with B, KiB, MiB or GiB")
	       : type == CONF_DURATION ? T("a number with ms, s, min, h or d")
				       : T("a number");
}

static void set_number(struct parse *ps, const struct conf_place *at, const struct conf_setting *s,
		       struct str v)
{
	uint64_t n = 0;
	bool ok = s->type == CONF_SIZE	     ? parse_scaled(v, sizes, ARRAY_LEN(sizes), &n)
		  : s->type == CONF_DURATION ? parse_scaled(v, durations, ARRAY_LEN(durations), &n)
					     : num_parse_u64(v, &n);
	if (ok && n >= s->min && n <= s->max) {
		*(uint64_t *)(void *)((char *)ps->conf + s->offset) = n;
		return;
	}
	AUTO(buf) struct buf least = BUF_INIT(100), most = BUF_INIT(100);
	write_number(&least, s->type, s->min);
	write_number(&most, s->type, s->max);
	complain(ps, at, "%s = %.*s: %s; allowed: %s, from %s to %s", s->key, STR_ARG(v),
		 ok ? T("out of range") : T("not understood"), allowed_form(s->type), buf_c(&least),
		 buf_c(&most));
}

static void set_text(struct parse *ps, const struct conf_place *at, const struct conf_setting *s,
		     struct str v)
{
	char **field = (char **)(void *)((char *)ps->conf + s->offset);
	if (v.n < s->min || v.n > s->max) {
		complain(ps, at, "%s: must be %llu to %llu characters long", s->key,
			 (unsigned long long)s->min, (unsigned long long)s->max);
		return;
	}
	free(*field);
	*field = strndup(v.p ? v.p : "", v.n);
	CHECK(*field);
}

static void set_choice(struct parse *ps, const struct conf_place *at, const struct conf_setting *s,
		       struct str v)
{
	struct str rest = str_c(s->choices), one;
	while (str_cut(&rest, ' ', &one))
		if (str_eq(one, v)) {
			struct conf_setting any = *s;
			any.min = 0;
			any.max = SIZE_MAX;
			set_text(ps, at, &any, v);
			return;
		}
	complain(ps, at, "%s = %.*s: not understood; allowed: %s", s->key, STR_ARG(v), s->choices);
}

/* NULL: it could not be read, which was said. */
static char *load_table(struct parse *ps, const struct conf_place *at, struct str name)
{
	AUTO(buf) struct buf why = BUF_INIT(KIB(8));
	char *path = NULL;
	char *entry = conf_table_load(ps->may_include ? at->file : NULL, name, &path, &why);
	if (!entry)
		complain(ps, at, "cannot read the table %.*s: %s", STR_ARG(name), buf_c(&why));
	if (path)
		*vec_push(&ps->names) = path; /* a backup takes it along */
	return entry;
}

static bool list_item_ok(enum conf_type type, struct str item)
{
	struct netaddr a;
	struct netcidr net;
	struct milter_name milter;
	if (type == CONF_NETWORKS)
		return netcidr_parse(item, &net);
	if (type == CONF_PATHS)
		return item.n > 0 && item.n < 4000;
	if (type == CONF_TABLES)
		return item.n > 0;
	if (type == CONF_MILTERS)
		return milter_name_parse(item, &milter);
	return netaddr_parse(item, &a) && a.port != 0;
}

static const char *list_item_form(enum conf_type type)
{
	if (type == CONF_NETWORKS)
		return T("a network; allowed: 192.0.2.0/24, 2001:db8::/32 or one address");
	if (type == CONF_PATHS || type == CONF_TABLES)
		return T("the name of a file");
	if (type == CONF_MILTERS)
		return T("a milter; allowed: inet:127.0.0.1:8891 or unix:/run/x/x.sock, if you "
			 "like with name= in front of it, and accept, tempfail, reject or "
			 "quarantine behind it");
	return T("an address with port; allowed: 192.0.2.1:25 or [2001:db8::1]:25");
}

static void list_clear(struct conf_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->p[i]);
	free(l->p);
	*l = (struct conf_list){0};
}

static void set_list(struct parse *ps, const struct conf_place *at, const struct conf_setting *s,
		     struct str v)
{
	struct conf_list *l = (struct conf_list *)(void *)((char *)ps->conf + s->offset);
	list_clear(l);
	struct str rest = v.n ? v : STR_NULL, item;
	while (str_cut(&rest, ',', &item)) {
		item = str_trim(item);
		if (!list_item_ok(s->type, item)) {
			complain(ps, at, "%s: \"%.*s\" is not %s", s->key, STR_ARG(item),
				 list_item_form(s->type));
			continue;
		}
		char *entry =
			s->type == CONF_TABLES ? load_table(ps, at, item) : strndup(item.p, item.n);
		if (!entry)
			continue;
		l->p = xrealloc(l->p, (l->n + 1) * sizeof *l->p);
		l->p[l->n++] = entry;
	}
	if (s->type == CONF_TABLES && l->n > TABLES_MAX)
		complain(ps, at, "%s: must be at most %d files", s->key, TABLES_MAX);
	if (s->type == CONF_MILTERS && l->n > s->max)
		complain(ps, at, "%s: more than %llu milters", s->key, (unsigned long long)s->max);
	if (s->type == CONF_PATHS && (l->n < s->min || l->n > s->max))
		complain(ps, at, "%s: must be %llu to %llu files", s->key,
			 (unsigned long long)s->min, (unsigned long long)s->max);
}

static void set(struct parse *ps, const struct conf_place *at, const struct conf_setting *s,
		struct str v)
{
	switch (s->type) {
	case CONF_TEXT:
		set_text(ps, at, s, v);
		break;
	case CONF_CHOICE:
		set_choice(ps, at, s, v);
		break;
	case CONF_ADDRESSES:
	case CONF_NETWORKS:
	case CONF_PATHS:
	case CONF_TABLES:
	case CONF_MILTERS:
		set_list(ps, at, s, v);
		break;
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_DURATION:
		set_number(ps, at, s, v);
		break;
	}
}

/* --- lines
 * ------------------------------------------------------------------------------------------ */

static bool is_section(struct str name)
{
	for (size_t i = 0; i < conf_settings_n; i++)
		if (str_eq(str_c(conf_settings[i].section), name))
			return true;
	return false;
}

static void list_sections(struct buf *out)
{
	const char *last = "";
	for (size_t i = 0; i < conf_settings_n; i++)
		if (strcmp(conf_settings[i].section, last) != 0) {
			last = conf_settings[i].section;
			(void)buf_addf(out, " [%s]", last);
		}
}

static void assign(struct parse *ps, const struct conf_place *at, struct str section,
		   struct str line)
{
	size_t eq = str_find(line, 0, '=');
	struct str key = str_trim(str_sub(line, 0, eq));
	struct str value = str_trim(str_skip(line, eq + 1));
	if (eq == line.n) {
		complain(ps, at, "\"%.*s\": expected name = value, [section] or include FILE",
			 STR_ARG(line));
		return;
	}
	for (size_t i = 0; i < conf_settings_n; i++) {
		const struct conf_setting *s = &conf_settings[i];
		if (!str_eq(str_c(s->section), section) || !str_eq(str_c(s->key), key))
			continue;
		if (ps->said[i].line)
			complain(ps, at, "%s is set twice, first at %s:%u", s->key,
				 ps->said[i].file, ps->said[i].line);
		ps->said[i] = *at;
		set(ps, at, s, value);
		return;
	}
	if (ps->lenient)
		return;
	AUTO(buf) struct buf known = BUF_INIT(KIB(4));
	for (size_t i = 0; i < conf_settings_n; i++)
		if (str_eq(str_c(conf_settings[i].section), section))
			(void)buf_addf(&known, " %s", conf_settings[i].key);
	complain(ps, at, "unknown setting %.*s; allowed here:%s", STR_ARG(key), buf_c(&known));
}

static int include(struct parse *ps, const struct conf_place *at, struct str pattern)
{
	if (!ps->may_include || ps->depth >= INCLUDE_DEPTH) {
		complain(ps, at, "include is not possible here (at most %d deep)", INCLUDE_DEPTH);
		return -FAIL_SYNTAX;
	}
	char *copy = xstrdup(at->file);
	char path[4096];
	int n = pattern.n && pattern.p[0] == '/'
			? snprintf(path, sizeof path, "%.*s", STR_ARG(pattern))
			: snprintf(path, sizeof path, "%s/%.*s", dirname(copy), STR_ARG(pattern));
	free(copy);
	glob_t found = {0};
	if (n < 0 || (size_t)n >= sizeof path || glob(path, 0, NULL, &found) != 0) {
		/* A pattern may match nothing; a plain name must exist. */
		if (str_find(pattern, 0, '*') == pattern.n)
			complain(ps, at, "include %.*s: no such file", STR_ARG(pattern));
		return 0;
	}
	int r = 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		/* Later complaints still name it. */
		*vec_push(&ps->names) = xstrdup(found.gl_pathv[i]);
		int one = read_file(ps, ps->names.p[ps->names.n - 1], at);
		r = one < 0 ? one : r;
	}
	globfree(&found);
	return r;
}

/* A value with a NUL or a CR inside would not be read as it was written. */
static bool has_control(struct str line)
{
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			return true;
	return false;
}

static int parse_text(struct parse *ps, const char *name, struct str text)
{
	struct conf_place at = {.file = name};
	struct str section = STR(""), line;
	int r = 0;
	while (str_cut(&text, '\n', &line)) {
		at.line++;
		line = str_trim(line);
		if (!line.n || line.p[0] == '#')
			continue;
		if (has_control(line)) {
			complain(ps, &at, "a control character, which no setting may hold");
			continue;
		}
		if (line.p[0] == '[' && line.p[line.n - 1] == ']') {
			section = str_trim(str_sub(line, 1, line.n - 1));
			if (is_section(section) || ps->lenient)
				continue;
			AUTO(buf) struct buf known = BUF_INIT(KIB(1));
			list_sections(&known);
			complain(ps, &at, "unknown section [%.*s]; allowed:%s", STR_ARG(section),
				 buf_c(&known));
		} else if (str_starts(line, STR("include "))) {
			int one = include(ps, &at, str_trim(str_skip(line, 8)));
			r = one < 0 ? one : r;
		} else {
			assign(ps, &at, section, line);
		}
	}
	return r;
}

static int read_file(struct parse *ps, const char *path, const struct conf_place *from)
{
	AUTO(buf) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	if (conf_slurp(path, &text) < 0) {
		struct conf_place here = {.file = path};
		bool missing = !text.failed && errno == ENOENT;
		complain(ps, from ? from : &here, "cannot read %s: %s", path,
			 text.failed ? T("larger than 1 MiB") : strerror(errno));
		return missing ? -FAIL_NOTFOUND : -FAIL_IO;
	}
	ps->depth++;
	int r = parse_text(ps, path, text.n ? buf_str(&text) : STR(""));
	ps->depth--;
	return r;
}

/* --- whole configurations
 * --------------------------------------------------------------------------- */

static struct conf *conf_defaults(void)
{
	struct conf *c = xcalloc(1, sizeof *c);
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	struct parse ps = {.conf = c, .errors = &errors};
	struct conf_place at = {.file = "default"};
	for (size_t i = 0; i < conf_settings_n; i++)
		set(&ps, &at, &conf_settings[i], str_c(conf_settings[i].value));
	CHECK(errors.n == 0);
	return c;
}

static int finish(struct parse *ps, int r, struct conf **ret)
{
	if (r == 0)
		conf_check(ps->conf, ps->said, ps->errors);
	if (r == 0 && ps->errors->n)
		r = -FAIL_SYNTAX;
	for (size_t i = 0; i < ps->names.n; i++)
		free(ps->names.p[i]);
	vec_clear(&ps->names);
	free(ps->said);
	if (r < 0) {
		conf_free(ps->conf);
		return r;
	}
	*ret = ps->conf;
	return 0;
}

static struct parse parse_begin(struct buf *errors)
{
	struct parse ps = {.conf = conf_defaults(), .errors = errors};
	ps.said = xcalloc(conf_settings_n, sizeof *ps.said);
	return ps;
}

int conf_load(const char *path, struct conf **ret, struct buf *errors)
{
	struct parse ps = parse_begin(errors);
	ps.may_include = true;
	return finish(&ps, read_file(&ps, path, NULL), ret);
}

int conf_load_files(const char *path, struct conf **ret, struct conf_list *files,
		    struct buf *errors)
{
	struct parse ps = parse_begin(errors);
	ps.may_include = true;
	int r = read_file(&ps, path, NULL);
	*files = (struct conf_list){.p = xcalloc(ps.names.n + 1, sizeof *files->p)};
	files->p[files->n++] = xstrdup(path);
	for (size_t i = 0; i < ps.names.n; i++)
		files->p[files->n++] = xstrdup(ps.names.p[i]);
	return finish(&ps, r, ret);
}

void conf_files_clear(struct conf_list *files)
{
	list_clear(files);
}

char *conf_state_dir(const char *path)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	struct parse ps = parse_begin(&errors);
	struct conf *conf = NULL;
	ps.may_include = true;
	int r = read_file(&ps, path, NULL);
	bool sure = r == 0 && !errors.failed && ps.conf->state_dir[0] == '/' &&
		    str_find_str(buf_str(&errors), 0, STR(": state_dir ")) == errors.n;
	char *dir = sure ? xstrdup(ps.conf->state_dir) : NULL;
	(void)finish(&ps, -FAIL_SYNTAX, &conf);
	return dir;
}

int conf_parse(const char *name, struct str text, struct conf **ret, struct buf *errors)
{
	struct parse ps = parse_begin(errors);
	return finish(&ps, parse_text(&ps, name, text), ret);
}

void conf_networks(const struct conf_list *l, struct netcidrs *ret)
{
	*ret = (struct netcidrs){.p = xcalloc(l->n, sizeof *ret->p), .n = l->n};
	for (size_t i = 0; i < l->n; i++)
		CHECK(netcidr_parse(str_c(l->p[i]), &ret->p[i]));
}

int conf_parse_known(struct str text, struct conf **ret, struct buf *errors)
{
	struct parse ps = parse_begin(errors);
	ps.lenient = true;
	return finish(&ps, parse_text(&ps, "running configuration", text), ret);
}

void conf_fill(struct conf *c)
{
	uint64_t cores = (uint64_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	if (c->user_workers == 0)
		c->user_workers = cores;
	/* One core of two for TLS and framing; a process for each 8,000 clients at least. */
	if (c->edge_workers == 0)
		c->edge_workers = MIN(MAX(MAX(cores / 2, c->connections_max / 8000), UINT64_C(1)),
				      UINT64_C(64));
}

struct conf *conf_copy(const struct conf *c)
{
	AUTO(buf) struct buf text = BUF_INIT(CONF_BYTES_MAX), errors = BUF_INIT(KIB(4));
	struct conf *copy = NULL;
	conf_write(c, &text);
	CHECK(conf_parse("copy", buf_str(&text), &copy, &errors) == 0);
	return copy;
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < conf_settings_n; i++) {
		const struct conf_setting *s = &conf_settings[i];
		void *field = (char *)c + s->offset;
		if (conf_is_text(s->type))
			free(*(char **)field);
		else if (conf_is_list(s->type))
			list_clear(field);
	}
	free(c);
}

void conf_write_value(const struct conf *c, const struct conf_setting *s, struct buf *out)
{
	const void *field = (const char *)c + s->offset;
	if (conf_is_text(s->type)) {
		(void)buf_add_c(out, *(char *const *)field);
	} else if (conf_is_list(s->type)) {
		const struct conf_list *l = field;
		for (size_t i = 0; i < l->n; i++)
			(void)buf_addf(out, "%s%s", i ? ", " : "", l->p[i]);
	} else {
		write_number(out, s->type, *(const uint64_t *)field);
	}
}

void conf_show_value(const struct conf *c, const struct conf_setting *s, struct buf *out)
{
	const struct conf_list *l = (const void *)((const char *)c + s->offset);
	if (s->type != CONF_TABLES) {
		conf_write_value(c, s, out);
		return;
	}
	for (size_t i = 0; i < l->n; i++)
		(void)buf_addf(out, "%s%.*s", i ? ", " : "", STR_ARG(conf_table_name(l->p[i])));
}

bool conf_same(const struct conf *a, const struct conf *b, const struct conf_setting *s)
{
	AUTO(buf) struct buf one = BUF_INIT(CONF_BYTES_MAX), two = BUF_INIT(CONF_BYTES_MAX);
	conf_write_value(a, s, &one);
	conf_write_value(b, s, &two);
	return str_eq(buf_str(&one), buf_str(&two));
}

void conf_keep_running(struct conf *fresh, const struct conf *running)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4)), value = BUF_INIT(CONF_BYTES_MAX);
	struct parse ps = {.conf = fresh, .errors = &errors};
	struct conf_place at = {.file = "running configuration"};
	for (size_t i = 0; i < conf_settings_n; i++) {
		if (conf_settings[i].apply != CONF_RESTART)
			continue;
		buf_reset(&value);
		conf_write_value(running, &conf_settings[i], &value);
		set(&ps, &at, &conf_settings[i], buf_str(&value));
	}
	CHECK(errors.n == 0); /* each was accepted when it was read */
}

struct str conf_name(const struct conf_setting *s, char buf[CONF_NAME_MAX])
{
	int n = snprintf(buf, CONF_NAME_MAX, "%s%s%s", s->section, s->section[0] ? "." : "",
			 s->key);
	return (struct str){buf, (size_t)n};
}

void conf_write(const struct conf *c, struct buf *out)
{
	const char *section = "";
	for (size_t i = 0; i < conf_settings_n; i++) {
		const struct conf_setting *s = &conf_settings[i];
		if (strcmp(s->section, section) != 0)
			(void)buf_addf(out, "[%s]\n", section = s->section);
		(void)buf_addf(out, "%s = ", s->key);
		conf_write_value(c, s, out);
		(void)buf_addc(out, '\n');
	}
}

/* "Number, from 1 to 64. A change needs a restart.": tools/dev/conf-man says the same. */
static void write_bounds(const struct conf_setting *s, struct buf *out)
{
	static const char *const kinds[] = {[CONF_TEXT] = "Text",
					    [CONF_NUMBER] = "Number",
					    [CONF_SIZE] = "Size",
					    [CONF_DURATION] = "Duration",
					    [CONF_CHOICE] = "One of",
					    [CONF_ADDRESSES] = "List of addresses with port",
					    [CONF_NETWORKS] = "List of networks",
					    [CONF_PATHS] = "List of files",
					    [CONF_TABLES] = "List of tables",
					    [CONF_MILTERS] = "List of milters"};
	static const char *const applies[] = {
		[CONF_LIVE] = "A change counts on reload.",
		[CONF_NEW] = "A change counts on reload, for new connections.",
		[CONF_RESTART] = "A change needs a restart."};

	(void)buf_addf(out, "# %s", kinds[s->type]);
	if (s->type == CONF_CHOICE) {
		(void)buf_addf(out, ": %s", s->choices);
	} else if (s->type == CONF_NUMBER || s->type == CONF_SIZE || s->type == CONF_DURATION) {
		(void)buf_add_c(out, ", from ");
		write_number(out, s->type, s->min);
		(void)buf_add_c(out, " to ");
		write_number(out, s->type, s->max);
	}
	(void)buf_addf(out, ". %s\n", applies[s->apply]);
}

void conf_write_default(struct buf *out)
{
	const char *section = "";
	(void)buf_add_c(
		out,
		"# Configuration of barid. Lines that begin with # show the defaults.\n"
		"# `barid check` reads this file and says what is wrong, with line numbers.\n"
		"\n# More files, in the order of their names. `barid init` makes the first one. A "
		"setting may stand in one\n# file only.\n"
		"include conf.d/*.conf\n");
	for (size_t i = 0; i < conf_settings_n; i++) {
		const struct conf_setting *s = &conf_settings[i];
		if (strcmp(s->section, section) != 0)
			(void)buf_addf(out, "\n[%s]\n", section = s->section);
		(void)buf_addf(out, "\n# %s\n", s->text);
		write_bounds(s, out);
		(void)buf_addf(out, "#%s = %s\n", s->key, s->value);
	}
}
