/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve-suite FILE ...: run test scripts in the language of Pigeonhole's test suite (the extension
 * vnd.dovecot.testsuite), which are public and no part of barid. A yardstick: for each file it says
 * how many of its tests pass, and which do not. Not installed.
 *
 * The commands of the suite are a struct sieve_extra; a file is a script that runs in barid's own
 * interpreter. Executing a result is played here: mailboxes are lists of messages in memory.
 */
#include "base/num.h"
#include "base/utf8.h"
#include "codec/mime/index.h"
#include "codec/sieve/sieve_vm.h"
#include "service/sieve/sieve_regex.h"
#include "sys/clock.h"
#include <fcntl.h>

struct letter {
	struct str folder; /* "" of SMTP */
	struct str text;
	struct str from, to;
	struct str *flags;
	size_t n_flags;
};

struct suite {
	char folder[4096];
	struct arena arena;
	struct sieve_vm *vm; /* of the file */
	struct sieve_message message;
	struct sieve_host host;
	struct sieve_run_limits limits;
	struct str text; /* of the message */
	struct str program;
	struct sieve_notes notes;
	struct str error; /* of the last run */
	struct letter letters[200];
	size_t n_letters;
	struct str mailboxes[64];
	size_t n_mailboxes;
	struct str failure;
	uint32_t failure_line;
	struct str name;
	unsigned passed, failed;
	bool failing;
	const char *file;
};
static struct suite suite;

static int64_t read_text(void *ctx, uint64_t off, char *to, size_t n)
{
	struct str s = str_sub(*(const struct str *)ctx, (size_t)off, (size_t)off + n);
	memcpy(to, s.p, s.n);
	return (int64_t)s.n;
}

static void set_message(struct str text)
{
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, &suite.arena);
	struct mime_map *map;
	struct fail why;
	suite.text = arena_str(&suite.arena, text);
	mime_index_feed(ix, suite.text);
	CHECK(mime_index_finish(ix, &map, &why) == 0);
	suite.message = (struct sieve_message){
		.header = str_sub(suite.text, 0, (size_t)map->parts[0].header_len),
		.map = map,
		.source = {read_text, &suite.text},
		.size = text.n};
	if (suite.vm)
		*suite.vm->state = (struct sieve_state){.globals = suite.vm->state->globals};
}

static void reset_result(struct sieve_vm *vm)
{
	struct sieve_state *state = vm->state;
	*vm->result = SIEVE_RESULT_INIT;
	*state = (struct sieve_state){.globals = state->globals};
	vm->result->state = state;
	vm->actions_cap = vm->seen_cap = 0;
	vm->flags = NULL;
	vm->n_flags = 0;
}

static void end_test(void)
{
	if (suite.name.p && suite.failing) {
		suite.failed++;
		printf("  FAIL %s: \"%.*s\" (line %u): %.*s\n", suite.file, STR_ARG(suite.name),
		       suite.failure_line, STR_ARG(suite.failure));
	} else if (suite.name.p) {
		suite.passed++;
	}
	suite.name = STR_NULL;
	suite.failing = false;
}

RUN(run_test);
int run_test(struct sieve_vm *vm, const struct sieve_args *a)
{
	suite.vm = vm;
	end_test();
	return arg_text(vm, a, S_P1, &suite.name) < 0 ? -FAIL_BUG : 1;
}

RUN(run_fail);
int run_fail(struct sieve_vm *vm, const struct sieve_args *a)
{
	suite.failure_line = vm->line;
	suite.failing = true;
	vm->abort_block = true;
	return arg_text(vm, a, S_P1, &suite.failure);
}

RUN(run_set);
int run_set(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str name, value;
	struct sieve_envelope *e = &suite.host.envelope;
	suite.vm = vm;
	CHECK(arg_text(vm, a, S_P1, &name) == 0 && arg_text(vm, a, S_P2, &value) == 0);
	size_t n = value.n;
	if (n > 1 && value.p[0] == '<' && value.p[n - 1] == '>')
		value = str_sub(value, 1, n - 1);
	if (str_eq(name, STR("message")))
		set_message(value);
	else if (str_eq(name, STR("envelope.from")))
		e->from = value;
	else if (str_eq(name, STR("envelope.to")))
		e->to = suite.host.owner = value;
	else if (str_eq(name, STR("envelope.auth")))
		e->auth = value;
	return 0;
}

