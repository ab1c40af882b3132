/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid backup DIR [--account A [--mailbox M]] [--keep N] [--no-secrets]
 * barid backup DIR --verify [--generation G] [--repair] | --list
 *
 * What is copied in which order, and what that promises: docs/adr/0018.
 */
#include "tools/barid/backup.h"
#include "base/check.h"
#include "base/encode.h"
#include "base/text.h"
#include "service/dir/dir_archive.h"
#include "service/spool/spool_archive.h"
#include "service/store/archive.h"
#include "sys/clock.h"
#include "tools/barid/options.h"
#include "tools/barid/progress.h"
#include "tools/barid/source.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_AGAIN 5

struct backup {
	const struct cli *cli;
	const char *dir, *account, *mailbox, *generation;
	uint64_t keep;
	bool no_secrets, verify, repair, list, quiet;
	char *state;
	struct source source;
	struct repo *repo;
	struct repo_generation g;
	struct progress progress;
	struct account_id only; /* {0} = the whole server */
};

static void seen(void *arg, uint64_t bytes)
{
	progress_add(arg, bytes);
}

/* --- bodies
 * ------------------------------------------------------------------------------------------ */

static void note_body(struct backup *b, const unsigned char id[16], uint64_t account, uint64_t size,
		      const unsigned char sha256[32])
{
	struct repo_body *x = vec_push(&b->g.bodies);
	memcpy(x->id, id, sizeof x->id);
	memcpy(x->hash.b, sha256, sizeof x->hash.b);
	x->size = size;
	x->account = account;
	b->progress.total += size;
}

static int take_file(void *arg, const struct store_archive_file *f)
{
	note_body(arg, f->id, f->account.v, f->size, f->sha256);
	return 0;
}

static int take_spool_file(void *arg, const struct spool_archive_file *f)
{
	note_body(arg, f->id, 0, f->size, f->sha256);
	return 0;
}

static void bad(struct backup *b, const char *text)
{
	progress_end(&b->progress);
	(void)fprintf(stderr, "%s\n", text);
	*(char **)vec_push(&b->g.bad) = xstrdup(text);
}

/* A body that cannot be read is no reason to have no backup: it is reported, and the list says so.
 */
static int copy_bodies(struct backup *b, size_t from, struct fail *why)
{
	for (size_t i = from; i < b->g.bodies.n; i++) {
		const struct repo_body *x = &b->g.bodies.p[i];
		char path[4200], text[600];
		blob_name(b->state, x, path);
		int r = repo_put_body(b->repo, path, &x->hash, x->size, why);
		if (r == -FAIL_NOTFOUND || r == -FAIL_CORRUPT) {
			(void)snprintf(text, sizeof text, "account %llu: %s",
				       (unsigned long long)x->account, why->detail);
			bad(b, text);
			r = 0;
		}
		if (r < 0)
			return r;
		progress_add(&b->progress, x->size);
	}
	return 0;
}

/* --- databases
 * ------------------------------------------------------------------------------------------ */

/* The database is opened by the name that the descriptor's file has. */
static int path_of_fd(int fd, char path[4200], struct fail *why)
{
	char link[64];
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, 4199);
	if (n < 0)
		return fail_errno(why, FAIL_IO, "%s", link);
	path[n] = '\0';
	return 0;
}

static int read_spool(struct backup *b, int fd, struct fail *why)
{
	char path[4200];
	AUTO(spool_archive) struct spool_archive *a = NULL;
	AUTO(buf) struct buf hex = BUF_INIT(64);
	int r = path_of_fd(fd, path, why);
	if (r < 0 || (r = spool_archive_open(path, true, &a, why)) < 0 ||
	    (r = spool_archive_files(a, take_spool_file, b, why)) < 0)
		return r;
	(void)hex_encode(&hex, str_make((const char *)spool_archive_epoch(a), SPOOL_EPOCH_LEN));
	(void)snprintf(b->g.spool_epoch, sizeof b->g.spool_epoch, "%s", buf_c(&hex));
	return repo_add_file(b->repo, &b->g, "spool/spool.db", fd, 0600, why);
}

/* Of the file of one account, cut out of its partition. */
static int read_extract(struct backup *b, struct store_archive *whole, const char *source,
			const char *name, struct fail *why)
{
	char path[REPO_PATH_MAX];
	AUTO(store_archive) struct store_archive *a = NULL;
	repo_temp(b->repo, "extract", path);
	int r = store_archive_extract(whole, source, b->only, str_c(b->mailbox), path, why);
	if (r < 0 || (r = store_archive_open(path, STORE_ARCHIVE_PRIVATE, &a, why)) < 0 ||
	    (r = store_archive_files(a, b->only, take_file, b, why)) < 0)
		return r;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? fail_errno(why, FAIL_IO, "%s", path)
		   : repo_add_file(b->repo, &b->g, name, fd, 0600, why);
	(void)unlink(path);
	return r;
}

