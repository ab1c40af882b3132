/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_session.h - one logged-in IMAP connection, without the connection.  [proto, imap]
 *
 * RFC 3501 and, after ENABLE IMAP4rev2, RFC 9051 from the authenticated state on, with IDLE (2177),
 * NAMESPACE (2342), ID (2971), CHILDREN (3348), UNSELECT (3691), UIDPLUS (4315), MULTIAPPEND
 * (3502), ENABLE (5161), LIST-EXTENDED (5258), LIST-STATUS (5819), SPECIAL-USE (6154), MOVE (6851),
 * CONDSTORE (7162), QUOTA (9208). Login itself happens before, in the role that holds the socket.
 *
 *     next = imap_session_command(s, &in, &out);       one complete command
 *     while (next == IMAP_MORE) { send out, wait until it has drained; next =
 * imap_session_resume(s, &out); }
 *
 * The session never waits for the network: what it has to say goes into an imap_out, and where
 * that is full it keeps a cursor and returns. It does block on the store. Between two calls no
 * thread belongs to it. A session is used by one thread at a time; `wake` is called from any.
 *
 * Invariants
 *  1. EXPUNGE is told only where RFC 3501 7.4.1 allows it; everything else that other sessions
 *     changed is told at the end of each command and in IDLE.
 *  2. The tagged line is the last line of a command, after all untagged ones.
 *  3. Between commands, and while parked in IDLE, the whole session can be exported; the imported
 *     one answers every further command with the same bytes.
 */
#ifndef BARID_PROTO_IMAP_IMAP_SESSION_H
#define BARID_PROTO_IMAP_IMAP_SESSION_H

#include "codec/imap/imap_lex.h"
#include "proto/imap/imap_out.h"
#include "service/store/store.h"

struct fs;
struct search;
struct imap_session;
struct imap_guest_ask;
struct imap_guest_answer;

enum imap_next {
	IMAP_QUIET, /* of imap_session_wake: there was nothing to say, and nothing changed */
	IMAP_DONE,  /* the command is answered; send, then give the next one */
	IMAP_MORE,  /* send (perhaps nothing: a long SEARCH gives the thread back now and then),
		     * then imap_session_resume; `in` must stay valid until then */
	IMAP_PARK,  /* in IDLE: send; next is imap_session_wake, or one raw line ("DONE") */
	IMAP_CLOSE, /* send, then close the connection and free the session */
};

/* Numbers of the operator. One constant holds the defaults. */
struct imap_config {
	struct imap_limits limits;
	uint64_t append_max;	   /* bytes of one appended message */
	size_t arena_max;	   /* memory of one command */
	unsigned bad_commands_max; /* in a row, then BYE */
	uint32_t message_limit;	   /* messages of one command (RFC 9738); 0 = no bound */
	uint32_t save_limit;	   /* of one COPY or APPEND; 0 = no bound */
	uint64_t search_max_ms;	   /* work of one SEARCH, SORT or THREAD; 0 = no bound */
	/* A search that takes longer tells how far it is, so often (RFC 9585). */
	int64_t progress_ns;
	bool literal_minus;	  /* advertise LITERAL- instead of LITERAL+; the framer refuses */
	bool share_with_anyone;	  /* rights may be given to everybody */
	char public_account[321]; /* whose mailboxes are the public ones; without "@": of the
				   * user's domain; empty: there are none */
	struct fs *fs;		  /* NULL: the real one; for reading body files */
	bool strict_headers;	  /* 8-bit bytes in headers are for UTF8=ACCEPT only (RFC 6855) */
};
struct imap_config imap_config_default(void);

/* What the session asks of its role. All may block, except wake. */
struct imap_hooks {
	void *arg;
	/* Index a message (bytes or a sealed file, no prefix) in the scan role; the map is appended
	 * to *ret_map. */
	int (*scan)(void *arg, const struct store_content *content, struct buf *ret_map,
		    struct fail *why);
	/* The account's limits now. NULL: none. */
	int (*quota)(void *arg, struct store_quota *ret, struct fail *why);
	/* Something happened while the session is parked: arrange for imap_session_wake. Called on
	 * a thread of the store, must not block nor call the session. May come when the session is
	 * no longer parked (wake is harmless then), never after imap_session_free. */
	void (*wake)(void *arg);
	/* Ask a visit (guest.h) at the account that ask->owner names; blocks. NULL: no session sees
	 * mailboxes of others. -FAIL_NOTFOUND: no such account, or it is this one. */
	int (*guest)(void *arg, struct imap_guest_ask *ask, struct imap_out *out,
		     struct imap_guest_answer *ret, struct fail *why);
	/* The addresses of those who share mailboxes with this account, a line each. */
	int (*hosts)(void *arg, struct buf *ret, struct fail *why);
	/* What an identifier of a list of `account` means: *ret is the account with that address,
	 * or {0} of a group ("$address"). -FAIL_NOTFOUND: nobody has the address. NULL: nobody has
	 * any. */
	int (*named)(void *arg, struct account_id account, struct str name, struct account_id *ret,
		     struct fail *why);
	/* Who else may do what with mailboxes of this account has changed. NULL: of no interest. */
	int (*shared)(void *arg, struct account_id account, struct fail *why);
	/* The operator's value of /shared/admin or /shared/comment of the server (RFC 5464),
	 * appended; nothing when there is none. NULL: none. */
	void (*server_entry)(void *arg, struct str entry, struct buf *ret);
	/* What a signed URL, of whomever's mailbox, gives to this session. NULL: nothing ever. */
	int (*url)(void *arg, struct str url, struct imap_out *ret, struct fail *why);
};

