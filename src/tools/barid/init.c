/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid init: from an installed package to a server that can be started. What is there already
 * stays: it makes what is missing, and a second run says so.
 *
 *   /etc/barid/barid.conf              every setting, commented (the package brings it)
 *   /etc/barid/conf.d/00-init.conf     what init was told
 *   /etc/barid/tls/cert.pem, key.pem   self-signed, until there are others
 *   STATE                              domain, administrator, postmaster@ and abuse@
 *
 * With --dir all of it lies in one folder, for a server that does not need root.
 */
#include "base/check.h"
#include "base/num.h"
#include "base/text.h"
#include "sys/fs.h"
#include "sys/rand.h"
#include "tools/barid/dns.h"
#include "tools/barid/orders.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define INIT_FILE      "conf.d/00-init.conf"
#define PASSWORD_CHARS 20
/* As the demo has them: all ports lie within a thousand. */
#define METRICS_PORT	    915
#define POP3S_PORT	    991
#define REINJECT_PORT	    26
#define REINJECT_LISTS_PORT 28
#define POLICY_PORT	    777
#define SRS_FORWARD_PORT    778
#define SRS_REVERSE_PORT    779
#define QUOTA_STATUS_PORT   340

struct setup {
	const struct cli *cli;
	char domain[256], admin[512], hostname[300];
	uint64_t port_offset;
	bool dry_run, password_stdin, print_dns;
	char conf[4096], init_file[4200], folder[4096]; /* folder: of the configuration */
	char state[4096];				/* "" = the default */
	char password[1100];
	bool made_password;
	bool made_certificate;
	struct conf *loaded;
};

/* --- what is wanted --- */

static bool copy(char *to, size_t size, const char *from)
{
	int n = snprintf(to, size, "%s", from);
	return n >= 0 && (size_t)n < size;
}

static bool take_option(struct setup *s, const char *name, const char *value, size_t *used)
{
	*used = 1;
	if (strcmp(name, "--dry-run") == 0)
		return s->dry_run = true;
	if (strcmp(name, "--password-stdin") == 0)
		return s->password_stdin = true;
	*used = 2;
	if (!value)
		return false;
	if (strcmp(name, "--print-dns") == 0)
		return (s->print_dns = true) && copy(s->domain, sizeof s->domain, value);
	if (strcmp(name, "--domain") == 0)
		return copy(s->domain, sizeof s->domain, value);
	if (strcmp(name, "--admin") == 0)
		return copy(s->admin, sizeof s->admin, value);
	if (strcmp(name, "--hostname") == 0)
		return copy(s->hostname, sizeof s->hostname, value);
	return strcmp(name, "--port-offset") == 0 && num_parse_u64(str_c(value), &s->port_offset) &&
	       s->port_offset <= 64000;
}

static void lower(char *s)
{
	for (; *s; s++)
		*s = ascii_lower(*s);
}

/* "admin" is admin@DOMAIN; the name of the server is mail.DOMAIN where nothing else is said. */
static bool complete(struct setup *s)
{
	lower(s->domain);
	lower(s->hostname);
	if (!s->hostname[0])
		(void)snprintf(s->hostname, sizeof s->hostname, "mail.%s", s->domain);
	size_t n = strlen(s->admin);
	if (!strchr(s->admin, '@'))
		(void)snprintf(s->admin + n, sizeof s->admin - n, "@%s", s->domain);
	if (!dns_is_host_name(str_c(s->domain)) || !dns_is_host_name(str_c(s->hostname))) {
		(void)fprintf(
			stderr,
			T("%s is not a name of the DNS (a domain with letters of other scripts "
			  "is written in its xn-- form).\n"),
			dns_is_host_name(str_c(s->domain)) ? s->hostname : s->domain);
		return false;
	}
	const char *at = strrchr(s->admin, '@');
	if (at && strcasecmp(at + 1, s->domain) == 0 && at != s->admin)
		return true;
	(void)fprintf(stderr, T("The administrator %s has to be of the domain %s.\n"), s->admin,
		      s->domain);
	return false;
}

