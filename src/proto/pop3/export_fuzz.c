/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a session: whatever is read as one is refused or makes a session; a set that is read
 * is written and read again as the same.
 */
#include "base/check.h"
#include "proto/pop3/marks.h"
#include "proto/pop3/pop3_session.h"
#include "sys/testdir.h"
#include <stdio.h>

#define ALICE  ((struct account_id){1})
#define NUMBER 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *make_store(void)
{
	static char path[2][100];
	static struct testdir dir;
	struct store_options o = {.engine = STORE_MEMORY, .no_background = true};
	struct store *s = NULL;
	dir = testdir_new();
	(void)snprintf(path[0], sizeof path[0], "%s/store", dir.path);
	(void)snprintf(path[1], sizeof path[1], "%s/blob", dir.path);
	o.root = path[0];
	o.blobs = path[1];
	CHECK(store_open(&o, &s, NULL) == 0);
	CHECK(store_account_ensure(s, ALICE, store_default_folders, NULL) == 0);
	return s;
}

static void try_marks(struct str in)
{
	AUTO(pop3_marks) struct pop3_marks m = {0}, again = {0};
	AUTO(buf) struct buf out = BUF_INIT(MIB(1));
	struct cursor c = cursor_of(in);
	if (pop3_marks_import(&m, &c, NUMBER) < 0)
		return;
	pop3_marks_export(&m, &out);
	c = cursor_of(buf_str(&out));
	CHECK(!out.failed && pop3_marks_import(&again, &c, NUMBER) == 0 && again.count == m.count);
	for (uint32_t i = 1; i <= NUMBER; i += 7)
		CHECK(pop3_marks_have(&m, i) == pop3_marks_have(&again, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct store *store;
	static const struct pop3_config config = {.uidl_format = POP3_UIDL_FORMAT};
	struct str in = str_make((const char *)data, size);
	struct pop3_session_args args = {.config = &config, .account = ALICE};
	struct pop3_session *s = NULL;
	if (!store)
		store = make_store();
	args.store = store;
	try_marks(in);
	if (pop3_session_import(&args, in, &s, NULL) == 0) {
		AUTO(buf) struct buf out = BUF_INIT(MIB(1));
		CHECK(pop3_session_export(s, &out, NULL) == 0);
	}
	pop3_session_free(s);
	return 0;
}
