/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/xclient.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/smtp/xtext.h"

/* Decoded text without blanks and controls, into room for max bytes and NUL. */
static bool set_text(struct str value, char *into, size_t max)
{
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] <= ' ' || value.p[i] == 0x7f)
			return false;
	if (value.n > max || !utf8_valid(value))
		return false;
	if (value.n)
		memcpy(into, value.p, value.n);
	into[value.n] = '\0';
	return true;
}

static bool set_address(struct str value, struct endpoint *into)
{
	bool v6 = str_startsi(value, STR("IPV6:"));
	if (value.n == 0)
		return true;
	return endpoint_parse(v6 ? str_skip(value, 5) : value, into) &&
	       (!v6 || into->family == ENDPOINT_V6);
}

static bool set_port(struct str value, uint16_t *into)
{
	return value.n == 0 || endpoint_parse_port(value, into);
}

static bool set_proto(struct str value, bool *esmtp)
{
	*esmtp = str_eqi(value, STR("ESMTP"));
	return *esmtp || str_eqi(value, STR("SMTP"));
}

/* `value` is decoded, and empty for what is unavailable. */
static bool set(struct xclient *x, unsigned which, struct str value)
{
	switch (which) {
	case XCLIENT_NAME:
		return set_text(value, x->name, sizeof x->name - 1);
	case XCLIENT_HELO:
		return set_text(value, x->helo, sizeof x->helo - 1);
	case XCLIENT_LOGIN:
		return set_text(value, x->login, sizeof x->login - 1);
	case XCLIENT_ADDR:
		return set_address(value, &x->addr);
	case XCLIENT_DESTADDR:
		return set_address(value, &x->dest);
	case XCLIENT_PORT:
		return set_port(value, &x->port);
	case XCLIENT_DESTPORT:
		return set_port(value, &x->dest_port);
	default:
		return set_proto(value, &x->esmtp);
	}
}

static unsigned attribute(struct str name)
{
	static const struct {
		struct str name;
		unsigned bit;
	} all[] = {{STR("NAME"), XCLIENT_NAME},		{STR("ADDR"), XCLIENT_ADDR},
		   {STR("PORT"), XCLIENT_PORT},		{STR("PROTO"), XCLIENT_PROTO},
		   {STR("HELO"), XCLIENT_HELO},		{STR("LOGIN"), XCLIENT_LOGIN},
		   {STR("DESTADDR"), XCLIENT_DESTADDR}, {STR("DESTPORT"), XCLIENT_DESTPORT}};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (str_eqi(name, all[i].name))
			return all[i].bit;
	return 0;
}

static const char *take(struct xclient *x, struct str pair)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(1));
	size_t eq = str_find(pair, 0, '=');
	struct str value = str_skip(pair, eq + 1);
	unsigned which = attribute(str_sub(pair, 0, eq));
	if (eq == pair.n || value.n == 0)
		return "XCLIENT takes attribute=value pairs";
	if (!which)
		return "XCLIENT has no such attribute";
	if (x->given & which)
		return "XCLIENT attribute given twice";
	x->given |= which;
	if (str_eqi(value, STR("[UNAVAILABLE]")) || str_eqi(value, STR("[TEMPUNAVAIL]")))
		value = STR("");
	if (xtext_decode(&text, value) < 0 || !set(x, which, buf_str(&text)))
		return "XCLIENT attribute has a bad value";
	return NULL;
}

const char *xclient_parse(struct str args, struct xclient *ret)
{
	struct str pair;
	*ret = (struct xclient){0};
	while (args.p && str_cut(&args, ' ', &pair)) {
		const char *problem = pair.n ? take(ret, pair) : NULL;
		if (problem)
			return problem;
	}
	return ret->given ? NULL : "XCLIENT takes attribute=value pairs";
}

const char *xforward_take(struct xclient *x, struct str pair)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(1));
	size_t eq = str_find(pair, 0, '=');
	struct str name = str_sub(pair, 0, eq), value = str_skip(pair, eq + 1);
	unsigned which = attribute(name);
	bool dropped = str_eqi(name, STR("IDENT")) || str_eqi(name, STR("SOURCE"));
	if (eq == pair.n || value.n == 0)
		return "XFORWARD takes attribute=value pairs";
	if (!dropped &&
	    !(which & (XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_PROTO | XCLIENT_HELO)))
		return "XFORWARD has no such attribute";
	if (str_eqi(value, STR("[UNAVAILABLE]")) || str_eqi(value, STR("[TEMPUNAVAIL]")))
		value = STR("");
	if (xtext_decode(&text, value) < 0)
		return "XFORWARD attribute has a bad value";
	if (str_eqi(name, STR("IDENT"))) {
		x->ident = 0;
		(void)num_parse_hex_u64(
			str_sub(buf_str(&text), 0, str_find(buf_str(&text), 0, '-')), &x->ident);
	}
	/* What mail came by without a network has no protocol that we know. */
	if (dropped || (which == XCLIENT_PROTO && text.n == 0))
		return NULL;
	if (!set(x, which, buf_str(&text)))
		return "XFORWARD attribute has a bad value";
	x->given |= which;
	return NULL;
}

const char *xforward_parse(struct str args, struct xclient *ret)
{
	struct str pair;
	bool any = false;
	*ret = (struct xclient){0};
	while (args.p && str_cut(&args, ' ', &pair)) {
		const char *problem = pair.n ? xforward_take(ret, pair) : NULL;
		any |= pair.n > 0;
		if (problem)
			return problem;
	}
	return any ? NULL : "XFORWARD takes attribute=value pairs";
}
