/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_quota.c - GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208).                    [proto, imap]
 *
 * One root with an empty name for all mailboxes of the account. What has no limit is not named;
 * the number of mailboxes always has one.
 */
#include "codec/imap/imap_write.h"
#include "proto/imap/imap_int.h"

static void write_resource(struct buf *b, const char **sep, const char *name, uint64_t used,
			   uint64_t limit)
{
	buf_addf(b, "%s%s %llu %llu", *sep, name, (unsigned long long)used,
		 (unsigned long long)limit);
	*sep = " ";
}

static int count_mailboxes(struct imap_session *s, uint64_t *ret, struct fail *why)
{
	struct store_mailboxes all;
	*ret = 0;
	int r = store_mailbox_list(s->store, s->account, &s->run.arena, &all, why);
	for (size_t i = 0; r == 0 && i < all.n; i++)
		*ret += !all.p[i].missing;
	return r;
}

/* STORAGE counts units of 1024 octets. */
static int write_quota(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct store_quota quota;
	struct store_usage usage;
	uint64_t mailboxes = 0;
	struct buf *b = &out->text;
	const char *sep = "";
	int r = quota_get(s, &quota, why);
	if (r == 0)
		r = store_account_usage(s->store, s->account, &usage, why);
	if (r == 0)
		r = count_mailboxes(s, &mailboxes, why);
	if (r < 0)
		return r;
	buf_add(b, STR("* QUOTA \"\" ("));
	if (quota.bytes)
		write_resource(b, &sep, "STORAGE", (usage.bytes + 1023) / 1024, quota.bytes / 1024);
	if (quota.messages)
		write_resource(b, &sep, "MESSAGE", usage.messages, quota.messages);
	write_resource(b, &sep, "MAILBOX", mailboxes, STORE_MAILBOXES_MAX);
	buf_add(b, STR(")\r\n"));
	return RUN_DONE;
}

static int check_root(struct str root, struct fail *why)
{
	if (root.n == 0)
		return 0;
	return fail_set(why, FAIL_NOTFOUND, "No such quota root.", "root=%.*s", STR_ARG(root));
}

int cmd_getquota(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	int r = check_root(s->run.cmd.quota_root, why);
	return r < 0 ? r : write_quota(s, out, why);
}

/* The mailbox need not exist: the answer says what would count for it (4.1.2). */
int cmd_getquotaroot(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	buf_add(&out->text, STR("* QUOTAROOT "));
	write_name(s, &out->text, s->run.cmd.mailbox);
	/* How much another account has used is not told. */
	if (s->guest) {
		buf_add(&out->text, STR("\r\n"));
		return RUN_DONE;
	}
	buf_add(&out->text, STR(" \"\"\r\n"));
	return write_quota(s, out, why);
}

/* Limits belong to the account's entry in the directory, which only an administrator changes; the
 * QUOTA response tells what they stay to be. */
int cmd_setquota(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	int r = check_root(s->run.cmd.setquota.root, why);
	if (r == 0)
		r = write_quota(s, out, why);
	if (r == 0)
		reply_no(s, "NOPERM", "Only an administrator changes limits.");
	return r;
}
