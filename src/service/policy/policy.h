/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - may this mail come in, may it go out? Rules, one after the other.        [service]
 *
 * What is asked at each RCPT and at the end of a message, by barid's own SMTP or by another mail
 * server over port 7777 (codec/policy): rules in the order of their priority, each one file
 * rule_NAME.c. The first that does not say DUNNO decides. docs/ops/policy.md lists the rules,
 * docs/formats/policy.md the tables.
 *
 * The operator's rows are read into memory and read again when they have changed: at once when
 * barid changed them, within a second when another program did. What rules count (triplets,
 * rates) is in memory and written within a second (docs/adr/0060-policy-data.md). So a decision
 * waits for no disk. Threads: any; a query is one thread's.
 */
#ifndef BARID_SERVICE_POLICY_POLICY_H
#define BARID_SERVICE_POLICY_POLICY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/ids.h"
#include "codec/dns/dns.h"
#include "codec/policy/policy_request.h"
#include "codec/spf/spf.h"
#include "service/policy/key.h"
#include "sys/sock.h"

struct policy;

/* In the order of the table in rules.c. */
enum policy_rule_id {
	POLICY_RULE_REJECT_NULL_SENDER,
	POLICY_RULE_REJECT_TO_HOSTNAME,
	POLICY_RULE_WBLIST_RDNS,
	POLICY_RULE_LOGIN_MISMATCH,
	POLICY_RULE_GREYLISTING,
	POLICY_RULE_FORCE_CHANGE_PASSWORD,
	POLICY_RULE_THROTTLE,
	POLICY_RULE_LIST_ACCESS,
	POLICY_RULE_WBLIST,
	POLICY_RULE_WHITELIST_OUTBOUND,
	POLICY_RULE_SENDERSCORE,
	POLICY_RULES
};

enum policy_failure {
	POLICY_FAILURE_DUNNO, /* the rule has no opinion */
	POLICY_FAILURE_DEFER, /* 451 */
};

/* How long rows are kept; looked after once an hour. */
struct policy_keep {
	uint64_t sessions_s;
	uint64_t scores_s;
};

#define POLICY_GREYLIST_MESSAGE "Intentional policy rejection, please try again later"
/* rule_greylisting.c; docs/ops/greylisting.md. */
struct policy_greylist {
	bool training;	  /* recorded, but nobody is put off */
	bool spf;	  /* who passes SPF is not put off */
	uint64_t wait_s;  /* a new triplet may come again after so long, */
	uint64_t retry_s; /* within so long, */
	uint64_t keep_s;  /* and its client's network is known for so long after its last mail */
	unsigned bits4, bits6; /* of a client's network */
	const char *message;
};

/* rule_throttle.c */
struct policy_throttle {
	bool same_domain;   /* mail from a domain to itself does not count */
	bool spare_trusted; /* nor that of trusted clients who have not logged in */
	bool reject;	    /* what is over a limit of a period is refused for good; else put off */
};

/* rule_login_mismatch.c; texts are words between commas or blanks. */
struct policy_sender {
	bool strangers;	    /* who has not logged in uses no sender of ours, */
	bool spf;	    /* unless SPF names the client, */
	const char *forged; /* or one of these is used: a@b, b, a@* */
	bool aliases; /* who has logged in may use its aliases and what was delegated to it, */
	bool members; /* the lists that it is a member of, */
	const char *mismatch; /* and, when it is one of these, any sender: a@b, b; @b and @. : any
				 of its own domain */
};

#define POLICY_PASSWORD_MESSAGE "Your password is too old, please change it before you send mail"
/* rule_force_change_password.c */
struct policy_password {
	uint64_t age_s;
	const char *message;
	const char *spared; /* logins and domains: a@b, b */
};

/* Borrowed as long as a query; a configuration has one. */
struct policy_settings {
	bool off[POLICY_RULES];
	enum policy_failure on_failure; /* of rules where accepting does no harm */
	struct netcidrs trusted;	/* clients that most rules pass over: our own machines */
	const char *hostname;
	char delimiter; /* of user and detail; 0 = none */
	bool log_sessions;
	uint64_t timeout_ms;	 /* a decision takes no longer */
	uint64_t dns_timeout_ms; /* all that a rule asks the name service takes no longer */
	struct policy_greylist greylist;
	struct policy_throttle throttle;
	struct policy_sender sender;
	struct policy_password password;
	bool wblist_discard;	  /* what a list refuses is taken and thrown away instead */
	unsigned senderscore_max; /* with this score or less: refused */
	struct policy_keep keep;
};
/* Everything on; this machine is trusted. */
struct policy_settings policy_settings_default(void);
/* "reject_null_sender"; as settings and the log call it. */
const char *policy_rule_name(enum policy_rule_id id);

