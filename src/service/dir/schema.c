/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of vmail.db. Names, columns and defaults are the reference's, so that its panels and
 * scripts find what they expect; addresses compare without regard to case, as they do there. The
 * barid_* tables and the triggers are ours.
 */
#include "dir_int.h"

#include "sys/clock.h"

#define APPLICATION_ID 0x62647264 /* "bdrd" */

/* clang-format off */
#define NAME(n)	 n " VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT ''"
#define TEXT(n)	 n " VARCHAR(255) NOT NULL DEFAULT ''"
#define NUMBER(n) n " BIGINT NOT NULL DEFAULT 0"
#define ON(n)	 n " TINYINT NOT NULL DEFAULT 1"
#define OFF(n)	 n " TINYINT NOT NULL DEFAULT 0"
#define YES(n)	 n " CHAR(1) NOT NULL DEFAULT 'y'"
#define SERIAL	 "id INTEGER PRIMARY KEY AUTOINCREMENT"
#define TIME(n)	 n " DATETIME NOT NULL DEFAULT '1970-01-01 01:01:01'"
#define LIFE	 TIME("created") "," TIME("modified") "," \
		 "expired DATETIME NOT NULL DEFAULT '9999-12-31 00:00:00'," ON("active")

static const char domains_sql[] =
	"CREATE TABLE domain (" NAME("domain") ", description TEXT, disclaimer TEXT,"
	NUMBER("aliases") "," NUMBER("mailboxes") "," NUMBER("maillists") ","
	NUMBER("maxquota") "," NUMBER("quota") ","
	" transport VARCHAR(255) NOT NULL DEFAULT 'dovecot'," OFF("backupmx") ","
	" settings TEXT," LIFE ", PRIMARY KEY (domain));"
	"CREATE TABLE alias_domain ("
	" alias_domain VARCHAR(255) COLLATE NOCASE NOT NULL PRIMARY KEY,"
	" target_domain VARCHAR(255) COLLATE NOCASE NOT NULL,"
	TIME("created") "," TIME("modified") "," ON("active") ");"
	"CREATE INDEX alias_domain_target ON alias_domain (target_domain);"
	"CREATE TABLE domain_admins (" NAME("username") "," NAME("domain") "," LIFE ","
	" PRIMARY KEY (username, domain));"
	"CREATE INDEX domain_admins_domain ON domain_admins (domain);"
	"CREATE TABLE admin (" NAME("username") "," TEXT("password") "," TEXT("name") ","
	" language VARCHAR(5) NOT NULL DEFAULT ''," TIME("passwordlastchange") ","
	" settings TEXT," LIFE ", PRIMARY KEY (username));";