enum imap_right {
	IMAP_RIGHT_WRITE = 1u << 0, /* without it every mailbox is read-only */
};

/* Somebody who looks at mailboxes of another account, with the rights that these give. */
struct imap_guest {
	struct account_id account; /* whose \Seen it is */
	struct str address;
	struct str groups; /* alias accounts that it is a member of, a line each */
	struct str prefix; /* what the account's names have in front for him: "Shared/a@b/" */
};

/* Everything but `store` and `search` is copied; `address` is the login name, for messages and the
 * log. */
struct imap_session_args {
	const struct imap_config *config;
	struct store *store;
	struct search *search; /* an index of the store, or NULL */
	struct account_id account;
	struct str address;
	unsigned rights; /* enum imap_right */
	struct imap_hooks hooks;
	const struct imap_guest *guest; /* NULL: the owner */
};

/* A session in the authenticated state. Does not touch the store; never NULL. */
struct imap_session *imap_session_new(const struct imap_session_args *args);
/* Also while a command is unfinished. NULL is fine. */
void imap_session_free(struct imap_session *s);
DEFINE_AUTO_PTR(imap_session, struct imap_session, imap_session_free);
/* Other numbers from the next command on (but arena_max). Between commands, as they. */
void imap_session_configure(struct imap_session *s, const struct imap_config *c);

/*
 * May a literal that is too big to be held in memory come? `text` is the command so far. Only
 * APPEND may have one. Returns 0 and the file that the bytes go to (the caller owns it, and
 * gives it back unsealed in imap_session_input), or the reason to refuse the literal with
 * (imap_write_refusal): -FAIL_SYNTAX, -FAIL_TOOBIG, -FAIL_QUOTA, -FAIL_LIMIT, ...
 * Thread: as the commands, but may come while another command of this session is unfinished.
 */
MUST_CHECK int imap_session_literal(struct imap_session *s, struct str text, uint64_t size,
				    struct store_body *ret, struct fail *why);

/* A complete command. All of it is borrowed until the command is answered. */
struct imap_session_input {
	struct imap_input cmd;
	struct store_body *body; /* one for each cmd.external, written in full, not sealed */
};

/*
 * Carry out one command; in IDLE: take the line that ends it. `out` should be empty.
 * Not before the previous command is done (CHECK).
 */
enum imap_next imap_session_command(struct imap_session *s, const struct imap_session_input *in,
				    struct imap_out *out);
/* Go on after IMAP_MORE, when the output has drained. */
enum imap_next imap_session_resume(struct imap_session *s, struct imap_out *out);
/* Say what has changed, while parked or, after NOTIFY, between two commands. Returns IMAP_PARK or
 * IMAP_DONE (as the session is), IMAP_MORE, IMAP_CLOSE, or IMAP_QUIET. */
enum imap_next imap_session_wake(struct imap_session *s, struct imap_out *out);

/* The tagged line "TAG NO [CODE] text" (BAD for -FAIL_SYNTAX; untagged when `tag` is empty) for a
 * command that was refused outside of the session: r and why as a failed call left them. */
void imap_write_refusal(struct buf *out, struct str tag, int r, const struct fail *why);

/* Who wants what a URL names (RFC 4467). */
struct imap_url_asker {
	struct str login; /* address; empty: nobody has logged in */
	bool submission;  /* by BURL, not by URLFETCH */
};
/*
 * The bytes that a signed URL names, when it is right, not expired, and for this asker: appended to
 * *ret. `owner`: store, config and account of the URL's user. At most `max` octets: -FAIL_TOOBIG.
 * -FAIL_PERM: the token is not of the mailbox's key, or for somebody else, or its time is over.
 * -FAIL_NOTFOUND: there is no such mailbox, message or section. Reads only. Thread: any.
 */
struct imap_url;
MUST_CHECK int imap_url_read(const struct imap_session_args *owner, const struct imap_url *u,
			     const struct imap_url_asker *who, uint64_t max, struct imap_out *ret,
			     struct fail *why);

bool imap_session_is_parked(const struct imap_session *s);
/* Quiet between commands: drop what can be read again. Costs nothing but time later. */
void imap_session_rest(struct imap_session *s);

/*
 * Append the whole state, versioned (docs/formats/imap-session.md): some hundred bytes. Only
 * between commands or while parked: -FAIL_BUSY otherwise. The session stays as it is.
 */
unsigned imap_session_version(void); /* of what export writes */
MUST_CHECK int imap_session_export(const struct imap_session *s, struct buf *out, struct fail *why);
/*
 * The same session again, in another process. Exact, or -FAIL_CONFLICT (the caller says BYE); other
 * codes only for a store that does not work now. After import call imap_session_wake once: what
 * happened meanwhile is told then to who is parked or has said NOTIFY.
 */
MUST_CHECK int imap_session_import(const struct imap_session_args *args, struct str exported,
				   struct imap_session **ret, struct fail *why);

#endif
