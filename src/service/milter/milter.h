/* SPDX-License-Identifier: Apache-2.0 */
/*
 * milter.h - the milters of one SMTP session, in order.                         [service]
 *
 * A session tells what its client says (HELO, MAIL, RCPT, DATA, the message), and each milter of
 * the list is asked in turn; the first that refuses is the answer. What was said is kept as
 * *facts*: a milter is connected when it first matters, and told then what it missed. So a session
 * that another process goes on with gives the facts back (milters_restore_*) and nothing is lost,
 * and a milter that was restarted between two commands is connected again without anybody noticing.
 *
 * A milter that cannot be reached, is silent for too long or breaks the protocol gets its default:
 * ACCEPT does as if it were not there, TEMPFAIL and REJECT refuse, QUARANTINE accepts and has the
 * message held. It stays so until the next MAIL. What it had changed in a message counts only when
 * its last answer is in.
 *
 * Calls block, for as long as the times allow; one thread at a time per session.
 * docs/ops/filters.md says what operators are promised; docs/adr/0031-milters.md why it is like
 * this.
 */
#ifndef BARID_SERVICE_MILTER_MILTER_H
#define BARID_SERVICE_MILTER_MILTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/vec.h"
#include "codec/milter/milter_name.h"

struct milters;

struct milter_times {
	unsigned connect_ms; /* to be connected and to have said what it wants */
	unsigned command_ms; /* for an answer to a command */
	unsigned content_ms; /* and to a piece of a message, or its end */
	unsigned total_ms;   /* for a command, or a message, in all: however often it says that
				it is at work. 0: any time */
};

struct milter_spec {
	struct str text;	       /* as the operator wrote it (codec/milter/milter_name.h) */
	enum milter_default otherwise; /* unless the text says another; not UNSAID */
};

/* What a session of milters needs. ctx is the first argument of all. */
struct milter_ops {
	void *ctx;
	/* A connected, non-blocking socket to the milter of this text, owned by the caller. */
	int (*connect)(void *ctx, struct str text, unsigned timeout_ms, int *ret_fd,
		       struct fail *why);
	/* May one more thread wait for this milter? Pairs with leave. NULL: any number. */
	bool (*enter)(void *ctx, struct str text);
	void (*leave)(void *ctx, struct str text);
	/* The value of a macro ("j", "{auth_type}"), appended; false: there is none. */
	bool (*macro)(void *ctx, struct str name, struct buf *out);
	/* For the log: the default of this milter is applied, and why. */
	void (*failed)(void *ctx, struct str name, enum milter_default otherwise,
		       const struct fail *why);
};

enum milter_verdict {
	MILTER_GO,
	MILTER_REFUSE,	/* answer code, enhanced, text */
	MILTER_DISCARD, /* say yes, and forget the message */
};
#define MILTER_TEXT_MAX 1000
struct milter_outcome {
	enum milter_verdict verdict;
	unsigned code;			   /* 4xx, 5xx */
	char enhanced[12];		   /* never empty with REFUSE */
	char text[MILTER_TEXT_MAX];	   /* lines between LF */
	bool close;			   /* and end the session */
	bool by_default;		   /* nobody said so: the milter does not work */
	char milter[MILTER_NAME_MAX + 64]; /* who it was, for the log */
};

/* Texts are copied; *ops too. n <= MILTERS_MAX. */
struct milters *milters_new(const struct milter_spec *specs, size_t n,
			    const struct milter_times *times, const struct milter_ops *ops);
void milters_free(struct milters *m); /* says goodbye, without waiting. NULL is fine */

/* Who is connected: before anything else. host: "[192.0.2.1]" when its name is not known. */
void milters_client(struct milters *m, struct str host, struct str address, uint16_t port);

void milters_helo(struct milters *m, struct str helo, struct milter_outcome *ret);
/* args[0] is the address in angle brackets, then come the parameters. */
void milters_mail(struct milters *m, const struct str *args, size_t n, struct milter_outcome *ret);
void milters_rcpt(struct milters *m, const struct str *args, size_t n, struct milter_outcome *ret);
/* One that was refused by us: told to milters that asked for it. */
void milters_rcpt_refused(struct milters *m, const struct str *args, size_t n);
void milters_data(struct milters *m, struct milter_outcome *ret);
void milters_unknown(struct milters *m, struct str line, struct milter_outcome *ret);
/* The transaction is over without a message, or behind one. */
void milters_abort(struct milters *m);
/* HELO does not count any more (STARTTLS). */
void milters_forget_helo(struct milters *m);

/* What was said before this process had the session: not told until it matters. */
void milters_restore_helo(struct milters *m, struct str helo);
void milters_restore_mail(struct milters *m, struct str address);
void milters_restore_rcpt(struct milters *m, struct str address);

/* --- the message --- */

/*
 * A header field as milters see it: the value without the colon, lines between LF, no break at the
 * end, its leading blank kept.
 */
struct milter_field {
	struct str name, value;
	struct str raw; /* as it stands in the message, with its line break and what follows up to
			   the next field; NULL p: new or changed */
	bool ours;	/* of the prefix that we put in front of the message */
	bool theirs;	/* of the message, also when it was changed */
	bool hidden;	/* our Received field: not shown, but counted by insertions */
};

/* Where the body is: bytes, or a range of a file. */
struct milter_body {
	struct str bytes;
	int fd; /* -1: bytes */
	uint64_t offset, size;
};

struct milter_rcpt_edit {
	bool add;	    /* else delete */
	struct str address; /* as the milter wrote it, usually in angle brackets */
	struct str params;
};

/* A message and what milters make of it. Texts live in `arena` or are the owner's. */
struct milter_mail {
	struct {
		VEC_FIELDS(struct milter_field);
	} fields;
	struct {
		VEC_FIELDS(struct milter_rcpt_edit);
	} rcpts; /* in order */
	bool from_changed;
	struct str from, from_params;
	bool body_changed;
	struct milter_body body;
	uint64_t body_max; /* octets that a new one may have */
	bool hold;
	struct str hold_reason;
	struct arena arena;
	/* Where a new body goes. begin: forget what came; end: what it is. Blocking. */
	void *ctx;
	void (*body_begin)(void *ctx);
	int (*body_add)(void *ctx, struct str bytes, struct fail *why);
	int (*body_end)(void *ctx, struct milter_body *ret, struct fail *why);
};

#define MILTER_MAIL_MAX MIB(8) /* memory for a header and its changes */

void milter_mail_clear(struct milter_mail *mail);
DEFINE_AUTO(milter_mail, struct milter_mail, milter_mail_clear);
/*
 * Add a field: `text` is "Name: value CRLF", `raw` the same, perhaps with lines that are no field
 * behind it. -FAIL_LIMIT, or -FAIL_SYNTAX: no field. ours, hidden: as in struct milter_field.
 */
MUST_CHECK int milter_mail_add(struct milter_mail *mail, struct str text, struct str raw, bool ours,
			       bool hidden);
/* The field as text for a message, each line ending in CRLF. */
int milter_field_write(const struct milter_field *f, struct buf *out);

void milters_message(struct milters *m, struct milter_mail *mail, struct milter_outcome *ret);

#endif
