/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"
#include "base/text.h"
#include "sys/log.h"
#include "tools/barid/trace.h"
#include <stdio.h>
#include <time.h>

/* clang-format off */
static const struct {
	const char *event, *sentence;
} words[] = {
	/* connections */
	{"session.begin", TX("{peer} connected ({service})[ through {proxy}].")},
	{"session.peer", TX("The client speaks for {peer} ({by}).")},
	{"session.end", TX("The connection ended[: {why}].")},
	{"session.logged-out", TX("The client logged out and kept the connection.")},
	{"session.refused", TX("A connection of {ip} ({service}) was refused: more than the setting {limit} allows.")},
	{"offence", TX("The client misbehaved: {kind}[ ({why})].")},
	{"log.suppressed", TX("{lines} lines of {of} were left out: too many came at once.")},
	{"session.tls", TX("TLS: {tls}.")},
	{"imap.search_too_long", TX("A search of {user} took too long and was given up.")},
	{"login.in", TX("The client said {command}.")},
	/* logins */
	{"login", TX("Login of {user} ({service}) from {peer}: {outcome}[, {reason}]. TLS: {tls}.[ Master user: {master}.][ App "
		     "password: {app}.]")},
	{"dir.login-failed", TX("The login could not be checked: {why}.")},
	/* messages in */
	{"smtp.refused", TX("Refused {at}[ for {about}]: {code}[ {status}] {text}.[ Directory: {rule}.][ Cause: {why}.]")},
	{"smtp.expanded", TX("{rcpt} leads to {destinations} destinations: {to}.")},
	{"smtp.copied", TX("A copy for {to}, ordered for {rcpt} or the sender.")},
	{"dir.dead-end", TX("One of the ways from {rcpt} leads nowhere: {why}.")},
	{"smtp.accepted", TX("Accepted as number {number} from {from:sender} to {to} ({rcpts} recipients, {size} bytes)[, "
			  "Message-ID {message-id}][, sent by the login {login}][, {tls}].")},
	{"smtp.forwarded", TX("Number {number} came back from a filter; it is of {ip}[ ({name})][, trace {ident}].")},
	{"smtp.discarded", TX("Accepted from {from:sender} and thrown away.[ Milter: {milter}.]")},
	{"policy.decided", TX("Rule {rule}, at {at}[ for {rcpt}]: {answer}, because {why}.")},
	{"policy.no-alert", TX("The postmaster could not be told of a limit: {detail}.")},
	{"policy.failed", TX("Rule {rule} could not be asked; what counts is {answer}: {why}.")},
	{"milter.failed", TX("The milter {milter} does not work: {why}. What is done without it: {action}.")},
	{"milter.ignored", TX("A milter named {what}: {address}.")},
	{"smtp.table", TX("Line {line} of the table {table} speaks of {about}[: {text}].")},
	{"smtp.content", TX("Line {line} of the table {table} says {action} to {about}[: {text}].")},
	{"smtp.content-too-dear", TX("Put off: the tables of content took longer than {ms} ms for it.")},
	{"smtp.etrn", TX("Mail that waits for {domain} was asked for[: {messages} recipients][: {why}].")},
	{"smtp.unfinished", TX("The client left in the middle of a message ({why}).")},
	{"smtp.closed", TX("Connection closed: {why}.[ The client said: {line}]")},
	{"smtp.in", TX("Client:[ {line}][ something that is no command, {unknown-octets} octets]")},
	{"smtp.out", TX("Server: {reply}")},
	{"scan.failed", TX("The message could not be analysed: {why}.")},
	{"relay.sts-fetched", TX("The MTA-STS policy of {domain} was fetched (id {id}).")},
	{"relay.sts-failed", TX("The MTA-STS policy of {domain} could not be fetched: {why} ({result}).")},
	{"queue.accepted", TX("Number {number} is on disk: from {from:sender}, {rcpts} destinations, {size} bytes.")},
	{"queue.not-accepted", TX("The message could not be stored: {why}.")},
	/* deliveries */
	{"deliver", TX("Number {number} from {from:sender} delivered to {to}[ (+{detail})]: UID {uid}, {size} bytes.")},
	{"deliver.failed", TX("Number {number} was not stored for {to}: {why}.")},
	{"queue.deferred", TX("Number {number} to {to} was put off: {status} {text}. Tries so far: {attempts}; next at {next:time}.")},
	{"queue.failed", TX("Number {number} to {to} failed for good: {status} {text}.")},
	{"queue.not-relayed", TX("Number {number} to {nexthop}: the relay gave no answer: {why}.")},
	{"relay.delivered", TX("{server} [{ip}] took over number {number} to {to}[ under {tls}]: {reply}.")},
	{"relay.deferred", TX("Number {number} to {to} was not taken now[ by {server}][ [{ip}]]: {status} {reply}.")},
	{"relay.failed", TX("Number {number} to {to} was refused[ by {server}][ [{ip}]]: {status} {reply}.")},
	{"relay.no-contact", TX("Number {number}: {server} port {port} cannot be reached: {why}.")},
	{"relay.rewritten", TX("Number {number}: its sender {from} was rewritten to {as} for the next server.")},
	{"relay.no-sender", TX("Number {number}: the directory did not say which sender it gets: {why}.")},
	{"relay.unsure", TX("Number {number}: {server} [{ip}] did not say whether it has the message: {why}.")},
	{"queue.not-delivered", TX("Number {number} was not delivered: {why}.")},
	{"queue.report", TX("Report {report} (about number {number}: {about}) was made for {to}.")},
	{"queue.report-dropped", TX("Report {number} to {to} cannot be delivered and was dropped: {text}.")},
	{"queue.alert", TX("Attention: {text}.")},
	{"guard.held", TX("The account {login} is held: {why}.")},
	{"guard.rate", TX("{login} sends too much: more than {why}.")},
	{"queue.take", TX("The queue cannot be read: {why}.")},
	/* mailboxes */
	{"imap.acl", TX("{user} changed who may use {mailbox} of {owner}: {how} {rights} for {identifier}.")},
	{"imap.append", TX("{user} stored {messages} messages in {mailbox}, from UID {uid} on.")},
	{"imap.client", TX("The client calls itself {name}.")},
	{"imap.refused", TX("IMAP {command} refused: {why}.")},
	{"imap.in", TX("Client: {line}")},
	{"imap.out", TX("Server: {tag} {reply}")},
	{"user.deleted", TX("The mail of account {account} was deleted.")},
	/* management */
	{"admin.order", TX("{by}: barid {noun} {verb} {name}: {result}.")},
	{"role.ended", TX("The process {role} {index} ended by {by} {code}.")},
	{"role.ready", TX("The process {role} {index} is ready.")},
	{"master.ready", TX("The server is ready.")},
	{"master.stop", TX("The server stops.")},
};
/* clang-format on */

