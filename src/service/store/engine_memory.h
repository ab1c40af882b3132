/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_memory.h - what the two files of the in-memory engine share.  [service/store, private]
 *
 * A table is a sorted array of records; a record is a key of four numbers and a copy of bytes.
 * mem_put and mem_drop note what was there before, and a rollback puts it back.
 */
#ifndef BARID_SERVICE_STORE_ENGINE_MEMORY_H
#define BARID_SERVICE_STORE_ENGINE_MEMORY_H

#include "base/vec.h"
#include "service/store/store_engine.h"

enum table {
	ACCOUNT,
	MAILBOX,
	KEYWORD,
	SUBSCRIPTION,
	ACL,
	OVERLAY,
	ENTRY,
	MESSAGE,
	BODY,
	THREAD,
	RECEIPT,
	URL_KEY,
	ANNOTATION,
	SCRIPT,
	TABLES
};

struct key {
	uint64_t v[4];
};
struct record {
	struct key key;
	char *p;
	size_t n;
};
struct undo {
	enum table table;
	struct record old; /* p NULL: was not there */
};
struct engine {
	struct {
		VEC_FIELDS(struct record);
	} t[TABLES];
	VEC(struct undo) undo;
	size_t mark; /* of the savepoint */
	bool in_transaction;
	uint64_t next_id;
};

#define ROW(x)	 str_make((const char *)&(x), sizeof(x))
#define KEY(...) ((struct key){{__VA_ARGS__}})

/* The first record at or after k; the record of k or NULL; the next of an account. */
size_t mem_lower(const struct engine *e, enum table t, const struct key *k);
struct record *mem_find(const struct engine *e, enum table t, struct key k);
void mem_put(struct engine *e, enum table t, struct key k, struct str a, struct str b);
void mem_drop(struct engine *e, enum table t, struct key k);
struct record *mem_next(const struct engine *e, enum table t, struct account_id a, size_t *i);

int mem_acl_each(struct engine *e, struct account_id a, struct mailbox_id m, acl_fn fn, void *arg,
		 struct fail *why);
int mem_acl_set(struct engine *e, struct account_id a, const struct row_acl *row, struct fail *why);
int mem_acl_drop(struct engine *e, struct account_id a, struct mailbox_id m, struct str identifier,
		 struct fail *why);
int mem_viewer_forget(struct engine *e, struct account_id viewer, struct fail *why);
int mem_acl_wipe(struct engine *e, struct account_id a, struct mailbox_id m, struct fail *why);
int mem_overlay_each(struct engine *e, const struct uid_range *range, struct account_id viewer,
		     overlay_fn fn, void *arg, struct fail *why);
int mem_overlay_set(struct engine *e, struct account_id a, struct mailbox_id m,
		    struct account_id viewer, const struct row_overlay *row, struct fail *why);
int mem_overlay_seen(struct engine *e, struct account_id a, struct mailbox_id m,
		     struct account_id viewer, uint32_t *ret, struct fail *why);
/* Of a mailbox; of one message. */
void mem_overlay_wipe(struct engine *e, struct account_id a, struct mailbox_id m);
void mem_overlay_drop(struct engine *e, struct account_id a, struct mailbox_id m, uint32_t uid);
int mem_entry_put(struct engine *e, struct account_id a, struct mailbox_id m,
		  const struct row_entry *row, struct fail *why);
int mem_entry_flags(struct engine *e, const struct uid_range *range, const struct flag_rule *rule,
		    struct fail *why);
int mem_entry_remove(struct engine *e, struct account_id a, struct mailbox_id m, uint32_t uid,
		     struct fail *why);
int mem_entry_each(struct engine *e, const struct uid_range *range, entry_fn fn, void *arg,
		   struct fail *why);
int mem_entry_count_live(struct engine *e, const struct uid_range *range, uint32_t *ret,
			 struct fail *why);
int mem_entry_first_unseen(struct engine *e, const struct uid_range *range, uint32_t *ret,
			   struct fail *why);
