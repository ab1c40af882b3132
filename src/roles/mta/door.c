/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/mta/door.h"
#include "base/check.h"
#include "roles/mta/rules.h"
#include "roles/role/task.h"
#include "service/dir/scope.h"
#include "sys/counter.h"
#include "sys/log.h"
#include "sys/offence.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

COUNTER(door_waits, "door.greet-waits", "clients that were watched before the greeting");
COUNTER(door_passes, "door.greet-passes", "clients that waited for the greeting");
COUNTER(door_listed, "door.listed", "clients whose score in DNS lists is too high");
OFFENCE(early_talker, "pregreet", "clients that spoke before the greeting");
OFFENCE(listed_client, "dns_list", "clients that DNS lists warn of");

#define SAID_SHOWN 100

/* --- the configuration
 * ------------------------------------------------------------------------------------------ */

static bool on(const char *choice)
{
	return strcmp(choice, "on") == 0;
}

static enum door_action action_of(const char *choice)
{
	return strcmp(choice, "drop") == 0	? DOOR_DROP
	       : strcmp(choice, "enforce") == 0 ? DOOR_ENFORCE
						: DOOR_IGNORE;
}

static void free_content(struct smtp_content *c)
{
	/* Two lists may be the first one under another name. */
	if (c->mime.p != c->header.p)
		access_list_clear(&c->mime);
	if (c->nested.p != c->header.p)
		access_list_clear(&c->nested);
	access_list_clear(&c->header);
	access_list_clear(&c->body);
}

static void free_config(void *extra)
{
	struct mta_config *m = extra;
	struct smtp_door *door = &m->smtp.door;
	free(door->known_networks.p);
	free(door->xforward_from.p);
	free(door->etrn_from.p);
	access_list_clear(&door->client_access);
	access_list_clear(&door->helo_access);
	access_list_clear(&door->sender_access);
	access_list_clear(&door->recipient_access);
	free_content(&m->smtp.content);
	mta_filters_clear(&m->smtp);
	rules_settings_clear(&m->policy);
	free(m);
}

/* Master has looked at the tables: mistakes in them are no matter of chance. */
static int prepare_tables(struct smtp_door *door, const struct conf *c, struct fail *why)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	int r = access_list_parse(&c->client_access, &door->client_access, &errors);
	r = MIN(r, access_list_parse(&c->helo_access, &door->helo_access, &errors));
	r = MIN(r, access_list_parse(&c->sender_access, &door->sender_access, &errors));
	r = MIN(r, access_list_parse(&c->recipient_access, &door->recipient_access, &errors));
	return r < 0 ? fail_set(why, FAIL_SYNTAX, NULL, "%.200s", buf_c(&errors)) : 0;
}

/* "default": as header_checks. */
static int prepare_list(const struct conf_list *files, const struct access_list *header,
			struct access_list *ret, struct buf *errors)
{
	if (files->n == 1 && strcmp(files->p[0], "default") == 0) {
		*ret = *header;
		return 0;
	}
	return access_list_parse_content(files, ret, errors);
}

static int prepare_content(struct smtp_content *content, const struct conf *c, struct fail *why)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	struct smtp_content all = {.body_max = c->body_checks_size, .look_ms = SMTP_LOOK_MS};
	int r = access_list_parse_content(&c->header_checks, &all.header, &errors);
	r = MIN(r, access_list_parse_content(&c->body_checks, &all.body, &errors));
	r = MIN(r, prepare_list(&c->mime_header_checks, &all.header, &all.mime, &errors));
	r = MIN(r, prepare_list(&c->nested_header_checks, &all.header, &all.nested, &errors));
	*content = all;
	return r < 0 ? fail_set(why, FAIL_SYNTAX, NULL, "%.200s", buf_c(&errors)) : 0;
}

