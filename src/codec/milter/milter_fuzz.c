/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a milter sends, what is read of it lies within it, and reply texts are printable. */
#include "base/check.h"
#include "codec/milter/milter.h"
#include "codec/milter/milter_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct str all, struct str part)
{
	CHECK(part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n));
	CHECK(str_find(part, 0, '\0') == part.n);
}

static void check_code(struct str reply)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(4));
	struct milter_code code;
	if (milter_code_parse(reply, &code, &text) < 0)
		return;
	CHECK(code.code >= 400 && code.code < 600 && strlen(code.enhanced) < sizeof code.enhanced);
	CHECK(!code.enhanced[0] || (unsigned)(code.enhanced[0] - '0') == code.code / 100);
	for (size_t i = 0; i < text.n; i++)
		CHECK(text.p[i] == '\n' || (unsigned char)text.p[i] >= ' ');
}

static void check_packet(struct str packet)
{
	struct milter_reply r;
	struct fail why = FAIL_INIT;
	if (milter_reply_parse(packet, &r, &why) < 0)
		return;
	within(packet, r.name);
	within(packet, r.value);
	CHECK(r.bytes.n <= packet.n);
	for (size_t i = 0; i < MILTER_STAGES; i++)
		within(packet, r.macros[i]);
	if (r.says == MILTER_SAYS_REPLYCODE)
		check_code(r.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size}, packet;
	struct milter_name name;
	size_t used;
	if (milter_name_parse(in, &name))
		CHECK((name.path.n > 0) != (name.host.n > 0) && name.name.n > 0);
	check_code(in);
	while (milter_frame(in, &packet, &used) == 1) {
		CHECK(used == packet.n + 4 && used <= in.n);
		check_packet(packet);
		in = str_skip(in, used);
	}
	return 0;
}
