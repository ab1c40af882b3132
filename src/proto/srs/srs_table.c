/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/srs/srs_table.h"
#include "codec/tcp_table/tcp_table.h"

/* As Postfix has it: no quotes, the domain behind the last '@'. */
static int read_address(struct str plain, struct smtp_addr *ret)
{
	AUTO(buf) struct buf domain = BUF_INIT(SMTP_DOMAIN_MAX);
	size_t at = str_rfind(plain, '@');
	struct str host = str_skip(plain, at + 1);

	if (at == plain.n || host.n == 0)
		return -FAIL_SYNTAX;
	int r = host.p[0] == '[' ? buf_add(&domain, host) : smtp_domain_normalise(host, &domain);
	return r < 0 ? -FAIL_SYNTAX : smtp_addr_make(str_sub(plain, 0, at), buf_str(&domain), ret);
}

static void found(const struct smtp_addr *a, struct buf *out)
{
	AUTO(buf) struct buf plain = BUF_INIT(KIB(1));

	(void)smtp_addr_plain_local(a, &plain);
	(void)buf_addc(&plain, '@');
	(void)buf_add(&plain, smtp_addr_domain(a));
	tcp_table_answer(out, TCP_TABLE_FOUND, buf_str(&plain));
}

static int answer(const struct srs_table *t, struct str key, struct buf *out, unsigned *forged)
{
	AUTO(buf) struct buf plain = BUF_INIT(TCP_TABLE_LINE_MAX);
	struct smtp_addr a, result;
	const char *reason = "not an address";
	int r = tcp_table_decode(key, &plain) < 0 ? 0 : read_address(buf_str(&plain), &a);

	if (!t->srs)
		reason = "no domain for rewritten senders is set";
	else if (r == 0 && plain.n > 0 && t->reverse)
		r = srs_restore(t->srs, &a, t->day, &result, &reason);
	else if (r == 0 && plain.n > 0)
		r = srs_rewrite(t->srs, &a, &t->ours, t->day, &result, &reason);
	if (r == -FAIL_BUSY)
		return r;
	*forged += t->reverse && r == -FAIL_PERM;
	if (r == 1)
		found(&result, out);
	else
		tcp_table_answer(out,
				 r < 0 && t->srs && !t->reverse && r != -FAIL_SYNTAX &&
						 r != -FAIL_TOOBIG
					 ? TCP_TABLE_TEMP
					 : TCP_TABLE_NONE,
				 str_c(reason));
	return 0;
}

int srs_table_answer(const struct srs_table *t, struct str input, struct buf *out,
		     unsigned *ret_forged)
{
	struct tcp_table_request q;
	size_t before = out->n;
	int r = 0;

	*ret_forged = 0;
	while (r == 0 && tcp_table_next(&input, &q)) {
		if (q.verb == TCP_TABLE_GET)
			r = answer(t, q.key, out, ret_forged);
		else
			tcp_table_answer(out, TCP_TABLE_NONE,
					 q.verb == TCP_TABLE_PUT ? STR("put is not served here")
								 : STR("not a request"));
	}
	if (r < 0)
		buf_cut(out, before);
	return r;
}
