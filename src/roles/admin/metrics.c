/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/admin/metrics.h"
#include "base/num.h"
#include "sys/counter.h"

enum type { COUNTER_TYPE, GAUGE, HISTOGRAM_TYPE };
static const char *const type_names[] = {"counter", "gauge", "histogram"};

/* Rows of one family stand together. A histogram's counter is the name in front of ".us:". */
/* clang-format off */
static const struct metric {
	const char *counter, *family, *labels;
	enum type type;
	const char *help; /* of the family: in its first row */
} metrics[] = {
	{"edge.sessions", "barid_connections", "", COUNTER_TYPE, "Connections of clients that were accepted."},
	{"edge.refused-busy", "barid_connections_refused", "limit=\"connections_max\"", COUNTER_TYPE, "Connections that were refused, by the setting that says so."},
	{"edge.refused-files", "barid_connections_refused", "limit=\"descriptors\"", COUNTER_TYPE, ""},
	{"edge.refused-address", "barid_connections_refused", "limit=\"connections_per_address_max\"", COUNTER_TYPE, ""},
	{"edge.refused-internal", "barid_connections_refused", "limit=\"trusted_clients\"", COUNTER_TYPE, ""},
	{"edge.refused-proxy", "barid_connections_refused", "limit=\"proxy_header\"", COUNTER_TYPE, ""},
	{"edge.vanished", "barid_connections_vanished", "", COUNTER_TYPE, "Connections that the client had reset before they were served."},
	{"edge.open.smtp", "barid_connections_open", "service=\"smtp\"", GAUGE, "Connections that are open now, by service."},
	{"edge.open.submission", "barid_connections_open", "service=\"submission\"", GAUGE, ""},
	{"edge.open.submissions", "barid_connections_open", "service=\"submissions\"", GAUGE, ""},
	{"edge.open.imap", "barid_connections_open", "service=\"imap\"", GAUGE, ""},
	{"edge.open.imaps", "barid_connections_open", "service=\"imaps\"", GAUGE, ""},
	{"edge.open.pop3", "barid_connections_open", "service=\"pop3\"", GAUGE, ""},
	{"edge.open.pop3s", "barid_connections_open", "service=\"pop3s\"", GAUGE, ""},
	{"edge.open.metrics", "barid_connections_open", "service=\"metrics\"", GAUGE, ""},
	{"edge.open.lmtp", "barid_connections_open", "service=\"lmtp\"", GAUGE, ""},
	{"edge.open.reinject", "barid_connections_open", "service=\"reinject\"", GAUGE, ""},
	{"edge.open.sendmail", "barid_connections_open", "service=\"sendmail\"", GAUGE, ""},
	{"edge.open.reinject_lists", "barid_connections_open", "service=\"reinject_lists\"", GAUGE,
	 ""},
	{"edge.open.srs_forward", "barid_connections_open", "service=\"srs_forward\"", GAUGE, ""},
	{"edge.open.srs_reverse", "barid_connections_open", "service=\"srs_reverse\"", GAUGE, ""},
	{"edge.open.policy", "barid_connections_open", "service=\"policy\"", GAUGE, ""},
	{"edge.open.quota_status", "barid_connections_open", "service=\"quota_status\"", GAUGE, ""},
	{"conn.read-bytes", "barid_client_read_bytes", "", COUNTER_TYPE, "Bytes from clients, after decryption."},
	{"conn.written-bytes", "barid_client_written_bytes", "", COUNTER_TYPE, "Bytes to clients, before encryption."},
	{"conn.compressed", "barid_compressed_connections", "", COUNTER_TYPE, "IMAP clients that asked for compression."},
	{"conn.zipped-bytes", "barid_compressed_bytes", "direction=\"out\"", COUNTER_TYPE, "Bytes of compressed connections, as text."},
	{"conn.unzipped-bytes", "barid_compressed_bytes", "direction=\"in\"", COUNTER_TYPE, ""},
	{"tls.not-after", "barid_certificate_expiry_timestamp_seconds", "", GAUGE, "When the first of the TLS certificates expires (Unix time)."},

	{"offence.not_tls", "barid_offences", "kind=\"not_tls\"", COUNTER_TYPE, "What clients did that good ones do not do, by kind (docs/ops/limits.md)."},
	{"offence.slow_request", "barid_offences", "kind=\"slow_request\"", COUNTER_TYPE, ""},
	{"offence.long_request", "barid_offences", "kind=\"long_request\"", COUNTER_TYPE, ""},
	{"offence.not_deflate", "barid_offences", "kind=\"not_deflate\"", COUNTER_TYPE, ""},
	{"offence.tls_failed", "barid_offences", "kind=\"tls_failed\"", COUNTER_TYPE, ""},
	{"offence.tls_flood", "barid_offences", "kind=\"tls_flood\"", COUNTER_TYPE, ""},
	{"offence.slow_handshake", "barid_offences", "kind=\"slow_handshake\"", COUNTER_TYPE, ""},
	{"offence.slow_login", "barid_offences", "kind=\"slow_login\"", COUNTER_TYPE, ""},
	{"offence.slow_command", "barid_offences", "kind=\"slow_command\"", COUNTER_TYPE, ""},
	{"offence.slow_message", "barid_offences", "kind=\"slow_message\"", COUNTER_TYPE, ""},
	{"offence.slow_imap_command", "barid_offences", "kind=\"slow_imap_command\"", COUNTER_TYPE, ""},
	{"offence.slow_reader", "barid_offences", "kind=\"slow_reader\"", COUNTER_TYPE, ""},
	{"offence.endless_line", "barid_offences", "kind=\"endless_line\"", COUNTER_TYPE, ""},
	{"offence.too_big", "barid_offences", "kind=\"too_big\"", COUNTER_TYPE, ""},
	{"offence.malformed", "barid_offences", "kind=\"malformed\"", COUNTER_TYPE, ""},
	{"offence.bad_commands", "barid_offences", "kind=\"bad_commands\"", COUNTER_TYPE, ""},
	{"offence.smuggling", "barid_offences", "kind=\"smuggling\"", COUNTER_TYPE, ""},
	{"offence.early_data", "barid_offences", "kind=\"early_data\"", COUNTER_TYPE, ""},
	{"offence.too_many_errors", "barid_offences", "kind=\"too_many_errors\"", COUNTER_TYPE, ""},
	{"offence.idle_talk", "barid_offences", "kind=\"idle_talk\"", COUNTER_TYPE, ""},
	{"offence.not_smtp", "barid_offences", "kind=\"not_smtp\"", COUNTER_TYPE, ""},
	{"offence.not_imap", "barid_offences", "kind=\"not_imap\"", COUNTER_TYPE, ""},
	{"offence.not_pop3", "barid_offences", "kind=\"not_pop3\"", COUNTER_TYPE, ""},
	{"offence.bad_pop3_commands", "barid_offences", "kind=\"bad_pop3_commands\"", COUNTER_TYPE, ""},
	{"offence.endless_pop3_line", "barid_offences", "kind=\"endless_pop3_line\"", COUNTER_TYPE, ""},
	{"offence.too_many_sessions", "barid_offences", "kind=\"too_many_sessions\"", COUNTER_TYPE, ""},
	{"offence.made_room", "barid_offences", "kind=\"made_room\"", COUNTER_TYPE, ""},

	{"dir.logins", "barid_logins", "outcome=\"ok\"", COUNTER_TYPE, "Logins that were tried, by outcome."},
	{"dir.logins-refused", "barid_logins", "outcome=\"refused\"", COUNTER_TYPE, ""},
	{"dir.logins-busy", "barid_logins", "outcome=\"busy\"", COUNTER_TYPE, ""},
	{"dir.login", "barid_login_duration_seconds", "", HISTOGRAM_TYPE, "How long a login takes, waiting for failed ones not included."},
	{"dir.routes", "barid_addresses_resolved", "", COUNTER_TYPE, "Addresses that were looked up in the directory."},

	{"guard.held", "barid_guard_held", "", COUNTER_TYPE, "Accounts that the take-over guard has held."},
	{"guard.messages", "barid_guard_messages", "", COUNTER_TYPE, "Messages of accounts that it holds."},
	{"guard.rates", "barid_guard_rates", "", COUNTER_TYPE, "Messages refused because a user sends too much."},
	{"smtp.accepted", "barid_messages_accepted", "", COUNTER_TYPE, "Messages answered with 250."},
	{"smtp.accepted-bytes", "barid_messages_accepted_bytes", "", COUNTER_TYPE, "Size of these messages."},
	{"door.greet-waits", "barid_door_greet_waits", "", COUNTER_TYPE, "Clients that were watched before the greeting."},
	{"door.greet-passes", "barid_door_greet_passes", "", COUNTER_TYPE, "Clients that waited for the greeting."},
	{"door.listed", "barid_door_listed", "", COUNTER_TYPE, "Clients whose score in DNS lists is too high."},
	{"door.facts-known", "barid_door_facts", "found=\"cache\"", COUNTER_TYPE, "What was asked about clients and names, by where the answer came from."},
	{"door.facts-asked", "barid_door_facts", "found=\"dns\"", COUNTER_TYPE, ""},
	{"door.too-fast", "barid_door_too_fast", "", COUNTER_TYPE, "What was refused because a client did too much in a unit of time."},
	{"door.facts-late", "barid_door_facts_late", "", COUNTER_TYPE, "Answers of the DNS that were not waited for any longer."},
	{"smtp.content-changed", "barid_smtp_content_changed", "", COUNTER_TYPE, "Messages that tables of content have changed."},
	{"smtp.content-too-dear", "barid_smtp_content_too_dear", "", COUNTER_TYPE, "Messages that were put off because tables of content took too long for them."},
	{"door.facts-crowded", "barid_door_facts_crowded", "", COUNTER_TYPE, "Answers of the DNS that were not waited for because too many sessions wait already."},
	{"smtp.discarded", "barid_smtp_discarded", "", COUNTER_TYPE, "Messages that were thrown away because a table of the operator says so."},
	{"smtp.refused.unknown-user", "barid_smtp_refusals", "reason=\"unknown_user\"", COUNTER_TYPE, "Commands and messages that were refused (4xx or 5xx), by reason."},
	{"smtp.refused.relay", "barid_smtp_refusals", "reason=\"relay_denied\"", COUNTER_TYPE, ""},
	{"smtp.refused.quota", "barid_smtp_refusals", "reason=\"over_quota\"", COUNTER_TYPE, ""},
	{"smtp.refused.too-big", "barid_smtp_refusals", "reason=\"too_big\"", COUNTER_TYPE, ""},
	{"smtp.refused.auth", "barid_smtp_refusals", "reason=\"tls_or_login_missing\"", COUNTER_TYPE, ""},
	{"smtp.refused.sender", "barid_smtp_refusals", "reason=\"sender\"", COUNTER_TYPE, ""},
	{"smtp.refused.helo", "barid_smtp_refusals", "reason=\"helo\"", COUNTER_TYPE, ""},
	{"smtp.refused.client", "barid_smtp_refusals", "reason=\"client\"", COUNTER_TYPE, ""},
	{"smtp.refused.rate", "barid_smtp_refusals", "reason=\"rate\"", COUNTER_TYPE, ""},
	{"smtp.refused.access", "barid_smtp_refusals", "reason=\"table\"", COUNTER_TYPE, ""},
	{"smtp.refused.content", "barid_smtp_refusals", "reason=\"content\"", COUNTER_TYPE, ""},
	{"smtp.refused.syntax", "barid_smtp_refusals", "reason=\"syntax\"", COUNTER_TYPE, ""},
	{"smtp.refused.other", "barid_smtp_refusals", "reason=\"other_permanent\"", COUNTER_TYPE, ""},
	{"smtp.refused.temporary", "barid_smtp_refusals", "reason=\"temporary\"", COUNTER_TYPE, ""},
	{"milter.failed", "barid_milter_failures", "", COUNTER_TYPE, "Milters that did not answer, or not as the protocol says."},
	{"milter.refused", "barid_milter_refusals", "", COUNTER_TYPE, "Commands and messages that a milter refused."},
	{"milter.discarded", "barid_milter_discarded", "", COUNTER_TYPE, "Messages that a milter had thrown away."},
	{"milter.changed", "barid_milter_changed", "", COUNTER_TYPE, "Messages whose header, body or envelope milters changed."},
	{"milter.held", "barid_milter_held", "", COUNTER_TYPE, "Messages that milters had held."},
	{"milter.event", "barid_milter_event_duration_seconds", "", HISTOGRAM_TYPE, "How long a command waits for the milters of its service."},
	{"mta.sessions", "barid_smtp_sessions", "", COUNTER_TYPE, "SMTP dialogues that began."},
	{"mta.resumed", "barid_smtp_sessions_resumed", "", COUNTER_TYPE, "SMTP dialogues that a new mta took over from one that ended."},
	{"mta.step", "barid_smtp_step_duration_seconds", "", HISTOGRAM_TYPE, "How long a batch of SMTP commands, or a message after its end, takes."},
	{"relay.rewritten", "barid_srs_rewritten", "", COUNTER_TYPE, "Transactions of forwarded mail that went out with a rewritten sender."},
	{"srs.returned", "barid_srs_returned", "outcome=\"led_back\"", COUNTER_TYPE, "Recipients that are rewritten senders, at port 25, by what came of them."},
	{"srs.return-forged", "barid_srs_returned", "outcome=\"forged\"", COUNTER_TYPE, ""},
	{"srs.return-expired", "barid_srs_returned", "outcome=\"expired\"", COUNTER_TYPE, ""},
	{"srs.return-too-often", "barid_srs_returned", "outcome=\"too_often\"", COUNTER_TYPE, ""},
	{"quota.asked", "barid_quota_status", "", COUNTER_TYPE, "Questions of other mail servers whether a mailbox is full."},
	{"quota.refused", "barid_quota_status_full", "", COUNTER_TYPE, "Answers that it is."},
	{"quota.failed", "barid_quota_status_failed", "", COUNTER_TYPE, "Questions that nobody could answer in time."},
	{"inquiry.waited", "barid_inquiry_waited", "", COUNTER_TYPE, "Requests to services for other mail servers that had to ask the directory."},
	{"relay.delivered", "barid_relay_recipients", "outcome=\"delivered\"", COUNTER_TYPE, "Recipients at other servers, by what came of an attempt."},
	{"relay.deferred", "barid_relay_recipients", "outcome=\"deferred\"", COUNTER_TYPE, ""},
	{"relay.failed", "barid_relay_recipients", "outcome=\"failed\"", COUNTER_TYPE, ""},
	{"relay.unsure", "barid_relay_unsure", "", COUNTER_TYPE, "Messages that another server perhaps has: their end was sent and never answered."},
	{"relay.connected", "barid_relay_connections_made", "", COUNTER_TYPE, "Connections to other servers."},
	{"relay.encrypted", "barid_relay_connections_encrypted", "", COUNTER_TYPE, "Those of them that are encrypted."},
	{"relay.demand-dane", "barid_relay_tls_demands", "by=\"dane\"", COUNTER_TYPE, "Hosts whose certificate a policy of the destination judges, by policy."},
	{"relay.demand-sts", "barid_relay_tls_demands", "by=\"mta-sts\"", COUNTER_TYPE, ""},
	{"relay.demand-unmet", "barid_relay_hosts_left_out", "", COUNTER_TYPE, "Hosts that were not even tried because of DANE, MTA-STS or REQUIRETLS."},
	{"relay.sts-fetched", "barid_relay_sts_policies", "outcome=\"fetched\"", COUNTER_TYPE, "MTA-STS policies that were asked for."},
	{"relay.sts-failed", "barid_relay_sts_policies", "outcome=\"failed\"", COUNTER_TYPE, ""},
	{"relay.unreachable", "barid_relay_hosts_failed", "", COUNTER_TYPE, "Hosts that could not be connected to, or did not let a dialogue begin."},
	{"relay.connections", "barid_relay_connections", "", GAUGE, "Connections to other servers that are open now."},
	{"relay.idle", "barid_relay_connections_idle", "", GAUGE, "Those of them that wait for another message."},
	{"relay.transaction", "barid_relay_transaction_duration_seconds", "", HISTOGRAM_TYPE, "How long another server takes for a message, from its sender to the last answer."},
	{"dns.questions", "barid_dns_questions", "", COUNTER_TYPE, "Questions to the name service, beside what roles remember themselves."},
	{"dns.found", "barid_dns_answers", "outcome=\"known\"", COUNTER_TYPE, "What came of questions to the name service. known: records, or that there are none."},
	{"dns.failed", "barid_dns_answers", "outcome=\"failed\"", COUNTER_TYPE, ""},
	{"dns.bogus", "barid_dns_answers", "outcome=\"bogus\"", COUNTER_TYPE, ""},
	{"dns.timeout", "barid_dns_answers", "outcome=\"timeout\"", COUNTER_TYPE, ""},
	{"dns.refused", "barid_dns_answers", "outcome=\"refused\"", COUNTER_TYPE, ""},
	{"dns.under-way", "barid_dns_questions_waiting", "", GAUGE, "Questions to the name service that wait for an answer."},
	{"dns.question", "barid_dns_question_duration_seconds", "", HISTOGRAM_TYPE, "How long the name service takes."},
	{"dns.cache-hits", "barid_dns_remembered", "known=\"yes\"", COUNTER_TYPE, "Questions of roles by whether they remembered the answer."},
	{"dns.cache-misses", "barid_dns_remembered", "known=\"no\"", COUNTER_TYPE, ""},

	{"scan.messages", "barid_messages_scanned", "", COUNTER_TYPE, "Messages that were analysed."},

	{"queue.recipients.queued", "barid_queue_recipients", "state=\"queued\"", GAUGE, "Recipients that wait in the queue, by state."},
	{"queue.recipients.deferred", "barid_queue_recipients", "state=\"deferred\"", GAUGE, ""},
	{"queue.recipients.held", "barid_queue_recipients", "state=\"held\"", GAUGE, ""},
	{"queue.recipients.routing", "barid_queue_recipients", "state=\"routing\"", GAUGE, ""},
	{"queue.in-flight", "barid_queue_in_flight", "", GAUGE, "Recipients that are being delivered now."},
	{"queue.in-memory", "barid_queue_in_memory", "", GAUGE, "Recipients that are due or under way, as far as they are in memory."},
	{"queue.transactions", "barid_queue_transactions", "", COUNTER_TYPE, "Messages given to the relay, with all recipients of one destination."},
	{"queue.transactions-open", "barid_queue_transactions_open", "", GAUGE, "Those of them that are under way."},
	{"queue.destinations", "barid_queue_destinations", "", GAUGE, "Destinations elsewhere with mail that is due or under way."},
	{"queue.destinations-dead", "barid_queue_destinations_unreachable", "", GAUGE, "Those that were found unreachable: their mail waits without a try."},
	{"queue.oldest", "barid_queue_oldest_message_timestamp_seconds", "", GAUGE, "When the oldest message in the queue arrived (Unix time); 0 = the queue is empty."},
	{"queue.submitted", "barid_queue_messages", "", COUNTER_TYPE, "Messages that went into the queue."},
	{"queue.outcome.delivered", "barid_queue_outcomes", "outcome=\"delivered\"", COUNTER_TYPE, "What became of recipients, try by try."},
	{"queue.outcome.deferred", "barid_queue_outcomes", "outcome=\"deferred\"", COUNTER_TYPE, ""},
	{"queue.outcome.failed", "barid_queue_outcomes", "outcome=\"failed\"", COUNTER_TYPE, ""},
	{"queue.reports", "barid_queue_reports", "", COUNTER_TYPE, "Reports (bounces, delays) to senders."},
	{"queue.commits", "barid_queue_commits", "", COUNTER_TYPE, "Transactions of the queue."},
	{"queue.commit-failures", "barid_queue_commit_failures", "", COUNTER_TYPE, "Transactions of the queue that failed."},
	{"queue.handed-out", "barid_queue_attempts", "", COUNTER_TYPE, "Deliveries given to a user process."},
	{"queue.delivery-failed", "barid_queue_attempt_failures", "", COUNTER_TYPE, "Deliveries that a user process refused."},

	{"user.delivered", "barid_deliveries", "", COUNTER_TYPE, "Messages stored in mailboxes."},
	{"user.repeated", "barid_deliveries_repeated", "", COUNTER_TYPE, "Deliveries that were stored already, before a process ended."},
	{"user.delivery", "barid_delivery_delay_seconds", "", HISTOGRAM_TYPE, "From the arrival of a message to its place in the mailbox."},
	{"user.imap-sessions", "barid_imap_sessions", "", COUNTER_TYPE, "IMAP sessions that began with a login."},
	{"user.imap-resumed", "barid_imap_sessions_resumed", "", COUNTER_TYPE, "IMAP sessions that a new process took over from one that ended."},
	{"user.imap-commands", "barid_imap_commands", "", COUNTER_TYPE, "IMAP commands that were carried out."},
	{"user.imap-command", "barid_imap_command_duration_seconds", "", HISTOGRAM_TYPE, "How long an IMAP command takes, without the time to send its answer."},
	{"user.pop3-sessions", "barid_pop3_sessions", "", COUNTER_TYPE, "POP3 sessions that began with a login."},
	{"user.pop3-in-use", "barid_pop3_in_use", "", COUNTER_TYPE, "POP3 logins that were refused because another POP3 session had the mailbox."},
	{"user.pop3-commands", "barid_pop3_commands", "", COUNTER_TYPE, "POP3 commands that were carried out; pipelined ones together."},
	{"user.pop3-command", "barid_pop3_command_duration_seconds", "", HISTOGRAM_TYPE, "How long POP3 commands take, without the time to send the answer."},
	{"user.imported", "barid_messages_imported", "", COUNTER_TYPE, "Messages that were imported or restored."},

	{"fs.syncs", "barid_fsyncs", "", COUNTER_TYPE, "Files that were forced to disk."},
	{"log.lost", "barid_log_lines_lost", "", COUNTER_TYPE, "Log lines that could not be written."},
	{"log.suppressed", "barid_log_lines_suppressed", "", COUNTER_TYPE, "Log lines about what strangers did that were left out because there were too many; log.suppressed in the log tells of them."},
	{"log.rotations", "barid_log_rotations", "", COUNTER_TYPE, "Log files that were put aside."},
	{"log.open-failures", "barid_log_open_failures", "", COUNTER_TYPE, "Times that the log file could not be opened."},
};
/* clang-format on */

