/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/cli.h"
#include "base/check.h"
#include "base/text.h"
#include "service/access/access.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	int (*run)(const struct cli *c); /* NULL: main.c knows */
	const char *usage, *what;
} commands[] = {
	{"serve", NULL, "barid serve [-c FILE]", TX("run the server with a configuration")},
	{"demo", NULL, "barid demo --dir DIR [--port-offset N] [--users N] [--password P]",
	 TX("run a demonstration server on high ports, with sample accounts")},
	{"init", cli_init,
	 "barid init --domain D --admin A [--hostname H] [--password-stdin] [--dry-run]\n"
	 "       [--dir DIR [--port-offset N]] | --print-dns D",
	 TX("set up a server: configuration, certificate, first accounts, DNS records")},
	{"dns", cli_dns, "barid dns [D] | lookup NAME [TYPE]",
	 TX("the DNS records that a domain needs; what the server finds under a name")},
	{"check", cli_check, "barid check [-c FILE] [--strict] [--default]",
	 TX("check a configuration, and compare it with what runs")},
	{"status", cli_status, "barid status", TX("what the server does, and its processes")},
	{"ports", cli_ports, "barid ports [--nftables]",
	 TX("the addresses it listens on, and who reaches them")},
	{"domain", cli_admin,
	 "barid domain add D [--KEY V ...] | del D [--force yes] | list | show D | set D --KEY V "
	 "...\n"
	 "       barid domain alias-add D TARGET | alias-del D | catch-all D [ADDRESS ...]",
	 TX("manage mail domains")},
	{"user", cli_admin,
	 "barid user add A [--password P] [--KEY V ...] | del A [--purge yes] | list [D] | show A\n"
	 "       barid user set A --KEY V ... | undelete A [--KEY V ...] | passwd A [P]\n"
	 "       barid user add --file FILE [--skip-existing]\n"
	 "       barid user app-password add A --label L [--expires 90d] [--services S]\n"
	 "                  [--networks N] [--addresses A] | list A | del A LABEL\n"
	 "       barid user totp enable A [--app-passwords required|optional] | confirm A CODE |\n"
	 "                  disable A | status A",
	 TX("manage mailboxes")},
	{"alias", cli_admin,
	 "barid alias add A MEMBER ... | del A | list [D] | show A | set A [--KEY V ...] [MEMBER "
	 "...]",
	 TX("manage aliases")},
	{"forward", cli_admin, "barid forward add USER A ... | del USER [A ...] | list [D]",
	 TX("manage where users have their mail forwarded")},
	{"bcc", cli_admin, "barid bcc set A|D [--sent A] [--received A] | del A|D | list [D]",
	 TX("manage copies of what users send and receive")},
	{"send-as", cli_admin,
	 "barid send-as add USER|ALIAS|@D A|@D|* | del USER|ALIAS|@D A|@D|* | list [D]",
	 TX("say who may send as whom")},
	{"relayhost", cli_admin,
	 "barid relayhost set A|@D HOST [--user NAME] | login A|@D|default --user NAME\n"
	 "       barid relayhost logout A|@D|default | del A|@D | list",
	 TX("manage servers that take the mail of some senders, and the logins there")},
	{"route", cli_route, "barid route A [--sender A]",
	 TX("where mail to an address goes, step by step")},
	{"admin", cli_admin,
	 "barid admin grant A DOMAIN ...|ALL | revoke A DOMAIN ...|ALL | list [D] | show A",
	 TX("say who may administrate which domains")},
	{"master", cli_admin,
	 "barid master add NAME --password P [--services S] | passwd NAME [P] | del NAME | list",
	 TX("manage users who may log in to the accounts of others")},
	{"tls-report", cli_admin, "barid tls-report [DOMAIN] [DAYS]",
	 TX("how TLS with other servers went, by day, domain and kind of failure")},
	{"tls-policies", cli_admin, "barid tls-policies",
	 TX("the MTA-STS policies of other domains that are remembered")},
	{"clients", cli_admin,
	 "barid clients [refused|logins-failed|connections|messages|recipients|tls] [NUMBER]",
	 TX("who brings mail or tries to log in by SMTP, the worst first")},
	{"guard", cli_guard,
	 "barid guard list | rates | release A | reject A [--disable] | allow A [off]",
	 TX("logins that suddenly write to many new people")},
	{"policy", cli_admin,
	 "barid policy test --client IP --sender A --recipient A [--helo N] [--login A] [--size "
	 "N]\n"
	 "                  [--name N] [--at rcpt|end] [--recipients N]\n"
	 "       barid policy greylist list [A] | enable|disable|delete A [--from A] | seen "
	 "[A|NET]\n"
	 "       barid policy greylist whitelist list | add|delete A|NET [--account A]\n"
	 "       barid policy greylist domain list | add|delete D\n"
	 "       barid policy throttle list [A] | usage [A] | delete A [--kind K]\n"
	 "       barid policy throttle add A [--kind outbound|external|inbound] [--period T]\n"
	 "                  [--messages N] [--quota SIZE] [--size SIZE] [--recipients N]\n"
	 "       barid policy wblist list [A] | add white|black A | delete A [--account A]\n"
	 "                  [--direction in|out]\n"
	 "       barid policy rdns list | add white|black NAME | delete NAME\n"
	 "       barid policy what-if --set KEY=VALUE ... [--days N] [--examples N]",
	 TX("the rules about recipients and messages: try them, and change their rows")},
	{"srs", cli_admin,
	 "barid srs show | rotate [--keep N] | import SECRET | forward A | reverse A",
	 TX("senders of forwarded mail that are rewritten (SRS), and their secrets")},
	{"queue", cli_admin,
	 "barid queue list|summary [WHICH] [--max N] [--after N] | show N | flush [WHICH]\n"
	 "       barid queue hold|release|requeue|delete WHICH|all [--dry-run]\n"
	 "WHICH: N, ADDRESS, --from P, --to P, --domain D, --nexthop P, --state S, --older T,\n"
	 "       --newer T, --larger SIZE, --smaller SIZE, --text P, --account A",
	 TX("see and change what waits for delivery")},
	{"trace", cli_trace,
	 "barid trace ADDRESS|MESSAGE-ID|NUMBER|IP|TRACE [--since T] [--until T] [--limit N]\n"
	 "       [--all] [--raw] [--follow] [--stdin]",
	 TX("what happened to a message: one timeline of all processes")},
	{"backup", cli_backup,
	 "barid backup DIR [--account A [--mailbox M]] [--keep N] [--no-secrets]\n"
	 "       barid backup DIR --verify [--generation G] [--repair] | --list",
	 TX("copy everything into a folder, what is new only; check such a folder")},
	{"restore", cli_restore,
	 "barid restore DIR [--generation G] [--hold-queue] [--keep-uidvalidity]\n"
	 "       barid restore DIR --account A [--mailbox M] [--into NAME | --in-place] "
	 "[--generation G]",
	 TX("put back a whole server, or mailboxes into a running one")},
	{"import", cli_import,
	 "barid import --account A maildir PATH | mbox FILE [--mailbox M] [--dry-run]\n"
	 "       barid import --all maildir [BASE] [--dry-run]",
	 TX("take over mail of another server, with its UIDs and flags")},
	{"undelete", cli_undelete,
	 "barid undelete USER [MAILBOX | --all] [--at T | --hours N] [--into NAME] [--list]",
	 TX("list and bring back messages that were deleted within [store] undelete")},
	{"export", cli_export, "barid export --account A [--mailbox M] maildir|mbox PATH",
	 TX("write mailboxes as Maildir (with UIDs, as Dovecot does) or mbox")},
	{"log", cli_admin,
	 "barid log level [ROLE|all] [LEVEL] | rotate | debug --peer IP [--for 10min]",
	 TX("see and change how much is logged, or begin a new log file")},
	{"search-index", cli_search_index, "barid search-index status|rebuild USER",
	 TX("the index that searches of texts use: how it stands, or make it again")},
	{"acl", cli_acl,
	 "barid acl list USER [MAILBOX] | rights WHO USER [MAILBOX]\n"
	 "       barid acl set USER MAILBOX WHOM [+|-]RIGHTS | delete USER MAILBOX WHOM",
	 TX("see and change who else may do what with a user's mailboxes")},
	{"sieve", cli_sieve,
	 "barid sieve check [--program] SCRIPT ... | check --extensions\n"
	 "       barid sieve test SCRIPT MESSAGE [--from A] [--to A] [--mailbox NAME] [--now "
	 "DATE]\n"
	 "                  [--scripts DIR] [--global DIR] [--spam N] [--virus N] [--seen ID] "
	 "[--quiet]",
	 TX("look at a script that filters mail, and try it on a message")},
	{"quota", cli_quota, "barid quota list [DOMAIN] | recount ADDRESS|all",
	 TX("see how much mail the users have, and count it again")},
	{"doctor", cli_doctor, "barid doctor [--domain D] [--offline] [--resolver ADDRESS]",
	 TX("look for what is wrong around the server, and say what mends it")},
	{"counters", cli_admin, "barid counters",
	 TX("what the processes have counted since they started")},
	{"reload", cli_admin, "barid reload",
	 TX("read configuration and certificates again, without a restart (as SIGHUP does)")},
	{"upgrade", cli_upgrade, "barid upgrade [--no-wait] | --status",
	 TX("let the running server go over to this build, without losing a connection")},
	{"stop", cli_admin, "barid stop", TX("stop the running server")},
	{"debug", cli_admin,
	 "barid debug clock|wall-clock US | crash-point|pause-point|disk ROLE NAME",
	 TX("for tests")},
	{"help", cli_help, "barid help [COMMAND]", TX("this text, or one command's")},
	{"version", NULL, "barid version", TX("the version of this program")},
};

