/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_fuzz.c - the state of a sleeping session, damaged.                    [proto, imap]
 *
 * Input: a byte that chooses the state (nothing selected, selected, read-only, in IDLE, NOTIFY),
 * one that says how much of its end is missing, then edits of three bytes: place (u16) and what is
 * changed there. What is taken nevertheless says the same state again, and serves commands.
 */
#include "proto/imap/dialogue.h"
#include "sys/log.h"

#define STATES 5

static struct world fuzz_world;
static struct buf states[STATES];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* At exit, when OpenSSL has ended already: the files alone. */
static void end(void)
{
	world_remove_files(&fuzz_world);
}

/* What a session says of itself after each of these commands. */
static void begin(struct world *w)
{
	static const char *const commands[STATES] = {
		"a ENABLE CONDSTORE\r\n", "a SELECT INBOX\r\nb SEARCH RETURN (SAVE) 1\r\n",
		"a EXAMINE INBOX\r\n", "a IDLE\r\n",
		("DONE\r\na NOTIFY SET (selected (MessageNew (flags) MessageExpunge)) (personal "
		 "(MailboxName MessageNew MessageExpunge))\r\n")};
	struct fail why = FAIL_INIT;
	world_open(w, 0);
	log_set_level(LOG_ERROR);
	world_append(w, STR("INBOX"), 0, STR_NULL, STR(PLAIN));
	world_append(w, STR("INBOX"), STORE_SEEN, STR_NULL, STR(PLAIN));
	for (size_t i = 0; i < STATES; i++) {
		states[i] = BUF_INIT(KIB(64));
		world_send(w, &w->player[0], str_c(commands[i]));
		assert_ok(imap_session_export(w->player[0].session, &states[i], &why), &why);
	}
	world_send(w, &w->player[0], STR("x NOTIFY NONE\r\n"));
	(void)atexit(end);
}

static void edit(struct buf *state, struct str how)
{
	buf_cut(state, state->n - MIN(state->n, (size_t)(unsigned char)how.p[1] / 8));
	for (size_t i = 2; i + 2 < how.n && state->n; i += 3) {
		size_t at = (unsigned char)how.p[i] | (size_t)(unsigned char)how.p[i + 1] << 8;
		state->p[at % state->n] = (char)(state->p[at % state->n] ^ how.p[i + 2]);
	}
}

static void serve(struct world *w, struct imap_session *s)
{
	static const char *const commands[] = {"x NOOP\r\n", "x FETCH 1:* (UID FLAGS)\r\n",
					       "x SEARCH $\r\n", "x UID STORE 1:* +FLAGS (a)\r\n",
					       "x UNSELECT\r\n"};
	struct player *p = &w->player[1];
	imap_session_free(p->session);
	p->session = s;
	p->closed = false;
	buf_reset(&p->got);
	frame_imap_clear(&p->framer);
	frame_imap_init(&p->framer, &w->limits);
	if (imap_session_is_parked(s))
		world_send(w, p, STR("DONE\r\n"));
	for (size_t i = 0; i < ARRAY_LEN(commands) && !p->closed; i++)
		world_send(w, p, str_c(commands[i]));
	if (!str_ends(buf_str(&p->got), STR("\r\n")))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = &fuzz_world;
	struct imap_session_args args;
	struct imap_session *s = NULL, *again = NULL;
	AUTO(buf) struct buf state = BUF_INIT(KIB(64)), first = BUF_INIT(KIB(64));
	AUTO(buf) struct buf second = BUF_INIT(KIB(64));
	struct fail why = FAIL_INIT;
	if (!w->store)
		begin(w);
	if (size < 2 || size > KIB(1))
		return 0;
	args = world_args(w);
	(void)buf_add(&state, buf_str(&states[data[0] % STATES]));
	edit(&state, str_make((const char *)data, size));
	if (imap_session_import(&args, buf_str(&state), &s, &why) < 0)
		return 0;
	assert_ok(imap_session_export(s, &first, &why), &why);
	assert_ok(imap_session_import(&args, buf_str(&first), &again, &why), &why);
	assert_ok(imap_session_export(again, &second, &why), &why);
	if (!str_eq(buf_str(&first), buf_str(&second)))
		abort();
	imap_session_free(s);
	serve(w, again);
	return 0;
}