static const char mailbox_sql[] =
	"CREATE TABLE mailbox (" NAME("username") "," TEXT("password") "," TEXT("name") ","
	" language VARCHAR(5) NOT NULL DEFAULT '',"
	TEXT("first_name") "," TEXT("last_name") "," TEXT("mobile") "," TEXT("telephone") ","
	TEXT("recovery_email") ", birthday DATE NOT NULL DEFAULT '0001-01-01',"
	" mailboxformat VARCHAR(50) NOT NULL DEFAULT 'maildir',"
	" mailboxfolder VARCHAR(50) NOT NULL DEFAULT 'Maildir',"
	TEXT("storagebasedirectory") "," TEXT("storagenode") "," TEXT("maildir") ","
	NUMBER("quota") "," NAME("domain") "," TEXT("transport") "," TEXT("department") ","
	" rank VARCHAR(255) NOT NULL DEFAULT 'normal'," TEXT("employeeid") ","
	OFF("isadmin") "," OFF("isglobaladmin") ","
	ON("enablesmtp") "," ON("enablesmtpsecured") ","
	ON("enablepop3") "," ON("enablepop3secured") "," ON("enablepop3tls") ","
	ON("enableimap") "," ON("enableimapsecured") "," ON("enableimaptls") ","
	ON("enabledeliver") "," ON("enablelda") ","
	ON("enablemanagesieve") "," ON("enablemanagesievesecured") ","
	ON("enablesieve") "," ON("enablesievesecured") "," ON("enablesievetls") ","
	ON("enableinternal") "," ON("enabledoveadm") "," ON("\"enablelib-storage\"") ","
	ON("\"enablequota-status\"") "," ON("\"enableindexer-worker\"") ","
	ON("enablelmtp") "," ON("enabledsync") "," ON("enablesogo") ","
	YES("enablesogowebmail") "," YES("enablesogocalendar") "," YES("enablesogoactivesync") ","
	" allow_nets TEXT DEFAULT NULL, disclaimer TEXT, settings TEXT,"
	TIME("passwordlastchange") "," LIFE ", PRIMARY KEY (username));"
	"CREATE INDEX mailbox_domain ON mailbox (domain);"
	"CREATE TABLE deleted_mailboxes (" SERIAL ","
	" timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,"
	NAME("username") "," NAME("domain") "," TEXT("maildir") "," NUMBER("bytes") ","
	NUMBER("messages") "," NAME("admin") ", delete_date DATE DEFAULT NULL);"
	"CREATE INDEX deleted_mailboxes_username ON deleted_mailboxes (username);"
	"CREATE INDEX deleted_mailboxes_due ON deleted_mailboxes (delete_date);"
	"CREATE TABLE used_quota (username VARCHAR(255) COLLATE NOCASE NOT NULL PRIMARY KEY,"
	NUMBER("bytes") "," NUMBER("messages") "," NAME("domain") ");"
	"CREATE INDEX used_quota_domain ON used_quota (domain);"
	"CREATE TABLE last_login (" NAME("username") "," NAME("domain") ","
	" imap INTEGER DEFAULT NULL, pop3 INTEGER DEFAULT NULL, lda INTEGER DEFAULT NULL,"
	" PRIMARY KEY (username));"
	"CREATE INDEX last_login_domain ON last_login (domain);";

static const char lists_sql[] =
	"CREATE TABLE alias (" NAME("address") "," TEXT("name") ","
	" accesspolicy VARCHAR(30) NOT NULL DEFAULT ''," NAME("domain") "," LIFE ","
	" PRIMARY KEY (address));"
	"CREATE INDEX alias_by_domain ON alias (domain);"
	"CREATE TABLE forwardings (" SERIAL "," NAME("address") "," NAME("forwarding") ","
	NAME("domain") "," NAME("dest_domain") "," OFF("is_maillist") "," OFF("is_list") ","
	OFF("is_forwarding") "," OFF("is_alias") "," ON("active") ","
	" UNIQUE (address, forwarding));"
	"CREATE INDEX forwardings_forwarding ON forwardings (forwarding);"
	"CREATE INDEX forwardings_domain ON forwardings (domain);"
	"CREATE INDEX forwardings_dest ON forwardings (dest_domain);"
	"CREATE TABLE moderators (" SERIAL "," NAME("address") "," NAME("moderator") ","
	NAME("domain") "," NAME("dest_domain") ", UNIQUE (address, moderator));"
	"CREATE TABLE maillist_owners (" SERIAL "," NAME("address") "," NAME("owner") ","
	NAME("domain") "," NAME("dest_domain") ", UNIQUE (address, owner));"
	"CREATE TABLE maillists (" SERIAL "," NAME("address") "," NAME("domain") ","
	TEXT("transport") ", accesspolicy VARCHAR(30) NOT NULL DEFAULT '',"
	NUMBER("maxmsgsize") "," TEXT("name") ", description TEXT,"
	" mlid VARCHAR(36) NOT NULL DEFAULT ''," OFF("is_newsletter") ", settings TEXT," LIFE ","
	" UNIQUE (address), UNIQUE (mlid));"
	"CREATE INDEX maillists_domain ON maillists (domain);";

#define BCC_DOMAIN(t)                                                                              \
	"CREATE TABLE " t " (" NAME("domain") "," NAME("bcc_address") "," LIFE ","                 \
	" PRIMARY KEY (domain));"
#define BCC_USER(t)                                                                                \
	"CREATE TABLE " t " (" NAME("username") "," NAME("bcc_address") "," NAME("domain") ","     \
	LIFE ", PRIMARY KEY (username));"