int cli_usage(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (command && strcmp(commands[i].name, command) == 0) {
			(void)fprintf(stderr, T("Usage: %s\n"), commands[i].usage);
			return EXIT_USAGE;
		}
	(void)fprintf(stderr, T("Unknown command: %s. See: barid help\n"), command ? command : "");
	return EXIT_USAGE;
}

/* The others open files or talk to roles themselves, where nobody looks at who orders. */
static bool knows_administrators(int (*run)(const struct cli *c))
{
	return run == cli_admin || run == cli_status || run == cli_ports || run == cli_quota ||
	       run == cli_acl || run == cli_upgrade || run == cli_route;
}

int cli_run(const struct cli *c)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, c->args[0]) != 0 || !commands[i].run)
			continue;
		if (!c->as || knows_administrators(commands[i].run))
			return commands[i].run(c);
		(void)fprintf(stderr, T("barid %s is for the operator alone: it takes no --as.\n"),
			      c->args[0]);
		return EXIT_FAILED;
	}
	return cli_usage(c->args[0]);
}

int cli_help(const struct cli *c)
{
	for (size_t i = 0; c->n > 1 && i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, c->args[1]) == 0) {
			(void)printf(T("Usage: %s\n\n%s.\n"), commands[i].usage,
				     text_of(commands[i].what));
			return EXIT_DONE;
		}
	if (c->n > 1)
		return cli_usage(c->args[1]);
	(void)puts(T("barid - a complete mail server\n\nUsage: barid COMMAND [OPTIONS]\n"));
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)printf("  %-8s  %s\n", commands[i].name, text_of(commands[i].what));
	(void)printf(
		T("\nOptions:\n"
		  "  -c FILE     configuration (default %s)\n"
		  "  --dir DIR   state folder of the server meant (default: of the configuration, "
		  "or $BARID_DIR)\n"
		  "  --as A      with the rights of administrator A, instead of all rights "
		  "(not for\n"
		  "              commands that read everybody's files)\n"
		  "  --json      answers for programs\n"),
		CLI_CONF_DEFAULT);
	return EXIT_DONE;
}