static struct str slurp(struct str name)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(8));
	char path[8192];
	(void)snprintf(path, sizeof path, "%s/%.*s", suite.folder, STR_ARG(name));
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : 1;
	while (got > 0) {
		char *room = buf_room(&b, 65536);
		CHECK(room);
		got = read(fd, room, 65536);
		if (got > 0)
			buf_added(&b, (size_t)got);
	}
	return got < 0 ? STR_NULL : b.n ? arena_str(&suite.arena, buf_str(&b)) : STR("");
}

static bool compile(struct str name, struct str *ret)
{
	struct sieve_options options = {.regex = &sieve_regex};
	struct fail why;
	struct str text = slurp(name);
	suite.notes = (struct sieve_notes){0};
	return text.p && sieve_compile(text, &options, &suite.arena, &suite.notes, ret, &why) == 0;
}

RUN(run_compile);
int run_compile(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str name;
	suite.vm = vm;
	suite.error = STR_NULL;
	CHECK(arg_text(vm, a, S_P1, &name) == 0);
	return compile(name, &suite.program);
}

static int run_program(struct sieve_vm *vm, bool append)
{
	struct sieve_program p;
	struct fail why = FAIL_INIT;
	if (!append) {
		reset_result(vm);
		vm->state->globals = (struct sieve_variables){0};
	}
	if (sieve_program_open(suite.program, NULL, &p, &why) < 0)
		return 0;
	vm->result->error = STR_NULL;
	suite.notes = (struct sieve_notes){0};
	int r = sieve_run(&p, &suite.host, &suite.message, &suite.arena, vm->result, &why);
	vm->actions_cap = vm->result->n_actions;
	vm->seen_cap = vm->result->n_seen;
	suite.error = r < 0 ? vm->result->error : STR_NULL;
	return r == 0;
}

RUN(run_run);
int run_run(struct sieve_vm *vm, const struct sieve_args *a)
{
	(void)a;
	return run_program(vm, false);
}

RUN(run_append);
int run_append(struct sieve_vm *vm, const struct sieve_args *a)
{
	(void)a;
	return run_program(vm, true);
}

RUN(run_execute);
RUN(run_multi);
int run_multi(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str *names;
	size_t n;
	CHECK(arg_list(vm, a, S_P1, &names, &n) == 0);
	reset_result(vm);
	for (size_t i = 0; i < n; i++)
		if (!compile(names[i], &suite.program) || !run_program(vm, true))
			return 0;
	return run_execute(vm, a);
}

static bool mailbox_exists(void *ctx, struct str name)
{
	(void)ctx;
	for (size_t i = 0; i < suite.n_mailboxes; i++)
		if (str_eq(suite.mailboxes[i], name))
			return true;
	return str_eqi(name, STR("INBOX"));
}

static void make_mailbox(struct str name)
{
	if (suite.n_mailboxes < ARRAY_LEN(suite.mailboxes) && !mailbox_exists(NULL, name))
		suite.mailboxes[suite.n_mailboxes++] = arena_str(&suite.arena, name);
}

static void put_letter(struct str folder, struct str header, const struct sieve_piece *body,
		       size_t n)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(16));
	struct str head = suite.message.header;
	(void)buf_add(&b, header.p ? header : head);
	if (n == 0)
		(void)buf_add(&b, str_skip(suite.text, head.n));
	for (size_t i = 0; i < n; i++)
		(void)buf_add(&b, body[i].text.p ? body[i].text
						  : str_sub(suite.text, (size_t)body[i].off,
							    (size_t)(body[i].off + body[i].len)));
	if (suite.n_letters < ARRAY_LEN(suite.letters))
		suite.letters[suite.n_letters++] =
			(struct letter){.folder = folder,
					.text = arena_str(&suite.arena, buf_str(&b)),
					.from = suite.host.envelope.from};
}

static void put_answer(const struct sieve_action *x)
{
	struct sieve_action refusal = *x;
	if (x->kind == SIEVE_REJECT || x->kind == SIEVE_EREJECT) {
		refusal.address = suite.host.envelope.from;
		refusal.from = STR("Postmaster <postmaster@example.com>");
		x = &refusal;
		if (x->address.n == 0)
			return;
	}
	struct str text = arena_printf(
		&suite.arena,
		"From: %.*s\r\nTo: %.*s\r\nSubject: %.*s\r\nAuto-Submitted: auto-replied\r\n\r\n%.*s\r\n",
		STR_ARG(x->from.n ? x->from : suite.host.envelope.to), STR_ARG(x->address),
		STR_ARG(x->subject), STR_ARG(x->text));
	if (suite.n_letters < ARRAY_LEN(suite.letters))
		suite.letters[suite.n_letters++] = (struct letter){
			.folder = STR(""), .text = text, .from = STR(""), .to = x->address};
}