/* --- parts
 * -------------------------------------------------------------------------------------------- */

static void write_head(struct buf *out, const char *family, const char *type, const char *help)
{
	struct str name = str_c(family);
	(void)buf_addf(out, "# TYPE %s %s\n", family, type);
	if (str_ends(name, STR("_seconds")))
		(void)buf_addf(out, "# UNIT %s seconds\n", family);
	else if (str_ends(name, STR("_bytes")))
		(void)buf_addf(out, "# UNIT %s bytes\n", family);
	(void)buf_addf(out, "# HELP %s %s\n", family, help);
}

/* {role="user",process="1",outcome="ok"}; more may be empty. */
static void write_labels(struct buf *out, const struct msg_survey_role *r, const char *more)
{
	(void)buf_addf(out, "{role=\"%.*s\",process=\"%u\"%s%s}", STR_ARG(r->role), r->index,
		       *more ? "," : "", more);
}

static const struct msg_survey_role *role_of(const struct msg_survey_reply *m,
					     const struct msg_sample *s)
{
	return s->process < m->roles_n ? &m->roles[s->process] : NULL;
}

static void write_plain(const struct msg_survey_reply *m, const struct metric *x, struct buf *out)
{
	for (size_t i = 0; i < m->samples_n; i++) {
		const struct msg_sample *s = &m->samples[i];
		const struct msg_survey_role *r = role_of(m, s);
		if (!r || !str_eq(s->name, str_c(x->counter)))
			continue;
		(void)buf_addf(out, "%s%s", x->family, x->type == COUNTER_TYPE ? "_total" : "");
		write_labels(out, r, x->labels);
		(void)buf_addf(out, " %llu\n", (unsigned long long)s->value);
	}
}

