/* SPDX-License-Identifier: Apache-2.0 */
/* Each line as every kind of line: what is taken is within its bounds. */
#include "base/check.h"
#include "base/utf8.h"
#include "codec/mailfile/maildir.h"
#include "codec/mailfile/mbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void names(struct str line)
{
	struct maildir_name name;
	AUTO(buf) struct buf a = BUF_INIT(KIB(4)), b = BUF_INIT(KIB(8));
	if (maildir_name_parse(line, &name))
		CHECK(name.unique.n > 0 && name.unique.n <= name.base.n && name.base.n <= line.n);
	if (maildir_folder_name(line, &a))
		CHECK(a.n > 0 && utf8_valid(buf_str(&a)) &&
		      maildir_folder_write(buf_str(&a), &b) == 0);
	for (int v2 = 0; v2 < 2; v2++) {
		buf_reset(&a);
		if (maildir_subscription_parse(line, v2, &a))
			CHECK(utf8_valid(buf_str(&a)));
	}
}

static void lists(struct str line)
{
	struct uidlist_head head;
	struct uidlist_entry entry;
	unsigned index;
	struct str keyword;
	if (uidlist_head_parse(line, &head))
		CHECK(head.uidvalidity > 0 && head.uidnext > 0);
	for (unsigned v = 1; v <= 3; v += 2)
		if (uidlist_entry_parse(line, v, &entry))
			CHECK(entry.uid > 0 && entry.file.n > 0 && entry.file.n <= 255);
	if (maildir_keyword_parse(line, &index, &keyword))
		CHECK(index < 26 && mailfile_is_atom(keyword));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line, rest = {(const char *)data, size};
	struct mbox_state state;
	mbox_state_init(&state);
	while (str_cut(&rest, '\n', &line)) {
		struct wall_us date;
		names(line);
		lists(line);
		(void)mbox_is_from(line, &date);
		CHECK(mbox_unquote(line) <= line.n);
		if (mbox_needs_quote(line))
			CHECK(line.n >= 5);
		(void)mbox_state_line(&state, line);
		CHECK(strlen(state.keywords) < sizeof state.keywords);
	}
	return 0;
}