static bool store(const struct sieve_store *s, struct str header, const struct sieve_piece *body,
		  size_t n)
{
	struct str folder = s->mailbox;
	if (!mailbox_exists(NULL, folder) && !s->create)
		folder = STR("INBOX");
	if (!utf8_valid(folder))
		return false;
	make_mailbox(folder);
	put_letter(folder, header, body, n);
	suite.letters[suite.n_letters - 1].flags = s->flags;
	suite.letters[suite.n_letters - 1].n_flags = s->n_flags;
	return true;
}

int run_execute(struct sieve_vm *vm, const struct sieve_args *a)
{
	const struct sieve_result *r = vm->result;
	bool ok = true;
	(void)a;
	for (size_t i = 0; i < r->n_actions; i++) {
		const struct sieve_action *x = &r->actions[i];
		if (x->kind == SIEVE_KEEP || x->kind == SIEVE_FILEINTO)
			ok = store(&x->store, x->header, x->body, x->n_body) && ok;
		else if (x->kind == SIEVE_REDIRECT) {
			put_letter(STR(""), x->header, x->body, x->n_body);
			suite.letters[suite.n_letters - 1].to = x->address;
		} else if (x->kind != SIEVE_DISCARD)
			put_answer(x);
		if (x->kind > SIEVE_DISCARD && x->store.mailbox.n)
			ok = store(&x->store, x->header, x->body, x->n_body) && ok;
	}
	if (r->keep) {
		struct str header = STR_NULL;
		struct sieve_store inbox = {
			.mailbox = STR("INBOX"), .flags = vm->flags, .n_flags = vm->n_flags};
		if (r->keep_store.mailbox.n)
			inbox = r->keep_store;
		CHECK(sieve_header_now(vm, &header) == 0);
		ok = store(&inbox, header, vm->state->body, vm->state->n_body) && ok;
	}
	return ok;
}

RUN(run_reset);
int run_reset(struct sieve_vm *vm, const struct sieve_args *a)
{
	(void)a;
	suite.vm = vm;
	reset_result(vm);
	size_t kept = 0;
	for (size_t i = 0; i < suite.n_letters; i++)
		if (suite.letters[i].folder.n)
			suite.letters[kept++] = suite.letters[i];
	suite.n_letters = kept;
	return 0;
}

RUN(run_nothing);
int run_nothing(struct sieve_vm *vm, const struct sieve_args *a)
{
	(void)vm;
	(void)a;
	return 1;
}

static struct str action_name(const struct sieve_action *x)
{
	static const char *const names[] = {"keep",   "store",	 "redirect", "reject",
					    "reject", "discard", "vacation", "notify"};
	return str_c(names[x->kind]);
}

RUN(run_action);
int run_action(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	const struct sieve_result *r = vm->result;
	uint64_t index = arg_has(a, S_EDIT_INDEX) ? a->v[S_EDIT_INDEX].number : 0;
	CHECK(matcher_begin(vm, &m, a, S_P1) == 0);
	m.silent = true;
	size_t n = r->n_actions + r->keep;
	for (size_t i = 0; i < n; i++) {
		struct str name = i < r->n_actions ? action_name(&r->actions[i]) : STR("keep");
		if ((index == 0 || index == i + 1) && matcher_value(&m, name) == 1)
			return 1;
	}
	return matcher_end(&m);
}

RUN(run_error);
int run_error(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	uint64_t index = arg_has(a, S_EDIT_INDEX) ? a->v[S_EDIT_INDEX].number : 0, k = 0;
	CHECK(matcher_begin(vm, &m, a, S_P1) == 0);
	m.silent = true;
	for (size_t i = 0; i < suite.notes.n; i++) {
		if (suite.notes.p[i].severity != SIEVE_ERROR || (++k != index && index))
			continue;
		/* In its own words: that there is one is what can be compared. */
		if (m.match != MATCH_COUNT)
			return 1;
		m.count++;
	}
	if (suite.error.p) {
		if (m.match != MATCH_COUNT)
			return 1;
		m.count++;
	}
	/* How many sentences something is told in is nobody's business: some, or none. */
	bool same = (m.count == 0) == (m.n_keys && str_eq(m.keys[0], STR("0")));
	if (m.match == MATCH_COUNT && m.relation <= REL_NE)
		return same == (m.relation == REL_EQ);
	return matcher_end(&m);
}

