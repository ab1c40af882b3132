/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_basic.c - CAPABILITY, NOOP, CHECK, LOGOUT (RFC 3501 6.1), ID (RFC 2971), ENABLE (RFC 5161),
 * NAMESPACE (RFC 2342).                                                        [proto, imap]
 */
#include "codec/imap/imap_capability.h"
#include "proto/imap/imap_int.h"
#include "sys/log.h"

int cmd_capability(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)why;
	struct imap_capability_limits limits = {.append = s->config.append_max,
						.messages = s->config.message_limit,
						.saves = s->config.save_limit};
	buf_add(&out->text, STR("* CAPABILITY "));
	imap_capability_write(&out->text,
			      IMAP_CAP_AUTHENTICATED |
				      (s->config.literal_minus ? IMAP_CAP_LITERAL_MINUS : 0u),
			      &limits);
	buf_add(&out->text, STR("\r\n"));
	return RUN_DONE;
}

/* NOOP and CHECK: the sync that follows is all there is. */
int cmd_noop(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)s, (void)out, (void)why;
	return RUN_DONE;
}

int cmd_logout(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)why;
	buf_add(&out->text, STR("* BYE Logging out.\r\n"));
	session_deselect(s);
	return RUN_CLOSE;
}

/* RFC 2971: no version, which helps nobody but those who look for old servers. */
int cmd_id(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)why;
	const struct imap_id *id = &s->run.cmd.id;
	for (size_t i = 0; i < id->pair_count; i++)
		if (str_eqi(id->pair[i].key, STR("name")))
			log_event(LOG_INFO, "imap.client", log_c("user", s->address),
				  log_str("name", id->pair[i].value));
	buf_add(&out->text, STR("* ID (\"name\" \"barid\")\r\n"));
	return RUN_DONE;
}

/* RFC 5161 3.2: only what this command switched on, and nothing about names that it cannot. */
int cmd_enable(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)why;
	const struct imap_enable *e = &s->run.cmd.enable;
	uint32_t before = s->enabled, now = before;
	buf_add(&out->text, STR("* ENABLED"));
	for (size_t i = 0; i < e->capability_count; i++) {
		uint32_t bit = imap_enable_find(e->capability[i]);
		if ((bit & ~now) == 0)
			continue;
		now |= bit;
		buf_addc(&out->text, ' ');
		buf_add(&out->text, imap_enable_name(bit));
	}
	buf_add(&out->text, STR("\r\n"));
	s->enabled |= now & ~(uint32_t)IMAP_ENABLE_CONDSTORE;
	if (now & ~before & IMAP_ENABLE_UIDONLY)
		contexts_end_numbers(s, out);
	if (now & (IMAP_ENABLE_CONDSTORE | IMAP_ENABLE_QRESYNC))
		condstore_enable(s, out);
	return RUN_DONE;
}

int cmd_namespace(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)why;
	buf_addf(&out->text, "* NAMESPACE ((\"\" \"/\")) %s %s\r\n",
		 s->hooks.guest ? "((\"Shared/\" \"/\"))" : "NIL",
		 s->hooks.guest && s->config.public_account[0] ? "((\"Public/\" \"/\"))" : "NIL");
	return RUN_DONE;
}