static bool find_paths(struct setup *s)
{
	const struct cli *c = s->cli;
	bool ok = true;
	if (c->dir) {
		ok = c->dir[0] == '/' ? copy(s->state, sizeof s->state, c->dir)
				      : getcwd(s->state, sizeof s->state - 1) != NULL;
		size_t n = strlen(s->state);
		if (ok && c->dir[0] != '/')
			ok = (size_t)snprintf(s->state + n, sizeof s->state - n, "/%s", c->dir) <
			     sizeof s->state - n;
	}
	if (c->dir && strcmp(c->conf, CLI_CONF_DEFAULT) == 0)
		ok = ok && snprintf(s->conf, sizeof s->conf, "%.4000s/barid.conf", s->state) > 0;
	else
		ok = ok && copy(s->conf, sizeof s->conf, c->conf);
	if (!ok)
		return false;
	char *name = xstrdup(s->conf);
	ok = copy(s->folder, sizeof s->folder, dirname(name));
	free(name);
	return ok && snprintf(s->init_file, sizeof s->init_file, "%s/" INIT_FILE, s->folder) > 0;
}

/* --- steps --- */

static void made(const char *name)
{
	(void)printf(T("  made      %s\n"), name);
}

static void keeps(const char *name)
{
	(void)printf(T("  is there  %s\n"), name);
}

/* What is said of the last error, and what may help. */
static int cannot(const char *fmt, ...) PRINTF_LIKE(1, 2);
static int cannot(const char *fmt, ...)
{
	bool rights = errno == EACCES || errno == EPERM;
	va_list ap;
	va_start(ap, fmt);
	(void)vfprintf(stderr, text_of(fmt), ap);
	va_end(ap);
	if (rights)
		(void)fputs(T("Run this as root, or with --dir DIR for a server of your own.\n"),
			    stderr);
	return EXIT_FAILED;
}

static int make_folders(const char *path, mode_t mode)
{
	char parent[4300];
	struct fail why = FAIL_INIT;
	int r = fs_parent(path, parent, sizeof parent, &why);
	if (r == 0)
		r = fs_mkdir_all(fs_real(), parent, 0755, &why);
	if (r == 0)
		r = fs_mkdir_all(fs_real(), path, mode, &why);
	return r < 0 ? cannot("Cannot make %s: %s.\n", path, strerror(why.saved_errno)) : EXIT_DONE;
}

/* Complete or not at all; never over a file that is there. */
static int write_new(const char *path, struct str text)
{
	char part[4300];
	(void)snprintf(part, sizeof part, "%s.part", path);
	AUTO_FD int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return cannot("Cannot write %s: %s.\n", path, strerror(errno));
	bool ok = write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0 &&
		  link(part, path) == 0;
	int r = ok ? EXIT_DONE : cannot("Cannot write %s: %s.\n", path, strerror(errno));
	(void)unlink(part);
	char folder[4300];
	struct fail why = FAIL_INIT;
	if (ok && (fs_parent(path, folder, sizeof folder, &why) < 0 ||
		   fs_sync_dir(fs_real(), folder, &why) < 0))
		r = cannot("Cannot write %s: %s.\n", path, strerror(why.saved_errno));
	return r;
}

