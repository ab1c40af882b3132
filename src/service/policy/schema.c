/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of policy.db. Names and columns are those of the reference (iRedAPD's and Amavis'
 * databases), so that its tools and people's scripts find what they know. Keys are in lower case;
 * they compare without regard to case all the same, because rows come from anywhere. Counters have
 * 64 bits. Times are seconds since 1970.
 */
#include "service/policy/policy_int.h"

/* clang-format off */
#define SERIAL	  "id INTEGER PRIMARY KEY AUTOINCREMENT"
#define NAME(n)	  n " VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT ''"
#define TEXT(n)	  n " VARCHAR(255) NOT NULL DEFAULT ''"
#define NUMBER(n) n " BIGINT NOT NULL DEFAULT 0"
#define LIMIT(n)  n " BIGINT NOT NULL DEFAULT -1"
#define MAYBE(n)  n " VARCHAR(255) DEFAULT NULL"
#define YES_NO(n) n " CHAR(1) DEFAULT NULL"
#define LEVEL(n)  n " REAL DEFAULT NULL"

static const char greylisting_sql[] =
	"CREATE TABLE greylisting (" SERIAL "," NAME("account") "," NUMBER("priority") ","
	NAME("sender") "," NUMBER("sender_priority") "," TEXT("comment") ","
	" active TINYINT NOT NULL DEFAULT 1, UNIQUE (account, sender));"
	"INSERT INTO greylisting (account, priority, sender, sender_priority, comment, active)"
	" VALUES ('@.', 0, '@.', 0, 'everybody', 1);"
	"CREATE TABLE greylisting_whitelists (" SERIAL "," NAME("account") "," NAME("sender") ","
	TEXT("comment") ", UNIQUE (account, sender));"
	"CREATE TABLE greylisting_whitelist_domains (" SERIAL "," NAME("domain") ","
	TEXT("comment") ", UNIQUE (domain));"
	"CREATE TABLE greylisting_whitelist_domain_spf (" SERIAL "," NAME("account") ","
	NAME("sender") "," TEXT("comment") ", UNIQUE (account, sender));"
	"CREATE INDEX greylisting_spf_comment ON greylisting_whitelist_domain_spf (comment);"
	"CREATE TABLE greylisting_tracking (" SERIAL "," NAME("sender") "," NAME("recipient") ","
	NAME("client_address") "," NAME("sender_domain") "," NAME("rcpt_domain") ","
	NUMBER("init_time") "," NUMBER("block_expired") "," NUMBER("record_expired") ","
	NUMBER("blocked_count") ", passed TINYINT NOT NULL DEFAULT 0,"
	" UNIQUE (sender, recipient, client_address));"
	"CREATE INDEX greylisting_tracking_client ON greylisting_tracking"
	" (client_address, passed);"
	"CREATE INDEX greylisting_tracking_expired ON greylisting_tracking (record_expired);";

static const char throttle_sql[] =
	"CREATE TABLE throttle (" SERIAL "," NAME("account") ","
	" kind VARCHAR(10) NOT NULL DEFAULT 'outbound'," NUMBER("priority") ","
	NUMBER("period") "," LIMIT("msg_size") "," LIMIT("max_msgs") "," LIMIT("max_quota") ","
	LIMIT("max_rcpts") ", UNIQUE (account, kind));"
	"CREATE TABLE throttle_tracking (" SERIAL ","
	" tid INTEGER NOT NULL REFERENCES throttle (id) ON DELETE CASCADE,"
	NAME("account") "," NUMBER("period") "," NUMBER("cur_msgs") "," NUMBER("cur_quota") ","
	NUMBER("init_time") "," NUMBER("last_time") "," NUMBER("last_notify_time") ","
	" UNIQUE (tid, account));"
	"CREATE INDEX throttle_tracking_init ON throttle_tracking (init_time);";

/* A sixth suffix of the reference, the name that a large hosting company gives its customers'
 * machines, is left out: it turns good mail away. */
