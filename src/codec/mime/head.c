/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/head.h"
#include "codec/mime/header.h"

static const struct {
	enum head_id id;
	const char *name;
} known[] = {
	{HEAD_TYPE, "content-type"},
	{HEAD_ENCODING, "content-transfer-encoding"},
	{HEAD_DISPOSITION, "content-disposition"},
	{HEAD_ID, "content-id"},
	{HEAD_DESCRIPTION, "content-description"},
	{HEAD_MD5, "content-md5"},
	{HEAD_LANGUAGE, "content-language"},
	{HEAD_LOCATION, "content-location"},
	{HEAD_DATE, "date"},
	{HEAD_SUBJECT, "subject"},
	{HEAD_FROM, "from"},
	{HEAD_SENDER, "sender"},
	{HEAD_REPLY_TO, "reply-to"},
	{HEAD_TO, "to"},
	{HEAD_CC, "cc"},
	{HEAD_BCC, "bcc"},
	{HEAD_IN_REPLY_TO, "in-reply-to"},
	{HEAD_MESSAGE_ID, "message-id"},
	{HEAD_REFERENCES, "references"},
};

void head_init(struct head *h, size_t block_max, size_t field_max)
{
	*h = (struct head){.text = BUF_INIT(block_max), .field_max = field_max};
}

void head_clear(struct head *h)
{
	buf_clear(&h->text);
	vec_clear(&h->values);
}

void head_reset(struct head *h)
{
	buf_reset(&h->text);
	h->values.n = 0;
	h->open = false;
}

static enum head_id id_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eqi(name, str_c(known[i].name)))
			return known[i].id;
	return HEAD_NONE;
}

void head_begin(struct head *h, struct str name)
{
	enum head_id id = id_find(name);
	head_end(h);
	if (id == HEAD_NONE)
		return;
	struct head_value *v = vec_push(&h->values);
	v->id = id;
	v->off = h->text.n;
	h->open = true;
}

void head_add(struct head *h, struct str bytes)
{
	if (!h->open)
		return;
	struct head_value *v = &h->values.p[h->values.n - 1];
	size_t room = MIN(h->field_max - v->n, h->text.max - h->text.n);
	if (bytes.n > room) {
		h->cut = true;
		h->open = false;
		bytes.n = room;
	}
	(void)buf_add(&h->text, bytes);
	v->n += bytes.n;
}

void head_end(struct head *h)
{
	h->open = false;
}

bool head_next(const struct head *h, enum head_id id, size_t *at, struct str *ret)
{
	for (; *at < h->values.n; (*at)++) {
		const struct head_value *v = &h->values.p[*at];
		if (v->id == id) {
			*ret = str_sub(buf_str(&h->text), v->off, v->off + v->n);
			(*at)++;
			return true;
		}
	}
	return false;
}

bool head_line(const struct head *h, enum head_id id, size_t max, struct buf *out)
{
	size_t at = 0;
	struct str raw;
	buf_reset(out);
	if (!head_next(h, id, &at, &raw))
		return false;
	header_unfold(out, str_sub(raw, 0, max));
	return true;
}
