/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs that carry their right (RFC 4467). Whoever passes one on is not believed: the token is
 * compared here, with the key of the mailbox, and who asks is dir's word.
 */
#include "codec/imap/imap_url.h"
#include "roles/user/user.h"
#include "sys/crash.h"
#include "sys/fdpass.h"
#include "sys/fs.h"
#include "sys/log.h"
#include <unistd.h>

#define COPY_BYTES KIB(64)

/* Who asks, and whose mailbox it is. Borrowed from *ret_p, which is the caller's. */
static int ask_dir(uint64_t session, struct str owner, struct msg_url_who *ret,
		   struct ipc_packet **ret_p, struct fail *why)
{
	struct msg_url_ask m = {.session = session, .owner = owner};
	struct ipc_question q = {.type = IPC_URL_ASK, .msg = &m, .want = IPC_URL_WHO};
	if (owner.n > 320)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no such user");
	int r = ipc_call(role_peer(user.role, "dir", 0), &q, ret_p, why);
	if (r == 0 && msg_url_who_read(*ret_p, ret) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	return r;
}

/* Of an account of this shard. */
static int read_here(const struct imap_url *u, const struct msg_url_who *who, uint64_t max,
		     struct imap_out *ret, struct fail *why)
{
	const struct conf *c = role_conf_hold(user.role);
	struct imap_session_args args = {.config = conf_extra(c),
					 .store = user.store,
					 .account = {who->account},
					 .address = who->owner};
	struct imap_url_asker asker = {.login = who->login, .submission = who->submission};
	int r = imap_url_read(&args, u, &asker, max, ret, why);
	conf_drop(c);
	return r;
}

/* Another process of user has the account; there is no way there but through mta. */
static int read_there(uint64_t session, const struct msg_url_who *who, struct str url,
		      struct imap_out *ret, struct fail *why)
{
	struct msg_url_read m = {
		.session = session, .account = who->account, .url = url, .max = UINT32_MAX};
	struct ipc_question q = {.type = IPC_URL_READ, .msg = &m, .want = IPC_URL_DATA};
	struct msg_url_data data;
	struct ipc_packet *p = NULL;
	int r = ipc_call(role_peer(user.role, "mta", 0), &q, &p, why);
	if (r == 0 && (msg_url_data_read(p, &data) < 0 || data.file < 0))
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of mta");
	if (r == 0)
		imap_out_file(ret, ipc_packet_take_fd(p, data.file), 0, data.size);
	ipc_packet_free(p);
	return r;
}

static bool is_here(uint64_t account)
{
	return role_shard(user.role, (struct account_id){account}) == user.role->index;
}

int url_fetch(uint64_t session, struct str url, struct imap_out *ret, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct ipc_packet *p = NULL;
	struct msg_url_who who;
	struct imap_url u;
	int r = imap_url_parse(url, true, &a, &u, why);
	if (r == 0)
		r = ask_dir(session, u.user, &who, &p, why);
	if (r == 0)
		r = is_here(who.account) ? read_here(&u, &who, UINT32_MAX, ret, why)
					 : read_there(session, &who, url, ret, why);
	if (r < 0)
		log_event(LOG_INFO, "url.refused", log_fail(why));
	ipc_packet_free(p);
	return r;
}

/* --- for mta ---------------------------------------------------------------------------------- */

/* A range of a file behind what is in memory: who gets it shall not have the rest of the file. */
static int copy_piece(struct fs_file *to, uint64_t *at, const struct imap_out_piece *piece,
		      struct fail *why)
{
	AUTO_MEM char *bytes = xcalloc(1, COPY_BYTES);
	struct fs_file from = {fs_real(), piece->fd};
	size_t got = 0;
	for (uint64_t done = 0; done < piece->length; done += got) {
		size_t n = (size_t)MIN(piece->length - done, (uint64_t)COPY_BYTES);
		int r = fs_pread(&from, bytes, n, piece->offset + done, &got, why);
		if (r == 0 && got != n)
			r = fail_set(why, FAIL_CORRUPT, NULL, "a body file is cut");
		if (r == 0)
			r = fs_pwrite(to, bytes, n, *at, why);
		if (r < 0)
			return r;
		*at += n;
	}
	return 0;
}

static int copy_text(struct fs_file *to, uint64_t *at, struct str text, struct fail *why)
{
	int r = text.n ? fs_pwrite(to, text.p, text.n, *at, why) : 0;
	*at += text.n;
	return r;
}

static int to_memory(struct imap_out *o, int *ret_fd, uint64_t *ret_size, struct fail *why)
{
	AUTO_FD int fd = -1;
	uint64_t at = 0;
	size_t text = 0;
	int r = memfd_new("url", &fd, why);
	struct fs_file file = {fs_real(), fd};
	for (size_t i = 0; r == 0 && i < o->pieces.n; i++) {
		r = copy_text(&file, &at, str_sub(buf_str(&o->text), text, o->pieces.p[i].text_end),
			      why);
		text = o->pieces.p[i].text_end;
		if (r == 0)
			r = copy_piece(&file, &at, &o->pieces.p[i], why);
	}
	if (r == 0)
		r = copy_text(&file, &at, str_skip(buf_str(&o->text), text), why);
	if (r == 0)
		r = memfd_seal(fd, why);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	*ret_size = at;
	return 0;
}

void url_read(struct role *role, struct ipc_packet *p)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	AUTO(imap_out) struct imap_out out = IMAP_OUT_INIT(IMAP_OUT_WINDOW);
	AUTO_FD int fd = -1;
	struct ipc_packet *answer = NULL;
	struct fail why = FAIL_INIT;
	struct msg_url_data reply = {.file = -1};
	struct msg_url_who who = {0};
	struct msg_url_read m;
	struct imap_url u;
	(void)role;
	int r = msg_url_read_read(p, &m);
	if (r == 0)
		r = imap_url_parse(m.url, true, &a, &u, &why);
	if (r == 0)
		r = ask_dir(m.session, u.user, &who, &answer, &why);
	if (r == 0 && (who.account != m.account || !is_here(who.account)))
		r = fail_set(&why, FAIL_PERM, NULL, "not an account of this shard");
	if (r == 0)
		r = read_here(&u, &who, m.max, &out, &why);
	if (r == 0)
		r = to_memory(&out, &fd, &reply.size, &why);
	CRASH_POINT("user.url-read");
	if (r < 0) {
		log_event(LOG_INFO, "url.refused", log_address("login", who.login), log_fail(&why));
		(void)ipc_reply_fail(p, &why);
	} else {
		reply.file = fd;
		log_event(LOG_INFO, "url.read", log_address("login", who.login),
			  log_address("owner", who.owner), log_u64("size", reply.size));
		(void)ipc_reply(p, IPC_URL_DATA, &reply);
	}
	ipc_packet_free(answer);
}