/* --- values
 * ------------------------------------------------------------------------------------- */

void trace_value(const struct logfmt *l, const char *key, struct buf *out)
{
	struct str written;
	if (logfmt_find(l, str_c(key), &written))
		(void)logfmt_value(written, out);
}

bool trace_has(const struct logfmt *l, const char *key, const char *value)
{
	AUTO(buf) struct buf b = BUF_INIT(LOG_LINE_MAX);
	trace_value(l, key, &b);
	return str_eq(buf_str(&b), str_c(value));
}

uint64_t trace_number(const struct logfmt *l, const char *key)
{
	struct str written;
	uint64_t n = 0;
	return logfmt_find(l, str_c(key), &written) && num_parse_u64(written, &n) ? n : 0;
}

void trace_local_time(struct wall_us t, bool with_ms, struct buf *out)
{
	char text[64], zone[16];
	time_t s = (time_t)(t.v / SEC_US);
	struct tm tm;
	if (!localtime_r(&s, &tm))
		return;
	(void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	(void)strftime(zone, sizeof zone, "%z", &tm);
	if (with_ms)
		(void)buf_addf(out, "%s.%03d %s", text, (int)(t.v / 1000 % 1000), zone);
	else
		(void)buf_addf(out, "%s %s", text, zone);
}

/* --- sentences
 * ---------------------------------------------------------------------------------- */

/* A terminal must not obey what somebody wrote into a log field. */
static void add_visible(struct buf *out, struct str s)
{
	char quoted[2 * LOG_LINE_MAX];
	struct str q = {quoted, log_quote(s, quoted, sizeof quoted)};
	if (str_starts(q, STR("\"")) && str_find(q, 0, '\\') == q.n)
		q = str_sub(q, 1, q.n - 1);
	(void)buf_add(out, q);
}

/* One {field} or {field:form}; false when it is missing or empty. */
static bool fill_one(struct str field, const struct logfmt *l, struct buf *out)
{
	char key[64];
	struct str form = field, name = field;
	(void)str_cut(&form, ':', &name);
	(void)snprintf(key, sizeof key, "%.*s", STR_ARG(name));
	AUTO(buf) struct buf value = BUF_INIT(LOG_LINE_MAX);
	struct wall_us at;
	trace_value(l, key, &value);
	if (str_eq(form, STR("time")) && logfmt_time(buf_str(&value), &at))
		trace_local_time(at, false, out);
	else if (str_eq(form, STR("sender")) && value.n == 0)
		(void)buf_add(out, str_c(T("<> (the server itself, or another one)")));
	else
		add_visible(out, buf_str(&value));
	return value.n > 0;
}

/* The part of a sentence between brackets, or all of it. */
static bool fill_part(struct str part, const struct logfmt *l, struct buf *out)
{
	bool whole = true;
	while (part.n) {
		size_t open = str_find(part, 0, '{');
		(void)buf_add(out, str_sub(part, 0, open));
		if (open == part.n)
			break;
		size_t close = str_find(part, open, '}');
		whole &= fill_one(str_sub(part, open + 1, close), l, out);
		part = str_skip(part, close + 1);
	}
	return whole;
}

void trace_fill(const char *sentence, const struct logfmt *l, struct buf *out)
{
	struct str rest = str_c(sentence);
	while (rest.n) {
		size_t open = str_find(rest, 0, '[');
		(void)fill_part(str_sub(rest, 0, open), l, out);
		if (open == rest.n)
			return;
		size_t close = str_find(rest, open, ']'), before = out->n;
		if (!fill_part(str_sub(rest, open + 1, close), l, out))
			buf_cut(out, before);
		rest = str_skip(rest, close + 1);
	}
}

static void plain_fields(const struct logfmt *l, struct buf *out)
{
	struct str rest = l->fields, key, value;
	(void)buf_add(out, l->event);
	while (logfmt_next(&rest, &key, &value))
		if (!str_eq(key, STR("trace")) && !str_eq(key, STR("session")))
			(void)buf_addf(out, " %.*s=%.*s", STR_ARG(key), STR_ARG(value));
}

void trace_sentence(const struct logfmt *l, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq(l->event, str_c(words[i].event))) {
			trace_fill(text_of(words[i].sentence), l, out);
			return;
		}
	plain_fields(l, out);
}