static bool take_value(int argc, char **argv, int *i, const char **ret)
{
	if (*i + 1 >= argc) {
		(void)fprintf(stderr, T("%s needs a value.\n"), argv[*i]);
		return false;
	}
	*ret = argv[++*i];
	return true;
}

/* Programs write it in front of what people gave them: that must not change who orders. */
static bool take_administrator(int argc, char **argv, int *i, const char **ret)
{
	bool again = *ret != NULL;
	if (!take_value(argc, argv, i, ret))
		return false;
	if (again || !**ret) {
		(void)fputs(again ? T("--as stands there twice.\n")
				  : T("--as needs the address of an administrator.\n"),
			    stderr);
		return false;
	}
	return true;
}

bool cli_parse(int argc, char **argv, struct cli *ret)
{
	const char *dir = getenv("BARID_DIR");
	*ret = (struct cli){.dir = dir && *dir ? dir : NULL, .conf = CLI_CONF_DEFAULT};
	ret->args = xcalloc((size_t)argc + 1, sizeof *ret->args);
	for (int i = 1; i < argc; i++) {
		bool ok = true;
		if (strcmp(argv[i], "--dir") == 0)
			ok = take_value(argc, argv, &i, &ret->dir);
		else if (strcmp(argv[i], "-c") == 0)
			ok = take_value(argc, argv, &i, &ret->conf);
		else if (strcmp(argv[i], "--as") == 0)
			ok = take_administrator(argc, argv, &i, &ret->as);
		else if (strcmp(argv[i], "--json") == 0)
			ret->json = true;
		else
			ret->args[ret->n++] = argv[i];
		if (!ok)
			return false;
	}
	return true;
}