int mem_entry_expired(struct engine *e, const struct expired_range *range, expired_fn fn, void *arg,
		      struct fail *why);
int mem_message_add(struct engine *e, struct account_id a, const struct row_message *row,
		    uint64_t *ret_id, struct fail *why);
int mem_message_get(struct engine *e, struct account_id a, uint64_t id, unsigned columns,
		    struct row_message *ret, struct fail *why);
int mem_message_scan(struct engine *e, const struct id_range *range, unsigned columns,
		     message_row_fn fn, void *arg, struct fail *why);
int mem_message_ref(struct engine *e, struct account_id a, uint64_t id, int by, uint64_t *ret_left,
		    struct fail *why);
int mem_message_remove(struct engine *e, struct account_id a, uint64_t id, struct fail *why);
int mem_message_each(struct engine *e, struct account_id a, message_fn fn, void *arg,
		     struct fail *why);
int mem_message_range(struct engine *e, uint64_t from, uint64_t to, size_t max, message_id_fn fn,
		      void *arg, struct fail *why);
int mem_message_last(struct engine *e, uint64_t *ret, struct fail *why);
int mem_identity(struct engine *e, uint64_t *ret, struct fail *why);
int mem_body_add(struct engine *e, struct account_id a, const struct row_body *row,
		 uint64_t *ret_id, struct fail *why);
int mem_body_get(struct engine *e, struct account_id a, uint64_t id, struct row_body *ret,
		 struct fail *why);
int mem_body_find_file(struct engine *e, struct account_id a, const unsigned char file[16],
		       struct row_body *ret, struct fail *why);
int mem_body_set_refs(struct engine *e, struct account_id a, uint64_t id, uint64_t refs,
		      struct fail *why);
int mem_body_remove(struct engine *e, struct account_id a, uint64_t id, struct fail *why);
int mem_body_each(struct engine *e, struct account_id a, bool files_only, body_fn fn, void *arg,
		  struct fail *why);
int mem_thread_find(struct engine *e, struct account_id a, uint64_t key, uint64_t *ret,
		    struct fail *why);
int mem_thread_add(struct engine *e, struct account_id a, uint64_t key, uint64_t thread,
		   struct fail *why);
int mem_thread_left(struct engine *e, struct account_id a, uint64_t thread, struct fail *why);
int mem_annotation_each(struct engine *e, const struct row_annotation *of, annotation_fn fn,
			void *arg, struct fail *why);
int mem_annotation_set(struct engine *e, const struct row_annotation *row, struct fail *why);
int mem_annotation_copy(struct engine *e, struct account_id a, struct mailbox_id from,
			struct mailbox_id to, struct fail *why);
int mem_annotation_usage(struct engine *e, struct account_id a, struct account_id viewer,
			 uint64_t *ret_n, uint64_t *ret_bytes, struct fail *why);
void mem_annotation_drop(struct engine *e, struct account_id a, struct mailbox_id m);
int mem_script_each(struct engine *e, struct account_id a, bool texts, script_fn fn, void *arg,
		    struct fail *why);
int mem_script_put(struct engine *e, const struct row_script *row, struct fail *why);
int mem_script_set_active(struct engine *e, struct account_id a, struct str name, bool on,
			  struct fail *why);
int mem_script_remove(struct engine *e, struct account_id a, struct str name, struct fail *why);
int mem_script_rename(struct engine *e, struct account_id a, struct str name, struct str to,
		      struct fail *why);
int mem_receipt_find(struct engine *e, struct account_id a, const struct store_receipt *r,
		     struct row_receipt *ret, struct fail *why);
int mem_receipt_add(struct engine *e, struct account_id a, const struct store_receipt *r,
		    const struct row_receipt *what, struct fail *why);
int mem_receipt_expire(struct engine *e, struct wall_us before, struct fail *why);
int mem_receipt_remove(struct engine *e, struct account_id a, const struct store_receipt *r,
		       struct fail *why);

#endif
