/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid demo: a real server on high loopback ports with a sample domain. Only the accounts and the
 * certificate are samples: durability, hashing, scanning and sandbox are those of production.
 */
#include "base/check.h"
#include "base/num.h"
#include "base/text.h"
#include "service/access/access.h"
#include "service/dir/dir.h"
#include "service/dir/dir_admin.h"
#include "service/dir/password.h"
#include "sys/fs.h"
#include "tools/barid/cli.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOMAIN	   "example.test"
#define OFFSET_MAX 64000u

struct demo {
	char dir[3000];
	uint64_t offset;
	uint64_t users;
	const char *password;
};

static bool parse(const struct cli *c, struct demo *d)
{
	*d = (struct demo){.offset = 20000, .password = "secret"};
	if (!c->dir || strlen(c->dir) >= sizeof d->dir)
		return false;
	for (size_t i = 1; i < c->n; i += 2) {
		if (i + 1 >= c->n)
			return false;
		struct str value = str_c(c->args[i + 1]);
		if (strcmp(c->args[i], "--port-offset") == 0 && num_parse_u64(value, &d->offset))
			continue;
		if (strcmp(c->args[i], "--users") == 0 && num_parse_u64(value, &d->users))
			continue;
		if (strcmp(c->args[i], "--password") != 0)
			return false;
		d->password = c->args[i + 1];
	}
	struct fail why = FAIL_INIT;
	if (fs_mkdir_all(fs_real(), c->dir, 0711, &why) < 0) {
		(void)fprintf(stderr, T("cannot make %s: %s\n"), c->dir, strerror(why.saved_errno));
		return false;
	}
	char *real = realpath(c->dir, NULL);
	if (!real || strlen(real) >= sizeof d->dir)
		return false;
	(void)snprintf(d->dir, sizeof d->dir, "%s", real);
	free(real);
	return d->offset <= OFFSET_MAX && d->users <= 100000;
}

/* --- accounts
 * ------------------------------------------------------------------------------------------------------------
 */

static int order(struct dir *dir, const char *const *words, size_t n, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct dir_scope scope = {.kind = DIR_SCOPE_GLOBAL};
	struct dir_table t = {0};
	struct str args[8];
	CHECK(n <= ARRAY_LEN(args));
	for (size_t i = 0; i < n; i++)
		args[i] = str_c(words[i]);
	int r = dir_admin(dir, &scope, (struct dir_args){args, n}, &a, &t, why);
	return r == -FAIL_EXISTS ? 0 : r; /* a demo that was started before */
}

/* All samples share one password: it is hashed once, or thousands of users would take minutes. */
static int add_user(struct dir *dir, const char *name, const char *hash, struct fail *why)
{
	char address[100];
	(void)snprintf(address, sizeof address, "%s@" DOMAIN, name);
	const char *const words[] = {"user", "add", address, "--password-hash", hash};
	return order(dir, words, ARRAY_LEN(words), why);
}

static int add_accounts(const struct demo *d, struct fail *why)
{
	static const char *const names[] = {"postmaster", "alice", "bob"};
	static const char *const domain[] = {"domain", "add", DOMAIN};
	char path[4096];
	struct dir_config config = dir_config_default();
	AUTO(dir) struct dir *dir = NULL;
	AUTO(buf) struct buf hash = BUF_INIT(KIB(4));
	(void)snprintf(path, sizeof path, "%s/dir", d->dir);
	int r = fs_mkdir_all(fs_real(), path, 0700, why);
	(void)snprintf(path, sizeof path, "%s/dir/vmail.db", d->dir);
	config.path = path;
	if (r == 0)
		r = dir_open(&config, &dir, why);
	if (r == 0)
		r = password_make(str_c(d->password), &hash, why);
	if (r == 0)
		r = order(dir, domain, ARRAY_LEN(domain), why);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++)
		r = add_user(dir, names[i], buf_c(&hash), why);
	for (uint64_t i = 1; r == 0 && i <= d->users; i++) {
		char name[40];
		(void)snprintf(name, sizeof name, "user%llu", (unsigned long long)i);
		r = add_user(dir, name, buf_c(&hash), why);
	}
	return r;
}

/* --- configuration
 * ----------------------------------------------------------------------------------------------------------
 */