static void port_lines(const struct setup *s, struct buf *out)
{
	static const struct {
		const char *section;
		unsigned port;
	} services[] = {{"smtp", 25},	{"submission", 587}, {"submissions", 465}, {"imap", 143},
			{"imaps", 993}, {"pop3", 110},	     {"pop3s", POP3S_PORT}};
	for (size_t i = 0; s->port_offset && i < ARRAY_LEN(services); i++) {
		unsigned port = services[i].port + (unsigned)s->port_offset;
		if (strcmp(services[i].section, "smtp") != 0) /* its section is open */
			(void)buf_addf(out, "\n[%s]\n", services[i].section);
		(void)buf_addf(out, "listen = 0.0.0.0:%u, [::]:%u\n", port, port);
	}
	static const struct {
		const char *section;
		unsigned port;
	} internal[] = {{"metrics", METRICS_PORT},	   {"lmtp", 24},
			{"reinject", REINJECT_PORT},	   {"reinject_lists", REINJECT_LISTS_PORT},
			{"srs_forward", SRS_FORWARD_PORT}, {"srs_reverse", SRS_REVERSE_PORT},
			{"policy", POLICY_PORT},	   {"quota_status", QUOTA_STATUS_PORT}};
	for (size_t i = 0; s->port_offset && i < ARRAY_LEN(internal); i++) {
		unsigned port = internal[i].port + (unsigned)s->port_offset;
		(void)buf_addf(out, "\n[%s]\nlisten = 127.0.0.1:%u, [::1]:%u\n",
			       internal[i].section, port, port);
	}
}

static void init_text(const struct setup *s, struct buf *out)
{
	(void)buf_addf(
		out,
		"# Written by `barid init`. Change it as you like; a setting may stand in one "
		"file only.\n\nhostname = %s\n",
		s->hostname);
	if (s->state[0])
		(void)buf_addf(out, "state_dir = %s\n", s->state);
	if (strcmp(s->conf, CLI_CONF_DEFAULT) != 0)
		(void)buf_addf(out,
			       "\n[tls]\ncertificate = %s/tls/cert.pem\nkey = %s/tls/key.pem\n",
			       s->folder, s->folder);
	(void)buf_addf(out, "\n[smtp]\npostmaster_domain = %s\n", s->domain);
	port_lines(s, out);
}

static int write_configuration(struct setup *s)
{
	AUTO(buf) struct buf all = BUF_INIT(MIB(1)), init = BUF_INIT(KIB(64));
	char folder[4200];
	(void)snprintf(folder, sizeof folder, "%s/conf.d", s->folder);
	conf_write_default(&all);
	init_text(s, &init);
	const struct {
		const char *path;
		struct str text;
	} files[] = {{s->conf, buf_str(&all)}, {s->init_file, buf_str(&init)}};
	int r = make_folders(folder, 0755);
	for (size_t i = 0; r == EXIT_DONE && i < ARRAY_LEN(files); i++) {
		if (access(files[i].path, F_OK) == 0) {
			keeps(files[i].path);
			continue;
		}
		r = write_new(files[i].path, files[i].text);
		if (r == EXIT_DONE)
			made(files[i].path);
	}
	return r;
}

/* What the server will read; it must be what was asked for, or another server is set up here. */
static int load(struct setup *s)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	if (conf_load(s->conf, &s->loaded, &errors) < 0) {
		(void)fputs(buf_c(&errors), stderr);
		return EXIT_FAILED;
	}
	if (strcasecmp(s->loaded->hostname, s->hostname) == 0 &&
	    strcasecmp(s->loaded->postmaster_domain, s->domain) == 0)
		return EXIT_DONE;
	(void)fprintf(stderr,
		      T("%s sets up %s for the domain %s already; nothing was changed.\n"
			"A further domain: barid domain add %s\n"
			"Another name of the server: hostname in %s\n"),
		      s->conf, s->loaded->hostname,
		      s->loaded->postmaster_domain[0] ? s->loaded->postmaster_domain
						      : s->loaded->hostname,
		      s->domain, s->init_file);
	return EXIT_FAILED;
}