static void prepare_checks(struct smtp_door *door, const struct conf *c)
{
	*door = (struct smtp_door){.helo_required = on(c->helo_required),
				   .full_helo = on(c->full_helo),
				   .known_helo = on(c->known_helo),
				   .full_sender = on(c->full_sender),
				   .listed_sender = on(c->listed_sender),
				   .known_sender = on(c->known_sender),
				   .full_rcpt = on(c->full_recipient),
				   .pipelining = on(c->pipelining)};
	conf_networks(&c->known_networks, &door->known_networks);
	conf_networks(&c->xforward_from, &door->xforward_from);
	conf_networks(&c->etrn_from, &door->etrn_from);
}

static void prepare_tests(struct door_config *d, const struct conf *c)
{
	struct str rest = str_c(c->dns_lists), one;
	*d = (struct door_config){
		.names = on(c->client_names),
		.greet_wait_ms = c->greet_wait_ms,
		.greet_action = action_of(c->greet_action),
		.lists_action = action_of(c->dns_lists_action),
		.threshold = (int)c->dns_lists_threshold,
		.allow = -(int)c->dns_lists_allow,
		.dns_wait_ms = c->dns_wait_ms,
		.pass_ms = c->greet_pass_ms,
		.limits = {.unit_ms = c->rate_unit_ms,
			   .most = {[SMTP_EVENT_CONNECTION] = c->connection_rate,
				    [SMTP_EVENT_MESSAGE] = c->message_rate,
				    [SMTP_EVENT_RECIPIENT] = c->recipient_rate,
				    [SMTP_EVENT_TLS] = c->tls_rate,
				    [SMTP_EVENT_LOGIN_FAILED] = c->login_failure_rate}}};
	while (rest.n && d->sites_n < DNSBL_SITES_MAX && str_cut(&rest, ',', &one))
		if (!dnsbl_parse(str_trim(one), &d->sites[d->sites_n]))
			d->sites_n++;
}

int door_prepare(struct role *role, const struct conf *c, struct fail *why)
{
	struct mta_config *m = xcalloc(1, sizeof *m);
	struct smtp_config *smtp = &m->smtp;
	(void)role;
	*smtp = smtp_config_default();
	smtp->hostname = c->hostname;
	smtp->language = c->language;
	smtp->postmaster_domain = c->postmaster_domain[0] ? c->postmaster_domain : c->hostname;
	smtp->starttls = true;
	smtp->size_max = c->message_size_max;
	smtp->rcpts_max = (uint32_t)c->recipients_max;
	smtp->future_release_s = c->future_release_max_ms / 1000;
	smtp->local_origin = c->sendmail_origin[0] ? c->sendmail_origin : NULL;
	smtp->local_users = c->sendmail_users;
	smtp->guard_defers = strcmp(c->guard_action, "defer") == 0;
	smtp->hide_client = on(c->hide_client);
	smtp->priority_max = (uint32_t)c->priority_max;
	smtp->null_sender = strcmp(c->null_sender, "accept") == 0;
	smtp->errors_soft = (uint32_t)c->errors_soft;
	smtp->error_delay_ms = (uint32_t)c->tarpit_ms;
	smtp->errors_hard = (uint32_t)c->errors_hard;
	prepare_checks(&smtp->door, c);
	prepare_tests(&m->door, c);
	mta_filters_make(smtp, c);
	rules_settings_make(&m->policy, c);
	conf_attach(c, m, free_config);
	int r = prepare_content(&smtp->content, c, why);
	return r < 0 ? r : prepare_tables(&smtp->door, c, why);
}

/* --- a session
 * ---------------------------------------------------------------------------------------------------
 */

static const struct mta_config *config_of(const struct mta_session *s)
{
	return conf_extra(s->conf);
}

static struct fact_lists lists_of(const struct mta_session *s)
{
	const struct door_config *d = &config_of(s)->door;
	return (struct fact_lists){d->sites, d->sites_n};
}

/* client_access lets an address in, whatever its name. */
static bool let_in(const struct mta_session *s)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
	char text[NETADDR_TEXT_MAX];
	struct access_hit hit;
	struct access_key key = {.addr = s->client,
				 .texts = {netaddr_text(&s->client, false, text)}};
	return access_list_find(&config_of(s)->smtp.door.client_access, &key, &a, &hit) &&
	       hit.act == ACCESS_OK;
}

