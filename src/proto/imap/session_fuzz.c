/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_fuzz.c - random commands of two sessions on one memory store.        [proto, imap]
 *
 * Input: records "P text" LF, where P chooses the session, the window and whether the session moves
 * to a new object afterwards; `text` is a command, in which '|' stands for CRLF. Nothing may crash,
 * answers are whole lines, and an export gives the same session again (dialogue.h).
 */
#include "proto/imap/dialogue.h"
#include "sys/log.h"

#define RECORDS_MAX 40

static struct world fuzz_world;

/* At exit, when OpenSSL has ended already: the files alone. */
static void end(void)
{
	world_remove_files(&fuzz_world);
}

/* The world of one input: a fresh account in the one store. */
static void begin(struct world *w)
{
	struct fail why = FAIL_INIT;
	w->account.v++;
	if (store_account_ensure(w->store, w->account, store_default_folders, &why) < 0)
		abort();
	for (size_t i = 0; i < PLAYERS; i++) {
		struct player *p = &w->player[i];
		struct imap_session_args args = world_args(w);
		imap_session_free(p->session);
		p->session = imap_session_new(&args);
		p->closed = false;
		buf_reset(&p->got);
		frame_imap_clear(&p->framer);
		frame_imap_init(&p->framer, &w->limits);
	}
	world_append(w, STR("INBOX"), 0, STR("Return-Path: <>\r\n"), STR(PLAIN));
	world_append(w, STR("INBOX"), STORE_SEEN, STR_NULL, STR(PLAIN));
}

static void run_record(struct world *w, struct str record)
{
	AUTO(buf) struct buf bytes = BUF_INIT(KIB(64));
	char how = record.p[0];
	struct player *p = &w->player[how & 1];
	if (p->closed)
		return;
	p->out.window = how & 2 ? 1 : IMAP_OUT_WINDOW;
	w->mode = how & 4 ? MODE_EXPORT | MODE_MAY_END : 0;
	for (size_t i = 1; i < record.n; i++) {
		if (record.p[i] == '|')
			buf_add(&bytes, STR("\r\n"));
		else
			buf_addc(&bytes, record.p[i]);
	}
	buf_add(&bytes, STR("\r\n"));
	world_send(w, p, buf_str(&bytes));
	for (size_t i = 0; i < PLAYERS; i++) {
		struct buf *got = &w->player[i].got;
		if (got->n && !str_ends(buf_str(got), STR("\r\n")))
			abort();
		buf_reset(got);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = &fuzz_world;
	struct fail why = FAIL_INIT;
	struct str rest = str_make((const char *)data, size), record;
	if (!w->store) {
		world_open(w, 0);
		log_set_level(LOG_ERROR);
		(void)atexit(end);
	}
	begin(w);
	for (unsigned i = 0; i < RECORDS_MAX && str_cut(&rest, '\n', &record); i++)
		if (record.n)
			run_record(w, record);
	for (size_t i = 0; i < PLAYERS; i++) {
		imap_session_free(w->player[i].session);
		w->player[i].session = NULL;
	}
	if (store_account_delete(w->store, w->account, &why) < 0)
		abort();
	return 0;
}
