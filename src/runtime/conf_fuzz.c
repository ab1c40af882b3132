/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a configuration: it is refused with a reason for each line, or it is written in the
 * canonical form, which is read back as the same, also by another build.
 */
#include "base/check.h"
#include "runtime/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct conf *c)
{
	AUTO(buf) struct buf one = BUF_INIT(MIB(1)), two = BUF_INIT(MIB(1));
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	AUTO(conf) struct conf *again = NULL;
	AUTO(conf) struct conf *known = NULL;
	conf_write(c, &one);
	CHECK(!one.failed);
	CHECK(conf_parse("t", buf_str(&one), &again, &errors) == 0);
	conf_write(again, &two);
	CHECK(str_eq(buf_str(&one), buf_str(&two)));
	CHECK(conf_parse_known(buf_str(&one), &known, &errors) == 0 && errors.n == 0);
	for (size_t i = 0; i < conf_settings_n; i++)
		CHECK(conf_same(c, known, &conf_settings[i]));
	const struct conf *frozen = conf_freeze(c);
	buf_reset(&two);
	conf_write(frozen, &two);
	CHECK(str_eq(buf_str(&one), buf_str(&two)));
	conf_drop(frozen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make((const char *)data, size), line;
	AUTO(buf) struct buf errors = BUF_INIT(KIB(256));
	AUTO(conf) struct conf *c = NULL;
	AUTO(conf) struct conf *other = NULL;
	if (size > KIB(16))
		return 0;
	if (conf_parse("t", text, &c, &errors) == 0) {
		CHECK(c && errors.n == 0);
		write_again(c);
	} else {
		CHECK(!c && errors.n > 0);
		struct str rest = buf_str(&errors);
		while (rest.n && str_cut(&rest, '\n', &line))
			CHECK(line.n > 0);
	}
	buf_reset(&errors);
	if (conf_parse_known(text, &other, &errors) == 0)
		write_again(other);
	return 0;
}