static int read_partition(struct backup *b, int partition, int fd, struct fail *why)
{
	char path[4200], name[64];
	AUTO(store_archive) struct store_archive *a = NULL;
	(void)snprintf(name, sizeof name, "store/part-%03d.db", partition);
	int r = path_of_fd(fd, path, why);
	if (r < 0 || (r = store_archive_open(path, STORE_ARCHIVE_FROZEN, &a, why)) < 0)
		return r;
	if (b->only.v)
		return read_extract(b, a, path, name, why);
	r = store_archive_files(a, (struct account_id){0}, take_file, b, why);
	return r < 0 ? r : repo_add_file(b->repo, &b->g, name, fd, 0600, why);
}

/* What was read of a file that changed meanwhile does not count. */
static void take_back(struct backup *b, size_t files, size_t blocks, size_t bodies)
{
	while (b->g.files.n > files)
		free(vec_pop(&b->g.files)->name);
	b->g.blocks.n = blocks;
	b->g.bodies.n = bodies;
}

static int read_frozen(struct backup *b, int partition, struct fail *why)
{
	size_t files = b->g.files.n, blocks = b->g.blocks.n, bodies = b->g.bodies.n;
	int r = -FAIL_CONFLICT;
	for (int i = 0; i < READ_AGAIN && r == -FAIL_CONFLICT; i++) {
		AUTO_FD int fd = -1;
		struct stat st;
		take_back(b, files, blocks, bodies);
		r = source_freeze(&b->source, partition, &fd, why);
		if (r <= 0)
			return r;
		if (fstat(fd, &st) == 0)
			b->progress.total += (uint64_t)st.st_size;
		r = partition < 0 ? read_spool(b, fd, why) : read_partition(b, partition, fd, why);
		int thawed = source_thaw(&b->source, partition, r < 0 ? NULL : why);
		if (r == 0 || thawed == -FAIL_CONFLICT) /* then what went wrong means nothing */
			r = thawed;
	}
	return r < 0 ? r : copy_bodies(b, bodies, why);
}

static int copy_directory(struct backup *b, struct fail *why)
{
	char from[4200], to[REPO_PATH_MAX];
	(void)snprintf(from, sizeof from, "%s/dir/vmail.db", b->state);
	if (access(from, F_OK) < 0)
		return 0;
	repo_temp(b->repo, "vmail.db", to);
	int r = dir_archive_copy(from, to, why);
	if (r < 0)
		return r;
	AUTO_FD int fd = open(to, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? fail_errno(why, FAIL_IO, "%s", to)
		   : repo_add_file(b->repo, &b->g, "dir/vmail.db", fd, 0600, why);
	(void)unlink(to);
	return r;
}

/* --- other files
 * ------------------------------------------------------------------------------------------ */

/*
 * `how`: O_NOFOLLOW for what lies in a folder of a role, which could lead root to files that are
 * not the role's. Certificates often are links.
 */
static int copy_one(struct backup *b, const char *path, const char *name, int how, struct fail *why)
{
	struct stat st;
	AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | how);
	if (fd < 0 || fstat(fd, &st) < 0) {
		char text[600];
		(void)snprintf(text, sizeof text, T("%s cannot be read: %s"), path,
			       strerror(errno));
		bad(b, text);
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return 0;
	return repo_add_file(b->repo, &b->g, name, fd, st.st_mode & 0777u, why);
}

static bool is_database(struct str name)
{
	return str_ends(name, STR(".db")) || str_ends(name, STR(".db-wal")) ||
	       str_ends(name, STR(".db-shm"));
}

/* The plain files of a folder of the state: keys and the like. */
static int copy_folder(struct backup *b, const char *folder, struct fail *why)
{
	char path[4200], file[4600], name[600];
	int r = 0;
	(void)snprintf(path, sizeof path, "%s/%s", b->state, folder);
	DIR *d = opendir(path);
	for (struct dirent *e; r == 0 && d && (e = readdir(d));) {
		if (e->d_name[0] == '.' || is_database(str_c(e->d_name)))
			continue;
		(void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
		(void)snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
		r = copy_one(b, file, name, O_NOFOLLOW, why);
	}
	if (d)
		(void)closedir(d);
	return r;
}

/* etc/WHAT-0, etc/WHAT-1, ... */
static int copy_several(struct backup *b, const struct conf_list *paths, const char *what,
			struct fail *why)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < paths->n; i++) {
		char name[64];
		(void)snprintf(name, sizeof name, "etc/%s-%zu", what, i);
		r = copy_one(b, paths->p[i], name, 0, why);
	}
	return r;
}

