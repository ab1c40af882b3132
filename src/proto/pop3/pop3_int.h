/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3_int.h - the inside of a session, and what its files share.         [proto, pop3, private]
 */
#ifndef BARID_PROTO_POP3_INT_H
#define BARID_PROTO_POP3_INT_H

#include "base/text.h"
#include "codec/pop3/pop3_cmd.h"
#include "codec/pop3/pop3_text.h"
#include "proto/pop3/marks.h"
#include "proto/pop3/pop3_session.h"
#include "service/store/store_view.h"

/* The command under way whose answer does not fit into one window. */
enum pop3_run { RUN_NONE, RUN_LIST, RUN_UIDL, RUN_TEXT };

/* Messages below this UID are named with this UIDVALIDITY. */
struct pop3_past_name {
	uint32_t below, uidvalidity;
};

struct pop3_session {
	struct pop3_config config;
	struct store *store;
	struct account_id account;
	struct pop3_choice choice;
	char *mechanisms;
	struct store_view *view;
	/* As of the beginning. */
	uint32_t exists; /* messages that the client sees */
	uint64_t size;	 /* of these */
	/* Messages of the view that are not shown: sequence numbers. The client's are without them.
	 */
	struct pop3_marks hidden;
	/* Numbers of the client. */
	struct pop3_marks deleted, fetched;
	uint64_t deleted_size;
	bool changed;
	struct pop3_past_name past[64]; /* the oldest first */
	size_t past_n;

	struct str batch; /* borrowed: what is left of the lines under way */
	enum pop3_run run;
	uint32_t at;	 /* the next sequence number of a list */
	uint32_t number; /* and the client's */
	struct arena arena;
	struct store_reader *reader;
	struct store_set set;
	/* What a client that takes one message after the other will ask for next. */
	struct store_reader *ahead;
	struct store_run ahead_runs[8];
	uint32_t ahead_number; /* that `ahead` gives next */
	unsigned ahead_columns;
	uint32_t asked; /* the number that was asked for last */
	/* of a text */
	struct pop3_text text;
	struct store_source body;
	uint64_t body_at;
};

/* pop3_session.c: replies. Texts are translated already. */
void pop3_say_ok(const struct pop3_out *out, const char *text);
/* How many there are, without those marked as deleted, and how large. */
void pop3_say_count(const struct pop3_session *s, const struct pop3_out *out);
void pop3_say_err(const struct pop3_out *out, const char *code, const char *text);
/* What a failed call of the store is to the client; logs it when it is not the client's. */
enum pop3_next pop3_say_failure(struct pop3_session *s, const struct pop3_out *out, int r,
				const struct fail *why);
/*
 * The message of this number with these columns, valid until the next call. False: it is refused
 * already (no such number, deleted, gone, storage).
 */
bool pop3_message_find(struct pop3_session *s, uint32_t number, unsigned columns,
		       struct store_message *ret, const struct pop3_out *out);
/* A message of a view as a set, in *room. */
struct store_set pop3_set_of_one(struct store_run *room, uint32_t seq, struct uid uid);
uint32_t pop3_seq_of(const struct pop3_session *s, uint32_t number);

/* list.c */
enum pop3_next pop3_cmd_stat(struct pop3_session *s, const struct pop3_out *out);
enum pop3_next pop3_cmd_list(struct pop3_session *s, const struct pop3_cmd *cmd,
			     const struct pop3_out *out);
enum pop3_next pop3_list_resume(struct pop3_session *s, const struct pop3_out *out);

/* names.c */
MUST_CHECK int pop3_names_read(struct pop3_session *s, struct fail *why);
uint32_t pop3_validity_of(const struct pop3_session *s, struct uid uid);

/* retr.c */
enum pop3_next pop3_cmd_retr(struct pop3_session *s, const struct pop3_cmd *cmd,
			     const struct pop3_out *out);
enum pop3_next pop3_retr_resume(struct pop3_session *s, const struct pop3_out *out);

/* quit.c */
enum pop3_next pop3_cmd_quit(struct pop3_session *s, const struct pop3_out *out);

#endif