static int make_certificate(struct setup *s)
{
	const char *cert = s->loaded->tls_certificate.p[0], *key = s->loaded->tls_key.p[0];
	struct fail why = FAIL_INIT;
	bool have_cert = access(cert, F_OK) == 0, have_key = access(key, F_OK) == 0;
	if (have_cert && have_key) {
		keeps(cert);
		return EXIT_DONE;
	}
	if (have_cert || have_key) {
		(void)fprintf(stderr,
			      T("%s is there and %s is not: bring both, or move it away.\n"),
			      have_cert ? cert : key, have_cert ? key : cert);
		return EXIT_FAILED;
	}
	char *name = xstrdup(key);
	int r = make_folders(dirname(name), 0700);
	free(name);
	if (r == EXIT_DONE && cert_make(s->hostname, cert, key, &why) < 0) {
		(void)fprintf(stderr, "%s\n", why.detail);
		r = EXIT_FAILED;
	}
	if (r == EXIT_DONE)
		made(cert);
	s->made_certificate = r == EXIT_DONE;
	return r;
}

/* --- accounts --- */

struct ordering {
	int r;
	const char *name;
};

static void ordered(void *context, const struct order_answer *a)
{
	struct ordering *x = context;
	x->r = a->r;
	if (a->r == -FAIL_EXISTS)
		keeps(x->name);
	else if (a->r < 0)
		(void)orders_complain(a->why);
	else
		made(x->name);
}

/* 1 = made, 0 = was there, negative = refused (and said). */
static int order(struct orders *o, const char *name, const char *const *words, size_t n)
{
	struct str w[8];
	struct ordering x = {.name = name};
	CHECK(n <= ARRAY_LEN(w));
	for (size_t i = 0; i < n; i++)
		w[i] = str_c(words[i]);
	orders_give(o, w, n, ordered, &x);
	orders_wait(o);
	return x.r == 0 ? 1 : x.r == -FAIL_EXISTS ? 0 : x.r;
}
#define ORDER(o, name, ...)                                                                        \
	order((o), (name), (const char *const[]){__VA_ARGS__},                                     \
	      sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* 20 characters of 31 that nobody takes for each other: 99 bits. */
static void make_password(char *out)
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz2346789";
	size_t n = 0;
	for (size_t i = 0; i < PASSWORD_CHARS; i++) {
		unsigned char byte;
		do /* each letter equally often */
			rand_bytes(&byte, 1);
		while (byte >= 248);
		if (i && i % 5 == 0)
			out[n++] = '-';
		out[n++] = letters[byte % 31];
	}
	out[n] = '\0';
}

static bool take_password(struct setup *s)
{
	if (!s->password_stdin) {
		make_password(s->password);
		return true;
	}
	if (fgets(s->password, sizeof s->password, stdin))
		s->password[strcspn(s->password, "\r\n")] = '\0';
	if (s->password[0])
		return true;
	(void)fputs(T("--password-stdin: no password came on standard input.\n"), stderr);
	return false;
}

static int add_alias(struct orders *o, const struct setup *s, const char *name)
{
	char address[400];
	(void)snprintf(address, sizeof address, "%s@%s", name, s->domain);
	if (strcasecmp(address, s->admin) == 0)
		return 0;
	return ORDER(o, address, "alias", "add", address, s->admin);
}