static const char policy_sql[] =
	BCC_DOMAIN("sender_bcc_domain") BCC_DOMAIN("recipient_bcc_domain")
	BCC_USER("sender_bcc_user") BCC_USER("recipient_bcc_user")
	"CREATE TABLE sender_relayhost (" SERIAL "," NAME("account") "," TEXT("relayhost") ","
	" UNIQUE (account));"
	"CREATE TABLE share_folder (from_user VARCHAR(255) COLLATE NOCASE NOT NULL,"
	" to_user VARCHAR(255) COLLATE NOCASE NOT NULL, dummy CHAR(1),"
	" PRIMARY KEY (from_user, to_user));"
	"CREATE INDEX share_folder_to ON share_folder (to_user);"
	"CREATE TABLE anyone_shares (from_user VARCHAR(255) COLLATE NOCASE NOT NULL PRIMARY KEY,"
	" dummy CHAR(1) DEFAULT '1');";

/*
 * An id belongs to one mailbox for ever. The triggers give and retire ids whoever edits the
 * tables: a mailbox that is deleted and made again is another account, a renamed one is the same.
 */
static const char ids_sql[] =
	"CREATE TABLE barid_account (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" username VARCHAR(255) COLLATE NOCASE UNIQUE," /* NULL: the mailbox is gone */
	" was VARCHAR(255) COLLATE NOCASE NOT NULL,"
	" created DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, deleted DATETIME);"
	"CREATE TABLE barid_setting (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);"
	"CREATE TRIGGER barid_mailbox_made AFTER INSERT ON mailbox BEGIN"
	" INSERT INTO barid_account (username, was) SELECT NEW.username, NEW.username"
	" WHERE NOT EXISTS (SELECT 1 FROM barid_account WHERE username = NEW.username); END;"
	"CREATE TRIGGER barid_mailbox_gone AFTER DELETE ON mailbox BEGIN"
	" UPDATE barid_account SET username = NULL, deleted = CURRENT_TIMESTAMP"
	" WHERE username = OLD.username; END;"
	"CREATE TRIGGER barid_mailbox_named AFTER UPDATE OF username ON mailbox"
	" WHEN OLD.username <> NEW.username BEGIN"
	" UPDATE barid_account SET username = NEW.username, was = NEW.username"
	" WHERE username = OLD.username; END;";

/*
 * Other ways to prove who one is. They belong to the account's id, and go when its mailbox does,
 * whoever deletes that.
 */
static const char credentials_sql[] =
	"CREATE TABLE barid_scram (account INTEGER NOT NULL, credential INTEGER NOT NULL,"
	" mechanism TEXT NOT NULL, iterations INTEGER NOT NULL, salt BLOB NOT NULL,"
	" stored_key BLOB NOT NULL, server_key BLOB NOT NULL,"
	" password_digest BLOB," /* of mailbox.password; NULL with an app password */
	" PRIMARY KEY (account, mechanism, credential)) WITHOUT ROWID;"
	"CREATE TABLE barid_app_password (" SERIAL ", account INTEGER NOT NULL,"
	" label VARCHAR(100) COLLATE NOCASE NOT NULL, hash BLOB NOT NULL,"
	" services TEXT NOT NULL DEFAULT '', networks TEXT NOT NULL DEFAULT '',"
	" addresses TEXT NOT NULL DEFAULT '', created DATETIME NOT NULL,"
	" expires DATETIME, last_used DATETIME, UNIQUE (account, label));"
	"CREATE TABLE barid_totp (account INTEGER PRIMARY KEY, secret BLOB NOT NULL,"
	" created DATETIME NOT NULL, confirmed DATETIME, last_step INTEGER NOT NULL DEFAULT 0,"
	" app_only TINYINT NOT NULL DEFAULT 1);"
	"CREATE TABLE barid_recovery (account INTEGER NOT NULL, hash BLOB NOT NULL,"
	" used DATETIME, PRIMARY KEY (account, hash)) WITHOUT ROWID;"
	"CREATE TABLE barid_master (name VARCHAR(255) COLLATE NOCASE PRIMARY KEY NOT NULL,"
	" password VARCHAR(255) NOT NULL, services TEXT NOT NULL DEFAULT '',"
	" created DATETIME NOT NULL, modified DATETIME NOT NULL," ON("active") ");"
	"CREATE TRIGGER barid_app_password_gone AFTER DELETE ON barid_app_password BEGIN"
	" DELETE FROM barid_scram WHERE account = OLD.account AND credential = OLD.id; END;"
	"CREATE TRIGGER barid_credentials_gone AFTER UPDATE OF username ON barid_account"
	" WHEN NEW.username IS NULL BEGIN"
	" DELETE FROM barid_app_password WHERE account = NEW.id;"
	" DELETE FROM barid_scram WHERE account = NEW.id;"
	" DELETE FROM barid_totp WHERE account = NEW.id;"
	" DELETE FROM barid_recovery WHERE account = NEW.id; END;";

