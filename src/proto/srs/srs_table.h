/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srs_table.h - look-ups of Postfix that rewrite senders, and lead them back.      [proto]
 *
 * tcp_table(5) as codec/tcp_table reads it: 7778 for sender_canonical_maps, 7779 for
 * recipient_canonical_maps. Keys and values are addresses as Postfix keeps them, without quotes.
 * What is not rewritten is "500", what cannot be told now "400".
 */
#ifndef BARID_PROTO_SRS_SRS_TABLE_H
#define BARID_PROTO_SRS_SRS_TABLE_H

#include "service/srs/srs.h"

struct srs_table {
	const struct srs *srs; /* NULL: nothing can be rewritten */
	struct srs_ours ours;  /* may say -FAIL_BUSY: only by waiting */
	uint32_t day;
	bool reverse;
};

/*
 * Answer all requests of `input`, whole lines, into out. -FAIL_BUSY: one of them needs an answer of
 * `ours` that is to be waited for, and nothing was written. *ret_forged counts addresses whose hash
 * is not ours.
 */
MUST_CHECK int srs_table_answer(const struct srs_table *t, struct str input, struct buf *out,
				unsigned *ret_forged);

#endif
