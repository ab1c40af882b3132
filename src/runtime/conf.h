/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.h - the one configuration file, checked.                                   [runtime]
 *
 *     # comment
 *     hostname = mail.example.org
 *     include conf.d/NAME.conf           (a pattern is fine; relative to the file that says it;
 * sorted) [smtp] listen = 0.0.0.0:25, [::]:25 message_size_max = 15 MiB
 *
 * Every setting stands in one table (conf_settings.c) with its type, unit, range, default and
 * description: the parser, `barid check`, the commented default file and barid.conf(5) all come
 * from it. Sizes take B, KiB, MiB, GiB; durations ms, s, min, h, d. An error names file, line,
 * what was found and what is allowed; all errors of a file are reported, not the first alone.
 *
 * A struct conf belongs to who loaded it and may be changed by it alone. What a server runs with is
 * a snapshot (conf_freeze): immutable, shared by reference. Roles get it from master as canonical
 * text (conf_write), which conf_parse reads back exactly.
 */
#ifndef BARID_RUNTIME_CONF_H
#define BARID_RUNTIME_CONF_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/fail.h"
#include "sys/sock.h"

struct conf_list {
	char **p; /* NUL-terminated texts */
	size_t n;
};

struct conf {
	char *hostname;
	char *state_dir;
	char *language; /* "en", or one that text_find_language knows */
	char *log_level;
	char *log_to;
	uint64_t log_file_size; /* bytes; 0 = no bound, as in the following */
	uint64_t log_file_age_ms;
	uint64_t log_keep_ms;
	uint64_t log_total_size;
	uint64_t edge_workers; /* 0 = what conf_fill finds right */
	uint64_t user_workers; /* 0 = one per core */
	uint64_t scan_workers;
	uint64_t scan_lifetime_ms; /* 0 = they are not replaced */
	uint64_t drain_grace_ms;
	uint64_t drain_deadline_ms;
	struct conf_list trusted_networks;
	struct conf_list trusted_clients;
	struct conf_list xclient_from;
	struct conf_list xclient_login_from;
	struct conf_list id_from;

	struct conf_list tls_certificate; /* as many as keys, in the same order */
	struct conf_list tls_key;
	char *ask_certificate; /* of clients of SMTP: "on" or "off" */

	struct conf_list smtp_listen;
	struct conf_list smtp_proxy_from;
	struct conf_list relay_from;
	char *relay_host; /* next hop of what is not ours; "" = by MX */
	char *postmaster_domain;
	uint64_t message_size_max; /* bytes */
	uint64_t recipients_max;
	uint64_t errors_soft;
	uint64_t errors_hard;
	uint64_t connections_max; /* all services together */
	uint64_t sessions_per_account_max;
	uint64_t commands_per_account_max; /* per user process, as the next */
	uint64_t commands_per_domain_max;
	uint64_t connections_per_address_max; /* per service */
	uint64_t smtp_command_timeout_ms;
	uint64_t smtp_data_timeout_ms;
	struct conf_list normalise_clients;

	struct conf_list known_networks;
	char *client_names;	/* "on" or "off" */
	uint64_t greet_wait_ms; /* 0 = off */
	uint64_t greet_pass_ms;
	char *greet_action;
	char *dns_lists;
	uint64_t dns_lists_threshold;
	uint64_t dns_lists_allow;
	char *dns_lists_action;
	uint64_t dns_wait_ms;
	uint64_t rate_unit_ms;
	uint64_t connection_rate; /* in rate_unit_ms; 0 = any number, as the following */
	uint64_t message_rate;
	uint64_t recipient_rate;
	uint64_t tls_rate;
	uint64_t login_failure_rate;
	uint64_t tarpit_ms;
	struct conf_list xforward_from;
	struct conf_list etrn_from;
	struct conf_list client_access;
	struct conf_list helo_access;
	struct conf_list sender_access;
	struct conf_list recipient_access;
	struct conf_list header_checks; /* tables of content, as the following */
	struct conf_list mime_header_checks;
	struct conf_list nested_header_checks;
	struct conf_list body_checks;
	uint64_t body_checks_size; /* octets */
	char *helo_required;	   /* "on" or "off", as the following */
	char *full_helo;
	char *known_helo;
	char *full_sender;
	char *listed_sender;
	char *known_sender;
	char *full_recipient;
	char *pipelining;