static void write_conf(const struct demo *d, struct buf *text)
{
	unsigned o = (unsigned)d->offset;
	(void)buf_addf(text, "hostname = mail." DOMAIN "\nstate_dir = %s\n", d->dir);
	(void)buf_addf(text, "log_to = both\nconnections_per_address_max = 10000\n");
	(void)buf_addf(text, "[tls]\ncertificate = %s/tls/cert.pem\nkey = %s/tls/key.pem\n", d->dir,
		       d->dir);
	(void)buf_addf(text, "[smtp]\npostmaster_domain = " DOMAIN "\nlisten = 127.0.0.1:%u\n",
		       o + 25);
	(void)buf_addf(text, "[submission]\nlisten = 127.0.0.1:%u\n", o + 587);
	(void)buf_addf(text, "[submissions]\nlisten = 127.0.0.1:%u\n", o + 465);
	(void)buf_addf(text, "[imap]\nlisten = 127.0.0.1:%u\n", o + 143);
	(void)buf_addf(text, "[imaps]\nlisten = 127.0.0.1:%u\n", o + 993);
	(void)buf_addf(text, "[pop3]\nlisten = 127.0.0.1:%u\n", o + 110);
	(void)buf_addf(text, "[pop3s]\nlisten = 127.0.0.1:%u\n", o + 991);
	(void)buf_addf(text, "[managesieve]\nlisten = 127.0.0.1:%u\n", o + 419);
	(void)buf_addf(text, "[metrics]\nlisten = 127.0.0.1:%u\n", o + 915);
	(void)buf_addf(text, "[lmtp]\nlisten = 127.0.0.1:%u\n", o + 24);
	(void)buf_addf(text, "[reinject]\nlisten = 127.0.0.1:%u\n", o + 26);
	(void)buf_addf(text, "[reinject_lists]\nlisten = 127.0.0.1:%u\n", o + 28);
	(void)buf_addf(text, "[srs_forward]\nlisten = 127.0.0.1:%u\n", o + 778);
	(void)buf_addf(text, "[srs_reverse]\nlisten = 127.0.0.1:%u\n", o + 779);
	(void)buf_addf(text, "[quota_status]\nlisten = 127.0.0.1:%u\n", o + 340);
	/* What the operator of the demo wants differently. */
	const char *more = getenv("BARID_DEMO_CONF");
	/* Of its own accord a demonstration asks nobody beyond this machine. */
	if (!more || !strstr(more, "[dns]"))
		(void)buf_addf(text, "[dns]\nmode = forward\nforward = 127.0.0.1:%u\n", o + 53);
	if (!more || (!strstr(more, "[dns]") && !strstr(more, "[frontdoor]")))
		(void)buf_add_c(text, "[frontdoor]\ndns_wait = 100 ms\n"); /* nobody answers */
	(void)buf_addf(text, "[policy]\nlisten = 127.0.0.1:%u\n", o + 777);
	/* Mail that is tried out is not to be sent twice. */
	if (!more || !strstr(more, "greylisting ="))
		(void)buf_add_c(text, "greylisting = off\n");
	(void)buf_addf(text, "%s", more ? more : "");
}

static int make_certificate(const struct demo *d, struct fail *why)
{
	char folder[3100], cert[3200], key[3200];
	(void)snprintf(folder, sizeof folder, "%s/tls", d->dir);
	(void)snprintf(cert, sizeof cert, "%s/cert.pem", folder);
	(void)snprintf(key, sizeof key, "%s/key.pem", folder);
	if (access(key, R_OK) == 0)
		return 0;
	int r = fs_mkdir_all(fs_real(), folder, 0700, why);
	return r < 0 ? r : cert_make("mail." DOMAIN, cert, key, why);
}

static int save_conf(const char *path, struct str text)
{
	FILE *f = fopen(path, "we");
	if (!f || fwrite(text.p, 1, text.n, f) != text.n || fclose(f) != 0) {
		(void)fprintf(stderr, T("cannot write %s: %s\n"), path, strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

int cli_demo(const struct cli *c, struct conf **ret, const char **ret_path)
{
	struct demo d;
	static char path[3100];
	struct fail why = FAIL_INIT;
	AUTO(buf) struct buf text = BUF_INIT(KIB(32)), errors = BUF_INIT(KIB(32));
	if (!parse(c, &d))
		return cli_usage("demo");
	if (make_certificate(&d, &why) < 0 || add_accounts(&d, &why) < 0) {
		(void)fprintf(stderr, "%s\n", why.detail);
		return EXIT_FAILED;
	}
	write_conf(&d, &text);
	(void)snprintf(path, sizeof path, "%s/demo.conf", d.dir);
	if (save_conf(path, buf_str(&text)) != EXIT_DONE)
		return EXIT_FAILED;
	if (conf_load(path, ret, &errors) < 0 || access_check_conf(*ret, &errors) < 0) {
		(void)fputs(buf_c(&errors), stderr);
		return EXIT_FAILED;
	}
	*ret_path = path;
	return EXIT_DONE;
}
