/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_sqlite.h - what the two files of the SQLite engine share.   [service/store, private]
 *
 * 64-bit sets and sums (flags, digest) are stored as the signed number with the same bits.
 */
#ifndef BARID_SERVICE_STORE_ENGINE_SQLITE_H
#define BARID_SERVICE_STORE_ENGINE_SQLITE_H

#include "runtime/db/db.h"
#include "service/store/store_engine.h"

struct engine {
	struct db *db;
};

/* Bring a partition's file to this program's version. */
MUST_CHECK int sqlite_migrate(struct db *db, struct fail *why);

/* Bind numbers to ?1, ?2, ... */
void sqlite_bind(struct db_stmt *st, const int64_t *v, size_t n);
#define BIND(st, ...)                                                                              \
	sqlite_bind((st), (const int64_t[]){__VA_ARGS__},                                          \
		    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
#define I64(x) ((int64_t)(x))

/* One statement with numbers only, no rows of interest. */
int sqlite_run(struct engine *e, const char *sql, const int64_t *v, size_t n, struct fail *why);
#define RUN(e, sql, why, ...)                                                                      \
	sqlite_run((e), (sql), (const int64_t[]){__VA_ARGS__},                                     \
		   sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (why))

int sqlite_acl_each(struct engine *e, struct account_id a, struct mailbox_id m, acl_fn fn,
		    void *arg, struct fail *why);
int sqlite_acl_set(struct engine *e, struct account_id a, const struct row_acl *row,
		   struct fail *why);
int sqlite_acl_drop(struct engine *e, struct account_id a, struct mailbox_id m,
		    struct str identifier, struct fail *why);
int sqlite_viewer_forget(struct engine *e, struct account_id viewer, struct fail *why);
int sqlite_acl_wipe(struct engine *e, struct account_id a, struct mailbox_id m, struct fail *why);
int sqlite_overlay_each(struct engine *e, const struct uid_range *range, struct account_id viewer,
			overlay_fn fn, void *arg, struct fail *why);
int sqlite_overlay_set(struct engine *e, struct account_id a, struct mailbox_id m,
		       struct account_id viewer, const struct row_overlay *row, struct fail *why);
int sqlite_overlay_seen(struct engine *e, struct account_id a, struct mailbox_id m,
			struct account_id viewer, uint32_t *ret, struct fail *why);
int sqlite_entry_add(struct engine *e, struct account_id a, struct mailbox_id m,
		     const struct row_entry *row, struct fail *why);
int sqlite_entry_set(struct engine *e, struct account_id a, struct mailbox_id m,
		     const struct row_entry *row, struct fail *why);
int sqlite_entry_remove(struct engine *e, struct account_id a, struct mailbox_id m, uint32_t uid,
			struct fail *why);
int sqlite_entry_map(struct engine *e, const struct uid_range *range, entry_fn fn, void *arg,
		     struct fail *why);
int sqlite_entry_flags(struct engine *e, const struct uid_range *range,
		       const struct flag_rule *rule, struct fail *why);
int sqlite_entry_each(struct engine *e, const struct uid_range *range, entry_fn fn, void *arg,
		      struct fail *why);
int sqlite_entry_count_live(struct engine *e, const struct uid_range *range, uint32_t *ret,
			    struct fail *why);
int sqlite_entry_first_unseen(struct engine *e, const struct uid_range *range, uint32_t *ret,
			      struct fail *why);
int sqlite_entry_expired(struct engine *e, const struct expired_range *range, expired_fn fn,
			 void *arg, struct fail *why);
int sqlite_message_add(struct engine *e, struct account_id a, const struct row_message *row,
		       uint64_t *ret_id, struct fail *why);
int sqlite_message_get(struct engine *e, struct account_id a, uint64_t id, unsigned columns,
		       struct row_message *ret, struct fail *why);
int sqlite_message_scan(struct engine *e, const struct id_range *range, unsigned columns,
			message_row_fn fn, void *arg, struct fail *why);
int sqlite_message_ref(struct engine *e, struct account_id a, uint64_t id, int by,
		       uint64_t *ret_left, struct fail *why);
int sqlite_message_remove(struct engine *e, struct account_id a, uint64_t id, struct fail *why);
int sqlite_message_each(struct engine *e, struct account_id a, message_fn fn, void *arg,
			struct fail *why);
int sqlite_message_range(struct engine *e, uint64_t from, uint64_t to, size_t max, message_id_fn fn,
			 void *arg, struct fail *why);
int sqlite_message_last(struct engine *e, uint64_t *ret, struct fail *why);
int sqlite_identity(struct engine *e, uint64_t *ret, struct fail *why);
int sqlite_body_add(struct engine *e, struct account_id a, const struct row_body *row,
		    uint64_t *ret_id, struct fail *why);
int sqlite_body_get(struct engine *e, struct account_id a, uint64_t id, struct row_body *ret,
		    struct fail *why);
int sqlite_body_find_file(struct engine *e, struct account_id a, const unsigned char file[16],
			  struct row_body *ret, struct fail *why);
int sqlite_body_set_refs(struct engine *e, struct account_id a, uint64_t id, uint64_t refs,
			 struct fail *why);
int sqlite_body_remove(struct engine *e, struct account_id a, uint64_t id, struct fail *why);
int sqlite_body_each(struct engine *e, struct account_id a, bool files_only, body_fn fn, void *arg,
		     struct fail *why);
int sqlite_thread_find(struct engine *e, struct account_id a, uint64_t key, uint64_t *ret,
		       struct fail *why);
int sqlite_thread_add(struct engine *e, struct account_id a, uint64_t key, uint64_t thread,
		      struct fail *why);
int sqlite_thread_left(struct engine *e, struct account_id a, uint64_t thread, struct fail *why);
int sqlite_url_key_get(struct engine *e, struct account_id a, struct mailbox_id m,
		       unsigned char ret[STORE_URL_KEY_LEN], struct fail *why);
int sqlite_url_key_set(struct engine *e, struct account_id a, struct mailbox_id m,
		       const unsigned char *key, struct fail *why);
int sqlite_annotation_each(struct engine *e, const struct row_annotation *of, annotation_fn fn,
			   void *arg, struct fail *why);
int sqlite_annotation_set(struct engine *e, const struct row_annotation *row, struct fail *why);
int sqlite_annotation_copy(struct engine *e, struct account_id a, struct mailbox_id from,
			   struct mailbox_id to, struct fail *why);
int sqlite_annotation_usage(struct engine *e, struct account_id a, struct account_id viewer,
			    uint64_t *ret_n, uint64_t *ret_bytes, struct fail *why);
int sqlite_annotation_drop(struct engine *e, struct account_id a, struct mailbox_id m,
			   struct fail *why);
int sqlite_script_each(struct engine *e, struct account_id a, bool texts, script_fn fn, void *arg,
		       struct fail *why);
int sqlite_script_put(struct engine *e, const struct row_script *row, struct fail *why);
int sqlite_script_set_active(struct engine *e, struct account_id a, struct str name, bool on,
			     struct fail *why);
int sqlite_script_remove(struct engine *e, struct account_id a, struct str name, struct fail *why);
int sqlite_script_rename(struct engine *e, struct account_id a, struct str name, struct str to,
			 struct fail *why);
int sqlite_receipt_find(struct engine *e, struct account_id a, const struct store_receipt *r,
			struct row_receipt *ret, struct fail *why);
int sqlite_receipt_add(struct engine *e, struct account_id a, const struct store_receipt *r,
		       const struct row_receipt *what, struct fail *why);
int sqlite_receipt_expire(struct engine *e, struct wall_us before, struct fail *why);
int sqlite_receipt_remove(struct engine *e, struct account_id a, const struct store_receipt *r,
			  struct fail *why);

#endif
