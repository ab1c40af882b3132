/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir.h - the directory: accounts, routing, authentication.                    [service]
 *
 * Accounts live in vmail.db, in the tables and columns of the reference's schema (domain, mailbox,
 * forwardings, alias, alias_domain ...; docs/formats/directory.md), so that panels and scripts may
 * edit them; every look-up reads the rows, hence an edit counts from the next call on. barid's own
 * tables beside them give each mailbox an id that is never used again.
 *
 * Every call is blocking and thread-safe: the connection is shared under a lock, which is not held
 * while a password is hashed. Results are copied into the caller's arena. An address is
 * compared without regard to case and given back in lower case.
 *
 * Errors common to all calls: FAIL_BUSY (another program holds the file's lock), FAIL_IO,
 * FAIL_CORRUPT, FAIL_LIMIT (arena or disk full): to be answered as "try again later".
 */
#ifndef BARID_SERVICE_DIR_DIR_H
#define BARID_SERVICE_DIR_DIR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "service/dir/destination.h"

struct dir;
struct fs;
struct srs;

/* Is SCRAM offered? */
enum dir_scram {
	DIR_SCRAM_AUTO, /* when every active account has keys */
	DIR_SCRAM_ON,
	DIR_SCRAM_OFF,
};

/* Whose access tokens are taken; all texts are borrowed as long as the directory. */
struct dir_oauth {
	const char *issuer; /* NULL or "": none */
	const char *audience;
	const char *username; /* the claim with the account's address */
	const char *scope;    /* "": any */
	const char *keys;     /* file of the issuer's keys, RFC 7517 */
	uint64_t leeway_s;
};

struct dir_config {
	const char *path;	  /* vmail.db; made when missing */
	struct fs *fs;		  /* NULL: the real file system */
	const char *storage_base; /* mailbox.storagebasedirectory of new users */
	const char *storage_node;
	char delimiter;		 /* between user and detail; 0 = no detail addressing */
	unsigned expand_max;	 /* addresses in one expansion */
	unsigned usage_delay_ms; /* a used_quota row is written at most this late (by dir_flush) */
	/* Authentication. */
	unsigned cache_max; /* remembered verifications */
	unsigned cache_ttl_s;
	unsigned slow_first_ms; /* delay of the first failed login, doubling ... */
	unsigned slow_max_ms;	/* ... up to this */
	unsigned slow_forget_s; /* a failure is forgotten after this */
	unsigned known_ttl_s;	/* a source that logged in stays known this long */
	unsigned slow_entries;	/* bound of each slow-down table */
	unsigned account_free;	/* failures on one account before strangers are slowed */
	enum dir_scram scram;
	bool scram_sha1;	   /* SCRAM-SHA-1 too */
	unsigned scram_iterations; /* of new keys */
	struct dir_oauth oauth;
	bool master_users;	    /* may act for others */
	char master_separator;	    /* between account and master in a login name */
	struct str master_services; /* that they may log in to; borrowed as long as the directory */
	unsigned exchanges_max;	    /* SASL exchanges under way */
	unsigned exchange_ttl_s;    /* one that is not continued is forgotten after this */
};

/* Good values for everything but path and fs. */
struct dir_config dir_config_default(void);
/* The newest format of vmail.db that this build knows. */
unsigned dir_format(void);

/* Opens and migrates. FAIL_UNSUPPORTED: the file is newer than this program, or not a directory. */
MUST_CHECK int dir_open(const struct dir_config *c, struct dir **ret, struct fail *why);
void dir_close(struct dir *d); /* writes what dir_flush would; NULL is fine */
DEFINE_AUTO_PTR(dir, struct dir, dir_close);
/*
 * The settings of routing; any time, they count from the next question on. NULL or "": none.
 * `hostname`: this machine's own name, `relay_host`: a next hop (codec/smtp/nexthop.h) for all that
 * is not ours. Texts are copied.
 */
void dir_configure(struct dir *d, const char *hostname, const char *relay_host);
/*
 * How rewritten senders lead back (NULL: not at all), and, when `forwarding`, those of forwarded
 * mail are made. Takes srs over. `rate`: messages that go back to one sender within an hour; 0 =
 * any number.
 */
void dir_srs(struct dir *d, struct srs *srs, bool forwarding, uint32_t rate);
/* When what dir_route answers last changed, at the latest: by orders, settings or another program.
 */
struct wall_us dir_routes_changed(struct dir *d);
/* Nobody has the lock at this moment: the next call will not have to wait for it, most likely. */
bool dir_is_free(struct dir *d);

/* ---- accounts ---- */

/* What an account may use. A service works over TLS, or from a trusted peer, when its flag is on.
 */
enum dir_service {
	DIR_SMTP,
	DIR_IMAP,
	DIR_POP3,
	DIR_SIEVE,    /* ManageSieve */
	DIR_WEB,      /* webmail and JMAP (enablesogowebmail) */
	DIR_DAV,      /* calendars and contacts (enablesogocalendar) */
	DIR_EAS,      /* ActiveSync (enablesogoactivesync) */
	DIR_DELIVER,  /* receiving mail (enabledeliver); never a login */
	DIR_SERVICES, /* how many there are */
};

/* How the password travelled: the reference has a flag for each. */
enum dir_channel {
	DIR_CLEAR,   /* nothing protects it: refused before dir is asked, kept for the flags */
	DIR_SECURED, /* a trusted peer or front end */
	DIR_TLS,
};

struct dir_account {
	struct account_id id;
	struct str address; /* mailbox.username */
	struct str domain;
	struct str name;
	struct str language;
	bool active;	      /* mailbox and domain active, domain not backup MX */
	bool delivers;	      /* active and enabledeliver */
	uint64_t quota_bytes; /* 0 = unlimited */
	uint64_t used_bytes;
	uint64_t used_messages;
};

/*
 * How much a user may send, as said for the user or the domain: messages and recipients an hour,
 * messages and recipients a day. 0 = as much as it likes, -1 = nothing was said. An unknown id has
 * nothing said.
 */
#define DIR_RATES 4
struct dir_rates {
	int64_t v[DIR_RATES];
};
MUST_CHECK int dir_rates(struct dir *d, struct account_id id, struct dir_rates *ret,
			 struct fail *why);

/* FAIL_NOTFOUND: no such mailbox (also for an id whose mailbox was deleted). */
MUST_CHECK int dir_account_by_id(struct dir *d, struct account_id id, struct arena *a,
				 struct dir_account *ret, struct fail *why);
/* By mailbox address only; aliases are dir_route's. */
MUST_CHECK int dir_account_by_address(struct dir *d, struct str address, struct arena *a,
				      struct dir_account *ret, struct fail *why);

/*
 * Accounts whose mailbox was deleted (by whomever) more than keep_s seconds ago, and whose mail is
 * still there: at most max ids into ret. Returns how many. From now on they cannot be brought back,
 * so their mail may go.
 */
MUST_CHECK int dir_accounts_gone(struct dir *d, uint64_t keep_s, struct account_id *ret, size_t max,
				 struct fail *why);
/* Its mail is gone, too. */
MUST_CHECK int dir_account_mail_gone(struct dir *d, struct account_id id, struct fail *why);

/* ---- routing ---- */

enum dir_verdict {
	DIR_OK,	      /* ours: dests says where */
	DIR_NOT_OURS, /* the domain is not ours: dests holds the one remote address; relay or refuse
		       */
	DIR_UNKNOWN,  /* 550 5.1.1: no such recipient, or disabled */
	DIR_OVER_QUOTA,	 /* 552 5.2.2: every destination is a full mailbox (dests says which) */
	DIR_BAD_ADDRESS, /* 553 5.1.3: not an address */
	DIR_LOOPS,	 /* 451 4.6.0: the expansion is too large; nothing is delivered */
	DIR_REFUSED,	 /* the operator's own words (transport "error:"): status and refusal */
};

#define DIR_VERDICTS	(DIR_REFUSED + 1)
#define DIR_REFUSAL_MAX 200
struct dir_route {
	enum dir_verdict verdict;
	struct destination *dests; /* no two alike */
	size_t n;
	/* Who gets a copy of the message (BCC) when this recipient is taken; may be among dests of
	 * this or another recipient. Nobody is told of their fate: NOTIFY=NEVER. */
	struct destination *copies;
	size_t n_copies;
	struct str note;    /* for the log: which row decided, or why not */
	struct str status;  /* DIR_REFUSED: "5.1.2"; of class 4: not now */
	struct str refusal; /* and the text, printable ASCII, at most DIR_REFUSAL_MAX */
	/* With dir_rcpt.sender_too: the sender's domain is ours, and has no such address. */
	bool sender_unknown;
	struct str sender_note; /* for the log, as `note` */
};

/* How much of the directory an address goes through. */
enum dir_mapping {
	DIR_EXPAND,   /* all of it, with copies */
	DIR_AS_IT_IS, /* it was expanded before: no alias, no catch-all; transports count */
	DIR_MAILBOX,  /* the same, and only a mailbox of ours will do, whatever its transport */
};

struct dir_rcpt {
	struct str address; /* without angle brackets */
	struct str sender;  /* of the envelope: whose relay host and copies count; empty: null */
	uint64_t size;	    /* octets that the message will have (SIZE, RFC 1870); 0 = not known */
	enum dir_mapping mapping;
	bool arrives;	 /* it is counted: mail comes for it at this moment */
	bool sender_too; /* look the sender up as well: one question instead of two */
};

/*
 * Resolve an envelope recipient. Order of keys and tables as the reference
 * has it: user+detail@domain, user@domain, @domain; for each, forwardings, then those of an alias
 * domain's target, then the catch-alls. A mailbox never falls to a catch-all, with or without its
 * own row. The text after the delimiter stays with a mailbox destination as its detail.
 * docs/formats/directory.md, "Routing".
 */
MUST_CHECK int dir_route(struct dir *d, const struct dir_rcpt *rcpt, struct arena *a,
			 struct dir_route *ret, struct fail *why);

/*
 * The sender that mail gets which is forwarded to `rcpt` (service/srs/srs.h). 1: it is in ret, in
 * the arena; 0: it stays. dir_route leads such an address back.
 */
MUST_CHECK int dir_srs_sender(struct dir *d, struct str sender, struct str rcpt, struct arena *a,
			      struct str *ret, struct fail *why);
/* Is this domain (normalised) hosted here, in whatever way? 1 or 0. */
MUST_CHECK int dir_domain_is_ours(struct dir *d, struct str domain, struct fail *why);

/* One look into the directory on the way, for people. */
struct dir_route_step {
	struct str key;
	struct str table; /* "-": none */
	struct str result;
};

/* The longest of each that is kept. */
#define DIR_RELAY_USERNAME_MAX 320
#define DIR_RELAY_PASSWORD_MAX 512
struct dir_relay_login {
	char username[DIR_RELAY_USERNAME_MAX + 1];
	char password[DIR_RELAY_PASSWORD_MAX + 1]; /* the caller clears it */
};
/*
 * How to log in at a next hop, for mail of this sender (empty: the null sender). 1 with *ret, 0:
 * without. A login is given for the next hop alone that it was stored with.
 */
MUST_CHECK int dir_relay_login(struct dir *d, struct str sender, struct str nexthop,
			       struct dir_relay_login *ret, struct fail *why);

/*
 * May this account send as `address`? 1: its own address, one of its aliases, either of these in
 * an alias domain, each with or without a detail; or it was delegated (`barid send-as`). 0: no
 * (also for the null sender's "").
 */
MUST_CHECK int dir_sender_allowed(struct dir *d, struct account_id id, struct str address,
				  struct fail *why);

/* ---- quota ---- */

/* The account's mailboxes now hold this much. Counts at once here; used_quota is written by
 * dir_flush. */
MUST_CHECK int dir_usage(struct dir *d, struct account_id id, uint64_t bytes, uint64_t messages,
			 struct fail *why);
/* Write waiting used_quota and last_login rows. The role calls it every usage_delay_ms. */
MUST_CHECK int dir_flush(struct dir *d, struct fail *why);

/* ---- authentication ---- */

/* Where a login comes in. */
struct dir_place {
	enum dir_service service;
	enum dir_channel channel;
	struct str peer; /* the client's address as text: "192.0.2.7", "2001:db8::1" */
};
struct dir_login {
	struct dir_place place;
	struct str username;  /* a full address */
	struct str password;  /* the caller clears it */
	struct str mechanism; /* for the log; empty = PLAIN */
	struct str authzid;   /* SASL PLAIN: whom to act for; empty = the user */
	bool claimed; /* somebody whom we trust has checked the password: everything else counts */
};

/* By what a session was granted. */
enum dir_proof { DIR_PROOF_PASSWORD, DIR_PROOF_APP, DIR_PROOF_MASTER, DIR_PROOF_TOKEN };

#define DIR_REASON_MAX	 120
#define DIR_USERNAME_MAX 256
#define DIR_LABEL_MAX	 101
struct dir_grant {
	bool granted;
	struct account_id account; /* the rest: when granted */
	struct str address;
	struct str name;
	/* The answer, either way, must not be sent before this moment. {0} = at once. */
	struct mono_ns not_before;
	const char *client_text;     /* the same for every refusal */
	char reason[DIR_REASON_MAX]; /* for the log: "password", "no such user", "imap off" ... */
	bool cached;		     /* no hash was computed */
	bool told;		     /* a refusal that an earlier step has told already */
	enum dir_proof proof;	     /* what was proved; see dir_session_opened */
	uint8_t proof_digest[32];    /* of the stored hash, with DIR_PROOF_PASSWORD and _MASTER */
	uint64_t credential;	     /* the app password's id; 0 = none */
	char label[DIR_LABEL_MAX];   /* its label */
	char master[64];	     /* the master user who acts for the account; "" = nobody */
	/* For the log; also with a refusal, as far as it is known. */
	char mechanism[24];		 /* "PLAIN", "SCRAM-SHA-256-PLUS", "OAUTHBEARER" */
	char username[DIR_USERNAME_MAX]; /* as the client gave it, cut */
};

/*
 * Check a login. Returns 0 with ret->granted telling the outcome; negative only when the directory
 * cannot be asked (then nothing is counted). Costs a hash (17 ms for yescrypt) unless this
 * password was verified a short while ago.
 *
 * Slowing: a source network (IPv4 address, IPv6 /64) that fails waits slow_first_ms, doubling to
 * slow_max_ms. An account under attack delays strangers only: a source with a recent success on
 * that account is never delayed by others' failures. Nothing locks an account.
 */
MUST_CHECK int dir_auth(struct dir *d, const struct dir_login *l, struct arena *a,
			struct dir_grant *ret, struct fail *why);

/*
 * The same where no hash has to be computed: the password was verified a short while ago, or is an
 * app password. 1: granted, and all is done; 0: nothing was decided or counted, ask dir_auth.
 */
MUST_CHECK int dir_auth_remembered(struct dir *d, const struct dir_login *l, struct arena *a,
				   struct dir_grant *ret, struct fail *why);

/*
 * Hashing is dear, and whoever guesses wants it all day long: those who have logged in to the
 * account from there before come first; who guesses, or is a stranger at an account that is being
 * guessed, comes last.
 */
enum dir_turn { DIR_TURN_KNOWN, DIR_TURN_NEW, DIR_TURN_SUSPECT };
enum dir_turn dir_login_turn(struct dir *d, struct str peer, struct str username);

/* May a session that was granted by this app password send as `address`? 1, or 0. */
MUST_CHECK int dir_credential_sends(struct dir *d, uint64_t credential, struct str address,
				    struct fail *why);

/* ---- sessions that were granted ---- */

/*
 * Whoever was granted a session keeps it only as long as what it was granted by holds: the stored
 * hash is the same, the app password is there and in time, the account and its service are on.
 *
 * dir_session_opened remembers one and appends a ticket, sealed with the directory's key, to out
 * (at most DIR_TICKET_MAX bytes). A session is *held* while the role that acts for it has it open,
 * and only that role's word ends it: edge's counts for those that nobody holds. -FAIL_PERM: it is
 * held already; nobody logs in twice.
 */
#define DIR_TICKET_MAX 160
MUST_CHECK int dir_session_opened(struct dir *d, uint64_t session, const struct dir_place *l,
				  const struct dir_grant *g, struct buf *out, struct fail *why);
/*
 * A ticket is shown to a directory that was restarted: by who holds the session, or by edge, which
 * is believed in the first minute only (afterwards it would bring back what has ended; 0 all the
 * same). -FAIL_CORRUPT: the ticket is not one of ours for this session.
 */
MUST_CHECK int dir_session_again(struct dir *d, uint64_t session, struct str ticket, bool held,
				 struct fail *why);
/*
 * The session is opened again from its state, for this account: may it go on? It is held from then
 * on. -FAIL_AUTH: it has ended, or its right has, or the ticket is another one's.
 */
MUST_CHECK int dir_session_renew(struct dir *d, uint64_t session, struct account_id account,
				 struct str ticket, struct fail *why);
/* Who closes a session: by account and service, NULL is edge. */
typedef bool (*dir_session_holder)(const void *ctx, struct account_id account,
				   enum dir_service service);
void dir_session_closed(struct dir *d, uint64_t session, dir_session_holder holder,
			const void *ctx);
/* In place of what was said before: `from` shares mailboxes with these, and with everybody or not.
 */
MUST_CHECK int dir_share_set(struct dir *d, struct str from, const struct str *to, size_t n,
			     bool anyone, struct fail *why);
/* The alias accounts that this address is a member of, also by way of others: a line each, at most
 * 200. What users forward themselves makes nobody a member. */
MUST_CHECK int dir_groups_of(struct dir *d, struct str address, struct buf *ret, struct fail *why);
/* 0: there is an alias account of this address; -FAIL_NOTFOUND. */
MUST_CHECK int dir_is_group(struct dir *d, struct str address, struct fail *why);
/* Who shares mailboxes with this address, or a group ("$address") that it is in, or everybody: a
 * line each, at most 2,000. */
MUST_CHECK int dir_shares_with(struct dir *d, struct str to, struct buf *ret, struct fail *why);
/* Who acts by this session, and where. -FAIL_NOTFOUND: nobody does. */
MUST_CHECK int dir_session_who(struct dir *d, uint64_t session, struct account_id *ret_account,
			       enum dir_service *ret_service, struct fail *why);
/* The process that held these has ended; they may be opened again within two hours. */
void dir_sessions_let_go(struct dir *d, dir_session_holder holder, const void *ctx);
/* The edge with this index is gone, and its sessions with it, but for those that are held: their
 * ids begin with it. */
void dir_sessions_forget(struct dir *d, unsigned edge);
/*
 * Call it every second or so. Cheap unless somebody changed the directory, or a minute is over
 * (then what ends by time is looked at): then each session is judged, and `end` is called for
 * those that are over; they are forgotten. Blocks; the lock is not held during `end`.
 */
typedef void (*dir_session_end)(void *ctx, uint64_t session, struct account_id account,
				enum dir_service service, const char *reason);
MUST_CHECK int dir_sessions_check(struct dir *d, dir_session_end end, void *ctx, struct fail *why);

/* ---- second factors (RFC 6238) ---- */

/*
 * A second factor is set up in two steps: dir_totp_begin makes a secret for the authenticator
 * program, dir_totp_confirm turns it on with a code of it. While it is on, services without a
 * place for a code (all but DIR_WEB) refuse the account's own password, unless `app_only` is off:
 * their programs use app passwords. Secrets are sealed with the directory's key.
 *
 * All but dir_totp_check expect an order to be under way (service/dir/admin_totp.c).
 */
#define DIR_RECOVERY_CODES 10
struct dir_totp {
	bool on;
	bool begun;    /* waits for its confirmation */
	bool app_only; /* see above */
	unsigned recovery_left;
};
MUST_CHECK int dir_totp_get(struct dir *d, struct account_id id, struct dir_totp *ret,
			    struct fail *why);
/* *ret is the secret in base32; one that was there is gone. */
MUST_CHECK int dir_totp_begin(struct dir *d, struct account_id id, bool app_only, struct arena *a,
			      struct str *ret, struct fail *why);
/* FAIL_AUTH: not the code. The recovery codes are shown this once. */
MUST_CHECK int dir_totp_confirm(struct dir *d, struct account_id id, struct str code,
				struct arena *a, struct str ret[DIR_RECOVERY_CODES],
				struct fail *why);
MUST_CHECK int dir_totp_end(struct dir *d, struct account_id id, struct fail *why);
/*
 * 1: a code of now, or a recovery code, that was not used before; it is used now. 0: not, or the
 * second factor is off. Takes the lock itself; who calls it slows guesses down.
 */
MUST_CHECK int dir_totp_check(struct dir *d, struct account_id id, struct str code,
			      struct fail *why);

/* ---- mechanisms of several steps: SCRAM (RFC 5802), OAUTHBEARER (RFC 7628), XOAUTH2 ---- */

/*
 * Which mechanisms beside PLAIN and LOGIN are offered now, enum sasl_offer bits
 * (codec/sasl/sasl.h). Cheap unless the directory changed; then every active account is looked at.
 */
MUST_CHECK int dir_offer(struct dir *d, unsigned *ret, struct fail *why);

struct dir_sasl {
	uint64_t session; /* names the exchange; a new one takes the place of an old one */
	struct dir_place place;
	struct str mechanism;
	struct str binding; /* the channel's tls-exporter data (RFC 9266); empty: it has none */
};
struct dir_step {
	bool more; /* send the challenge, and give the client's answer to dir_sasl_next */
	struct str challenge; /* decoded; with a grant: to be sent before the client is told */
	struct dir_grant
		grant; /* unless more; with more and a reason: refused, and still to be said */
};
/*
 * The client's first message, decoded, and each further one. As dir_auth: 0 whatever the outcome.
 * What stands between two steps is kept here, at most exchanges_max of them: the oldest goes, and
 * its client is refused. The mechanisms that are not offered are refused too. Of a further message
 * session and service count; FAIL_PEER when it names another service than the first: the exchange
 * is over.
 */
MUST_CHECK int dir_sasl_begin(struct dir *d, const struct dir_sasl *s, struct str message,
			      struct arena *a, struct dir_step *ret, struct fail *why);
MUST_CHECK int dir_sasl_next(struct dir *d, const struct dir_sasl *s, struct str message,
			     struct arena *a, struct dir_step *ret, struct fail *why);
void dir_sasl_end(struct dir *d, uint64_t session); /* the client gave up; fine without one */

#endif