/* --- what rules ask of others; all may block, until the query's deadline --- */

enum policy_domain {
	POLICY_DOMAIN_FOREIGN,
	POLICY_DOMAIN_OURS,
	POLICY_DOMAIN_ALIAS,	 /* of one of ours */
	POLICY_DOMAIN_BACKUP_MX, /* we keep mail for it, its users are elsewhere */
};
struct policy_domain_facts {
	enum policy_domain kind;
	struct str target; /* POLICY_DOMAIN_ALIAS: of which one; in the arena */
};

/* Who may write to a list: of an alias account, or a mailing list. */
enum policy_access {
	POLICY_ACCESS_NONE, /* the address is neither, or anybody may write to it */
	POLICY_ACCESS_YES,
	POLICY_ACCESS_NO,
	POLICY_ACCESS_DISABLED, /* a list that is switched off */
};
struct policy_access_facts {
	enum policy_access access;
	struct str why; /* "membersonly, not a member"; in the arena */
};

struct policy_login_facts {
	bool known;	  /* there is such an account */
	bool may_send;	  /* as this sender: its own, an alias, delegated */
	bool list_member; /* the sender is a list, the login one of its members */
	uint64_t password_age_s;
};

/* NULL functions: nobody can be asked; then domains are foreign, and nothing is known. */
struct policy_ask {
	void *ctx;
	int (*domain)(void *ctx, struct str domain, struct arena *a,
		      struct policy_domain_facts *ret, struct fail *why);
	/* As struct spf_dns asks, for at most wait_ms; 0: what is remembered. NULL: nobody knows.
	 */
	void (*dns)(void *ctx, struct str name, enum dns_type type, unsigned wait_ms,
		    struct arena *a, struct dns_answer *ret);
	/* May this sender (bare; empty: the null sender) write to this recipient (bare)? */
	int (*access)(void *ctx, struct str recipient, struct str sender, struct arena *a,
		      struct policy_access_facts *ret, struct fail *why);
	int (*login)(void *ctx, struct str login, struct str sender, struct policy_login_facts *ret,
		     struct fail *why);
};

/* --- a question --- */

/* In lower case; all empty for the null sender and for what is missing. */
struct policy_address {
	struct str full;
	struct str bare;	  /* without its detail */
	struct str local, domain; /* of bare */
	struct policy_keys keys;
};
/* Facts that are found out when a rule wants them. */
struct policy_lazy {
	struct {
		bool known;
		struct policy_domain_facts facts;
	} domain[3]; /* of sender, recipient, login */
	bool spf_known;
	struct spf_verdict spf;
};

struct policy_query {
	const struct policy_settings *settings;
	const struct policy_ask *ask; /* NULL: there is nobody to ask */
	struct arena *arena;	      /* what rules make lives as long as the query */
	struct mono_ns deadline;
	struct wall_us now;
	bool *busy;   /* NULL: rules may wait. Else set by who is asked and would have to wait */
	bool dry;     /* a rehearsal: nothing is counted, recorded or learned */
	bool inside;  /* barid's own SMTP: what it has checked at MAIL is not asked again */
	bool invalid; /* sender or recipient is no address: nobody is asked */
	bool trusted; /* the client is one of settings->trusted */

	enum policy_state state;
	struct str id;	     /* what the log knows this mail by; empty: nothing */
	struct str instance; /* the same for all questions about a message */
	struct str queue_id, protocol_name, helo_name;
	struct netaddr client; /* family 0: not known */
	struct str client_address;
	struct str client_name, reverse_client_name; /* lower case; "unknown" or empty: none */
	struct policy_keys client_keys;
	struct str server_address;
	uint64_t server_port;
	struct str encryption_protocol, encryption_cipher;
	struct policy_address sender, recipient, login;
	/* At the end of a message inside barid: all of them; else the one, or none. */
	const struct policy_address *recipients;
	size_t n_recipients;
	uint64_t recipient_count; /* at the end: how many it has, known by name or not */
	uint64_t size;
	struct policy_lazy *lazy;
};

