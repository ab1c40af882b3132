/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_int.h - a change of messages of a view as a job: between change.c and leave.c.
 * [service/store, private]
 */
#ifndef BARID_SERVICE_STORE_CHANGE_INT_H
#define BARID_SERVICE_STORE_CHANGE_INT_H

#include "service/store/store_int.h"

struct selected {
	struct row_entry e;
	uint32_t seq;
};

struct change_job {
	struct store_job job;
	struct mailbox_id mailbox;
	uint64_t expunge_modseq; /* of the view */
	uint64_t told_modseq;	 /* flag changes the view knows */
	const struct store_view *v;
	const struct store_run *runs;
	size_t n_runs;
	/* STORE */
	enum store_flags_how how;
	const struct store_flagset *flags;
	uint64_t bits; /* what they are in this mailbox */
	const struct modseq *unchanged_since;
	struct store_flags_result *store;
	/* COPY and MOVE */
	struct str target; /* normal */
	const struct store_quota *quota;
	bool move;
	struct store_copy_result *copy;
	/* EXPUNGE */
	struct modseq modseq;
	uint64_t may; /* of COPY and MOVE: flags that go along */
	/* read in the transaction */
	struct overlays overlay; /* of a viewer */
	VEC(struct selected) rows;
	uint32_t gone;
	uint32_t next_seq;
};

struct copying {
	struct tx *tx;
	struct row_account *acc;
	struct tx_box *from, *to; /* may be the same */
	bool move;
	struct account_id viewer; /* whose \Seen is his own; {0}: the owner */
	uint64_t may;		  /* flags that go along */
	uint64_t table[64]; /* keyword bits of `from` as bits of `to`; UINT64_MAX = not asked yet */
};

/* set NULL: the caller sets the runs. */
void change_job_init(struct change_job *cj, struct store_view *v, const struct store_set *set,
		     int (*apply)(struct tx *, struct store_job *, struct fail *));
void change_job_clear(struct change_job *cj);
int change_refuse_read_only(const struct store_view *v, struct fail *why);

/* In the transaction. */
int change_job_begin(struct tx *tx, struct change_job *cj, struct row_account *acc,
		     struct tx_box *b, struct fail *why);
/* What is live of the runs, into cj->rows. */
int change_job_read(struct tx *tx, struct change_job *cj, struct fail *why);
/* The rows of the runs, whose counters tx_entry_flagged has changed: by cj->how and cj->bits. */
int change_job_write(struct tx *tx, const struct change_job *cj, uint64_t modseq, struct fail *why);
/* Those that were read and have these flags. */
int change_job_expunge(struct tx *tx, struct change_job *cj, struct tx_box *b,
		       struct row_account *acc, uint64_t flags, struct fail *why);
/* Copy or move all that were read; the result into cj->copy. */
int change_job_copy(struct copying *c, struct change_job *cj, struct fail *why);

#endif