/* What the configuration includes: etc/conf.d/NAME below its folder, etc/include-1 elsewhere. */
static int copy_included(struct backup *b, const struct conf_list *files, struct fail *why)
{
	const char *slash = strrchr(b->cli->conf, '/');
	size_t folder = slash ? (size_t)(slash + 1 - b->cli->conf) : 0;
	int r = 0;
	for (size_t i = 1; r == 0 && i < files->n; i++) {
		char name[600];
		const char *path = files->p[i], *rest = path + folder;
		if (!slash && strncmp(path, "./", 2) == 0)
			rest = path + 2;
		bool below = strlen(path) > folder && memcmp(path, b->cli->conf, folder) == 0 &&
			     rest[0] != '/' && !strstr(rest, "..");
		if (below)
			(void)snprintf(name, sizeof name, "etc/%s", rest);
		else
			(void)snprintf(name, sizeof name, "etc/include-%zu", i);
		r = copy_one(b, path, name, 0, why);
	}
	return r;
}

static int copy_configuration(struct backup *b, struct fail *why)
{
	struct conf *conf = NULL;
	struct conf_list files = {0};
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	if (b->cli->dir)
		return 0; /* the server was named by its folder: a demo, or a test */
	bool good = conf_load_files(b->cli->conf, &conf, &files, &errors) == 0;
	int r = copy_one(b, b->cli->conf, "etc/barid.conf", 0, why);
	if (r == 0)
		r = copy_included(b, &files, why);
	conf_files_clear(&files);
	if (!good) {
		bad(b, T("the configuration has mistakes, so certificate and key are left out; "
			 "barid check names them"));
		return r;
	}
	if (r == 0)
		r = copy_several(b, &conf->tls_certificate, "tls-certificate", why);
	if (r == 0 && !b->no_secrets)
		r = copy_several(b, &conf->tls_key, "tls-key", why);
	conf_free(conf);
	return r;
}

static int copy_rest(struct backup *b, struct fail *why)
{
	char path[4200];
	int r = copy_configuration(b, why);
	static const char *const marks[] = {"store/meta", "blob/format"};
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(marks); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", b->state, marks[i]);
		if (access(path, R_OK) == 0)
			r = copy_one(b, path, marks[i], O_NOFOLLOW, why);
	}
	if (r == 0 && !b->no_secrets)
		r = copy_folder(b, "tls", why);
	return r == 0 && !b->no_secrets ? copy_folder(b, "dir", why) : r;
}

/* --- the whole
 * ------------------------------------------------------------------------------------------ */

static int copy_server(struct backup *b, struct fail *why)
{
	int r = read_frozen(b, -1, why);
	for (uint32_t i = 0; r == 0 && i < b->source.partitions; i++)
		r = read_frozen(b, (int)i, why);
	if (r == 0)
		r = copy_directory(b, why);
	return r == 0 ? copy_rest(b, why) : r;
}

static int find_account(struct backup *b, struct fail *why)
{
	char path[4200];
	if (!b->account)
		return 0;
	(void)snprintf(path, sizeof path, "%s/dir/vmail.db", b->state);
	(void)snprintf(b->g.address, sizeof b->g.address, "%s", b->account);
	if (b->mailbox)
		(void)snprintf(b->g.mailbox, sizeof b->g.mailbox, "%s", b->mailbox);
	int r = dir_archive_account(path, str_c(b->account), &b->only, why);
	b->g.account = b->only.v;
	return r;
}

static int copy_all(struct backup *b, struct fail *why)
{
	b->g.taken = clock_wall();
	int r = source_open(&b->source, b->state, why);
	if (r == 0)
		r = find_account(b, why);
	if (r < 0)
		return r;
	b->g.online = b->source.online;
	b->g.partitions = b->source.partitions;
	progress_begin(&b->progress, "bytes", 0);
	if (b->only.v && b->source.partitions)
		r = read_frozen(b, (int)store_place(b->only, b->source.partitions), why);
	else
		r = copy_server(b, why);
	if (r == 0 && !b->only.v)
		r = source_held(&b->source, why);
	return r < 0 ? r : repo_commit(b->repo, &b->g, why);
}

static void report(const struct backup *b)
{
	const struct repo_counts *n = repo_counts(b->repo);
	char fresh[32], stored[32], old[32];
	(void)printf(T("Generation %s: %zu files, %zu bodies; new %s (%s as stored), unchanged %s; "
		       "%.1f s.\n"),
		     b->g.name, b->g.files.n, b->g.bodies.n, progress_bytes(n->new_bytes, fresh),
		     progress_bytes(n->stored_bytes, stored), progress_bytes(n->old_bytes, old),
		     progress_seconds(&b->progress));
	if (b->g.bad.n)
		(void)printf(
			T("%zu could not be copied and are named above: the rest is complete.\n"),
			b->g.bad.n);
}