/*
 * Fill a query from a request: addresses lowered and expanded, networks read. Texts borrow from the
 * request and the arena. The caller may then set `id`, `dry`, `inside`, `now`, `ask` and
 * `recipients`. -FAIL_LIMIT: the arena is full.
 */
MUST_CHECK int policy_query_init(struct policy_query *q, const struct policy_request *r,
				 const struct policy_settings *settings, struct arena *a,
				 struct fail *why);
/* One address, for `recipients`. False: it is none (an empty one is fine). */
bool policy_address_init(struct policy_address *x, struct str address, char delimiter,
			 struct arena *a);

/* --- the answer --- */

enum policy_act {
	POLICY_DUNNO,
	POLICY_OK, /* no further rule is asked */
	POLICY_REJECT,
	POLICY_DEFER,		/* with code and text of its own */
	POLICY_DEFER_IF_PERMIT, /* 4xx, unless something else refuses */
	POLICY_DISCARD,
	POLICY_HOLD,
	POLICY_PREPEND, /* a header field: text */
	POLICY_ACTS
};
const char *policy_act_name(enum policy_act a); /* "DUNNO", "REJECT" */

#define POLICY_TEXT_MAX 400u
struct policy_verdict {
	enum policy_act act;
	unsigned code;	 /* REJECT, DEFER: of the reply */
	char status[12]; /* "5.7.1" */
	char text[POLICY_TEXT_MAX];
	const char *rule; /* who decided; NULL: nobody */
	char why[240];	  /* for people: which row or setting */
	bool failed;	  /* it could not be asked; what was configured counts */
	bool notify;	  /* the administrators are to be told: the first excess of a period */
};

/* One rule of a walk. */
struct policy_step {
	const char *rule;
	bool asked; /* else `why` says why not */
	uint64_t took_ns;
	struct policy_verdict verdict;
};
struct policy_walk {
	struct policy_step step[POLICY_RULES];
	size_t n;
};

/*
 * Ask the rules. *ret is the answer; `walk`, when not NULL, has every rule that was asked and what
 * it said. Never fails: a rule that could not be asked says what is configured for it.
 */
void policy_decide(struct policy *p, const struct policy_query *q, struct policy_walk *walk,
		   struct policy_verdict *ret);
/*
 * The same without waiting for anybody: q->busy is set. 0, or -FAIL_BUSY: nothing was decided or
 * counted, policy_decide is to be asked on a thread that may wait.
 */
MUST_CHECK int policy_decide_now(struct policy *p, const struct policy_query *q,
				 struct policy_verdict *ret);
/* For Postfix: "REJECT Blacklisted", "451 4.7.1 Later". */
void policy_verdict_action(const struct policy_verdict *v, struct str id, struct buf *out);

/*
 * Look up the networks of well-known senders that are due, at most `max` of them; blocking, a few
 * seconds each at worst. Returns how many; *ret_failed of them could not be, and keep what they
 * had.
 */
size_t policy_refresh_domains(struct policy *p, const struct policy_ask *ask, struct wall_us now,
			      size_t max, size_t *ret_failed);

/* --- life --- */

#define POLICY_WRITE_MS 500u /* what is to be written waits so long for more */

/*
 * `path` of policy.db; its folder must exist. Never fails for the file's sake: what cannot be
 * opened is tried again every second, and meanwhile rules that need rows fail. *why (may be NULL)
 * has the reason for the log.
 */
struct policy *policy_open(const char *path, const struct policy_keep *keep, struct fail *why);
void policy_configure(struct policy *p, const struct policy_keep *keep);
/* Write what waits, and write no more from now on. It may still be asked. */
void policy_finish(struct policy *p);
void policy_close(struct policy *p); /* with policy_finish; NULL is fine */
DEFINE_AUTO_PTR(policy, struct policy, policy_close);
unsigned policy_format(void); /* version of the file */

/* Is the file open, and are all rows in memory of now? */
struct policy_health {
	bool open;
	bool stale;	      /* the rows in memory could not be read again */
	uint64_t unwritten_s; /* something has waited so long to be written; 0: nothing */
	char problem[360];
};
void policy_health(struct policy *p, struct policy_health *ret);

#endif
