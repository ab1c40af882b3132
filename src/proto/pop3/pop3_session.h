/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3_session.h - one logged-in POP3 connection, without the connection.  [proto, pop3]
 *
 * RFC 1939 from the TRANSACTION state on, with RFC 2449 (CAPA), RFC 6856 (LANG) and the response
 * codes of RFC 3206. Login itself happens before, in the role that holds the socket.
 *
 *     next = pop3_session_open(s, &out);               the greeting
 *     next = pop3_session_lines(s, batch, &out);       lines, as smtp_batch.h packs them
 *     while (next == POP3_MORE) { send out, wait until it has drained; next =
 * pop3_session_resume(s, &out); }
 *
 * The session sees INBOX as it was when it began, whatever IMAP does with it meanwhile (RFC 1939
 * section 3 asks for a lock; a view of the store is as good, and locks nobody out). Numbers never
 * change. A message that IMAP has expunged can be fetched until the store has forgotten it. That no
 * two POP3 sessions have one mailbox is seen to by the role.
 *
 * The session never waits for the network: what it has to say goes into a pop3_out, and where that
 * is full it keeps a cursor and returns. It does block on the store. Between two calls no thread
 * belongs to it. Used by one thread at a time.
 *
 * Invariants
 *  1. Nothing changes in the mailbox but by QUIT, and by it in one transaction: all or nothing.
 *  2. A message's number of octets is what RETR sends without doubled dots and the last line.
 *  3. Between commands the whole session can be exported; the imported one answers every further
 *     command with the same bytes.
 */
#ifndef BARID_PROTO_POP3_SESSION_H
#define BARID_PROTO_POP3_SESSION_H

#include "codec/pop3/pop3_lang.h"
#include "codec/pop3/pop3_uidl.h"
#include "service/store/store.h"

struct fs;
struct pop3_session;

enum pop3_next {
	POP3_DONE,  /* everything is answered; send, then give the next lines */
	POP3_MORE,  /* send, then pop3_session_resume; the batch must stay valid until then */
	POP3_CLOSE, /* send, then close the connection and free the session */
};

/* What becomes of a message that the client deletes. */
enum pop3_deleted {
	POP3_DELETED_EXPUNGE,
	POP3_DELETED_KEEP, /* it stays, seen and with the keyword POP3_KEEP_KEYWORD: hidden here */
	POP3_DELETED_TRASH,
	POP3_DELETED_ARCHIVE,
	POP3_DELETED_COUNT
};
/* "expunge" ...; POP3_DELETED_COUNT: no such word. */
enum pop3_deleted pop3_deleted_find(struct str word);
#define POP3_KEEP_KEYWORD "$POP3Deleted"
/* An account's own choice: a value of the account itself (RFC 5464). */
#define POP3_DELETED_ENTRY "/private/vendor/barid/pop3-deleted"

struct pop3_config {
	uint32_t login_delay_s; /* told with the capabilities */
	enum pop3_deleted deleted;
	bool utf8_only; /* headers with bytes above 127 are for clients that have said UTF8 */
	char usual[20]; /* language that "*" stands for */
	char uidl_format[64];
	struct fs *fs; /* NULL: the real one; for reading body files */
};

/* Where answers go. */
struct pop3_out {
	struct buf *text;
	void *arg;
	/* Behind what is in text now: a range of a file, whose descriptor it takes. */
	void (*file)(void *arg, int fd, uint64_t offset, uint64_t length);
	/* There is enough to send for now. */
	bool (*full)(const void *arg);
};

struct pop3_session_args {
	const struct pop3_config *config; /* copied */
	struct store *store;
	struct account_id account;
	struct str mechanisms; /* each behind a blank, for CAPA; copied */
	struct pop3_choice choice;
};

/* Does not touch the store; never NULL. */
struct pop3_session *pop3_session_new(const struct pop3_session_args *args);
/* Also while a command is unfinished. NULL is fine. */
void pop3_session_free(struct pop3_session *s);
DEFINE_AUTO_PTR(pop3_session, struct pop3_session, pop3_session_free);
/* Other numbers from the next lines on. */
void pop3_session_configure(struct pop3_session *s, const struct pop3_config *c);

/* Open INBOX and greet; or say why not, and POP3_CLOSE. */
enum pop3_next pop3_session_open(struct pop3_session *s, const struct pop3_out *out);
enum pop3_next pop3_session_lines(struct pop3_session *s, struct str batch,
				  const struct pop3_out *out);
enum pop3_next pop3_session_resume(struct pop3_session *s, const struct pop3_out *out);
/* The session changed the account's mail: true once after a QUIT that did. */
bool pop3_session_changed(struct pop3_session *s);
/* Quiet between commands: drop what can be read again. */
void pop3_session_rest(struct pop3_session *s);

/* A refusal in the client's language, "-ERR [code] text"; code may be empty. */
void pop3_refuse(struct buf *out, const struct pop3_choice *choice, const char *code,
		 const char *text);

/* Append the whole state, versioned (docs/formats/pop3-session.md). -FAIL_BUSY: within a command.
 */
unsigned pop3_session_version(void);
MUST_CHECK int pop3_session_export(const struct pop3_session *s, struct buf *out, struct fail *why);
/* The same session again, in another process; args->mechanisms and ->choice come from the state.
 * Exact, or -FAIL_CONFLICT or -FAIL_SYNTAX: the connection ends. */
MUST_CHECK int pop3_session_import(const struct pop3_session_args *args, struct str exported,
				   struct pop3_session **ret, struct fail *why);

#endif
