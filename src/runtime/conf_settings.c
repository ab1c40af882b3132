/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/conf.h"

#define AT(field) offsetof(struct conf, field)
#define SECOND	  UINT64_C(1000)
#define MINUTE	  (60 * SECOND)
#define HOUR	  (60 * MINUTE)
#define DAY	  (24 * HOUR)

const struct conf_setting conf_settings[] = {
	{"", "hostname", CONF_TEXT, CONF_LIVE, AT(hostname), "localhost", 1, 255, NULL,
	 "The server's full name: in greetings, Received headers and Message-IDs."},
	{"", "state_dir", CONF_TEXT, CONF_RESTART, AT(state_dir), "/var/lib/barid", 1, 4000, NULL,
	 "Folder of everything that must survive: accounts, mail, the queue."},
	{"", "language", CONF_TEXT, CONF_LIVE, AT(language), "en", 2, 20, NULL,
	 "Language of the reports that the server sends to people: en, or a translation of this "
	 "version (de). A user's own language comes first."},
	{"", "log_level", CONF_CHOICE, CONF_LIVE, AT(log_level), "info", 0, 0,
	 "error warn info debug",
	 "The least urgent events that are logged. `barid log level` changes it for one role, "
	 "while "
	 "the server runs."},
	{"", "log_to", CONF_CHOICE, CONF_RESTART, AT(log_to), "file", 0, 0, "file stderr both",
	 "Where the log goes: to log/barid.log in the state folder (warnings, errors and what "
	 "master "
	 "says then go to standard error as well), to standard error alone, or everything to "
	 "both."},
	{"", "log_file_size", CONF_SIZE, CONF_LIVE, AT(log_file_size), "64 MiB", 0, MIB(65536),
	 NULL, "The log file is put aside and a new one begun when it is larger. 0 = never."},
	{"", "log_file_age", CONF_DURATION, CONF_LIVE, AT(log_file_age_ms), "1 d", 0, 365 * DAY,
	 NULL, "The same when its first line is older. 0 = never."},
	{"", "log_keep", CONF_DURATION, CONF_LIVE, AT(log_keep_ms), "30 d", 0, 3650 * DAY, NULL,
	 "Log files that were put aside are deleted after so long. 0 = never."},
	{"", "log_total_size", CONF_SIZE, CONF_LIVE, AT(log_total_size), "1 GiB", 0,
	 MIB(1024 * 1024), NULL,
	 "The oldest log files are deleted when all together are larger. 0 = never."},
	{"", "edge_workers", CONF_NUMBER, CONF_RESTART, AT(edge_workers), "0", 0, 64, NULL,
	 "Processes that serve the clients' connections: TLS and framing. 0 = one per two cores, "
	 "and "
	 "one per 8,000 of connections_max at least."},
	{"", "user_workers", CONF_NUMBER, CONF_RESTART, AT(user_workers), "0", 0, 64, NULL,
	 "Processes that serve mailboxes; accounts are spread over them. 0 = one per core."},
	{"", "scan_workers", CONF_NUMBER, CONF_RESTART, AT(scan_workers), "2", 1, 64, NULL,
	 "Sandboxed processes that analyse messages."},
	{"", "scan_lifetime", CONF_DURATION, CONF_LIVE, AT(scan_lifetime_ms), "10 min", 0, DAY,
	 NULL,
	 "Each of them is replaced by a fresh one after so long, at a moment without work: what a "
	 "message has made of it does not stay. 0 = never."},
	{"", "drain_grace", CONF_DURATION, CONF_LIVE, AT(drain_grace_ms), "10 min", 0, DAY, NULL,
	 "After an upgrade, who is connected stays with the process of the old version. A client "
	 "that has been silent for so long between two commands is sent away from there, and "
	 "connects to the new one."},
	{"", "drain_deadline", CONF_DURATION, CONF_LIVE, AT(drain_deadline_ms), "4 h", 0, 7 * DAY,
	 NULL, "So long after an upgrade, whoever is left with the old process is sent away."},
	{"", "trusted_networks", CONF_NETWORKS, CONF_NEW, AT(trusted_networks), "", 0, 0, NULL,
	 "Clients that may send a password without TLS. Leave it empty."},
	{"", "trusted_clients", CONF_NETWORKS, CONF_NEW, AT(trusted_clients), "127.0.0.0/8, ::1", 0,
	 0, NULL, "Clients of the internal services. All others are refused there."},
	{"", "xclient_from", CONF_NETWORKS, CONF_NEW, AT(xclient_from), "", 0, 0, NULL,
	 "Proxies and filters that may say by XCLIENT on the SMTP services whom they speak for."},
	{"", "xclient_login_from", CONF_NETWORKS, CONF_NEW, AT(xclient_login_from), "", 0, 0, NULL,
	 "Those of xclient_from that may also say by LOGIN who has logged in: their word is "
	 "believed without a password."},
	{"", "id_from", CONF_NETWORKS, CONF_NEW, AT(id_from), "", 0, 0, NULL,
	 "Webmail and proxies that may say by the ID command of IMAP (x-originating-ip) whom they "
	 "speak for."},
	{"", "connections_max", CONF_NUMBER, CONF_LIVE, AT(connections_max), "20000", 10, 1000000,
	 NULL, "Open client connections of all services together."},
	{"", "connections_per_address_max", CONF_NUMBER, CONF_LIVE, AT(connections_per_address_max),
	 "100", 1, 100000, NULL,
	 "Open connections that one address (IPv6: one /64) may have per service without being "
	 "logged in. Who has logged in counts for sessions_per_account_max instead, so an office "
	 "behind one address is not held up."},
	{"", "sessions_per_account_max", CONF_NUMBER, CONF_LIVE, AT(sessions_per_account_max),
	 "100", 1, 100000, NULL,
	 "IMAP and POP3 sessions that one account may have at a time. Further logins are refused."},
	{"", "commands_per_account_max", CONF_NUMBER, CONF_LIVE, AT(commands_per_account_max), "8",
	 1, 32, NULL,
	 "Commands of one account that each process of user_workers carries out at the same time; "
	 "it has 32 threads. Further ones wait their turn behind nobody else's."},
	{"", "commands_per_domain_max", CONF_NUMBER, CONF_LIVE, AT(commands_per_domain_max), "24",
	 1, 32, NULL, "The same for all accounts of a domain together."},
	{"", "login_timeout", CONF_DURATION, CONF_LIVE, AT(login_timeout_ms), "3 min", SECOND, HOUR,
	 NULL, "How long an IMAP client may take to log in."},

	{"tls", "certificate", CONF_PATHS, CONF_NEW, AT(tls_certificate), "/etc/barid/tls/cert.pem",
	 1, 100, NULL,
	 "PEM files, each with a certificate and its chain. The names in them say which one a "
	 "client gets; the first is for those that ask for no name or for another. For one name "
	 "there may be an RSA and an ECDSA certificate beside each other."},
	{"tls", "key", CONF_PATHS, CONF_NEW, AT(tls_key), "/etc/barid/tls/key.pem", 1, 100, NULL,
	 "PEM files with the private keys, without password, in the order of the certificates."},

	{"tls", "authorities", CONF_TEXT, CONF_RESTART, AT(tls_authorities),
	 "/etc/ssl/certs/ca-certificates.crt", 0, 4000, NULL,
	 "PEM file with the certificates of authorities that other servers' certificates are "
	 "judged by. Empty = none are trusted."},
	{"tls", "handshake_timeout", CONF_DURATION, CONF_LIVE, AT(handshake_timeout_ms), "1 min",
	 SECOND, HOUR, NULL, "How long a client may take for the TLS handshake."},

	{"smtp", "listen", CONF_ADDRESSES, CONF_LIVE, AT(smtp_listen), "0.0.0.0:25, [::]:25", 0, 0,
	 NULL, "Addresses of the service for mail from other servers. Empty = off."},
	{"smtp", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(smtp_proxy_from), "", 0, 0,
	 NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},
	{"smtp", "postmaster_domain", CONF_TEXT, CONF_LIVE, AT(postmaster_domain), "", 0, 255, NULL,
	 "Where mail to <postmaster> without a domain goes (RFC 5321 4.5.1). Empty = the "
	 "hostname."},
	{"smtp", "message_size_max", CONF_SIZE, CONF_LIVE, AT(message_size_max), "15 MiB", KIB(64),
	 MIB(2047), NULL, "Largest message that is accepted, by SMTP and submission."},
	{"smtp", "recipients_max", CONF_NUMBER, CONF_LIVE, AT(recipients_max), "1000", 100, 10000,
	 NULL, "Recipients per message (RFC 5321 asks for 100 at least)."},
	{"smtp", "relay_from", CONF_NETWORKS, CONF_NEW, AT(relay_from), "", 0, 0, NULL,
	 "Machines of your own (printers, web servers, other mail servers) that may send mail to "
	 "any domain through this service without logging in."},
	{"smtp", "errors_soft", CONF_NUMBER, CONF_LIVE, AT(errors_soft), "10", 1, 1000, NULL,
	 "Errors of one client after which each further one is answered slowly."},
	{"smtp", "errors_hard", CONF_NUMBER, CONF_LIVE, AT(errors_hard), "20", 1, 1000, NULL,
	 "Errors of one client after which the connection is closed."},
	{"smtp", "command_timeout", CONF_DURATION, CONF_LIVE, AT(smtp_command_timeout_ms), "5 min",
	 SECOND, HOUR, NULL, "How long the server waits for the next command (RFC 5321 4.5.3.2)."},
	{"smtp", "data_timeout", CONF_DURATION, CONF_LIVE, AT(smtp_data_timeout_ms), "3 min",
	 SECOND, HOUR, NULL, "How long the server waits for the next piece of a message."},
	{"smtp", "data_rate_min", CONF_SIZE, CONF_LIVE, AT(data_rate_min), "500 B", 0, MIB(1), NULL,
	 "Octets of a message that a client has to send per second. One that is behind by "
	 "data_timeout is disconnected. 0 = no such limit."},
	{"smtp", "normalise_clients", CONF_NETWORKS, CONF_NEW, AT(normalise_clients), "", 0, 0,
	 NULL,
	 "Clients whose bare CR or LF in a message is turned into CRLF instead of being refused."},

	{"frontdoor", "known_networks", CONF_NETWORKS, CONF_LIVE, AT(known_networks),
	 "127.0.0.0/8, ::1", 0, 0, NULL,
	 "Clients whose HELO and sender's domain are not looked at, as those of smtp.relay_from "
	 "and whoever has logged in."},
	{"frontdoor", "client_names", CONF_CHOICE, CONF_LIVE, AT(client_names), "on", 0, 0,
	 "on off",
	 "Look up the names of clients: one that the address has and that has the address stands "
	 "in Received and in the log."},
	{"frontdoor", "greet_wait", CONF_DURATION, CONF_LIVE, AT(greet_wait_ms), "6 s", 0, MINUTE,
	 NULL,
	 "So long a client that is not known is kept waiting with half of a greeting. Mail servers "
	 "wait, many spam programs do not. 0 = not at all."},
	{"frontdoor", "greet_pass", CONF_DURATION, CONF_LIVE, AT(greet_pass_ms), "1 d", MINUTE,
	 30 * DAY, NULL, "So long a client that has waited is known, and not kept waiting again."},
	{"frontdoor", "greet_action", CONF_CHOICE, CONF_LIVE, AT(greet_action), "drop", 0, 0,
	 "ignore enforce drop",
	 "Who speaks before the greeting: counted and logged alone, refused at each recipient "
	 "(550), or sent away (521)."},
	{"frontdoor", "dns_lists", CONF_TEXT, CONF_LIVE, AT(dns_lists),
	 "zen.spamhaus.org=127.0.0.[2..11]*3, b.barracudacentral.org=127.0.0.2*2", 0, 4000, NULL,
	 "DNS lists that are asked about each client, with the answers that count and their "
	 "weight (docs/ops/frontdoor.md). A negative weight is a list of good clients. Empty = "
	 "none."},
	{"frontdoor", "dns_lists_threshold", CONF_NUMBER, CONF_LIVE, AT(dns_lists_threshold), "2",
	 1, 1000, NULL, "A client whose lists weigh so much together is listed."},
	{"frontdoor", "dns_lists_allow", CONF_NUMBER, CONF_LIVE, AT(dns_lists_allow), "2", 1, 1000,
	 NULL, "A client whose lists weigh minus so much or less is not kept waiting."},
	{"frontdoor", "dns_lists_action", CONF_CHOICE, CONF_LIVE, AT(dns_lists_action), "drop", 0,
	 0, "ignore enforce drop",
	 "Who is listed: counted and logged alone, refused at each recipient (550), or sent away "
	 "(521)."},
	{"frontdoor", "dns_wait", CONF_DURATION, CONF_LIVE, AT(dns_wait_ms), "5 s", 0, MINUTE, NULL,
	 "How long a client is kept waiting at a recipient for answers of the DNS that have not "
	 "come yet. What is not known then refuses nobody."},
	{"frontdoor", "client_access", CONF_TABLES, CONF_LIVE, AT(client_access), "", 0, 0, NULL,
	 "Tables of clients, by address and by verified name (docs/formats/access.md): who is "
	 "refused, "
	 "and with OK, who is not tested at the door."},
	{"frontdoor", "helo_access", CONF_TABLES, CONF_LIVE, AT(helo_access), "default", 0, 0, NULL,
	 "Tables of names in HELO. default: the one that comes with barid (a copy to edit is "
	 "/usr/share/barid/access/helo). Empty = none."},
	{"frontdoor", "sender_access", CONF_TABLES, CONF_LIVE, AT(sender_access), "", 0, 0, NULL,
	 "Tables of senders."},
	{"frontdoor", "recipient_access", CONF_TABLES, CONF_LIVE, AT(recipient_access), "", 0, 0,
	 NULL, "Tables of recipients."},
	{"frontdoor", "xforward_from", CONF_NETWORKS, CONF_LIVE, AT(xforward_from), "", 0, 0, NULL,
	 "Machines that may say by XFORWARD on port 25 whose mail they pass on, for the log. On "
	 "the "
	 "ports of filters everybody may."},
	{"frontdoor", "etrn_from", CONF_NETWORKS, CONF_LIVE, AT(etrn_from), "", 0, 0, NULL,
	 "Machines that may ask by ETRN for the mail that waits for a backup-MX or relay domain, "
	 "beside those of smtp.relay_from."},
	{"frontdoor", "rate_unit", CONF_DURATION, CONF_LIVE, AT(rate_unit_ms), "60 s", SECOND, DAY,
	 NULL,
	 "The unit of time of the following. They count by address (IPv6: by /64), on 25 and on "
	 "submission; known_networks are exempt."},
	{"frontdoor", "connection_rate", CONF_NUMBER, CONF_LIVE, AT(connection_rate), "0", 0,
	 1000000, NULL, "Connections that a client may open in rate_unit. 0 = any number."},
	{"frontdoor", "message_rate", CONF_NUMBER, CONF_LIVE, AT(message_rate), "0", 0, 1000000,
	 NULL, "Messages that it may begin. 0 = any number."},
	{"frontdoor", "recipient_rate", CONF_NUMBER, CONF_LIVE, AT(recipient_rate), "0", 0, 1000000,
	 NULL, "Recipients that it may name. 0 = any number."},
	{"frontdoor", "tls_rate", CONF_NUMBER, CONF_LIVE, AT(tls_rate), "0", 0, 1000000, NULL,
	 "STARTTLS that it may say. 0 = any number."},
	{"frontdoor", "login_failure_rate", CONF_NUMBER, CONF_LIVE, AT(login_failure_rate), "0", 0,
	 1000000, NULL,
	 "Failed logins after which it may not try further ones by SMTP. 0 = any number; each "
	 "failure is answered more slowly anyway."},
	{"frontdoor", "tarpit", CONF_DURATION, CONF_LIVE, AT(tarpit_ms), "1 s", 0, MINUTE, NULL,
	 "From smtp.errors_soft errors on, each further one holds the replies back so long."},
	{"frontdoor", "helo_required", CONF_CHOICE, CONF_LIVE, AT(helo_required), "on", 0, 0,
	 "on off", "MAIL is refused before HELO or EHLO."},
	{"frontdoor", "reject_non_fqdn_helo", CONF_CHOICE, CONF_LIVE, AT(full_helo), "on", 0, 0,
	 "on off", "Refuse (504) who says a name without a dot in HELO."},
	{"frontdoor", "reject_unknown_helo", CONF_CHOICE, CONF_LIVE, AT(known_helo), "on", 0, 0,
	 "on off",
	 "Refuse for now (450) whose name in HELO has neither an address nor an MX. A DNS that "
	 "does not answer refuses nobody."},
	{"frontdoor", "reject_non_fqdn_sender", CONF_CHOICE, CONF_LIVE, AT(full_sender), "on", 0, 0,
	 "on off", "Refuse (504) senders without a full domain."},
	{"frontdoor", "reject_unlisted_sender", CONF_CHOICE, CONF_LIVE, AT(listed_sender), "on", 0,
	 0, "on off", "Refuse (550) senders in our domains that do not exist."},
	{"frontdoor", "reject_unknown_sender", CONF_CHOICE, CONF_LIVE, AT(known_sender), "on", 0, 0,
	 "on off",
	 "Refuse for now (450) senders whose domain has neither an MX nor an address, and for "
	 "good (550) those whose domain takes no mail."},
	{"frontdoor", "reject_non_fqdn_recipient", CONF_CHOICE, CONF_LIVE, AT(full_recipient), "on",
	 0, 0, "on off", "Refuse (504) recipients without a full domain."},
	{"frontdoor", "reject_unauth_pipelining", CONF_CHOICE, CONF_LIVE, AT(pipelining), "on", 0,
	 0, "on off",
	 "Send away (503) who does not wait for the answer to DATA: spam programs do, and who "
	 "smuggles a message behind another one."},

	{"content", "header_checks", CONF_TABLES, CONF_LIVE, AT(header_checks), "", 0, 0, NULL,
	 "Tables of expressions for the header fields of mail (docs/formats/access.md), on smtp, "
	 "on "
	 "submission and from programs of this machine. Those of Postfix can be named as they are: "
	 "/etc/postfix/header_checks."},
	{"content", "mime_header_checks", CONF_TABLES, CONF_LIVE, AT(mime_header_checks), "default",
	 0, 0, NULL,
	 "The same for Content-Type and the other MIME fields, also of parts. default: the tables "
	 "of header_checks."},
	{"content", "nested_header_checks", CONF_TABLES, CONF_LIVE, AT(nested_header_checks),
	 "default", 0, 0, NULL,
	 "The same for the header fields of messages within a message. default: the tables of "
	 "header_checks."},
	{"content", "body_checks", CONF_TABLES, CONF_LIVE, AT(body_checks), "", 0, 0, NULL,
	 "The same for the lines of each part of a message."},
	{"content", "body_checks_size", CONF_SIZE, CONF_LIVE, AT(body_checks_size), "50 KiB", 0,
	 MIB(16), NULL, "So much of each part is looked at by body_checks."},

	{"smtp", "ask_client_certificate", CONF_CHOICE, CONF_NEW, AT(ask_certificate), "off", 0, 0,
	 "off on",
	 "Ask clients of SMTP for a certificate when TLS begins, and tell milters whose it says "
	 "that "
	 "it is ({cert_subject}, {cert_issuer}). Nobody verifies it, and a client without one is "
	 "as welcome."},

	{"smtp", "milters", CONF_MILTERS, CONF_NEW, AT(smtp_milters), "", 0, 16, NULL,
	 "Milters that look at mail of this service before it is accepted, in this order. "
	 "inet:127.0.0.1:8891 or unix:/run/opendkim/opendkim.sock; name=inet:... gives it a name "
	 "for the log, and a word behind it (accept, tempfail, reject, quarantine) its own "
	 "default_action."},
	{"smtp", "content_filter", CONF_TEXT, CONF_LIVE, AT(smtp_content_filter), "", 0, 300, NULL,
	 "Next hop of a content filter that gets the mail of this service after it was accepted, "
	 "and gives it back to the service reinject: smtp:[127.0.0.1]:10024. Empty = none."},

	{"submission", "listen", CONF_ADDRESSES, CONF_LIVE, AT(submission_listen),
	 "0.0.0.0:587, [::]:587", 0, 0, NULL,
	 "Addresses of the service for users who send mail. Empty = off."},
	{"submission", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(submission_proxy_from),
	 "", 0, 0, NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},

	{"submission", "future_release_max", CONF_DURATION, CONF_LIVE, AT(future_release_max_ms),
	 "30 d", 0, 365 * DAY, NULL,
	 "For how long a user may ask that a message be held before it goes out (FUTURERELEASE, "
	 "RFC "
	 "4865). 0 = not offered."},
	{"submission", "priority_max", CONF_NUMBER, CONF_LIVE, AT(priority_max), "4", 0, 9, NULL,
	 "Highest priority that a user may give a message (MT-PRIORITY, RFC 6710: -9 to 9); what "
	 "is "
	 "asked beyond is lowered to it."},

	{"submission", "null_sender", CONF_CHOICE, CONF_LIVE, AT(null_sender), "refuse", 0, 0,
	 "refuse accept",
	 "Whether users may send without a sender address (MAIL FROM:<>). Mail programs do so for "
	 "read receipts, and spammers with a stolen password to hide whose it is."},
	{"submission", "hide_client", CONF_CHOICE, CONF_LIVE, AT(hide_client), "off", 0, 0,
	 "off on",
	 "Leave out of the Received field of a user's message from which address and host it came. "
	 "The log has it."},
	{"submission", "milters", CONF_MILTERS, CONF_NEW, AT(submission_milters), "", 0, 16, NULL,
	 "The same as milters of the section smtp, for mail of users (submission and "
	 "submissions)."},
	{"submission", "content_filter", CONF_TEXT, CONF_LIVE, AT(submission_content_filter), "", 0,
	 300, NULL,
	 "The same as content_filter of the section smtp, for mail of users (submission and "
	 "submissions): smtp:[127.0.0.1]:10026."},

	{"submission", "rate_messages_hour", CONF_NUMBER, CONF_LIVE, AT(rate_hour_messages), "0", 0,
	 1000000, NULL, "Messages that a user may send within an hour. 0 = no limit."},
	{"submission", "rate_recipients_hour", CONF_NUMBER, CONF_LIVE, AT(rate_hour_recipients),
	 "0", 0, 1000000, NULL,
	 "Recipients that a user's messages may have within an hour, all counted. 0 = no limit."},
	{"submission", "rate_messages_day", CONF_NUMBER, CONF_LIVE, AT(rate_day_messages), "0", 0,
	 1000000, NULL, "Messages that a user may send within 24 hours. 0 = no limit."},
	{"submission", "rate_recipients_day", CONF_NUMBER, CONF_LIVE, AT(rate_day_recipients), "0",
	 0, 1000000, NULL, "Recipients within 24 hours. 0 = no limit."},

	{"policy", "listen", CONF_ADDRESSES, CONF_LIVE, AT(policy_listen),
	 "127.0.0.1:7777, [::1]:7777", 0, 0, NULL,
	 "Addresses of the policy service that Postfix asks at RCPT and at the end of a message "
	 "(check_policy_service): the rules of this section. barid's own SMTP asks them without "
	 "it. For "
	 "trusted_clients only. Empty = off."},
	{"policy", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(policy_proxy_from), "", 0, 0,
	 NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},
	{"policy", "reject_null_sender", CONF_CHOICE, CONF_LIVE, AT(policy_reject_null_sender),
	 "on", 0, 0, "on off",
	 "Rule: who has logged in may not send without a sender (for other mail servers; barid's "
	 "own "
	 "submission has submission.null_sender)."},
	{"policy", "reject_to_hostname", CONF_CHOICE, CONF_LIVE, AT(policy_reject_to_hostname),
	 "on", 0, 0, "on off",
	 "Rule: no mail from outside to addresses at this server's own name, unless that is a "
	 "domain "
	 "with mailboxes."},
	{"policy", "wblist_rdns", CONF_CHOICE, CONF_LIVE, AT(policy_wblist_rdns), "on", 0, 0,
	 "on off", "Rule: clients are refused whose names in the DNS are listed (wblist_rdns)."},
	{"policy", "login_mismatch", CONF_CHOICE, CONF_LIVE, AT(policy_login_mismatch), "on", 0, 0,
	 "on off",
	 "Rule: senders of ours are used by those alone whom they belong to. barid's own "
	 "submission "
	 "looks at MAIL, whatever this says."},
	{"policy", "forged_senders", CONF_CHOICE, CONF_LIVE, AT(policy_forged_senders), "refuse", 0,
	 0, "refuse accept",
	 "Mail from outside, of somebody who has not logged in, with a sender in a domain of "
	 "ours."},
	{"policy", "forged_senders_spf", CONF_CHOICE, CONF_LIVE, AT(policy_forged_spf), "on", 0, 0,
	 "on off", "It is accepted when the domain's SPF record names the client."},
	{"policy", "allowed_forged_senders", CONF_TEXT, CONF_LIVE, AT(policy_allowed_forged), "", 0,
	 4000, NULL,
	 "Senders of which it is accepted all the same: user@example.com, example.com, user@*; "
	 "separated by commas."},
	{"policy", "alias_senders", CONF_CHOICE, CONF_LIVE, AT(policy_alias_senders), "on", 0, 0,
	 "on off",
	 "Who has logged in may use its aliases, the same in alias domains, and senders that were "
	 "delegated to it (`barid send-as`)."},
	{"policy", "member_senders", CONF_CHOICE, CONF_LIVE, AT(policy_member_senders), "off", 0, 0,
	 "on off", "And the addresses of alias accounts that it is a member of."},
	{"policy", "login_mismatch_allowed", CONF_TEXT, CONF_LIVE, AT(policy_mismatch_allowed), "",
	 0, 4000, NULL,
	 "Logins that may use any sender: user@example.com, example.com; with @example.com those "
	 "of "
	 "this domain may use any of the domain, with @. everybody any of the own domain."},
	{"policy", "list_access", CONF_CHOICE, CONF_LIVE, AT(policy_list_access), "on", 0, 0,
	 "on off", "Rule: who may write to an alias account or a mailing list (accesspolicy)."},
	{"policy", "wblist", CONF_CHOICE, CONF_LIVE, AT(policy_wblist), "on", 0, 0, "on off",
	 "Rule: white and black lists of users, domains and everybody (wblist, outbound_wblist)."},
	{"policy", "wblist_action", CONF_CHOICE, CONF_LIVE, AT(policy_wblist_action), "refuse", 0,
	 0, "refuse discard",
	 "What happens to mail from outside that a black list has. discard: it is accepted, and "
	 "the "
	 "recipient gets nothing."},
	{"policy", "force_change_password", CONF_CHOICE, CONF_LIVE,
	 AT(policy_force_change_password), "off", 0, 0, "on off",
	 "Rule: whose password is older than password_age sends no mail."},
	{"policy", "password_age", CONF_DURATION, CONF_LIVE, AT(policy_password_age_ms), "90 d",
	 DAY, 3650 * DAY, NULL, "How old a password may be."},
	{"policy", "password_message", CONF_TEXT, CONF_LIVE, AT(policy_password_message),
	 "Your password is too old, please change it before you send mail", 1, 300, NULL,
	 "What those are told."},
	{"policy", "password_spared", CONF_TEXT, CONF_LIVE, AT(policy_password_spared), "", 0, 4000,
	 NULL, "Logins and domains whose passwords may be older, separated by commas."},
	{"policy", "whitelist_outbound", CONF_CHOICE, CONF_LIVE, AT(policy_whitelist_outbound),
	 "on", 0, 0, "on off",
	 "Rule: whom a user writes to is not greylisted when he answers (a row of "
	 "greylisting_whitelists)."},
	{"policy", "senderscore", CONF_CHOICE, CONF_LIVE, AT(policy_senderscore), "off", 0, 0,
	 "on off",
	 "Rule: clients with a bad reputation at senderscore.org are refused. Each client's "
	 "address "
	 "is asked about there."},
	{"policy", "senderscore_max", CONF_NUMBER, CONF_LIVE, AT(policy_senderscore_max), "30", 0,
	 100, NULL, "With this score or less."},
	{"policy", "senderscore_keep", CONF_DURATION, CONF_LIVE, AT(policy_senderscore_keep_ms),
	 "2 d", HOUR, 30 * DAY, NULL, "How long a score is remembered."},
	{"policy", "greylisting", CONF_CHOICE, CONF_LIVE, AT(policy_greylisting), "on", 0, 0,
	 "on off",
	 "Rule: mail of a stranger is put off the first time (greylisting), unless the sender's "
	 "domain names the client in its SPF record, or a white list does."},
	{"policy", "throttle", CONF_CHOICE, CONF_LIVE, AT(policy_throttle), "on", 0, 0, "on off",
	 "Rule: how much a sender, a network or a recipient may have (rows of throttle: `barid "
	 "policy "
	 "throttle`). Without rows nothing is limited."},
	{"policy", "on_failure", CONF_CHOICE, CONF_LIVE, AT(policy_on_failure), "dunno", 0, 0,
	 "dunno defer",
	 "What a rule says that could not be asked. dunno: the next one decides. defer: the client "
	 "is "
	 "asked to come later (451). Rules where accepting would be wrong always defer."},
	{"policy", "timeout", CONF_DURATION, CONF_LIVE, AT(policy_timeout_ms), "10 s", SECOND,
	 MINUTE, NULL, "All rules together take no longer; who is not asked by then has failed."},
	{"policy", "sessions", CONF_CHOICE, CONF_LIVE, AT(policy_sessions), "on", 0, 0, "on off",
	 "Keep a row of smtp_sessions for each message, and for each recipient that was not simply "
	 "let through."},
	{"policy", "sessions_keep", CONF_DURATION, CONF_LIVE, AT(policy_sessions_keep_ms), "7 d",
	 HOUR, 3650 * DAY, NULL, "How long these rows are kept."},

	{"greylist", "training", CONF_CHOICE, CONF_LIVE, AT(greylist_training), "off", 0, 0,
	 "on off", "Record who would be put off, and put nobody off."},
	{"greylist", "wait", CONF_DURATION, CONF_LIVE, AT(greylist_wait_ms), "5 min", SECOND, DAY,
	 NULL, "A new sender, recipient and client may come again after so long."},
	{"greylist", "retry", CONF_DURATION, CONF_LIVE, AT(greylist_retry_ms), "1 d", MINUTE,
	 30 * DAY, NULL, "It must come again within so long."},
	{"greylist", "keep", CONF_DURATION, CONF_LIVE, AT(greylist_keep_ms), "30 d", HOUR,
	 3650 * DAY, NULL,
	 "A client's network that has come again passes for so long after its last mail."},
	{"greylist", "network4", CONF_NUMBER, CONF_LIVE, AT(greylist_network4), "24", 8, 32, NULL,
	 "Bits of an IPv4 address that make a client's network. 32: each address is its own."},
	{"greylist", "network6", CONF_NUMBER, CONF_LIVE, AT(greylist_network6), "64", 16, 128, NULL,
	 "The same of an IPv6 address."},
	{"greylist", "spf", CONF_CHOICE, CONF_LIVE, AT(greylist_spf), "on", 0, 0, "on off",
	 "Who passes SPF is not put off (unless the record lets everybody pass)."},
	{"greylist", "message", CONF_TEXT, CONF_LIVE, AT(greylist_message),
	 "Intentional policy rejection, please try again later", 1, 200, NULL,
	 "What is said behind 451 4.7.1."},

	{"throttle", "answer", CONF_CHOICE, CONF_LIVE, AT(throttle_answer), "defer", 0, 0,
	 "defer reject",
	 "What is over a limit of a period. defer: 451 4.7.1, it may come later. reject: 554 "
	 "5.7.1. "
	 "Messages that are too large or have too many recipients are refused in any case."},
	{"throttle", "same_domain", CONF_CHOICE, CONF_LIVE, AT(throttle_same_domain), "off", 0, 0,
	 "on off", "Mail from a domain to itself counts too."},
	{"throttle", "trusted", CONF_CHOICE, CONF_LIVE, AT(throttle_trusted), "on", 0, 0, "on off",
	 "Mail of clients that may relay without a login counts too."},

	{"guard", "action", CONF_CHOICE, CONF_LIVE, AT(guard_action), "hold", 0, 0,
	 "hold defer off",
	 "What happens when a login suddenly writes to many new people, as a stolen password does. "
	 "hold: its mail waits in the queue until you say `barid guard release` or `reject`. "
	 "defer: "
	 "it is asked to try again later until then. off: nobody is watched."},
	{"guard", "new_recipients", CONF_NUMBER, CONF_LIVE, AT(guard_new_max), "100", 0, 1000000,
	 NULL,
	 "Recipients on other servers, never written to before by this account, that it may write "
	 "to within `window`. 0 = no such limit."},
	{"guard", "refused_recipients", CONF_NUMBER, CONF_LIVE, AT(guard_failed_max), "50", 0,
	 1000000, NULL, "Recipients of an account that may be refused within `window`. 0 = any."},
	{"guard", "window", CONF_DURATION, CONF_LIVE, AT(guard_window_ms), "1 h", MINUTE, DAY, NULL,
	 "The time in which these are counted."},
	{"guard", "networks", CONF_NUMBER, CONF_LIVE, AT(guard_networks_max), "12", 0, 31, NULL,
	 "Networks (IPv4 /24, IPv6 /48) from which one account may be logged in to within `window` "
	 "and still send to other servers. 0 = any number."},
	{"guard", "held_messages", CONF_NUMBER, CONF_LIVE, AT(guard_held_max), "1000", 0, 1000000,
	 NULL,
	 "Messages of a held account that wait in the queue; further ones are put off (450). 0 = "
	 "any number."},
	{"guard", "memory", CONF_DURATION, CONF_LIVE, AT(guard_memory_ms), "180 d", DAY, 3650 * DAY,
	 NULL, "Whom an account has not written to for so long is new again."},

	{"submissions", "listen", CONF_ADDRESSES, CONF_LIVE, AT(submissions_listen),
	 "0.0.0.0:465, [::]:465", 0, 0, NULL,
	 "Addresses of the service for users who send mail, with TLS from the first byte (RFC "
	 "8314). Empty = off."},
	{"submissions", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(submissions_proxy_from),
	 "", 0, 0, NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},

	{"imap", "listen", CONF_ADDRESSES, CONF_LIVE, AT(imap_listen), "0.0.0.0:143, [::]:143", 0,
	 0, NULL, "Addresses of IMAP with STARTTLS. Empty = off."},
	{"imap", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(imap_proxy_from), "", 0, 0,
	 NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},
	{"imap", "idle_timeout", CONF_DURATION, CONF_LIVE, AT(imap_idle_timeout_ms), "35 min",
	 30 * MINUTE, DAY, NULL,
	 "A logged-in client that is silent for so long is logged out (RFC 3501 5.4: at least 30 "
	 "min)."},
	{"imap", "command_timeout", CONF_DURATION, CONF_LIVE, AT(imap_command_timeout_ms), "5 min",
	 SECOND, HOUR, NULL,
	 "A logged-in client that has begun a command must finish it in this time, and must not "
	 "be silent for so long within a literal."},
	{"imap", "search_time_max", CONF_DURATION, CONF_LIVE, AT(imap_search_time_max_ms), "2 min",
	 SECOND, HOUR, NULL,
	 "A SEARCH, SORT or THREAD that has worked for so long is given up (NO [LIMIT]); waiting "
	 "for its turn does not count."},
	{"imap", "message_limit", CONF_NUMBER, CONF_LIVE, AT(imap_message_limit), "0", 0,
	 1000000000, NULL,
	 "How many messages one command may be about, told as MESSAGELIMIT (RFC 9738, which asks "
	 "for at least 1000). FETCH, STORE, SEARCH, MOVE and UID EXPUNGE take the newest ones and "
	 "say so, COPY, APPEND, SORT and THREAD of more are refused; clients that do not know the "
	 "extension see the newest messages only. 0: no limit."},
	{"imap", "save_limit", CONF_NUMBER, CONF_LIVE, AT(imap_save_limit), "0", 0, 1000000000,
	 NULL,
	 "How many messages one COPY or APPEND may store, told as SAVELIMIT (RFC 9738). Of no "
	 "meaning beside message_limit. 0: no limit."},
	{"imap", "append_size_max", CONF_SIZE, CONF_LIVE, AT(append_size_max), "64 MiB", KIB(64),
	 MIB(2047), NULL, "Largest message that APPEND takes."},
	{"imap", "literals", CONF_CHOICE, CONF_RESTART, AT(imap_literals), "LITERAL+", 0, 0,
	 "LITERAL+ LITERAL-",
	 "How much a client may send without waiting for the server's go-ahead (RFC 7888). "
	 "LITERAL+: everything. LITERAL-: up to 4096 bytes; larger uploads have to ask first, so "
	 "one that is too large, or over quota, costs no bandwidth."},
	{"imap", "share_with_anyone", CONF_CHOICE, CONF_LIVE, AT(share_with_anyone), "no", 0, 0,
	 "no yes",
	 "May users give rights to their mailboxes to everybody (SETACL with anyone)? To single "
	 "addresses they always may."},
	{"imap", "public_account", CONF_TEXT, CONF_LIVE, AT(public_account), "", 0, 300, NULL,
	 "The account whose mailboxes all users see below Public/, as far as rights are given: an "
	 "address, or a name without a domain for one such account in each domain. Empty = no "
	 "public mailboxes."},

	{"imap", "append_8bit_headers", CONF_CHOICE, CONF_LIVE, AT(imap_headers_8bit), "everybody",
	 0, 0, "everybody UTF8=ACCEPT",
	 "Who may upload a message whose header has bytes above 127: everybody, or, as RFC 6855 "
	 "demands, only mail programs that have enabled UTF8=ACCEPT, which refuses copies of old "
	 "mail to all others."},
	{"imap", "admin", CONF_TEXT, CONF_LIVE, AT(imap_admin), "", 0, 1000, NULL,
	 "A URL that leads to who runs this server, such as mailto:postmaster@example.org. Mail "
	 "programs read it as /shared/admin (RFC 5464). Empty = none."},
	{"imap", "comment", CONF_TEXT, CONF_LIVE, AT(imap_comment), "", 0, 1000, NULL,
	 "A sentence about this server. Mail programs read it as /shared/comment (RFC 5464). Empty "
	 "= none."},

	{"imaps", "listen", CONF_ADDRESSES, CONF_LIVE, AT(imaps_listen), "0.0.0.0:993, [::]:993", 0,
	 0, NULL, "Addresses of IMAP with TLS from the first byte. Empty = off."},
	{"imaps", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(imaps_proxy_from), "", 0, 0,
	 NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},

	{"pop3", "listen", CONF_ADDRESSES, CONF_LIVE, AT(pop3_listen), "0.0.0.0:110, [::]:110", 0,
	 0, NULL, "Addresses of POP3 with STLS. Empty = off."},
	{"pop3", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(pop3_proxy_from), "", 0, 0,
	 NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},
	{"pop3", "idle_timeout", CONF_DURATION, CONF_LIVE, AT(pop3_idle_timeout_ms), "10 min",
	 10 * MINUTE, DAY, NULL,
	 "A logged-in client that is silent for so long is logged out, and what it has marked as "
	 "deleted stays (RFC 1939 section 3: at least 10 min)."},
	{"pop3", "login_delay", CONF_DURATION, CONF_LIVE, AT(pop3_login_delay_ms), "0 s", 0, DAY,
	 NULL,
	 "An account whose last POP3 login is less than so long ago is refused ([LOGIN-DELAY]). "
	 "Whole seconds; 0 = none."},
	{"pop3", "uidl_format", CONF_TEXT, CONF_LIVE, AT(pop3_uidl_format), "%08Xu%08Xv", 2, 60,
	 NULL,
	 "How the name of a message that UIDL tells is made: %u is its UID, %v the UIDVALIDITY of "
	 "INBOX, with X or x before it hexadecimal, and with a width after the percent sign. The "
	 "default is Dovecot's. A change makes clients fetch everything again."},
	{"pop3", "deleted", CONF_CHOICE, CONF_LIVE, AT(pop3_deleted), "expunge", 0, 0,
	 "expunge keep trash archive",
	 "What becomes of a message that a POP3 client deletes. expunge: it goes. keep: it stays "
	 "in "
	 "INBOX, seen, and POP3 does not show it again. trash, archive: it goes to the folder with "
	 "this use. An account may have a choice of its own (docs/POP3.md)."},
	{"pop3", "utf8_headers", CONF_CHOICE, CONF_LIVE, AT(pop3_headers_utf8), "everybody", 0, 0,
	 "everybody UTF8",
	 "Who may fetch a message whose header has bytes above 127: everybody, or, as RFC 6856 "
	 "demands, only clients that have said UTF8; the others are refused with [UTF8]."},

	{"pop3s", "listen", CONF_ADDRESSES, CONF_LIVE, AT(pop3s_listen), "0.0.0.0:995, [::]:995", 0,
	 0, NULL, "Addresses of POP3 with TLS from the first byte. Empty = off."},
	{"pop3s", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(pop3s_proxy_from), "", 0, 0,
	 NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},

	{"managesieve", "listen", CONF_ADDRESSES, CONF_LIVE, AT(managesieve_listen), "", 0, 0, NULL,
	 "Addresses of ManageSieve (RFC 5804), by which mail programs manage their user's mail "
	 "filters, with STARTTLS, usually on port 4190 of 0.0.0.0 and [::]. Empty = off. Filters "
	 "are "
	 "checked and kept; they do not run at delivery yet."},
	{"managesieve", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(managesieve_proxy_from),
	 "", 0, 0, NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},
	{"managesieve", "idle_timeout", CONF_DURATION, CONF_LIVE, AT(managesieve_idle_timeout_ms),
	 "30 min", MINUTE, DAY, NULL,
	 "A logged-in client that is silent for so long is logged out."},

	{"sieve", "script_max", CONF_SIZE, CONF_LIVE, AT(sieve_script_max), "512 KiB", 1024,
	 960 * 1024, NULL, "Bytes of one mail filter of a user. A longer one is refused."},
	{"sieve", "scripts", CONF_NUMBER, CONF_LIVE, AT(sieve_scripts), "64", 1, 1000, NULL,
	 "How many mail filters a user may keep; one of them is active."},
	{"sieve", "size_max", CONF_SIZE, CONF_LIVE, AT(sieve_size_max), "4 MiB", 1024, 67108864,
	 NULL, "Bytes of all mail filters of a user."},

	{"milter", "default_action", CONF_CHOICE, CONF_LIVE, AT(milter_default_action), "tempfail",
	 0, 0, "tempfail accept reject quarantine",
	 "What happens to mail when a milter cannot be reached, is silent for too long or breaks "
	 "the protocol. accept: as if it were not there. tempfail: the client is asked to try "
	 "again. quarantine: accepted, and held until somebody decides."},
	{"milter", "connect_timeout", CONF_DURATION, CONF_LIVE, AT(milter_connect_timeout_ms),
	 "30 s", 100, HOUR, NULL,
	 "How long a milter may take to be connected and to say what it wants."},
	{"milter", "command_timeout", CONF_DURATION, CONF_LIVE, AT(milter_command_timeout_ms),
	 "30 s", 100, HOUR, NULL, "How long a milter may take to answer a command."},
	{"milter", "content_timeout", CONF_DURATION, CONF_LIVE, AT(milter_content_timeout_ms),
	 "300 s", 100, HOUR, NULL,
	 "How long a milter may take to answer to a piece of a message, or to its end. When it "
	 "says that it is at work, the time begins again."},
	{"milter", "total_timeout", CONF_DURATION, CONF_LIVE, AT(milter_total_timeout_ms), "10 min",
	 SECOND, DAY, NULL,
	 "How long a milter may take for one message in all, however often it says that it is at "
	 "work."},

	{"metrics", "listen", CONF_ADDRESSES, CONF_LIVE, AT(metrics_listen),
	 "127.0.0.1:9153, [::1]:9153", 0, 0, NULL,
	 "Addresses where /metrics (OpenMetrics, for Prometheus and others) and /health are served "
	 "by HTTP, to trusted_clients only. Empty = off."},

	{"srs", "forwarding", CONF_CHOICE, CONF_LIVE, AT(srs_forwarding), "on", 0, 0, "on off",
	 "Mail that an alias, a forwarding or a copy leads to another server gets a sender of ours "
	 "that leads back (SRS), so that it passes SPF there. Mail of users and with senders in "
	 "our own domains keeps its sender."},
	{"srs", "domain", CONF_TEXT, CONF_LIVE, AT(srs_domain), "", 0, 253, NULL,
	 "Domain of rewritten senders. Its mail must come to this server, and its SPF record must "
	 "name this server. Empty = the hostname."},
	{"srs", "exclude", CONF_TEXT, CONF_LIVE, AT(srs_exclude), "", 0, 4000, NULL,
	 "Domains, each with its subdomains, whose senders are never rewritten."},
	{"srs", "hash_length", CONF_NUMBER, CONF_LIVE, AT(srs_hash_length), "4", 4, 27, NULL,
	 "Characters of the hash in rewritten senders. Addresses with a shorter one are not "
	 "taken. 4 is what postsrsd writes and reads."},
	{"srs", "separator", CONF_CHOICE, CONF_LIVE, AT(srs_separator), "=", 0, 0, "= + -",
	 "What stands behind SRS0 and SRS1."},
	{"srs", "age_max", CONF_DURATION, CONF_LIVE, AT(srs_age_max_ms), "21 d", DAY, 500 * DAY,
	 NULL, "So long a rewritten sender leads back. Counted in whole days."},
	{"srs", "return_rate", CONF_NUMBER, CONF_LIVE, AT(srs_return_rate), "300", 0, 1000000, NULL,
	 "Messages that go back to one original sender within an hour by way of its rewritten "
	 "addresses; further ones are put off (450). 0 = any number."},

	{"srs_forward", "listen", CONF_ADDRESSES, CONF_LIVE, AT(srs_forward_listen),
	 "127.0.0.1:7778, [::1]:7778", 0, 0, NULL,
	 "Addresses of the table by which Postfix rewrites senders (tcp_table, for "
	 "sender_canonical_maps). For trusted_clients only. Empty = off."},
	{"srs_forward", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(srs_forward_proxy_from),
	 "", 0, 0, NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},
	{"srs_reverse", "listen", CONF_ADDRESSES, CONF_LIVE, AT(srs_reverse_listen),
	 "127.0.0.1:7779, [::1]:7779", 0, 0, NULL,
	 "Addresses of the table that turns them back (for recipient_canonical_maps). For "
	 "trusted_clients only. Empty = off."},
	{"srs_reverse", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW, AT(srs_reverse_proxy_from),
	 "", 0, 0, NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},
	{"quota_status", "listen", CONF_ADDRESSES, CONF_LIVE, AT(quota_status_listen),
	 "127.0.0.1:12340, [::1]:12340", 0, 0, NULL,
	 "Addresses of the policy service that tells Postfix at RCPT whether a mailbox has room "
	 "(check_policy_service). For trusted_clients only. Empty = off."},
	{"quota_status", "proxy_protocol_from", CONF_NETWORKS, CONF_NEW,
	 AT(quota_status_proxy_from), "", 0, 0, NULL,
	 "Proxies (HAProxy, nginx) whose connections to this service begin with a header of the "
	 "PROXY protocol. They must send it, all others must not."},
	{"quota_status", "deadline", CONF_DURATION, CONF_LIVE, AT(quota_status_deadline_ms), "5 s",
	 100, MINUTE, NULL, "Who waits for the directory for so long gets `failure`."},
	{"quota_status", "failure", CONF_CHOICE, CONF_LIVE, AT(quota_status_failure), "dunno", 0, 0,
	 "dunno defer",
	 "The answer when the directory does not tell in time. dunno: Postfix goes on as if "
	 "nothing "
	 "had been asked. defer: it asks the client to try again (450 4.3.0)."},

	{"lmtp", "listen", CONF_ADDRESSES, CONF_LIVE, AT(lmtp_listen), "127.0.0.1:24, [::1]:24", 0,
	 0, NULL,
	 "Addresses of LMTP (RFC 2033), by which another mail server delivers into the mailboxes. "
	 "For trusted_clients only. Empty = off."},

	{"sendmail", "listen", CONF_PATHS, CONF_LIVE, AT(sendmail_listen), "sendmail.sock", 0, 4,
	 NULL,
	 "Sockets by which programs of this machine hand over mail (barid-sendmail, the command "
	 "sendmail). A name without a slash at its front is below state_dir. Empty = off."},
	{"sendmail", "origin", CONF_TEXT, CONF_LIVE, AT(sendmail_origin), "", 0, 255, NULL,
	 "What is put behind the @ of names that programs of this machine use without a domain, "
	 "such "
	 "as root. Empty = the hostname."},
	{"sendmail", "users", CONF_TEXT, CONF_LIVE, AT(sendmail_users), "", 0, 1000, NULL,
	 "Numbers of the users (`id -u NAME`) who may send mail by the command sendmail, separated "
	 "by blanks. Root may always. Empty = everybody on this machine."},

	{"reinject", "listen", CONF_ADDRESSES, CONF_LIVE, AT(reinject_listen),
	 "127.0.0.1:10025, [::1]:10025", 0, 0, NULL,
	 "Addresses where a content filter gives mail back that it has looked at: it is not "
	 "filtered "
	 "again, and recipients are taken as they are, without aliases and copies. For "
	 "trusted_clients only, who may send to anybody from here. Empty = off."},
	{"reinject_lists", "listen", CONF_ADDRESSES, CONF_LIVE, AT(reinject_lists_listen),
	 "127.0.0.1:10028, [::1]:10028", 0, 0, NULL,
	 "The same for what a list manager has sent: here aliases and copies count. Empty = off."},

	{"queue", "retry_min", CONF_DURATION, CONF_LIVE, AT(retry_min_ms), "300 s", SECOND, DAY,
	 NULL, "Wait before the first retry; it doubles from try to try."},
	{"queue", "retry_max", CONF_DURATION, CONF_LIVE, AT(retry_max_ms), "4000 s", SECOND,
	 7 * DAY, NULL, "Longest wait between two tries."},
	{"queue", "lifetime", CONF_DURATION, CONF_LIVE, AT(lifetime_ms), "5 d", MINUTE, 30 * DAY,
	 NULL, "After so long a message that could not be delivered goes back to its sender."},
	{"queue", "bounce_lifetime", CONF_DURATION, CONF_LIVE, AT(bounce_lifetime_ms), "5 d",
	 MINUTE, 30 * DAY, NULL,
	 "The same for reports and other messages that nobody can be told of: they are dropped."},
	{"queue", "double_bounce_to", CONF_TEXT, CONF_LIVE, AT(double_bounce_to), "", 0, 320, NULL,
	 "An address that is told of reports that could not be delivered. Empty = nobody."},
	{"queue", "destination_connections", CONF_NUMBER, CONF_LIVE, AT(destination_connections),
	 "20", 1, 1000, NULL,
	 "Messages that are sent to one destination at a time, at most. It begins with 5, gets one "
	 "more with each that succeeds and one less with each that does not reach the server."},
	{"queue", "destination_recipients", CONF_NUMBER, CONF_RESTART, AT(destination_recipients),
	 "50", 1, 1000, NULL,
	 "Recipients of one message that are sent to one destination together, at most."},
	{"queue", "delay_warning", CONF_DURATION, CONF_LIVE, AT(delay_warning_ms), "4 h", MINUTE,
	 30 * DAY, NULL, "When a sender who asked for it hears that the message is late."},

	{"relay", "relay_host", CONF_TEXT, CONF_LIVE, AT(relay_host), "", 0, 300, NULL,
	 "Server that takes all mail for other domains (a smarthost): [mail.example.net]:587, or a "
	 "domain whose mail exchangers are asked. A login for it is set with `barid relayhost "
	 "login default`. Empty = mail goes to the mail exchangers of each domain itself."},
	{"relay", "connections", CONF_NUMBER, CONF_RESTART, AT(relay_connections), "200", 1, 2000,
	 NULL, "Connections to other servers that may be in use at a time, for all mail together."},
	{"relay", "port", CONF_NUMBER, CONF_LIVE, AT(relay_port), "25", 1, 65535, NULL,
	 "Port of other servers, where nothing else is said. Anything but 25 is for tests."},
	{"relay", "prefer", CONF_CHOICE, CONF_LIVE, AT(relay_prefer), "any", 0, 0,
	 "any ipv6 ipv4 ipv6-only ipv4-only",
	 "Which addresses of another server are tried first; the others follow by turns. any: left "
	 "to chance, message by message."},
	{"relay", "source", CONF_NETWORKS, CONF_RESTART, AT(relay_source), "", 0, 0, NULL,
	 "Addresses of this machine that connections come from: one of IPv4, one of IPv6, or both. "
	 "Empty = as the system chooses."},
	{"relay", "tls", CONF_CHOICE, CONF_LIVE, AT(relay_tls), "may", 0, 0, "may must off",
	 "TLS towards other servers. may: where it is offered, and in the clear where it fails "
	 "(unless the destination's policy or the message asks for more). must: nothing leaves in "
	 "the clear, whatever the certificate. off: not where nothing asks for it."},
	{"relay", "dane", CONF_CHOICE, CONF_LIVE, AT(relay_dane), "on", 0, 0, "on off",
	 "Where DNSSEC proves TLSA records of a mail host (RFC 7672), its certificate has to fit "
	 "one "
	 "of them, or nothing is sent there."},
	{"relay", "mta_sts", CONF_CHOICE, CONF_LIVE, AT(relay_mta_sts), "on", 0, 0, "on off",
	 "Policies of MTA-STS (RFC 8461) of the domains that mail goes to are fetched by HTTPS, "
	 "remembered and obeyed."},
	{"relay", "tls_reports", CONF_CHOICE, CONF_LIVE, AT(relay_tls_reports), "off", 0, 0,
	 "on off",
	 "Once a day each domain that asks for it in DNS hears how TLS with its servers went (RFC "
	 "8460): by mail, or by HTTPS. `barid tls-report` shows the same figures."},
	{"relay", "tls_reports_from", CONF_TEXT, CONF_LIVE, AT(relay_tls_reports_from), "", 0, 320,
	 NULL,
	 "The address that these reports name as their sender, for questions. Empty = postmaster."},
	{"relay", "sts_port", CONF_NUMBER, CONF_LIVE, AT(relay_sts_port), "443", 1, 65535, NULL,
	 "Port of the servers of these policies. It is 443 for all the world."},
	{"relay", "login_tls", CONF_CHOICE, CONF_LIVE, AT(relay_login_tls), "verified", 0, 0,
	 "verified any",
	 "Before a password is shown to a relay host the connection is encrypted. verified: and "
	 "its "
	 "certificate is of an authority, for its name. Only a relay host on this machine may do "
	 "without."},
	{"relay", "connect_timeout", CONF_DURATION, CONF_LIVE, AT(relay_connect_timeout_ms), "30 s",
	 SECOND, HOUR, NULL, "How long another server may take to accept a connection."},
	{"relay", "greeting_timeout", CONF_DURATION, CONF_LIVE, AT(relay_greeting_timeout_ms),
	 "5 min", SECOND, HOUR, NULL,
	 "How long it may take to greet (RFC 5321 4.5.3.2: at least 5 min)."},
	{"relay", "command_timeout", CONF_DURATION, CONF_LIVE, AT(relay_command_timeout_ms),
	 "5 min", SECOND, HOUR, NULL,
	 "The same for its answer to a hello, a sender or a recipient."},
	{"relay", "data_init_timeout", CONF_DURATION, CONF_LIVE, AT(relay_data_init_timeout_ms),
	 "2 min", SECOND, HOUR, NULL, "How long it may take to let a message begin."},
	{"relay", "data_timeout", CONF_DURATION, CONF_LIVE, AT(relay_data_timeout_ms), "3 min",
	 SECOND, HOUR, NULL, "How long it may take nothing of a message that is being sent."},
	{"relay", "data_done_timeout", CONF_DURATION, CONF_LIVE, AT(relay_data_done_timeout_ms),
	 "10 min", SECOND, HOUR, NULL,
	 "How long it may take to say that it has the message. What has no answer by then is sent "
	 "again, and perhaps delivered twice."},
	{"relay", "idle", CONF_DURATION, CONF_LIVE, AT(relay_idle_ms), "5 s", 0, 5 * MINUTE, NULL,
	 "So long a connection stays open for another message to the same place. 0 = not at all."},
	{"relay", "connection_age", CONF_DURATION, CONF_LIVE, AT(relay_connection_age_ms), "5 min",
	 SECOND, HOUR, NULL, "A connection that is older is used for no further message."},

	{"auth", "scram", CONF_CHOICE, CONF_RESTART, AT(scram), "auto", 0, 0, "auto on off",
	 "Offer SCRAM-SHA-256, which proves a password without sending it. auto: as soon as every "
	 "active account has keys, which are learned when its password comes by TLS."},
	{"auth", "scram_sha1", CONF_CHOICE, CONF_RESTART, AT(scram_sha1), "off", 0, 0, "off on",
	 "Offer SCRAM-SHA-1 beside it, for clients that know nothing better."},
	{"auth", "scram_iterations", CONF_NUMBER, CONF_RESTART, AT(scram_iterations), "100000",
	 100000, 4000000, NULL,
	 "Rounds of PBKDF2 in new SCRAM keys. Clients compute them too. When it is raised, keys "
	 "are made anew as passwords come by TLS."},
	{"auth", "master_users", CONF_CHOICE, CONF_RESTART, AT(master_users), "off", 0, 0, "off on",
	 "Let master users log in to the accounts of others, with their own passwords."},
	{"auth", "master_separator", CONF_TEXT, CONF_RESTART, AT(master_separator), "*", 1, 1, NULL,
	 "What stands between account and master user in a login name: alice@example.org*root."},
	{"auth", "master_services", CONF_TEXT, CONF_RESTART, AT(master_services), "imap", 0, 100,
	 NULL,
	 "Services that master users may log in to, separated by blanks: imap, smtp, pop3, "
	 "managesieve, web, dav, eas."},

	{"oauth", "issuer", CONF_TEXT, CONF_RESTART, AT(oauth_issuer), "", 0, 1000, NULL,
	 "Whose access tokens are taken by OAUTHBEARER and XOAUTH2: the text of the claim iss. "
	 "Empty = off."},
	{"oauth", "audience", CONF_TEXT, CONF_RESTART, AT(oauth_audience), "", 0, 1000, NULL,
	 "What the claim aud of a token must name. Needed when there is an issuer."},
	{"oauth", "username_claim", CONF_TEXT, CONF_RESTART, AT(oauth_username), "email", 1, 100,
	 NULL, "The claim that holds the account's address."},
	{"oauth", "scope", CONF_TEXT, CONF_RESTART, AT(oauth_scope), "", 0, 200, NULL,
	 "A word that the claim scope (or scp) must hold. Empty = any."},
	{"oauth", "keys", CONF_TEXT, CONF_RESTART, AT(oauth_keys), "oauth-keys.json", 1, 200, NULL,
	 "The issuer's public keys (JWKS, RFC 7517): a file in the folder dir of the state folder. "
	 "A new one is read within seconds."},
	{"oauth", "leeway", CONF_DURATION, CONF_RESTART, AT(oauth_leeway_ms), "60 s", 0,
	 10 * MINUTE, NULL, "How far the issuer's clock may be off."},

	{"dns", "mode", CONF_CHOICE, CONF_RESTART, AT(dns_mode), "recursive", 0, 0,
	 "recursive forward",
	 "recursive: the server asks the name servers of the world itself, from the root on. "
	 "forward: it asks the resolvers of forward. Either way it validates by DNSSEC itself."},
	{"dns", "forward", CONF_ADDRESSES, CONF_RESTART, AT(dns_forward), "", 0, 0, NULL,
	 "Resolvers that are asked in mode forward, tried in turn. They have to pass DNSSEC on."},
	{"dns", "trust_anchor", CONF_TEXT, CONF_RESTART, AT(dns_trust_anchor), "", 0, 4000, NULL,
	 "File with DS or DNSKEY records that DNSSEC is trusted from. Empty = the keys of the root "
	 "that this version knows. none = nothing is validated, and DANE is not used."},

	{"store", "partitions", CONF_NUMBER, CONF_RESTART, AT(store_partitions), "16", 1, 1024,
	 NULL, "Files that the mail of all accounts is spread over. Fixed when the store is made."},
	{"store", "undelete", CONF_DURATION, CONF_LIVE, AT(undelete_ms), "14 d", 0, 3650 * DAY,
	 NULL, "How long deleted messages, and the mail of deleted accounts, stay restorable."},

	{"search", "index", CONF_CHOICE, CONF_LIVE, AT(search_index), "on", 0, 0, "on off",
	 "Keep an index of the texts of messages (store/search in the state folder), so that a "
	 "search reads only the messages that may fit. off = it is neither written nor asked; its "
	 "files may then be deleted."},
	{"search", "index_cpu", CONF_NUMBER, CONF_LIVE, AT(search_index_cpu), "25", 1, 100, NULL,
	 "Percent of one processor that the index may take in each user process. When more mail "
	 "comes than that is enough for, the index falls behind, and searches read what it does "
	 "not have yet."},
};
const size_t conf_settings_n = ARRAY_LEN(conf_settings);