	struct conf_list submission_listen;
	struct conf_list smtp_milters;
	struct conf_list submission_milters;
	char *smtp_content_filter; /* "" = none */
	char *submission_content_filter;
	char *milter_default_action;
	uint64_t milter_connect_timeout_ms;
	uint64_t milter_command_timeout_ms;
	uint64_t milter_content_timeout_ms;
	uint64_t milter_total_timeout_ms;
	struct conf_list submission_proxy_from;
	uint64_t future_release_max_ms;
	uint64_t priority_max; /* RFC 6710 */
	char *null_sender;     /* of submissions: "refuse" or "accept" */
	char *hide_client;     /* "on", "off" */
	uint64_t rate_hour_messages, rate_hour_recipients, rate_day_messages, rate_day_recipients;
	char *guard_action; /* "hold", "defer", "off" */
	uint64_t guard_new_max, guard_failed_max, guard_window_ms, guard_memory_ms;
	uint64_t guard_networks_max, guard_held_max;
	struct conf_list policy_listen;
	struct conf_list policy_proxy_from;
	char *policy_reject_null_sender; /* "on", "off", as the following */
	char *policy_reject_to_hostname;
	char *policy_wblist_rdns;
	char *policy_login_mismatch;
	char *policy_forged_senders; /* "refuse", "accept" */
	char *policy_forged_spf;
	char *policy_allowed_forged;
	char *policy_alias_senders;
	char *policy_member_senders;
	char *policy_mismatch_allowed;
	char *policy_list_access;
	char *policy_wblist;
	char *policy_wblist_action; /* "refuse", "discard" */
	char *policy_force_change_password;
	uint64_t policy_password_age_ms;
	char *policy_password_message;
	char *policy_password_spared;
	char *policy_whitelist_outbound;
	char *policy_senderscore;
	uint64_t policy_senderscore_max;
	uint64_t policy_senderscore_keep_ms;
	char *policy_throttle; /* "on", "off" */
	char *greylist_training, *greylist_spf, *greylist_message;
	uint64_t greylist_wait_ms, greylist_retry_ms, greylist_keep_ms;
	uint64_t greylist_network4, greylist_network6;
	char *throttle_answer; /* "defer", "reject" */
	char *throttle_same_domain, *throttle_trusted;
	char *policy_greylisting;
	char *policy_on_failure; /* "dunno", "defer" */
	char *policy_sessions;	 /* "on", "off" */
	uint64_t policy_sessions_keep_ms;
	uint64_t policy_timeout_ms;
	struct conf_list submissions_listen;
	struct conf_list submissions_proxy_from;