/* A deleted account's mail is kept for a while; then it goes, and this says that it has gone. */
static const char mail_gone_sql[] =
	"ALTER TABLE barid_account ADD COLUMN mail_gone DATETIME;"
	"CREATE INDEX barid_account_deleted ON barid_account (deleted)"
	" WHERE deleted IS NOT NULL AND mail_gone IS NULL;";

/*
 * Who may send as whom beyond what is theirs anyway, and what barid itself says at relay hosts.
 * Rows go with what they name, whoever deletes that.
 */
static const char delegation_sql[] =
	"CREATE TABLE barid_send_as (" SERIAL "," NAME("login") "," NAME("sender") ","
	NAME("domain") "," TIME("created") "," ON("active") ", UNIQUE (login, sender));"
	"CREATE INDEX barid_send_as_sender ON barid_send_as (sender);"
	"CREATE TABLE barid_relay_login (account VARCHAR(255) COLLATE NOCASE PRIMARY KEY NOT NULL,"
	TEXT("username") ", secret BLOB NOT NULL," TIME("modified") ");"
	"CREATE TRIGGER barid_send_as_user_gone AFTER DELETE ON mailbox BEGIN"
	" DELETE FROM barid_send_as WHERE login = OLD.username OR sender = OLD.username; END;"
	"CREATE TRIGGER barid_send_as_alias_gone AFTER DELETE ON alias BEGIN"
	" DELETE FROM barid_send_as WHERE login = OLD.address OR sender = OLD.address; END;"
	"CREATE TRIGGER barid_send_as_domain_gone AFTER DELETE ON domain BEGIN"
	" DELETE FROM barid_send_as WHERE domain = OLD.domain"
	"  OR login = '@' || OLD.domain OR sender = '@' || OLD.domain; END;"
	"CREATE TRIGGER barid_send_as_user_named AFTER UPDATE OF username ON mailbox"
	" WHEN OLD.username <> NEW.username BEGIN"
	" UPDATE barid_send_as SET login = NEW.username WHERE login = OLD.username; END;"
	"CREATE TRIGGER barid_relay_login_gone AFTER DELETE ON sender_relayhost BEGIN"
	" DELETE FROM barid_relay_login WHERE account = OLD.account; END;";

/* clang-format on */

static const struct db_migration steps[] = {
	{"domains", domains_sql},
	{"mailboxes", mailbox_sql},
	{"aliases, forwardings and lists", lists_sql},
	{"copies, relays and shares", policy_sql},
	{"account ids", ids_sql},
	{"app passwords, SCRAM keys, second factors, master users", credentials_sql},
	{"mail of deleted accounts", mail_gone_sql},
	{"delegated senders, logins at relay hosts", delegation_sql},
};

unsigned dir_format(void)
{
	return ARRAY_LEN(steps);
}

int dir_schema(struct db *db, struct fail *why)
{
	return db_migrate(db, APPLICATION_ID, steps, ARRAY_LEN(steps), why);
}

struct str dir_now(char buf[DIR_TIME_MAX])
{
	char iso[CLOCK_TEXT_MAX];
	struct str t = clock_iso8601(iso, clock_wall());

	/* "2026-11-22T00:13:44.123456Z" without what a DATETIME column does not hold. */
	memcpy(buf, t.p, 19);
	buf[10] = ' ';
	buf[19] = 0;
	return str_make(buf, 19);
}