static const char lists_sql[] =
	"CREATE TABLE wblist_rdns (" SERIAL "," NAME("rdns") ","
	" wb VARCHAR(10) NOT NULL DEFAULT 'B', UNIQUE (rdns));"
	"INSERT INTO wblist_rdns (rdns, wb) VALUES ('.dynamic.163data.com.cn', 'B'),"
	" ('.cable.dyn.cableonline.com.mx', 'B'), ('.dyn.user.ono.com', 'B'),"
	" ('.static.skysever.com.br', 'B'), ('.castelecom.com.br', 'B');"
	"CREATE TABLE srs_exclude_domains (" SERIAL "," NAME("domain") ", UNIQUE (domain));"
	"CREATE TABLE senderscore_cache ("
	" client_address VARCHAR(40) COLLATE NOCASE NOT NULL PRIMARY KEY,"
	NUMBER("score") "," NUMBER("time") ");"
	"CREATE INDEX senderscore_cache_time ON senderscore_cache (time);";

static const char sessions_sql[] =
	"CREATE TABLE smtp_sessions (" SERIAL ","
	" time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP," NUMBER("time_num") ","
	TEXT("action") "," TEXT("reason") "," TEXT("instance") "," NAME("client_address") ","
	NAME("client_name") "," NAME("reverse_client_name") "," NAME("helo_name") ","
	NAME("sender") "," NAME("sender_domain") "," NAME("sasl_username") ","
	NAME("sasl_domain") "," NAME("recipient") "," NAME("recipient_domain") ","
	TEXT("encryption_protocol") "," TEXT("encryption_cipher") ","
	TEXT("server_address") "," NUMBER("server_port") ");"
	"CREATE INDEX smtp_sessions_time ON smtp_sessions (time_num);"
	"CREATE INDEX smtp_sessions_client ON smtp_sessions (client_address);"
	"CREATE INDEX smtp_sessions_login ON smtp_sessions (sasl_username);"
	"CREATE INDEX smtp_sessions_instance ON smtp_sessions (instance);";

/* Amavis': for whom the content filter does what, and who lists whom. */
static const char mail_sql[] =
	"CREATE TABLE policy (" SERIAL ", policy_name VARCHAR(255) COLLATE NOCASE NOT NULL UNIQUE,"
	YES_NO("virus_lover") "," YES_NO("spam_lover") "," YES_NO("unchecked_lover") ","
	YES_NO("banned_files_lover") "," YES_NO("bad_header_lover") ","
	YES_NO("bypass_virus_checks") "," YES_NO("bypass_spam_checks") ","
	YES_NO("bypass_banned_checks") "," YES_NO("bypass_header_checks") ","
	MAYBE("virus_quarantine_to") "," MAYBE("spam_quarantine_to") ","
	MAYBE("banned_quarantine_to") "," MAYBE("unchecked_quarantine_to") ","
	MAYBE("bad_header_quarantine_to") "," MAYBE("clean_quarantine_to") ","
	MAYBE("archive_quarantine_to") ","
	LEVEL("spam_tag_level") "," LEVEL("spam_tag2_level") "," LEVEL("spam_tag3_level") ","
	LEVEL("spam_kill_level") "," LEVEL("spam_dsn_cutoff_level") ","
	LEVEL("spam_quarantine_cutoff_level") ","
	MAYBE("addr_extension_virus") "," MAYBE("addr_extension_spam") ","
	MAYBE("addr_extension_banned") "," MAYBE("addr_extension_bad_header") ","
	YES_NO("warnvirusrecip") "," YES_NO("warnbannedrecip") "," YES_NO("warnbadhrecip") ","
	MAYBE("newvirus_admin") "," MAYBE("virus_admin") "," MAYBE("banned_admin") ","
	MAYBE("bad_header_admin") "," MAYBE("spam_admin") ","
	MAYBE("spam_subject_tag") "," MAYBE("spam_subject_tag2") "," MAYBE("spam_subject_tag3") ","
	" message_size_limit BIGINT DEFAULT NULL," MAYBE("banned_rulenames") ","
	MAYBE("disclaimer_options") "," MAYBE("forward_method") "," MAYBE("sa_userconf") ","
	MAYBE("sa_username") ");"
	"CREATE TABLE users (" SERIAL ", priority INTEGER NOT NULL DEFAULT 7,"
	" policy_id INTEGER NOT NULL DEFAULT 1,"
	" email VARCHAR(255) COLLATE NOCASE NOT NULL UNIQUE, fullname VARCHAR(255) DEFAULT NULL);"
	"CREATE TABLE mailaddr (" SERIAL ", priority INTEGER NOT NULL DEFAULT 7,"
	" email VARCHAR(255) COLLATE NOCASE NOT NULL UNIQUE);"
	"CREATE TABLE wblist (rid INTEGER NOT NULL, sid INTEGER NOT NULL,"
	" wb VARCHAR(10) NOT NULL, PRIMARY KEY (rid, sid));"
	"CREATE TABLE outbound_wblist (rid INTEGER NOT NULL, sid INTEGER NOT NULL,"
	" wb VARCHAR(10) NOT NULL, PRIMARY KEY (rid, sid));"
	"INSERT INTO policy (policy_name, virus_lover, spam_lover, unchecked_lover,"
	" banned_files_lover, bad_header_lover, bypass_virus_checks, bypass_spam_checks,"
	" bypass_banned_checks, bypass_header_checks)"
	" VALUES ('@.', 'N', 'N', 'N', 'N', 'Y', 'N', 'N', 'N', 'N');"
	"INSERT INTO users (priority, policy_id, email, fullname)"
	" SELECT 0, id, '@.', 'everybody' FROM policy WHERE policy_name = '@.';";