/* --- histograms
 * --------------------------------------------------------------------------------------- */

static bool value_of(const struct msg_survey_reply *m, size_t process, const char *counter,
		     const char *part, uint64_t *ret)
{
	for (size_t i = 0; i < m->samples_n; i++) {
		struct str name = m->samples[i].name;
		if (m->samples[i].process != process || !str_starts(name, str_c(counter)))
			continue;
		name = str_skip(name, strlen(counter));
		if (!str_starts(name, STR(".us:")) || !str_eq(str_skip(name, 4), str_c(part)))
			continue;
		*ret = m->samples[i].value;
		return true;
	}
	return false;
}

static void write_histogram_of(const struct msg_survey_reply *m, size_t process,
			       const struct metric *x, struct buf *out)
{
	static const struct {
		const char *part, *le;
	} buckets[HISTOGRAM_BUCKETS] = {{"1000", "0.001"},    {"5000", "0.005"}, {"25000", "0.025"},
					{"100000", "0.1"},    {"500000", "0.5"}, {"2500000", "2.5"},
					{"10000000", "10.0"}, {"inf", "+Inf"}};
	const struct msg_survey_role *r = &m->roles[process];
	uint64_t n, total = 0, sum = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		char le[32];
		if (!value_of(m, process, x->counter, buckets[i].part, &n))
			return;
		total += n;
		(void)snprintf(le, sizeof le, "le=\"%s\"", buckets[i].le);
		(void)buf_addf(out, "%s_bucket", x->family);
		write_labels(out, r, le);
		(void)buf_addf(out, " %llu\n", (unsigned long long)total);
	}
	(void)value_of(m, process, x->counter, "sum", &sum);
	(void)buf_addf(out, "%s_count", x->family);
	write_labels(out, r, "");
	(void)buf_addf(out, " %llu\n%s_sum", (unsigned long long)total, x->family);
	write_labels(out, r, "");
	(void)buf_addf(out, " %llu.%06llu\n", (unsigned long long)(sum / 1000000),
		       (unsigned long long)(sum % 1000000));
}