	struct conf_list imap_listen;
	struct conf_list imap_proxy_from;
	struct conf_list imaps_listen;
	struct conf_list imaps_proxy_from;
	struct conf_list pop3_listen;
	struct conf_list pop3_proxy_from;
	struct conf_list pop3s_listen;
	struct conf_list pop3s_proxy_from;
	struct conf_list managesieve_listen;
	struct conf_list managesieve_proxy_from;
	struct conf_list metrics_listen;
	struct conf_list metrics_proxy_from; /* no setting: always empty */
	struct conf_list srs_forward_listen;
	struct conf_list srs_forward_proxy_from;
	struct conf_list srs_reverse_listen;
	struct conf_list srs_reverse_proxy_from;
	struct conf_list quota_status_listen;
	struct conf_list quota_status_proxy_from;
	uint64_t quota_status_deadline_ms;
	char *quota_status_failure;
	char *srs_forwarding; /* "on" or "off" */
	char *srs_domain;     /* "" = the hostname */
	char *srs_exclude;
	char *srs_separator;
	uint64_t srs_hash_length;
	uint64_t srs_age_max_ms;
	uint64_t srs_return_rate; /* an hour; 0 = any number */
	struct conf_list lmtp_listen;
	struct conf_list lmtp_proxy_from; /* likewise, as the next two of that name */
	struct conf_list reinject_listen;
	struct conf_list reinject_proxy_from;
	struct conf_list reinject_lists_listen;
	struct conf_list reinject_lists_proxy_from;
	struct conf_list sendmail_listen; /* paths; not absolute: below state_dir */
	struct conf_list sendmail_proxy_from;
	char *sendmail_origin;
	char *sendmail_users;
	uint64_t imap_idle_timeout_ms;
	uint64_t managesieve_idle_timeout_ms;
	uint64_t sieve_script_max; /* bytes of one script */
	uint64_t sieve_scripts;	   /* of an account */
	uint64_t sieve_size_max;   /* bytes of all scripts of an account */
	uint64_t pop3_idle_timeout_ms;
	uint64_t pop3_login_delay_ms;
	char *pop3_uidl_format;
	char *pop3_deleted;	 /* "expunge", "keep", "trash" or "archive" */
	char *pop3_headers_utf8; /* "everybody" or "UTF8" */
	uint64_t login_timeout_ms;
	uint64_t handshake_timeout_ms;
	uint64_t data_rate_min; /* octets a second; 0 = off */
	uint64_t imap_command_timeout_ms;
	uint64_t imap_search_time_max_ms;
	uint64_t imap_message_limit;
	uint64_t imap_save_limit;
	uint64_t append_size_max;
	char *imap_literals;	 /* "LITERAL+" or "LITERAL-" */
	char *imap_headers_8bit; /* "everybody" or "UTF8=ACCEPT" */
	char *imap_admin;
	char *imap_comment;
	char *share_with_anyone; /* "no" or "yes" */
	char *public_account;

	uint64_t retry_min_ms;
	uint64_t retry_max_ms;
	uint64_t lifetime_ms;
	uint64_t bounce_lifetime_ms;
	uint64_t destination_connections;
	uint64_t destination_recipients;
	char *double_bounce_to;
	uint64_t delay_warning_ms;

	uint64_t relay_connections;
	uint64_t relay_port;
	char *relay_prefer;
	char *relay_tls;
	char *relay_dane;
	char *relay_mta_sts;
	char *relay_tls_reports;
	char *relay_tls_reports_from;
	uint64_t relay_sts_port;
	char *relay_login_tls;
	struct conf_list relay_source;
	char *tls_authorities;
	uint64_t relay_connect_timeout_ms;
	uint64_t relay_greeting_timeout_ms;
	uint64_t relay_command_timeout_ms;
	uint64_t relay_data_init_timeout_ms;
	uint64_t relay_data_timeout_ms;
	uint64_t relay_data_done_timeout_ms;
	uint64_t relay_idle_ms;
	uint64_t relay_connection_age_ms;

	char *scram;
	char *scram_sha1;
	uint64_t scram_iterations;
	char *master_users;
	char *master_separator;
	char *master_services;

	char *oauth_issuer;
	char *oauth_audience;
	char *oauth_username;
	char *oauth_scope;
	char *oauth_keys;
	uint64_t oauth_leeway_ms;

	char *dns_mode;
	struct conf_list dns_forward;
	char *dns_trust_anchor; /* a file, "" = the root's keys, "none" */

	uint64_t store_partitions;
	uint64_t undelete_ms;

	char *search_index;	   /* "on" or "off" */
	uint64_t search_index_cpu; /* percent of a processor */
};

enum conf_type {
	CONF_TEXT,
	CONF_NUMBER,
	CONF_SIZE,
	CONF_DURATION,
	CONF_CHOICE,
	CONF_ADDRESSES,
	CONF_NETWORKS,
	CONF_PATHS,
	CONF_TABLES, /* files whose content is part of the configuration */
	CONF_MILTERS /* codec/milter/milter_name.h */
};

/* When a changed value counts, once `barid reload` has made the file the running configuration. */
enum conf_apply {
	CONF_LIVE,   /* at once, also for what goes on: a command under way keeps what it began with
		      */
	CONF_NEW,    /* for connections that begin from now on; open ones keep what they have */
	CONF_RESTART /* when the server is started again (`barid reload` says which ones wait) */
};

