/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tcp_table/tcp_table.h"
#include "base/num.h"

size_t tcp_table_whole(struct str in)
{
	size_t last = str_rfind(in, '\n');

	return last == in.n ? 0 : last + 1;
}

static struct str without_end(struct str line)
{
	return str_ends(line, STR("\r")) ? str_sub(line, 0, line.n - 1) : line;
}

bool tcp_table_next(struct str *in, struct tcp_table_request *ret)
{
	struct str line, verb;

	if (in->n == 0 || str_find(*in, 0, '\n') == in->n)
		return false;
	(void)str_cut(in, '\n', &line);
	*ret = (struct tcp_table_request){.verb = TCP_TABLE_UNKNOWN, .key = STR("")};
	if (line.n >= TCP_TABLE_LINE_MAX)
		return true;
	line = without_end(line);
	if (!str_cut(&line, ' ', &verb) || line.n == 0)
		return true;
	if (str_eqi(verb, STR("get")) || str_eqi(verb, STR("put")))
		*ret = (struct tcp_table_request){
			.verb = ascii_lower(verb.p[0]) == 'g' ? TCP_TABLE_GET : TCP_TABLE_PUT,
			.key = line};
	return true;
}

int tcp_table_decode(struct str key, struct buf *out)
{
	size_t before = out->n;

	for (size_t i = 0; i < key.n; i++) {
		uint64_t octet;
		if (key.p[i] != '%') {
			(void)buf_addc(out, key.p[i]);
			continue;
		}
		if (i + 2 >= key.n || !num_parse_hex_u64(str_sub(key, i + 1, i + 3), &octet)) {
			buf_cut(out, before);
			return -FAIL_SYNTAX;
		}
		(void)buf_addc(out, (char)octet);
		i += 2;
	}
	return out->failed ? -FAIL_LIMIT : 0;
}

static void encode(struct buf *out, struct str text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c > ' ' && c < 0x7f && c != '%') {
			(void)buf_addc(out, (char)c);
			continue;
		}
		const char octet[] = {'%', digits[c >> 4], digits[c & 15]};
		(void)buf_add(out, str_make(octet, sizeof octet));
	}
}

void tcp_table_answer(struct buf *out, enum tcp_table_code code, struct str text)
{
	size_t before = out->n;

	(void)buf_addf(out, "%d ", (int)code);
	encode(out, text);
	(void)buf_addc(out, '\n');
	if (out->n - before > TCP_TABLE_LINE_MAX) {
		buf_cut(out, before);
		(void)buf_addf(out, "%d too%%20long\n", (int)TCP_TABLE_TEMP);
	}
}