/*
 * Large senders whose mail comes from many networks: greylisting would put each of them off. What
 * they publish is looked up (grey_domains.c).
 */
#define KNOWN(d) "INSERT INTO greylisting_whitelist_domains (domain, comment) VALUES ('" d "', 'shipped');"
static const char known_sql[] =
	KNOWN("amazon.com") KNOWN("amazonses.com") KNOWN("aol.com") KNOWN("apple.com")
	KNOWN("atlassian.net") KNOWN("booking.com") KNOWN("debian.org") KNOWN("docusign.net")
	KNOWN("dropbox.com") KNOWN("ebay.com") KNOWN("facebook.com") KNOWN("facebookmail.com")
	KNOWN("fastmail.com") KNOWN("github.com") KNOWN("gitlab.com") KNOWN("gmail.com")
	KNOWN("gmx.net") KNOWN("google.com") KNOWN("hotmail.com") KNOWN("icloud.com")
	KNOWN("instagram.com") KNOWN("linkedin.com") KNOWN("live.com") KNOWN("mailchimp.com")
	KNOWN("mailgun.org") KNOWN("mailjet.com") KNOWN("microsoft.com") KNOWN("msn.com")
	KNOWN("netflix.com") KNOWN("outlook.com") KNOWN("paypal.com") KNOWN("proton.me")
	KNOWN("protonmail.com") KNOWN("salesforce.com") KNOWN("sendgrid.net") KNOWN("slack.com")
	KNOWN("stripe.com") KNOWN("t-online.de") KNOWN("twitter.com") KNOWN("web.de")
	KNOWN("yahoo.com") KNOWN("zendesk.com") KNOWN("zoho.com") KNOWN("zoom.us");
/* clang-format on */

const struct db_migration policy_schema[] = {
	{.what = "greylisting", .sql = greylisting_sql},
	{.what = "throttling", .sql = throttle_sql},
	{.what = "lists of names and scores", .sql = lists_sql},
	{.what = "SMTP sessions", .sql = sessions_sql},
	{.what = "policies and lists of addresses", .sql = mail_sql},
	{.what = "well-known senders", .sql = known_sql},
	{.what = "sizes of messages, for what-if",
	 .sql = "ALTER TABLE smtp_sessions ADD COLUMN size BIGINT NOT NULL DEFAULT 0;"
		"ALTER TABLE smtp_sessions ADD COLUMN recipient_count BIGINT NOT NULL DEFAULT 0;"},
};
const size_t policy_schema_steps = ARRAY_LEN(policy_schema);

unsigned policy_format(void)
{
	return ARRAY_LEN(policy_schema);
}
