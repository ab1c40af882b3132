/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/milter/milter.h"

static void put_be32(struct buf *out, uint32_t v)
{
	(void)buf_put_u8(out, (uint8_t)(v >> 24));
	(void)buf_put_u8(out, (uint8_t)(v >> 16));
	(void)buf_put_u8(out, (uint8_t)(v >> 8));
	(void)buf_put_u8(out, (uint8_t)v);
}

static struct str until_nul(struct str s)
{
	return str_sub(s, 0, str_find(s, 0, '\0'));
}

static void put_text(struct buf *out, struct str s)
{
	(void)buf_add(out, until_nul(s));
	(void)buf_addc(out, '\0');
}

/* A packet whose length is known when it is complete. */
static size_t begin(struct buf *out, enum milter_command c)
{
	size_t at = out->n;
	put_be32(out, 0);
	(void)buf_put_u8(out, (uint8_t)c);
	return at;
}

static void end(struct buf *out, size_t at)
{
	size_t n = out->n - at - 4;
	if (out->failed)
		return;
	out->p[at] = (char)(n >> 24);
	out->p[at + 1] = (char)(n >> 16);
	out->p[at + 2] = (char)(n >> 8);
	out->p[at + 3] = (char)n;
}

void milter_put_options(struct buf *out, uint32_t version, uint32_t actions, uint32_t steps)
{
	size_t at = begin(out, MILTER_OPTNEG);
	put_be32(out, version);
	put_be32(out, actions);
	put_be32(out, steps);
	end(out, at);
}

void milter_put_macros(struct buf *out, enum milter_command of, const struct milter_macro *m,
		       size_t n)
{
	size_t at = begin(out, MILTER_MACRO);
	(void)buf_put_u8(out, (uint8_t)of);
	for (size_t i = 0; i < n; i++) {
		put_text(out, m[i].name);
		put_text(out, m[i].value);
	}
	end(out, at);
}

void milter_put_connect(struct buf *out, struct str host, struct str address, uint16_t port)
{
	size_t at = begin(out, MILTER_CONNECT);
	bool six = str_find(address, 0, ':') < address.n;
	put_text(out, host);
	if (address.n == 0) {
		(void)buf_addc(out, 'U');
	} else {
		(void)buf_addc(out, six ? '6' : '4');
		(void)buf_put_u8(out, (uint8_t)(port >> 8));
		(void)buf_put_u8(out, (uint8_t)port);
		put_text(out, address);
	}
	end(out, at);
}

void milter_put_texts(struct buf *out, enum milter_command c, const struct str *texts, size_t n)
{
	size_t at = begin(out, c);
	for (size_t i = 0; i < n; i++)
		put_text(out, texts[i]);
	end(out, at);
}

void milter_put_header(struct buf *out, struct str name, struct str value)
{
	const struct str both[] = {name, value};
	milter_put_texts(out, MILTER_HEADER, both, 2);
}

void milter_put_body(struct buf *out, struct str bytes)
{
	size_t at = begin(out, MILTER_BODY);
	(void)buf_add(out, str_sub(bytes, 0, MILTER_CHUNK));
	end(out, at);
}

void milter_put_plain(struct buf *out, enum milter_command c)
{
	end(out, begin(out, c));
}
