/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_run.h - run a program on a message: what is to be done with it?        [codec, pure]
 *
 * The interpreter does nothing itself. It asks the host for facts, and answers with a list of
 * actions, in the order of the script; who delivers does them all in one transaction, or none.
 *
 *     struct sieve_result result;
 *     r = sieve_run(&program, &host, &message, &arena, &result, why);
 *
 * Scripts may be run one after the other on one message (global ones before and after the user's):
 * hand the same result to sieve_run again. What a script does implicitly (keep) is in
 * result.keep, for the last one of the row; `stop` in a global script ends the row (result.stop).
 *
 * Every run has bounds of steps (an instruction, or about 64 octets compared, is one), memory,
 * actions, redirects, variables and included scripts. A script that reaches one, or that does what
 * is forbidden, ends with an error: then the actions are void, and the message is to be kept.
 *
 * Thread: any; one run at a time per host.
 */
#ifndef BARID_CODEC_SIEVE_RUN_H
#define BARID_CODEC_SIEVE_RUN_H

#include "base/ids.h"
#include "codec/mime/text.h"
#include "codec/sieve/sieve.h"

struct sieve_run_limits {
	uint64_t steps;
	size_t variable_bytes; /* of one value; longer ones are cut */
	uint32_t variables;
	uint32_t actions;
	uint32_t redirects;
	uint32_t include_depth;
	uint32_t includes;
	size_t body_bytes; /* of one part, decoded, that `body` and others look at */
};
#define SIEVE_RUN_LIMITS_DEFAULT                                                                   \
	((struct sieve_run_limits){.steps = 4000000,                                               \
				   .variable_bytes = 16384,                                        \
				   .variables = 256,                                               \
				   .actions = 64,                                                  \
				   .redirects = 30,                                                \
				   .include_depth = 10,                                            \
				   .includes = 255,                                                \
				   .body_bytes = MIB(2)})

struct sieve_message {
	struct str header;	    /* all fields: barid's own in front, then the message's */
	const struct mime_map *map; /* of what `source` reads */
	struct text_source source;
	uint64_t size; /* with what barid puts in front */
};

struct sieve_envelope {
	struct str from; /* without angle brackets; "" is the null sender */
	struct str to;
	struct str auth;		      /* login that sent it, or "" */
	struct str notify, orcpt, ret, envid; /* RFC 3461; p is NULL of what was not said */
};

/* Facts. Functions may be NULL: then there is nothing of the kind. Texts that they return live
 * until the run ends (the arena is the run's). */
struct sieve_host {
	struct wall_us now;
	int zone_min; /* of the server's clock */
	struct sieve_envelope envelope;
	struct str owner;	     /* address of the script's owner */
	const struct str *addresses; /* others of the owner: aliases */
	size_t n_addresses;
	char delimiter;	  /* between user and detail (RFC 5233), '+' */
	int spam_percent; /* 0..100; -1: nobody looked */
	int virus;	  /* 1..5 (RFC 5235); 0: nobody looked */
	const struct sieve_regex_ops *regex;
	const struct sieve_run_limits *limits; /* NULL: the defaults */
	uint64_t without;

	/* RFC 5183 and 6785 ("imap.cause" ...). False: there is no such item. */
	bool (*environment)(void *ctx, struct str name, struct str *ret);
	bool (*mailbox_exists)(void *ctx, struct str name);
	bool (*mailbox_id_exists)(void *ctx, struct str id);
	/* Is there a mailbox with this use; @mailbox (p may be NULL: any) has it? */
	bool (*special_use)(void *ctx, struct str mailbox, struct str use);
	/* An annotation of a mailbox, or of the server when mailbox.p is NULL. */
	bool (*metadata)(void *ctx, struct str mailbox, struct str name, struct arena *arena,
			 struct str *ret);
	/* RFC 6134. */
	bool (*list_valid)(void *ctx, struct str list);
	bool (*list_has)(void *ctx, struct str list, struct str value);
	/* RFC 7352: was this seen within its time? What is asked about is in result.seen. */
	bool (*duplicate)(void *ctx, struct str id);
	/* RFC 6609. A program (bytes) in *ret; 0 there is none; negative: it cannot be had. */
	int (*script)(void *ctx, bool global, struct str name, struct arena *arena,
		      struct str *ret);
	/* Tells of every step, when somebody wants to know why. A line of text. */
	void (*trace)(void *ctx, uint32_t line, struct str text);
	void *ctx;
};

enum sieve_action_kind {
	SIEVE_KEEP,
	SIEVE_FILEINTO,
	SIEVE_REDIRECT,
	SIEVE_REJECT,
	SIEVE_EREJECT,
	SIEVE_DISCARD,
	SIEVE_VACATION,
	SIEVE_NOTIFY,
};

/* Where a message is stored: of keep (INBOX), fileinto and :fcc. */
struct sieve_store {
	struct str mailbox;
	struct str mailbox_id;	/* "" or RFC 9042 */
	struct str special_use; /* "" or RFC 8579 */
	bool create;
	struct str *flags;
	size_t n_flags;
};

/* A message as a script changed it: pieces of new text and of the old body. */
struct sieve_piece {
	struct str text;   /* or, when p is NULL: */
	uint64_t off, len; /* of the source */
};

struct sieve_action {
	enum sieve_action_kind kind;
	uint32_t line;
	bool copy;
	struct sieve_store store; /* of keep, fileinto, and :fcc of others (mailbox "": none) */
	struct str address;	  /* of redirect; of vacation whom it answers; of notify its URI */
	struct str text;	  /* reason, or message */
	/* vacation and notify */
	struct str from, subject, handle;
	uint64_t seconds; /* between two answers to one sender */
	bool mime;	  /* text begins with header fields */
	char importance;  /* '1'..'3' of notify */
	struct str *options;
	size_t n_options;
	struct str dsn_notify, dsn_ret; /* of redirect; "" when not said */
	/* The header as it was when the action was taken; p is NULL when nobody changed it. */
	struct str header;
	/* The body when it was replaced or enclosed; n 0: as it came. */
	const struct sieve_piece *body;
	size_t n_body;
};

/* An identity that `duplicate` asked about, to be remembered when the delivery is done. */
struct sieve_seen {
	struct str id;
	uint64_t seconds;
	bool last; /* its time begins anew when it is seen again */
};

struct sieve_result {
	struct sieve_action *actions;
	size_t n_actions;
	bool keep;		       /* nothing cancelled the implicit keep */
	struct sieve_store keep_store; /* its flags */
	struct str keep_header;	       /* as in sieve_action */
	const struct sieve_piece *keep_body;
	size_t n_keep_body;
	struct sieve_seen *seen;
	size_t n_seen;
	bool stop; /* `stop` ended it */
	uint64_t steps;
	/* of an error */
	uint32_t error_line;
	struct str error; /* for the owner of the script */
	/* memory of the next script in a row: do not touch */
	struct sieve_state *state;
};
#define SIEVE_RESULT_INIT ((struct sieve_result){.keep = true})

/*
 * Run @p. The result lives in @arena, whose maximum is the bound of memory. Returns 0, or a
 * negative code when the script failed: result->error says to its owner why, in which line, and
 * the message is to be kept as if there was no script.
 */
MUST_CHECK int sieve_run(const struct sieve_program *p, const struct sieve_host *host,
			 const struct sieve_message *message, struct arena *arena,
			 struct sieve_result *result, struct fail *why);

/* The result as text, one action a line, as `barid sieve test` and transcripts show it. */
void sieve_result_write(const struct sieve_result *result, struct buf *out);

#endif