void door_open(struct mta_session *s, struct str ip, bool spared, bool at_a_proxy)
{
	const struct mta_config *m = config_of(s);
	struct fact_lists lists = lists_of(s);
	s->proxied = at_a_proxy;
	if (!netaddr_parse(ip, &s->client))
		s->client = (struct netaddr){0};
	s->known = !s->client.family || netcidrs_have(&m->smtp.door.known_networks, &s->client);
	s->spared = spared || s->known;
	if (s->spared)
		return;
	s->untested = let_in(s);
	if (m->door.names)
		facts_want_client(&s->client);
	if (lists.n && !s->untested)
		facts_want_lists(&s->client, &lists);
}

static void note(const struct mta_session *s, const struct offence *o, const char *why)
{
	char ip[NETADDR_TEXT_MAX];
	offence_note(o,
		     &(struct offender){.ip = netaddr_text(&s->client, false, ip),
					.service = STR("smtp")},
		     why);
}

/* Not sure and not listed are the same here: the door stays open. */
static bool is_listed(struct mta_session *s, uint64_t ms, struct fact_score *ret)
{
	const struct door_config *d = &config_of(s)->door;
	struct fact_lists lists = lists_of(s);
	*ret = (struct fact_score){0};
	if (!lists.n || s->untested)
		return false;
	facts_score(&s->client, &lists, ms, ret);
	return ret->score >= d->threshold;
}

static void write_listed(struct mta_session *s, const struct fact_score *score)
{
	char ip[NETADDR_TEXT_MAX];
	s->refusal.code = 550;
	s->refusal.status = "5.7.1";
	(void)snprintf(s->refusal.text, sizeof s->refusal.text,
		       "Service unavailable; client [%.*s] blocked using %s",
		       STR_ARG(netaddr_text(&s->client, false, ip)), score->zone);
}

/* Told once for a session. */
static void note_listed(struct mta_session *s, const struct fact_score *score)
{
	char why[300];
	if (s->listed_noted)
		return;
	s->listed_noted = true;
	counter_add(&door_listed, 1);
	(void)snprintf(why, sizeof why, "score %d, %s", score->score, score->zone);
	note(s, &listed_client, why);
}

static void greet(struct mta_session *s, struct buf *out)
{
	smtp_session_greet(s->smtp, out);
}

static void close_with(const char *text, struct buf *out, struct smtp_result *ret)
{
	(void)buf_addf(out, "%s\r\n", text);
	*ret = (struct smtp_result){.next = SMTP_CLOSE};
}

/* True: the client is sent away. */
static bool judge_lists(struct mta_session *s, struct buf *out, struct smtp_result *ret)
{
	enum door_action action = config_of(s)->door.lists_action;
	struct fact_score score;
	char ip[NETADDR_TEXT_MAX];
	AUTO(buf) struct buf text = BUF_INIT(KIB(1));
	if (!is_listed(s, 0, &score))
		return false;
	note_listed(s, &score);
	if (action == DOOR_ENFORCE)
		write_listed(s, &score);
	if (action != DOOR_DROP)
		return false;
	(void)buf_addf(&text, "521 5.7.1 Service unavailable; client [%.*s] blocked using %s",
		       STR_ARG(netaddr_text(&s->client, false, ip)), score.zone);
	close_with(buf_c(&text), out, ret);
	return true;
}

static bool is_good(struct mta_session *s)
{
	struct fact_score score;
	(void)is_listed(s, 0, &score);
	return score.score <= config_of(s)->door.allow;
}

