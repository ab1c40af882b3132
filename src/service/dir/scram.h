/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram.h - the server's side of SCRAM, and the keys it needs.                  [service/dir only]
 *
 * RFC 5802, RFC 7677 (SHA-256), RFC 9266 (tls-exporter). Keys are StoredKey and ServerKey of
 * RFC 5802 section 3, in the table barid_scram: one row per account, mechanism and credential (0 =
 * the account's password, else an app password's id). All rows of an account that count share salt
 * and iterations, because the server names these before it can know which of them is meant.
 * A row for the account's password counts while mailbox.password has the digest it was made from;
 * a column {SCRAM-SHA-256} or {SCRAM-SHA-1} is itself the key.
 *
 * A name without keys gets a salt that is made of the name (dir_key.h), the iterations of new
 * keys, and fails at its end, after the same computation.
 */
#ifndef BARID_SERVICE_DIR_SCRAM_H
#define BARID_SERVICE_DIR_SCRAM_H

#include "auth_int.h"
#include "password_int.h"

#define SCRAM_SALT_LEN	 16
#define SCRAM_SALT_MAX	 64
#define SCRAM_KEYS_MAX	 65 /* of one account: its password and its app passwords */
#define SCRAM_ROUNDS_MAX 4000000

struct scram_key {
	uint64_t credential;
	uint8_t stored[DIGEST_LEN_MAX];
	uint8_t server[DIGEST_LEN_MAX];
};
struct scram_keys {
	uint32_t iterations;
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_n;
	size_t n;
	struct scram_key key[SCRAM_KEYS_MAX];
};

/* "SCRAM-SHA-256" or "SCRAM-SHA-1": the name of the digest's rows, without -PLUS. */
const char *scram_name(enum digest d);

/* StoredKey and ServerKey of a password (prepared here). -FAIL_SYNTAX: it cannot be prepared. */
MUST_CHECK int scram_make(enum digest d, struct str password, struct str salt, uint32_t iterations,
			  struct scram_key *ret, struct fail *why);
/* "iterations,salt,StoredKey,ServerKey" (RFC 5803's parts, as Dovecot writes them). */
MUST_CHECK int scram_parse(enum digest d, struct str data, struct scram_keys *ret);

/*
 * After a password was found right, or was set: make the account's keys from it, unless there are
 * current ones with enough iterations. Takes the time of PBKDF2; takes the lock by itself. What
 * does not work is no failure of the login: keys are then missing, and made the next time.
 */
void scram_learn(struct dir *d, struct account_id id, struct str stored, struct str password);
/* The same for an app password that was just made. */
void scram_learn_app(struct dir *d, struct account_id id, uint64_t credential, struct str stored,
		     struct str text);

/* The exchange. Lives in an exchange of exchange.h. */
struct scram;
/*
 * The client's first message. Returns 0, with the challenge, or -FAIL_AUTH with the reason in g:
 * the messages do not fit. Others: the directory cannot be asked.
 */
MUST_CHECK int scram_begin(struct dir *d, const struct dir_sasl *s, struct str message,
			   struct scram **ret, struct buf *challenge, struct dir_grant *g,
			   struct fail *why);
/* The second; decides. With g->granted the challenge is the server's signature. */
MUST_CHECK int scram_end(struct dir *d, struct scram *s, struct str message, struct arena *a,
			 struct buf *challenge, struct dir_grant *g, struct fail *why);
void scram_free(struct scram *s); /* NULL is fine */

/* dir_offer's answer, computed; with the lock held. */
MUST_CHECK int scram_offer(struct dir *d, unsigned *ret, struct fail *why);

#endif
