/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/services.h"

#define AT(field) offsetof(struct conf, field)

const struct service_def service_defs[SERVICES] = {
	[SERVICE_SMTP] = {"smtp", 25, false, false, false, AT(smtp_listen), AT(smtp_proxy_from),
			  "mail from other servers"},
	[SERVICE_SUBMISSION] = {"submission", 587, false, false, false, AT(submission_listen),
				AT(submission_proxy_from), "mail from users, STARTTLS"},
	[SERVICE_SUBMISSIONS] = {"submissions", 465, true, false, false, AT(submissions_listen),
				 AT(submissions_proxy_from), "mail from users, TLS"},
	[SERVICE_IMAP] = {"imap", 143, false, false, false, AT(imap_listen), AT(imap_proxy_from),
			  "mailboxes, STARTTLS"},
	[SERVICE_IMAPS] = {"imaps", 993, true, false, false, AT(imaps_listen), AT(imaps_proxy_from),
			   "mailboxes, TLS"},
	[SERVICE_POP3] = {"pop3", 110, false, false, false, AT(pop3_listen), AT(pop3_proxy_from),
			  "mailboxes by POP3, STLS"},
	[SERVICE_POP3S] = {"pop3s", 995, true, false, false, AT(pop3s_listen), AT(pop3s_proxy_from),
			   "mailboxes by POP3, TLS"},
	[SERVICE_MANAGESIEVE] = {"managesieve", 4190, false, false, false, AT(managesieve_listen),
				 AT(managesieve_proxy_from), "mail filters, STARTTLS"},
	[SERVICE_METRICS] = {"metrics", 9153, false, true, false, AT(metrics_listen),
			     AT(metrics_proxy_from), "figures for monitoring, HTTP"},
	[SERVICE_LMTP] = {"lmtp", 24, false, true, false, AT(lmtp_listen), AT(lmtp_proxy_from),
			  "delivery into mailboxes for other mail servers, LMTP"},
	[SERVICE_REINJECT] = {"reinject", 10025, false, true, false, AT(reinject_listen),
			      AT(reinject_proxy_from), "mail that a content filter gives back"},
	[SERVICE_REINJECT_LISTS] = {"reinject_lists", 10028, false, true, false,
				    AT(reinject_lists_listen), AT(reinject_lists_proxy_from),
				    "the same, of the list manager"},
	[SERVICE_SENDMAIL] = {"sendmail", 0, false, false, true, AT(sendmail_listen),
			      AT(sendmail_proxy_from), "mail that programs of this machine send"},
	[SERVICE_SRS_FORWARD] = {"srs_forward", 7778, false, true, false, AT(srs_forward_listen),
				 AT(srs_forward_proxy_from),
				 "senders to rewritten ones, a table for Postfix"},
	[SERVICE_SRS_REVERSE] = {"srs_reverse", 7779, false, true, false, AT(srs_reverse_listen),
				 AT(srs_reverse_proxy_from),
				 "rewritten senders back, a table for Postfix"},
	[SERVICE_POLICY] = {"policy", 7777, false, true, false, AT(policy_listen),
			    AT(policy_proxy_from),
			    "rules about mail, a policy service for Postfix"},
	[SERVICE_QUOTA_STATUS] = {"quota_status", 12340, false, true, false,
				  AT(quota_status_listen), AT(quota_status_proxy_from),
				  "is there room in the mailbox, a policy service for Postfix"},
};

const struct service_def *service_find(struct str name)
{
	for (size_t i = 0; i < SERVICES; i++)
		if (str_eq(name, str_c(service_defs[i].name)))
			return &service_defs[i];
	return NULL;
}

static const struct conf_list *list_at(const struct conf *c, size_t offset)
{
	return (const struct conf_list *)(const void *)((const char *)c + offset);
}

const struct conf_list *service_listen(const struct service_def *d, const struct conf *c)
{
	return list_at(c, d->listen);
}

const struct conf_list *service_proxy_from(const struct service_def *d, const struct conf *c)
{
	return list_at(c, d->proxy_from);
}

bool service_admits(const struct service_def *d, const struct netcidrs *trusted_clients,
		    const struct netaddr *peer)
{
	return !d->internal || netcidrs_have(trusted_clients, peer);
}
