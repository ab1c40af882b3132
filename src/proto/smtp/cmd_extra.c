/* SPDX-License-Identifier: Apache-2.0 */
/* XFORWARD and ETRN: for machines that the operator names. */
#include "codec/smtp/xclient.h"
#include "proto/smtp/smtp_session_int.h"
#include "sys/log.h"

#define FORWARD_MAX 450 /* octets of a session's XFORWARD attributes */

static bool client_in(const struct smtp_session *s, const struct netcidrs *networks)
{
	struct netaddr client;
	return networks->n && netaddr_parse(buf_str(&s->ip), &client) &&
	       netcidrs_have(networks, &client);
}

/* --- XFORWARD
 * --------------------------------------------------------------------------------------------------
 */

/*
 * Whoever gives mail back to us on the ports of filters is one of ours. A program that calls
 * sendmail is anybody's: it does not say under which id mail is traced.
 */
bool smtp_xforward_offered(const struct smtp_session *s)
{
	return smtp_is_filter(s) || client_in(s, &s->config->door.xforward_from);
}

void smtp_cmd_xforward(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct smtp_session *s = t->s;
	AUTO(buf) struct buf all = BUF_INIT(FORWARD_MAX);
	struct xclient x;
	const char *problem;
	if (!smtp_xforward_offered(s)) {
		smtp_say(t, (struct smtp_status){550, "5.7.0", "XFORWARD is not offered to you"});
	} else if (s->t.open) {
		smtp_say(t, (struct smtp_status){503, "5.5.1", "Not within a mail transaction"});
	} else if ((problem = xforward_parse(cmd->arg, &x))) {
		smtp_say(t, (struct smtp_status){501, "5.5.4", problem});
	} else if (buf_addf(&all, "%.*s%s%.*s", STR_ARG(buf_str(&s->forward)),
			    s->forward.n ? " " : "", STR_ARG(cmd->arg)) < 0) {
		smtp_say(t, (struct smtp_status){501, "5.5.4", "XFORWARD attributes too long"});
	} else {
		smtp_keep(&s->forward, buf_str(&all));
		smtp_say(t, (struct smtp_status){250, "2.0.0", "Ok"});
	}
}

bool smtp_forwarded(const struct smtp_session *s, struct xclient *ret)
{
	/* Given twice in two commands: the last word counts, so they are not parsed as one. */
	struct str rest = buf_str(&s->forward), pair;
	*ret = (struct xclient){0};
	while (rest.n && str_cut(&rest, ' ', &pair))
		if (pair.n && xforward_take(ret, pair))
			return false;
	return ret->given != 0;
}

/* --- ETRN
 * ------------------------------------------------------------------------------------------------------
 */

/* 1: mail for this domain goes to another server that we name as its backup. */
static int is_backup(struct smtp_session *s, struct str domain, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct smtp_addr address;
	struct dir_route route = {0};
	if (smtp_addr_make(STR("postmaster"), domain, &address) < 0)
		return 0;
	int r = smtp_route(s, smtp_addr_str(&address), 0, &a, &route, why);
	return r < 0 ? r
		     : route.verdict == DIR_OK && route.n == 1 &&
			       !destination_is_local(&route.dests[0]);
}

bool smtp_etrn_offered(const struct smtp_session *s)
{
	return s->service == SMTP_SERVICE_MX && s->backend->flush &&
	       (s->may_relay || client_in(s, &s->config->door.etrn_from));
}

/* RFC 1985: "ETRN example.org"; "@" asks for the domains below, too. */
void smtp_cmd_etrn(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct smtp_session *s = t->s;
	AUTO(buf) struct buf domain = BUF_INIT(KIB(1));
	struct fail why = FAIL_INIT;
	struct str name = cmd->arg;
	uint64_t n = 0;
	if (name.n && name.p[0] == '@')
		name = str_skip(name, 1);
	if (!smtp_etrn_offered(s)) {
		smtp_say(t, (struct smtp_status){459, "4.7.1", "ETRN is not offered to you"});
		return;
	}
	if (smtp_domain_normalise(name, &domain) < 0 || !smtp_domain_is_full(buf_str(&domain))) {
		smtp_say(t, (struct smtp_status){501, "5.5.4", "Syntax: ETRN domain"});
		return;
	}
	int r = is_backup(s, buf_str(&domain), &why);
	if (r == 0) {
		smtp_sayf(t, 459, "4.7.1", "<%.*s>: this server keeps no mail for it",
			  STR_ARG(buf_str(&domain)));
		return;
	}
	if (r > 0)
		r = s->backend->flush(s->backend->ctx, buf_str(&domain), &n, &why);
	if (r < 0) {
		log_event(LOG_WARN, "smtp.etrn", log_str("domain", buf_str(&domain)),
			  log_fail(&why));
		smtp_sayf(t, 458, "4.3.0", "Unable to queue messages for node %.*s",
			  STR_ARG(buf_str(&domain)));
	} else if (n == 0) {
		smtp_sayf(t, 251, "2.0.0", "OK, no messages waiting for node %.*s",
			  STR_ARG(buf_str(&domain)));
	} else {
		log_event(LOG_INFO, "smtp.etrn", log_str("domain", buf_str(&domain)),
			  log_u64("messages", n), log_str("ip", buf_str(&s->ip)));
		smtp_sayf(t, 253, "2.0.0", "OK, %llu pending messages for node %.*s started",
			  (unsigned long long)n, STR_ARG(buf_str(&domain)));
	}
}