static int take_letter(struct str folder, uint64_t index)
{
	for (size_t i = 0, k = 0; i < suite.n_letters; i++)
		if (str_eq(suite.letters[i].folder, folder) && k++ == index) {
			const struct letter *l = &suite.letters[i];
			set_message(l->text);
			if (folder.n == 0) {
				suite.host.envelope.from = l->from;
				suite.host.envelope.to = l->to;
			}
			suite.vm->flags = l->flags;
			suite.vm->n_flags = l->n_flags;
			return 1;
		}
	return 0;
}

RUN(run_smtp);
int run_smtp(struct sieve_vm *vm, const struct sieve_args *a)
{
	suite.vm = vm;
	return take_letter(STR(""), a->v[S_P1].number);
}

RUN(run_folder);
int run_folder(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str folder;
	suite.vm = vm;
	CHECK(arg_text(vm, a, S_P1, &folder) == 0);
	return take_letter(folder, a->v[S_P2].number);
}

RUN(run_create);
int run_create(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str name;
	CHECK(arg_text(vm, a, S_P1, &name) == 0);
	make_mailbox(name);
	return 0;
}

RUN(run_config);
int run_config(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str name, value = STR("");
	CHECK(arg_text(vm, a, S_P1, &name) == 0 && arg_text(vm, a, S_P2, &value) == 0);
	if (str_eq(name, STR("recipient_delimiter")) && value.n == 1)
		suite.host.delimiter = value.p[0];
	uint32_t n;
	if (str_startsi(name, STR("sieve_variables_max_va")) && num_parse_u32(value, &n))
		suite.limits.variable_bytes = n;
	if (str_eq(name, STR("sieve_user_email")))
		suite.host.owner = value;
	return 0;
}

/* The tests as commands, too: of `test_message` both are used. */
#define BOTH(name, positional, slots, run)                                                         \
	{name, SPEC_COMMAND, X_EXTRA, positional, slots, NULL, run},                               \
	{                                                                                          \
		name, SPEC_TEST, X_EXTRA, positional, slots, NULL, run                             \
	}
#define MATCHING (S_BIT(S_MATCH) | S_BIT(S_COMPARATOR) | S_BIT(S_EDIT_INDEX))
static const struct sieve_spec specs[] = {
	{"test", SPEC_BLOCK, X_EXTRA, "s", 0, NULL, run_test},
	{"test_fail", SPEC_COMMAND, X_EXTRA, "s", 0, NULL, run_fail},
	{"test_set", SPEC_COMMAND, X_EXTRA, "ss", 0, NULL, run_set},
	BOTH("test_script_compile", "s", 0, run_compile),
	BOTH("test_script_run", "", 0, run_run),
	BOTH("test_script_run_append", "", 0, run_append),
	BOTH("test_multiscript", "l", 0, run_multi),
	BOTH("test_result_execute", "", 0, run_execute),
	{"test_result_reset", SPEC_COMMAND, X_EXTRA, "", 0, NULL, run_reset},
	{"test_result_print", SPEC_COMMAND, X_EXTRA, "", 0, NULL, run_nothing},
	{"test_result_action", SPEC_TEST, X_EXTRA, "l", MATCHING, NULL, run_action},
	{"test_error", SPEC_TEST, X_EXTRA, "l", MATCHING, NULL, run_error},
	BOTH("test_message_smtp", "n", 0, run_smtp),
	BOTH("test_message_folder", "sn", 0, run_folder),
	{"test_mailbox_create", SPEC_COMMAND, X_EXTRA, "s", 0, NULL, run_create},
	{"test_config_set", SPEC_COMMAND, X_EXTRA, "ss", 0, NULL, run_config},
	{"test_config_unset", SPEC_COMMAND, X_EXTRA, "s", 0, NULL, run_config},
	{"test_config_reload", SPEC_COMMAND, X_EXTRA, "S", 0, NULL, run_nothing},
	{"test_binary_save", SPEC_COMMAND, X_EXTRA, "s", 0, NULL, run_nothing},
	{"test_binary_load", SPEC_COMMAND, X_EXTRA, "s", 0, NULL, run_nothing},
	{"test_imap_metadata_set", SPEC_COMMAND, X_EXTRA, "Sss", 0, NULL, run_nothing},
};
static const struct sieve_extra extra = {"vnd.dovecot.testsuite", specs, ARRAY_LEN(specs), NULL};