void door_greet(struct mta_session *s, struct buf *out, struct smtp_result *ret)
{
	const struct mta_config *m = config_of(s);
	*ret = (struct smtp_result){.next = SMTP_CONTINUE};
	if (door_too_often(s, SMTP_EVENT_CONNECTION, false)) {
		char ip[NETADDR_TEXT_MAX];
		AUTO(buf) struct buf text = BUF_INIT(KIB(1));
		(void)buf_addf(&text, "421 4.7.0 %s Error: too many connections from %.*s",
			       m->smtp.hostname, STR_ARG(netaddr_text(&s->client, false, ip)));
		close_with(buf_c(&text), out, ret);
		return;
	}
	if (s->spared) {
		greet(s, out);
		return;
	}
	/* Behind XCLIENT somebody else has greeted the client already. */
	if (m->door.greet_wait_ms && !s->proxied && !s->untested && !facts_passed(&s->client) &&
	    !is_good(s)) {
		counter_add(&door_waits, 1);
		(void)buf_addf(out, "220-%s ESMTP barid\r\n", m->smtp.hostname);
		ret->next = SMTP_WAIT;
		ret->octets = m->door.greet_wait_ms;
		return;
	}
	if (!judge_lists(s, out, ret))
		greet(s, out);
}

void door_waited(struct mta_session *s, struct str said, struct buf *out, struct smtp_result *ret)
{
	const struct door_config *d = &config_of(s)->door;
	*ret = (struct smtp_result){.next = SMTP_CONTINUE};
	if (said.n && !is_good(s)) {
		char why[SAID_SHOWN + 40];
		(void)snprintf(why, sizeof why, "%zu octets: %.*s", said.n,
			       STR_ARG(str_trim(str_sub(said, 0, SAID_SHOWN))));
		note(s, &early_talker, why);
		if (d->greet_action == DOOR_DROP) {
			close_with("521 5.5.1 Protocol error", out, ret);
			return;
		}
		if (d->greet_action == DOOR_ENFORCE)
			smtp_session_early_talker(s->smtp);
	} else {
		counter_add(&door_passes, 1);
		facts_pass(&s->client, d->pass_ms);
	}
	if (!judge_lists(s, out, ret))
		greet(s, out);
}

/* --- what SMTP asks
 * ---------------------------------------------------------------------------------------------- */

void door_client(void *ctx, struct smtp_client *ret)
{
	struct mta_session *s = ctx;
	const struct door_config *d = &config_of(s)->door;
	struct fact_score score;
	bool sure = false;
	*ret = (struct smtp_client){0};
	if (s->spared)
		return;
	if (!s->refusal.code && d->lists_action != DOOR_IGNORE &&
	    is_listed(s, d->dns_wait_ms, &score)) {
		note_listed(s, &score);
		write_listed(s, &score);
	}
	*ret = s->refusal;
	if (d->names && facts_client(&s->client, d->dns_wait_ms, ret, &sure))
		sources_name(&s->client, ret->name);
	ret->nameless = d->names && sure && !ret->name[0];
}

enum smtp_name door_name_exists(void *ctx, struct str name)
{
	const struct mta_session *s = ctx;
	return facts_name(name, config_of(s)->door.dns_wait_ms);
}

bool door_too_often(void *ctx, enum smtp_event event, bool ask)
{
	const struct mta_session *s = ctx;
	const struct source_limits *limits = &config_of(s)->door.limits;
	if (ask)
		return !s->known && sources_full(&s->client, event, limits);
	return sources_count(&s->client, event, limits) && !s->known;
}

void door_admin(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	struct fail why = FAIL_INIT;
	int r;
	if (msg_admin_read(p, &m) == 0 && m.args_n && str_eq(m.args[0].s, STR("policy"))) {
		role_task(role, mta.pool, p, rules_order);
		return;
	}
	if (msg_admin_read(p, &m) < 0)
		r = fail_set(&why, FAIL_SYNTAX, NULL, "clients order");
	else if (m.scope != DIR_SCOPE_GLOBAL)
		r = fail_set(&why, FAIL_PERM, "Only a global administrator may do this.",
			     "clients order by somebody else");
	else
		r = sources_reply(p, &m, &why);
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	ipc_packet_free(p);
}
