/* SPDX-License-Identifier: Apache-2.0 */
/*
 * managesieve_session.h - one logged-in ManageSieve connection, without the connection.
 *                                                                        [proto, managesieve]
 *
 * RFC 5804 sections 2.3 to 2.14. Login, STARTTLS and UNAUTHENTICATE happen in the role that holds
 * the socket. A script is compiled before it is stored: what does not compile is refused, with the
 * places of its errors. The session has no state of its own between two commands, so that it can go
 * on in another process: what it was opened with is all. It blocks on the store. One thread at a
 * time.
 */
#ifndef BARID_PROTO_MANAGESIEVE_SESSION_H
#define BARID_PROTO_MANAGESIEVE_SESSION_H

#include "base/buf.h"
#include "codec/sieve/sieve.h"
#include "service/store/store.h"

enum managesieve_next {
	MANAGESIEVE_DONE,
	MANAGESIEVE_CLOSE, /* send, then close the connection */
};

struct managesieve_session {
	struct store *store;
	struct account_id account;
	struct str owner;      /* whose scripts they are: an address */
	struct str mechanisms; /* each behind a blank */
	struct str language;   /* of texts */
	const struct sieve_options *sieve;
	size_t max_scripts;
	uint64_t max_bytes;  /* of all scripts */
	uint64_t script_max; /* of one */
};

/*
 * One command, as codec/frame/frame_imap.h gives it, without its last CRLF; the answer goes to
 * `out`. *ret_changed: the script that runs at delivery is another one now.
 */
enum managesieve_next managesieve_command(const struct managesieve_session *s, struct str input,
					  struct buf *out, bool *ret_changed);

#endif