static int script(void *ctx, bool global, struct str name, struct arena *arena, struct str *ret)
{
	char path[512];
	struct sieve_notes notes;
	struct sieve_options options = {.regex = &sieve_regex};
	struct fail why;
	(void)ctx;
	(void)snprintf(path, sizeof path, "%s/%.*s.sieve", global ? "included-global" : "included",
		       STR_ARG(name));
	struct str text = slurp(str_c(path));
	if (!text.p)
		return 0;
	return sieve_compile(text, &options, arena, &notes, ret, &why) == 0 ? 1 : -FAIL_SYNTAX;
}

/* Tags that only the suite has become names. */
static struct str plain(struct str s)
{
	static const char *const changes[][2] = {
		{"test_message :smtp", "test_message_smtp"},
		{"test_message :folder", "test_message_folder"},
		{"test_script_run :append_result", "test_script_run_append"},
		{"test_config_reload :extension", "test_config_reload"},
		{"test_imap_metadata_set :mailbox", "test_imap_metadata_set"}};
	AUTO(buf) struct buf b = BUF_INIT(MIB(8));
	for (size_t i = 0; i < s.n;) {
		size_t k = 0;
		while (k < ARRAY_LEN(changes) && !str_starts(str_skip(s, i), str_c(changes[k][0])))
			k++;
		if (k == ARRAY_LEN(changes)) {
			(void)buf_addc(&b, s.p[i++]);
			continue;
		}
		(void)buf_add_c(&b, changes[k][1]);
		i += strlen(changes[k][0]);
	}
	return arena_str(&suite.arena, buf_str(&b));
}

static void run_file(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct sieve_result result = SIEVE_RESULT_INIT;
	struct sieve_options options = {.regex = &sieve_regex, .extra = &extra};
	struct sieve_notes notes;
	struct sieve_program p;
	struct fail why = FAIL_INIT;
	struct str blob;
	suite = (struct suite){.arena = ARENA_INIT(MIB(512)), .file = path};
	suite.limits = SIEVE_RUN_LIMITS_DEFAULT;
	suite.limits.steps = UINT64_MAX;
	suite.limits.actions = 1000;
	(void)snprintf(suite.folder, sizeof suite.folder, "%.*s", (int)(slash - path), path);
	suite.host = (struct sieve_host){.now = clock_wall(),
					 .delimiter = '+',
					 .spam_percent = -1,
					 .envelope = {.from = STR("sender@example.com"),
						      .to = STR("recipient@example.com")},
					 .owner = STR("recipient@example.com"),
					 .regex = &sieve_regex,
					 .limits = &suite.limits,
					 .mailbox_exists = mailbox_exists,
					 .script = script};
	set_message(STR("From: sender@example.com\r\nTo: recipient@example.com\r\nSubject: x\r\n\r\nx\r\n"));
	struct str text = plain(slurp(str_c(slash + 1)));
	if (sieve_compile(text, &options, &suite.arena, &notes, &blob, &why) < 0) {
		suite.failed++;
		for (size_t i = 0; i < notes.n; i++)
			printf("  FAIL %s: %u:%u %.*s\n", path, notes.p[i].line,
			       notes.p[i].column, STR_ARG(notes.p[i].text));
	} else if (sieve_program_open(blob, &extra, &p, &why) < 0 ||
		   sieve_run(&p, &suite.host, &suite.message, &suite.arena, &result, &why) < 0) {
		suite.failing = true;
		suite.name = suite.name.p ? suite.name : STR("(whole file)");
		suite.failure = str_c(why.detail);
		suite.failure_line = result.error_line;
	}
	end_test();
	printf("%s: %u passed, %u failed\n", path, suite.passed, suite.failed);
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0, files = 0;
	for (int i = 1; i < argc; i++) {
		if (!strchr(argv[i], '/'))
			continue;
		run_file(argv[i]);
		passed += suite.passed;
		failed += suite.failed;
		files += suite.failed == 0;
		arena_clear(&suite.arena);
	}
	printf("%u tests passed, %u failed; %u of %d files without a failure\n", passed, failed,
	       files, argc - 1);
	return failed ? 1 : 0;
}