/* --- counters that nobody gave a name
 * ----------------------------------------------------------------- */

static bool is_known(struct str counter)
{
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		struct str name = str_c(metrics[i].counter);
		if (str_eq(counter, name) ||
		    (metrics[i].type == HISTOGRAM_TYPE && str_starts(counter, name) &&
		     str_starts(str_skip(counter, name.n), STR(".us:"))))
			return true;
	}
	return false;
}

/* Our own names need no escapes; what is not one of these is not shown. */
static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && !strchr(".-_", s.p[i]))
			return false;
	return s.n > 0;
}

static void write_others(const struct msg_survey_reply *m, struct buf *out)
{
	write_head(out, "barid_counter", "counter", "Other counters of the code, by their names.");
	for (size_t i = 0; i < m->samples_n; i++) {
		const struct msg_sample *s = &m->samples[i];
		const struct msg_survey_role *r = role_of(m, s);
		char label[100];
		if (!r || !is_name(s->name) || is_known(s->name))
			continue;
		(void)snprintf(label, sizeof label, "name=\"%.*s\"", STR_ARG(s->name));
		(void)buf_add(out, STR("barid_counter_total"));
		write_labels(out, r, label);
		(void)buf_addf(out, " %llu\n", (unsigned long long)s->value);
	}
}