struct conf_setting {
	const char *section; /* "" before the first [section] */
	const char *key;
	enum conf_type type;
	enum conf_apply apply;
	size_t offset;	     /* in struct conf */
	const char *value;   /* default, as written in a file */
	uint64_t min, max;   /* numbers, bytes or milliseconds */
	const char *choices; /* CONF_CHOICE: separated by blanks */
	const char *text;    /* what it means, one or two sentences */
};
extern const struct conf_setting conf_settings[];
extern const size_t conf_settings_n;

/*
 * Read a file with its includes and check it as a whole. On failure -FAIL_SYNTAX (or the code of
 * the file that could not be read), and `errors` holds one line per problem: "barid.conf:12: ...".
 * What only the system can tell (certificates, ports in use) is not looked at.
 */
MUST_CHECK int conf_load(const char *path, struct conf **ret, struct buf *errors);
/*
 * The same, and the names of all files that were read go to `files`, the first one first; for
 * conf_files_clear, also on failure.
 */
MUST_CHECK int conf_load_files(const char *path, struct conf **ret, struct conf_list *files,
			       struct buf *errors);
void conf_files_clear(struct conf_list *files);
/*
 * The state folder that a file names, or its default, although other settings in it are wrong.
 * The caller frees it. NULL: the file cannot be read, or this very setting is wrong.
 */
char *conf_state_dir(const char *path);
/* The same from memory; `name` stands for the file in messages; includes are refused. */
MUST_CHECK int conf_parse(const char *name, struct str text, struct conf **ret, struct buf *errors);
/*
 * Canonical text of another build: settings that this one does not know are left out, those that
 * it does not say have their defaults.
 */
MUST_CHECK int conf_parse_known(struct str text, struct conf **ret, struct buf *errors);
/* Numbers that are left to us (user_workers = 0) become what they mean on this machine. */
void conf_fill(struct conf *c);
struct conf *conf_copy(const struct conf *c);
void conf_free(struct conf *c);
DEFINE_AUTO_PTR(conf, struct conf, conf_free);

/*
 * A CONF_TABLES entry: the name of the file, and its content. `default` stands for a table that is
 * built in: it has no content. 0, or -FAIL_LIMIT.
 */
struct str conf_table_name(const char *entry);
MUST_CHECK int conf_table_text(const char *entry, struct buf *out);
/* Of the whole configuration as text: its files are at most this large together. */
#define CONF_BYTES_MAX MIB(8)

/* Every setting with its value, canonical: equal configurations give equal text. */
void conf_write(const struct conf *c, struct buf *out);
/* The networks of a CONF_NETWORKS list; ret->p is the caller's. */
void conf_networks(const struct conf_list *l, struct netcidrs *ret);
/* A file with every setting at its default, commented out and explained. */
void conf_write_default(struct buf *out);
/* One value as it would be written in a file. */
void conf_write_value(const struct conf *c, const struct conf_setting *s, struct buf *out);
/* The same for people: of tables the names alone. */
void conf_show_value(const struct conf *c, const struct conf_setting *s, struct buf *out);

/* --- comparing --- */

bool conf_same(const struct conf *a, const struct conf *b, const struct conf_setting *s);
/* Where a restart is needed for the difference, `fresh` gets the value of `running` back. */
void conf_keep_running(struct conf *fresh, const struct conf *running);
/* "smtp.listen", or "hostname" of the part before the first section. Borrowed from buf. */
#define CONF_NAME_MAX 80
struct str conf_name(const struct conf_setting *s, char buf[CONF_NAME_MAX]);

/* --- snapshots (conf_snapshot.c) --- */

/*
 * A copy on pages that cannot be written (a write faults), with one reference: never NULL. `extra`
 * is what a role makes of it once instead of at each use; freed with it. Any thread.
 */
const struct conf *conf_freeze(const struct conf *c);
const struct conf *conf_hold(const struct conf *snapshot);
void conf_drop(const struct conf *snapshot); /* NULL is fine */
/* Once, before others see the snapshot. */
void conf_attach(const struct conf *snapshot, void *extra, void (*free_extra)(void *extra));
void *conf_extra(const struct conf *snapshot);

#endif
