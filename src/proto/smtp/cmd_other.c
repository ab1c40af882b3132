/* SPDX-License-Identifier: Apache-2.0 */
/* RSET, NOOP, VRFY, EXPN, HELP, QUIT, LHLO, and what is no command. */
#include "proto/smtp/smtp_session_int.h"
#include "sys/log.h"

OFFENCE(idle_talk, "idle_talk", "SMTP clients that said NOOP, RSET and the like without end");
OFFENCE(not_smtp, "not_smtp", "other protocols spoken to an SMTP port");

/* Commands that get nothing done; a few are fine. */
static void count_junk(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	if (smtp_is_internal(s) || ++s->junk <= s->config->junk_max)
		return;
	smtp_offence(s, &idle_talk, "");
	smtp_hang_up(t, "4.7.0", "Too many commands without a message");
}

void smtp_cmd_other(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct smtp_status gate;
	switch (cmd->verb) {
	case SMTP_VERB_RSET:
		smtp_transaction_reset(t->s);
		buf_reset(&t->s->forward);
		smtp_say(t, (struct smtp_status){250, "2.0.0", "Ok"});
		count_junk(t);
		break;
	case SMTP_VERB_NOOP:
		smtp_say(t, (struct smtp_status){250, "2.0.0", "Ok"});
		count_junk(t);
		break;
	case SMTP_VERB_HELP:
		smtp_say(t, (struct smtp_status){214, "2.0.0", "See RFC 5321"});
		count_junk(t);
		break;
	case SMTP_VERB_VRFY:
		if (smtp_gate(t->s, &gate))
			smtp_say(t, gate);
		else /* RFC 5321 7.3: neither confirm nor deny */
			smtp_say(t,
				 (struct smtp_status){252, "2.0.0", "Send mail to it to find out"});
		count_junk(t);
		break;
	case SMTP_VERB_EXPN:
		smtp_say(t, (struct smtp_status){502, "5.5.1", "EXPN is not offered"});
		break;
	case SMTP_VERB_QUIT:
		smtp_say(t, (struct smtp_status){221, "2.0.0", "Bye"});
		smtp_close(t);
		break;
	case SMTP_VERB_UNKNOWN:
	case SMTP_VERB_HELO:
	case SMTP_VERB_EHLO:
	case SMTP_VERB_LHLO:
	case SMTP_VERB_MAIL:
	case SMTP_VERB_RCPT:
	case SMTP_VERB_DATA:
	case SMTP_VERB_BDAT:
	case SMTP_VERB_BURL:
	case SMTP_VERB_STARTTLS:
	case SMTP_VERB_AUTH:
	case SMTP_VERB_XCLIENT:
	case SMTP_VERB_XFORWARD:
	case SMTP_VERB_ETRN:
		break; /* handled elsewhere */
	}
}

/* Other protocols send these first: a browser that was tricked, a TLS handshake. */
static bool is_other_protocol(struct str line)
{
	static const struct str words[] = {STR("GET "),	 STR("POST "),	  STR("PUT "),
					   STR("HEAD "), STR("OPTIONS "), STR("CONNECT "),
					   STR("SSH-"),	 STR("Host:")};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_startsi(line, words[i]))
			return true;
	return line.n && ((unsigned char)line.p[0] < 0x20 || (unsigned char)line.p[0] >= 0x7f);
}

void smtp_cmd_unknown(struct smtp_turn *t, struct str line, struct smtp_status refusal)
{
	if (!is_other_protocol(line)) {
		if (!smtp_filter_unknown(t, line))
			smtp_say(t, refusal);
		return;
	}
	smtp_offence(t->s, &not_smtp, "");
	log_event(LOG_DEBUG, "smtp.closed", log_c("why", "not SMTP"),
		  log_str("line", str_sub(line, 0, 80)), log_str("ip", buf_str(&t->s->ip)));
	smtp_say(t, (struct smtp_status){500, "5.5.2", "This is SMTP, closing"});
	smtp_close(t);
}