/* --- processes and machine
 * ------------------------------------------------------------------------------ */

static uint64_t up_of(const struct msg_survey_role *r)
{
	return r->ready;
}
static uint64_t restarts_of(const struct msg_survey_role *r)
{
	return r->restarts;
}
static uint64_t memory_of(const struct msg_survey_role *r)
{
	return r->rss_bytes;
}
static uint64_t descriptors_of(const struct msg_survey_role *r)
{
	return r->descriptors;
}

/* clang-format off */
static const struct process_metric {
	const char *family;
	enum type type;
	uint64_t (*value)(const struct msg_survey_role *r);
	bool hide_zero;
	const char *help;
} process_metrics[] = {
	{"barid_process_ready", GAUGE, up_of, false, "1: the process serves; 0: it is starting or has ended."},
	{"barid_process_restarts", COUNTER_TYPE, restarts_of, false, "How often the process was started again since master started."},
	{"barid_process_resident_memory_bytes", GAUGE, memory_of, true, "Memory of the process, shared parts included."},
	{"barid_process_open_fds", GAUGE, descriptors_of, true, "Open descriptors, where master may count them (it needs CAP_SYS_PTRACE, which the packaged unit does not give)."},
};
/* clang-format on */

static void write_processes(const struct msg_survey_reply *m, struct buf *out)
{
	for (size_t k = 0; k < ARRAY_LEN(process_metrics); k++) {
		const struct process_metric *x = &process_metrics[k];
		write_head(out, x->family, type_names[x->type], x->help);
		for (size_t i = 0; i < m->roles_n; i++) {
			uint64_t v = x->value(&m->roles[i]);
			if (v == 0 && x->hide_zero)
				continue;
			(void)buf_addf(out, "%s%s", x->family,
				       x->type == COUNTER_TYPE ? "_total" : "");
			write_labels(out, &m->roles[i], "");
			(void)buf_addf(out, " %llu\n", (unsigned long long)v);
		}
	}
}

