/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that a command brings: scan looks at each (nobody else parses foreign bytes), several at
 * a time, then all of a question go into one transaction.
 */
#include "base/check.h"
#include "roles/user/tool.h"
#include "sys/counter.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

COUNTER(imported_count, "user.imported", "messages imported or restored");

#define SCANNERS     4
#define KEYWORDS_MAX STORE_KEYWORDS_MAX

void tool_body_open(struct tool *t, struct ipc_packet *p)
{
	struct msg_body_open m;
	struct fail why = FAIL_INIT;
	struct store_body body = STORE_BODY_INIT;
	int r = msg_body_open_read(p, &m);
	if (r == 0 && t->bodies.n >= TOOL_BODIES_MAX)
		r = fail_set(&why, FAIL_LIMIT, NULL, "too many files are being written");
	if (r == 0)
		r = store_body_create(user.store, m.size, &body, &why);
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	*vec_push(&t->bodies) = body;
	struct msg_body_file reply = {.body_id = {(const char *)body.id, sizeof body.id},
				      .file = body.fd};
	(void)ipc_reply(p, IPC_BODY_FILE, &reply);
}

static bool take_body(struct tool *t, struct str id, struct store_body *ret)
{
	for (size_t i = 0; i < t->bodies.n; i++)
		if (str_eq(id, str_make((const char *)t->bodies.p[i].id, 16))) {
			*ret = t->bodies.p[i];
			vec_remove(&t->bodies, i);
			return true;
		}
	return false;
}

/* --- one question
 * ------------------------------------------------------------------------------------------ */

struct item {
	struct store_body body;
	struct buf map;
	struct str keywords[KEYWORDS_MAX];
	int r; /* of scan and seal */
};

struct import {
	struct tool *t;
	struct msg_box_import m;
	struct item *items;
	struct store_import_message *messages;
	_Atomic size_t next;
	sem_t done;
};
struct scanner {
	struct pool_job job;
	struct import *im;
};

static void scan_one(struct import *im, size_t i)
{
	struct item *it = &im->items[i];
	struct store_content *c = &im->messages[i].message.content;
	struct fail why = FAIL_INIT;
	if (it->r == 0 && it->body.fd >= 0) {
		it->r = store_body_seal(user.store, &it->body, &why);
		c->file = &it->body;
	}
	if (it->r == 0)
		it->r = user_scan(NULL, c, &it->map, &why);
	c->map = buf_str(&it->map);
}

static void scan_some(struct job *job)
{
	struct scanner *s = CONTAINER_OF(job, struct scanner, job.job);
	struct import *im = s->im;
	for (size_t i; (i = im->next++) < im->m.messages_n;)
		scan_one(im, i);
	free(s);
	sem_post(&im->done);
}

static void scan_all(struct import *im)
{
	size_t n = MIN(im->m.messages_n, (size_t)SCANNERS);
	sem_init(&im->done, 0, 0);
	for (size_t i = 0; i < n; i++) {
		struct scanner *s = xcalloc(1, sizeof *s);
		*s = (struct scanner){.job.job.run = scan_some, .im = im};
		pool_submit(user.scans, &s->job);
	}
	for (size_t i = 0; i < n; i++)
		while (sem_wait(&im->done) < 0)
			continue;
	sem_destroy(&im->done);
}

static size_t split(struct str text, struct str *into, size_t max)
{
	size_t n = 0;
	struct str word;
	while (n < max && str_cut(&text, ' ', &word))
		if (word.n > 0)
			into[n++] = word;
	return n;
}

static void prepare(struct import *im, size_t i)
{
	const struct msg_import_message *in = &im->m.messages[i];
	struct store_import_message *out = &im->messages[i];
	struct item *it = &im->items[i];
	it->body = STORE_BODY_INIT;
	it->map = BUF_INIT(STORE_MAP_MAX);
	out->uid = in->uid;
	out->message.internaldate.v = in->internaldate_us;
	out->message.keywords_if_room = true;
	out->message.flags = (struct store_flagset){
		.bits = in->flags & STORE_SYSTEM_FLAGS,
		.keywords = it->keywords,
		.n_keywords = split(in->keywords, it->keywords, KEYWORDS_MAX)};
	out->message.content =
		(struct store_content){.prefix = in->prefix, .bytes = in->body, .verify = true};
	if (in->body_id.n > 0 && !take_body(im->t, in->body_id, &it->body))
		it->r = -FAIL_NOTFOUND;
	out->keyed = in->key.n == 32;
	if (!out->keyed)
		return;
	memcpy(out->key.epoch, in->key.p, sizeof out->key.epoch);
	memcpy(&out->key.number, in->key.p + 16, 8);
	memcpy(&out->key.rcpt, in->key.p + 24, 8);
	out->key.number &= INT64_MAX;
	out->key.rcpt &= INT64_MAX;
}

/* What scan refused is left out. */
static int store_those(struct import *im, struct store_import_result *res, struct fail *why)
{
	size_t n = im->m.messages_n, good = 0;
	struct store_import_message *all = xcalloc(n + 1, sizeof *all);
	for (size_t i = 0; i < n; i++)
		if (im->items[i].r == 0)
			all[good++] = im->messages[i];
	struct store_import in = {.account = {im->m.account},
				  .mailbox = im->m.name,
				  .uidvalidity = im->m.uidvalidity,
				  .uidnext = im->m.uidnext,
				  .messages = all,
				  .n = good};
	int r = store_import(user.store, &in, res, why);
	for (size_t i = 0, k = 0; r == 0 && i < n; i++)
		if (im->items[i].r == 0)
			im->messages[i].given = all[k++].given;
	free(all);
	return r;
}

static void answer(struct import *im, const struct store_import_result *res, struct ipc_packet *p)
{
	size_t n = im->m.messages_n;
	struct msg_import_result *results = xcalloc(n + 1, sizeof *results);
	uint64_t added = 0;
	for (size_t i = 0; i < n; i++) {
		results[i] = (struct msg_import_result){.uid = im->messages[i].given.v,
							.code = (uint16_t)-im->items[i].r};
		added += results[i].uid > 0;
	}
	struct msg_box_import_reply reply = {.uidvalidity = res->uidvalidity,
					     .adopted = res->adopted,
					     .results = results,
					     .results_n = n};
	counter_add(&imported_count, added);
	(void)ipc_reply(p, IPC_BOX_IMPORT_REPLY, &reply);
	free(results);
	if (added)
		user_usage_changed((struct account_id){im->m.account});
}

void tool_import(struct tool *t, struct ipc_packet *p)
{
	struct import im = {.t = t};
	struct fail why = FAIL_INIT;
	struct store_import_result res = {0};
	if (msg_box_import_read(p, &im.m) < 0) {
		(void)fail_set(&why, FAIL_PEER, NULL, "bad import");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	im.items = xcalloc(im.m.messages_n + 1, sizeof *im.items);
	im.messages = xcalloc(im.m.messages_n + 1, sizeof *im.messages);
	for (size_t i = 0; i < im.m.messages_n; i++)
		prepare(&im, i);
	scan_all(&im);
	if (store_those(&im, &res, &why) < 0)
		(void)ipc_reply_fail(p, &why);
	else
		answer(&im, &res, p);
	for (size_t i = 0; i < im.m.messages_n; i++) {
		store_body_clear(&im.items[i].body);
		buf_clear(&im.items[i].map);
	}
	free(im.items);
	free(im.messages);
}
