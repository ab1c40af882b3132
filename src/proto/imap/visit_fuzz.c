/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visit_fuzz.c - what one process of user tells another one, damaged.          [proto, imap]
 *
 * Input: a byte that chooses, then bytes. Even: a list of mailboxes that a visit answers to LIST.
 * Odd: messages that are put into a mailbox of the guest's host, or (3) the state of a visit, or
 * (7) the filters of a guest who searches.
 */
#include "proto/imap/dialogue.h"
#include "proto/imap/guest_int.h"
#include "sys/log.h"

static struct world fuzz_world;
static struct str answer;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void end(void)
{
	world_remove_files(&fuzz_world);
}

static int visit(void *arg, struct imap_guest_ask *ask, struct imap_out *out,
		 struct imap_guest_answer *ret, struct fail *why)
{
	(void)arg, (void)ask, (void)ret, (void)why;
	buf_add(&out->text, answer);
	return 0;
}

static int hosts(void *arg, struct buf *ret, struct fail *why)
{
	(void)arg, (void)why;
	buf_add(ret, STR("bob@example.test\n"));
	return 0;
}

static void list(struct world *w, struct str bytes)
{
	struct imap_session_args args = world_args(w);
	args.hooks.guest = visit;
	args.hooks.hosts = hosts;
	struct player *p = &w->player[1];
	answer = bytes;
	imap_session_free(p->session);
	p->session = imap_session_new(&args);
	p->closed = false;
	buf_reset(&p->got);
	world_send(w, p,
		   STR("x LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (* %) RETURN (MYRIGHTS "
		       "STATUS (UNSEEN))\r\ny LSUB \"\" *\r\nz LIST \"\" Shared/*\r\n"));
	if (!str_ends(buf_str(&p->got), STR("\r\n")))
		abort();
}

static void serve(struct world *w, enum imap_guest_what what, struct str bytes)
{
	static const struct imap_guest guest = {
		{8}, {"bob@example.test", 16}, {"", 0}, {"Shared/alice@example.test/", 26}};
	struct imap_session_args args = world_args(w);
	AUTO(imap_out) struct imap_out out = IMAP_OUT_INIT(KIB(64));
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	struct imap_guest_ask ask = {.what = what,
				     .rights = IMAP_RIGHT_WRITE,
				     .name = STR("Shared/alice@example.test/Sent")};
	struct imap_visit *v = NULL;
	struct fail why = FAIL_INIT;
	args.guest = &guest;
	if (what == IMAP_GUEST_PUT)
		ask.text = bytes;
	else
		ask.state = bytes;
	if (what == IMAP_GUEST_COMMAND)
		ask.text = STR("x FETCH 1:* FLAGS");
	if (imap_visit_serve(&v, &args, &ask, &out, &a, &why) == 0 && out.text.failed)
		abort();
	imap_visit_free(v);
}

static void search(struct world *w, struct str bytes)
{
	static const struct imap_guest guest = {
		{8}, {"bob@example.test", 16}, {"", 0}, {"Shared/alice@example.test/", 26}};
	struct imap_session_args args = world_args(w);
	AUTO(imap_out) struct imap_out out = IMAP_OUT_INIT(KIB(64));
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	AUTO(buf) struct buf state = BUF_INIT(IMAP_GUEST_STATE);
	struct imap_guest_ask ask = {.what = IMAP_GUEST_COMMAND,
				     .text = STR("x SELECT Shared/alice@example.test/Sent")};
	struct imap_visit *v = NULL;
	struct fail why = FAIL_INIT;
	args.guest = &guest;
	assert_ok(imap_visit_serve(&v, &args, &ask, &out, &a, &why), &why);
	buf_add(&state, buf_str(&a.state));
	ask.state = buf_str(&state);
	ask.text = STR("y SEARCH OR FILTER a FILTER b");
	ask.filters = bytes;
	if (imap_visit_serve(&v, &args, &ask, &out, &a, &why) == 0 && out.text.failed)
		abort();
	imap_visit_free(v);
}

static void begin(struct world *w)
{
	struct fail why = FAIL_INIT;
	world_open(w, 0);
	log_set_level(LOG_ERROR);
	world_append(w, STR("INBOX"), 0, STR_NULL, STR(PLAIN));
	struct store_acl_change c = {.account = w->account,
				     .mailbox = STR("Sent"),
				     .identifier = STR("bob@example.test"),
				     .subject = {8},
				     .rights = IMAP_ACL_ALL};
	assert_ok(store_acl_change(w->store, &c, &why), &why);
	(void)atexit(end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = &fuzz_world;
	if (!w->store)
		begin(w);
	if (size < 1 || size > KIB(4))
		return 0;
	struct str bytes = str_make((const char *)data + 1, size - 1);
	if (data[0] % 2 == 0)
		list(w, bytes);
	else if (data[0] % 8 == 7)
		search(w, bytes);
	else
		serve(w, data[0] % 4 == 3 ? IMAP_GUEST_COMMAND : IMAP_GUEST_PUT, bytes);
	return 0;
}