static void write_machine(const struct msg_survey_reply *m, struct buf *out)
{
	write_head(out, "barid_build", "info", "The version of the server.");
	(void)buf_addf(out, "barid_build_info{version=\"%s\"} 1\n", BARID_VERSION);
	write_head(out, "barid_start_timestamp_seconds", "gauge",
		   "When the server was started (Unix time).");
	(void)buf_addf(out, "barid_start_timestamp_seconds %lld\n",
		       (long long)(m->started_us / 1000000));
	write_head(out, "barid_disk_free_bytes", "gauge",
		   "Space for the server's files that is left.");
	(void)buf_addf(out, "barid_disk_free_bytes %llu\n", (unsigned long long)m->disk_free);
	write_head(out, "barid_disk_size_bytes", "gauge", "Size of the file system of the state.");
	(void)buf_addf(out, "barid_disk_size_bytes %llu\n", (unsigned long long)m->disk_size);
}

/* --- all
 * ------------------------------------------------------------------------------------------------
 */

int metrics_write(const struct msg_survey_reply *m, struct buf *out)
{
	const char *family = "";
	write_machine(m, out);
	write_processes(m, out);
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		const struct metric *x = &metrics[i];
		if (strcmp(family, x->family) != 0)
			write_head(out, x->family, type_names[x->type], x->help);
		family = x->family;
		for (size_t k = 0; x->type == HISTOGRAM_TYPE && k < m->roles_n; k++)
			write_histogram_of(m, k, x, out);
		if (x->type != HISTOGRAM_TYPE)
			write_plain(m, x, out);
	}
	write_others(m, out);
	return buf_add(out, STR("# EOF\n"));
}

bool metrics_healthy(const struct msg_survey_reply *m, struct buf *out)
{
	bool all = m->roles_n > 0;
	for (size_t i = 0; i < m->roles_n; i++) {
		if (m->roles[i].ready)
			continue;
		(void)buf_addf(out, "not ready: %.*s %u\n", STR_ARG(m->roles[i].role),
			       m->roles[i].index);
		all = false;
	}
	return all;
}