static int add_accounts(struct setup *s)
{
	struct cli c = {.dir = s->loaded->state_dir, .conf = s->conf};
	int exit_code = make_folders(c.dir, 0711);
	struct orders *o = exit_code == EXIT_DONE ? orders_open(&c, true, &exit_code) : NULL;
	if (!o)
		return exit_code;
	int r = ORDER(o, s->domain, "domain", "add", s->domain);
	if (r >= 0)
		r = ORDER(o, s->admin, "user", "add", s->admin, "--password", s->password);
	s->made_password = r == 1 && !s->password_stdin;
	if (r >= 0 && orders_global(o, s->admin))
		keeps(T("its rights on all domains"));
	else if (r >= 0)
		r = ORDER(o, T("its rights on all domains"), "admin", "grant", s->admin, "ALL");
	if (r >= 0)
		r = add_alias(o, s, "postmaster");
	if (r >= 0)
		r = add_alias(o, s, "abuse");
	orders_close(o);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* --- words at the end --- */

static void next_steps(const struct setup *s)
{
	const char *file = strcmp(s->conf, CLI_CONF_DEFAULT) == 0 ? NULL : s->conf;
	bool systemd = !file && access("/run/systemd/system", F_OK) == 0;
	if (s->made_password)
		(void)printf(
			T("\nThe administrator's password, shown this once:\n\n    %s\n    %s\n"),
			s->admin, s->password);
	(void)puts(T("\nNext:\n\n1. Start the server:"));
	if (systemd)
		(void)puts("       systemctl enable --now barid");
	else if (!file && access("/etc/init.d/barid", X_OK) == 0)
		(void)puts("       service barid start");
	else
		(void)printf("       barid serve%s%s\n", file ? " -c " : "", file ? file : "");
	(void)printf(T("2. Publish the DNS records below (again: barid dns%s%s).\n"),
		     file ? " -c " : "", file ? file : "");
	(void)printf(T("3. Bring a certificate for %s, the chain to\n       %s\n   and its key to\n"
		       "       %s\n   then: barid reload%s%s.\n"),
		     s->hostname, s->loaded->tls_certificate.p[0], s->loaded->tls_key.p[0],
		     file ? " -c " : "", file ? file : "");
	if (s->made_certificate)
		(void)puts(T("   Until then mail programs warn of the self-signed one."));
	(void)printf(T("4. Log in with a mail program as %s: IMAP and submission at %s.\n"
		       "5. Add users: barid user add NAME@%s%s%s\n\n"),
		     s->admin, s->hostname, s->domain, file ? " -c " : "", file ? file : "");
}

static int dry_run(struct setup *s)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(64)), errors = BUF_INIT(KIB(64));
	init_text(s, &text);
	(void)printf(T("Nothing is changed. %s would say:\n\n%s\n"), s->init_file, buf_c(&text));
	(void)printf(T("It would make the domain %s, the administrator %s and the aliases "
		       "postmaster@%s and abuse@%s.\n\n"),
		     s->domain, s->admin, s->domain, s->domain);
	if (conf_parse("init", buf_str(&text), &s->loaded, &errors) < 0) {
		(void)fputs(buf_c(&errors), stderr);
		return EXIT_FAILED;
	}
	dns_print(s->cli, s->loaded, s->domain);
	return EXIT_DONE;
}

static int set_up(struct setup *s)
{
	if (access(s->init_file, F_OK) == 0) {
		int r = load(s);
		if (r != EXIT_DONE)
			return r;
		conf_free(s->loaded);
		s->loaded = NULL;
	}
	if (s->dry_run)
		return dry_run(s);
	if (!take_password(s))
		return EXIT_FAILED;
	(void)printf(T("Setting up %s for %s:\n"), s->hostname, s->domain);
	int r = write_configuration(s);
	if (r == EXIT_DONE)
		r = load(s);
	if (r == EXIT_DONE)
		r = make_certificate(s);
	if (r == EXIT_DONE)
		r = add_accounts(s);
	if (r == EXIT_DONE) {
		next_steps(s);
		dns_print(s->cli, s->loaded, s->domain);
	}
	return r;
}

int cli_init(const struct cli *c)
{
	struct setup s = {.cli = c};
	for (size_t i = 1, used; i < c->n; i += used)
		if (!take_option(&s, c->args[i], i + 1 < c->n ? c->args[i + 1] : NULL, &used))
			return cli_usage("init");
	if (s.print_dns) {
		char *args[] = {c->args[0], s.domain};
		struct cli dns = {.conf = c->conf, .json = c->json, .args = args, .n = 2};
		return cli_dns(&dns);
	}
	if (!s.domain[0] || !s.admin[0] || !find_paths(&s))
		return cli_usage("init");
	int r = complete(&s) ? set_up(&s) : EXIT_USAGE;
	conf_free(s.loaded);
	explicit_bzero(s.password, sizeof s.password);
	return r;
}