const char *cli_state_dir(const struct cli *c)
{
	if (c->dir)
		return c->dir;
	struct conf *conf = NULL;
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	if (conf_load(c->conf, &conf, &errors) == 0) {
		char *dir = xstrdup(conf->state_dir);
		conf_free(conf);
		return dir;
	}
	/* A mistake in the file is no reason to lose sight of the server that runs. */
	char *meant = conf_state_dir(c->conf);
	AUTO_FD int fd = meant ? cli_connect(meant) : -1;
	(void)fputs(buf_c(&errors), stderr);
	if (fd >= 0) {
		(void)fprintf(stderr, T("%s has mistakes; the server that runs in %s is meant.\n"),
			      c->conf, meant);
		return meant;
	}
	free(meant);
	(void)fputs(T("Which server is meant? Give --dir DIR, or -c FILE.\n"), stderr);
	return NULL;
}

int cli_serve(const struct cli *c, struct conf **ret)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	if (conf_load(c->conf, ret, &errors) < 0 || access_check_conf(*ret, &errors) < 0) {
		(void)fputs(buf_c(&errors), stderr);
		return EXIT_FAILED;
	}
	if (access((*ret)->tls_certificate.p[0], F_OK) < 0 && errno == ENOENT) {
		(void)fprintf(stderr,
			      T("There is no certificate %s. Is this server set up? "
				"barid init --domain D --admin A does that.\n"),
			      (*ret)->tls_certificate.p[0]);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

const char *cli_libexec(void)
{
	static char path[4096];
	const char *given = getenv("BARID_LIBEXEC");
	if (given)
		return given;
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
	if (n > 0) {
		path[n] = '\0';
		char *slash = strrchr(path, '/');
		if (slash) {
			(void)snprintf(slash, 32, "/libexec/barid-edge");
			if (access(path, X_OK) == 0) {
				slash[8] = '\0';
				return path;
			}
		}
	}
	return BARID_LIBEXEC_DIR;
}
