/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.h - SASL exchanges between two messages of the client.               [service/dir only]
 *
 * Bounded: when the table is full the oldest goes; one that is not continued in time is forgotten.
 * Thread-safe: an exchange is taken out while a step of it runs.
 */
#ifndef BARID_SERVICE_DIR_EXCHANGE_H
#define BARID_SERVICE_DIR_EXCHANGE_H

#include "base/list.h"
#include "dir_int.h"

struct scram;

/* One exchange, freed with exchange_free. */
struct exchange {
	struct list link; /* oldest first */
	uint64_t session;
	enum dir_service service; /* that it began for */
	struct mono_ns until;
	char mechanism[24];
	struct scram *scram; /* NULL: it is refused, and the client is to hear why */
};
void exchange_free(struct exchange *x);

struct exchanges *exchanges_new(unsigned max, unsigned ttl_s);
void exchanges_free(struct exchanges *t);
/* Keep it, in place of another one of the session. */
void exchange_keep(struct exchanges *t, struct exchange *x);
/* NULL: there is none (any more). The caller owns it. */
struct exchange *exchange_take(struct exchanges *t, uint64_t session);

#endif
