/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pop3/pop3_uidl.h"

#define WIDTH_MAX 16

/* One %... of a format. */
struct item {
	char what;  /* 'u' or 'v' */
	char base;  /* 'd', 'x' or 'X' */
	bool zeros; /* fill with them, not with blanks, which no name may have */
	unsigned width;
};

/* Behind the percent sign. False: it is none. */
static bool item_parse(struct str *rest, struct item *ret)
{
	size_t i = 0;
	*ret = (struct item){.base = 'd'};
	ret->zeros = i < rest->n && rest->p[i] == '0';
	while (i < rest->n && rest->p[i] >= '0' && rest->p[i] <= '9' && ret->width <= WIDTH_MAX)
		ret->width = ret->width * 10 + (unsigned)(rest->p[i++] - '0');
	if (i < rest->n && (rest->p[i] == 'X' || rest->p[i] == 'x'))
		ret->base = rest->p[i++];
	if (i == rest->n || (rest->p[i] != 'u' && rest->p[i] != 'v'))
		return false;
	ret->what = rest->p[i++];
	*rest = str_skip(*rest, i);
	return ret->width <= WIDTH_MAX && (ret->width == 0 || ret->zeros);
}

static bool visible(char c)
{
	return c >= 0x21 && c <= 0x7e;
}

bool pop3_uidl_format_good(struct str format)
{
	size_t n = 0;
	bool uid = false;
	while (format.n && n <= POP3_UIDL_MAX) {
		struct item item;
		char c = format.p[0];
		format = str_skip(format, 1);
		if (c != '%') {
			if (!visible(c))
				return false;
			n++;
			continue;
		}
		if (!item_parse(&format, &item))
			return false;
		uid |= item.what == 'u';
		n += MAX(item.width, 10u);
	}
	return uid && n <= POP3_UIDL_MAX;
}

static void item_write(struct buf *out, const struct item *item, uint32_t value)
{
	int width = (int)item->width;
	if (item->base == 'X')
		(void)buf_addf(out, "%0*X", width, value);
	else if (item->base == 'x')
		(void)buf_addf(out, "%0*x", width, value);
	else
		(void)buf_addf(out, "%0*u", width, value);
}

void pop3_uidl_write(struct buf *out, struct str format, uint32_t uid, uint32_t uidvalidity)
{
	while (format.n) {
		struct item item;
		char c = format.p[0];
		format = str_skip(format, 1);
		if (c == '%' && item_parse(&format, &item))
			item_write(out, &item, item.what == 'u' ? uid : uidvalidity);
		else
			(void)buf_addc(out, c);
	}
}

bool pop3_uidl_good(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!visible(name.p[i]))
			return false;
	return name.n > 0 && name.n <= POP3_UIDL_MAX;
}
