/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/managesieve/managesieve_write.h"
#include "base/utf8.h"

#define QUOTED_MAX 1024 /* octets between the quotes (RFC 5804 section 4) */

static bool can_be_quoted(struct str s)
{
	if (s.n > QUOTED_MAX / 2 || !utf8_valid(s)) /* each octet may need a backslash */
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || s.p[i] == '\r' || s.p[i] == '\n')
			return false;
	return true;
}

int managesieve_write_string(struct buf *out, struct str s)
{
	if (!can_be_quoted(s)) {
		(void)buf_addf(out, "{%zu}\r\n", s.n);
		return buf_add(out, s);
	}
	(void)buf_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			(void)buf_addc(out, '\\');
		(void)buf_addc(out, s.p[i]);
	}
	return buf_addc(out, '"');
}

int managesieve_write_reply(struct buf *out, enum managesieve_status status, struct str code,
			    struct str text)
{
	static const char *const names[] = {"OK", "NO", "BYE"};
	(void)buf_add_c(out, names[status]);
	if (code.n)
		(void)buf_addf(out, " (%.*s)", STR_ARG(code));
	if (text.n) {
		(void)buf_addc(out, ' ');
		(void)managesieve_write_string(out, text);
	}
	return buf_add(out, STR("\r\n"));
}

int managesieve_write_capability(struct buf *out, const char *name, struct str value)
{
	(void)managesieve_write_string(out, str_c(name));
	if (value.p) {
		(void)buf_addc(out, ' ');
		(void)managesieve_write_string(out, value);
	}
	return buf_add(out, STR("\r\n"));
}

int managesieve_write_listed(struct buf *out, struct str name, bool active)
{
	(void)managesieve_write_string(out, name);
	return buf_add_c(out, active ? " ACTIVE\r\n" : "\r\n");
}

int managesieve_write_noop(struct buf *out, struct str tag, const char *text)
{
	AUTO(buf) struct buf code = BUF_INIT(tag.n * 2 + 32);
	if (tag.p) {
		(void)buf_add(&code, STR("TAG "));
		(void)managesieve_write_string(&code, tag);
	}
	return managesieve_write_reply(out, MANAGESIEVE_OK, buf_str(&code), str_c(text));
}