static int prune(struct backup *b, struct fail *why)
{
	struct repo_pruned n;
	char bytes[32];
	int r = b->keep ? repo_prune(b->repo, (size_t)b->keep, &n, why) : 0;
	if (r == 0 && b->keep && n.generations)
		(void)printf(T("Removed %zu old generations, %s.\n"), n.generations,
			     progress_bytes(n.bytes, bytes));
	return r;
}

static int make_backup(struct backup *b)
{
	struct fail why = FAIL_INIT;
	const char *state = cli_state_dir(b->cli);
	if (!state)
		return EXIT_FAILED;
	b->state = realpath(state, NULL);
	if (!b->state) {
		(void)fprintf(stderr, "%s: %s\n", state, strerror(errno));
		return EXIT_FAILED;
	}
	int r = repo_open(b->dir, true, true, &b->repo, &why);
	if (r == 0)
		repo_watch(b->repo, seen, &b->progress);
	if (r == 0)
		r = copy_all(b, &why);
	progress_end(&b->progress);
	source_close(&b->source);
	if (r == 0)
		report(b);
	if (r == 0)
		r = prune(b, &why);
	return r < 0 ? tool_complain(&why) : b->g.bad.n ? EXIT_INCOMPLETE : EXIT_DONE;
}

/* --- what there is
 * ------------------------------------------------------------------------------------------ */

static int list_generations(const struct backup *b)
{
	struct fail why = FAIL_INIT;
	AUTO(repo) struct repo *repo = NULL;
	AUTO(repo_names) struct repo_names names = {0};
	static const struct str columns[] = {{"generation", 10}, {"of", 2},	{"server", 6},
					     {"files", 5},	 {"bodies", 6}, {"bytes", 5}};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	if (repo_open(b->dir, false, false, &repo, &why) < 0 || repo_list(repo, &names, &why) < 0)
		return tool_complain(&why);
	struct str *cells = arena_array(&a, struct str, names.n * ARRAY_LEN(columns) + 1);
	for (size_t i = 0; cells && i < names.n; i++) {
		AUTO(repo_generation) struct repo_generation g = {0};
		struct str *row = &cells[i * ARRAY_LEN(columns)];
		bool good = repo_read(repo, names.p[i], &g, NULL) == 0;
		uint64_t bytes = 0;
		for (size_t k = 0; k < g.files.n; k++)
			bytes += g.files.p[k].size;
		for (size_t k = 0; k < g.bodies.n; k++)
			bytes += g.bodies.p[k].size;
		row[0] = str_c(names.p[i]);
		row[1] = !good	     ? STR("damaged")
			 : g.account ? arena_printf(&a, "%s %s", g.address, g.mailbox)
				     : STR("server");
		row[2] = g.online ? STR("running") : STR("stopped");
		row[3] = arena_printf(&a, "%zu", g.files.n);
		row[4] = arena_printf(&a, "%zu", g.bodies.n);
		row[5] = arena_printf(&a, "%llu", (unsigned long long)bytes);
	}
	struct cli_table t = {.name = "generations",
			      .columns = columns,
			      .n_columns = ARRAY_LEN(columns),
			      .cells = cells,
			      .n_cells = names.n * ARRAY_LEN(columns),
			      .message = names.n ? STR("") : STR("No generation is complete.")};
	cli_print(b->cli, &t);
	return EXIT_DONE;
}

int cli_backup(const struct cli *c)
{
	struct backup b = {.cli = c, .source.state_lock = -1};
	const char *words[1];
	size_t n;
	const struct option options[] = {
		{"--account", .text = &b.account},	 {"--mailbox", .text = &b.mailbox},
		{"--generation", .text = &b.generation}, {"--keep", .number = &b.keep},
		{"--no-secrets", .flag = &b.no_secrets}, {"--verify", .flag = &b.verify},
		{"--repair", .flag = &b.repair},	 {"--list", .flag = &b.list}};
	if (!options_take(c, options, ARRAY_LEN(options), words, 1, &n) || n != 1 ||
	    (b.mailbox && !b.account))
		return cli_usage("backup");
	b.dir = words[0];
	(void)umask(077);
	if (b.list)
		return list_generations(&b);
	if (b.verify)
		return backup_verify(b.dir, b.generation, b.repair);
	int code = make_backup(&b);
	repo_generation_clear(&b.g);
	repo_close(b.repo);
	free(b.state);
	return code;
}
