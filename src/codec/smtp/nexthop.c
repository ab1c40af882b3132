/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/nexthop.h"
#include <arpa/inet.h>
#include <string.h>

struct transport {
	struct str name; /* with its colon */
	enum nexthop_protocol protocol;
};
static const struct transport transports[] = {
	{STR("smtp:"), NEXTHOP_SMTP},	   {STR("relay:"), NEXTHOP_SMTP},
	{STR("smtps:"), NEXTHOP_SMTPS},	   {STR("lmtp:inet:"), NEXTHOP_LMTP},
	{STR("lmtp:unix:"), NEXTHOP_LMTP}, {STR("lmtp:"), NEXTHOP_LMTP},
};
static const struct {
	struct str name;
	uint16_t port;
} services[] = {{STR("smtp"), 25},   {STR("submission"), 587}, {STR("submissions"), 465},
		{STR("smtps"), 465}, {STR("ssmtp"), 465},      {STR("lmtp"), 24}};

static bool parse_port(struct str s, uint16_t *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (str_eqi(s, services[i].name)) {
			*ret = services[i].port;
			return true;
		}
	return endpoint_parse_port(s, ret) && *ret > 0;
}

/* Digits and dots alone are no name: "192.0.2.1" without brackets is a mistake (RFC 1123 2.1). */
static bool looks_like_address(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_digit(s.p[i]) && s.p[i] != '.')
			return false;
	return true;
}

/* The part that names a domain or host, without brackets and port. */
static int set_name(struct str s, struct nexthop *h)
{
	AUTO(buf) struct buf name = BUF_INIT(SMTP_DOMAIN_MAX);
	if (str_ends(s, STR(".")))
		s = str_sub(s, 0, s.n - 1);
	int r = smtp_domain_normalise(s, &name);
	if (r < 0)
		return r == -FAIL_LIMIT ? -FAIL_TOOBIG : r;
	if (looks_like_address(buf_str(&name))) /* also what was written with other digits */
		return -FAIL_SYNTAX;
	memcpy(h->name, name.p, name.n);
	h->name[name.n] = '\0';
	return 0;
}

static int parse_brackets(struct str s, struct nexthop *h)
{
	size_t end = str_find(s, 0, ']');
	struct str inside = str_sub(s, 1, end), port = str_skip(s, end + 1);
	if (end == s.n ||
	    (port.n > 0 && (port.p[0] != ':' || !parse_port(str_skip(port, 1), &h->port))))
		return -FAIL_SYNTAX;
	bool v6 = str_startsi(inside, STR("IPv6:"));
	if (endpoint_parse(v6 ? str_skip(inside, 5) : inside, &h->address)) {
		h->kind = NEXTHOP_ADDRESS;
		return v6 && h->address.family != ENDPOINT_V6 ? -FAIL_SYNTAX : 0;
	}
	h->kind = NEXTHOP_HOST;
	return v6 ? -FAIL_SYNTAX : set_name(inside, h);
}

static int parse_place(struct str s, struct nexthop *h)
{
	if (s.n > 0 && s.p[0] == '[')
		return parse_brackets(s, h);
	size_t colon = str_find(s, 0, ':');
	if (colon < s.n && !parse_port(str_skip(s, colon + 1), &h->port))
		return -FAIL_SYNTAX;
	s = str_sub(s, 0, colon);
	h->kind = s.n ? NEXTHOP_DOMAIN : NEXTHOP_RECIPIENT;
	if (s.n == 0)
		return 0;
	if (h->protocol == NEXTHOP_LMTP) {
		h->kind = endpoint_parse(s, &h->address) ? NEXTHOP_ADDRESS : NEXTHOP_HOST;
		if (h->kind == NEXTHOP_ADDRESS)
			return 0;
	}
	return set_name(s, h);
}

/* "5.1.2 text", "text"; a class that is none of refusals is not taken for a status. */
static void parse_error(struct str s, struct nexthop *h)
{
	size_t n = 0, dots = 0;
	while (n < s.n && (ascii_digit(s.p[n]) || s.p[n] == '.'))
		dots += s.p[n++] == '.';
	bool status = dots == 2 && n >= 5 && n < sizeof h->status &&
		      (s.p[0] == '4' || s.p[0] == '5') && s.p[1] == '.' && s.p[2] != '.' &&
		      s.p[n - 1] != '.' && (n == s.n || s.p[n] == ' ');
	struct str code = status ? str_sub(s, 0, n) : STR("5.0.0");
	memcpy(h->status, code.p, code.n);
	h->text = status ? str_trim(str_skip(s, n)) : s;
}

static bool parse_word(struct str s, struct nexthop *h)
{
	static const struct {
		struct str name;
		enum nexthop_kind kind;
	} words[] = {{STR("error:"), NEXTHOP_ERROR},
		     {STR("discard:"), NEXTHOP_DISCARD},
		     {STR("hold:"), NEXTHOP_HOLD}};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_startsi(s, words[i].name)) {
			struct str rest = str_trim(str_skip(s, words[i].name.n));
			h->kind = words[i].kind;
			h->text = rest;
			if (h->kind == NEXTHOP_ERROR)
				parse_error(rest, h);
			return true;
		}
	return false;
}

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

int nexthop_parse(struct str s, struct nexthop *ret)
{
	struct nexthop h = {0};
	s = str_trim(s);
	if (s.n > NEXTHOP_TEXT_MAX)
		return -FAIL_TOOBIG;
	if (has_control(s))
		return -FAIL_SYNTAX;
	if (!parse_word(s, &h)) {
		for (size_t i = 0; i < ARRAY_LEN(transports); i++)
			if (str_startsi(s, transports[i].name)) {
				if (str_eq(transports[i].name, STR("lmtp:unix:")))
					return -FAIL_UNSUPPORTED;
				h.protocol = transports[i].protocol;
				s = str_skip(s, transports[i].name.n);
				break;
			}
		int r = parse_place(s, &h);
		/* "pipe:flags": a word in front of a colon that no port follows. */
		if (r == -FAIL_SYNTAX && h.protocol == NEXTHOP_SMTP && s.n > 0 &&
		    ascii_alpha(s.p[0]) && str_find(s, 0, '.') > str_find(s, 0, ':'))
			r = -FAIL_UNSUPPORTED;
		if (r < 0)
			return r;
	}
	*ret = h;
	return 0;
}

static uint16_t own_port(enum nexthop_protocol protocol, uint16_t smtp)
{
	return protocol == NEXTHOP_LMTP ? 24 : protocol == NEXTHOP_SMTPS ? 465 : smtp;
}

uint16_t nexthop_port(const struct nexthop *h, uint16_t smtp)
{
	return h->port ? h->port : own_port(h->protocol, smtp);
}

static void write_address(const struct endpoint *e, struct buf *out)
{
	char text[INET6_ADDRSTRLEN] = "";
	bool v6 = e->family == ENDPOINT_V6;
	(void)inet_ntop(v6 ? AF_INET6 : AF_INET, e->bytes, text, sizeof text);
	buf_addf(out, "[%s%s]", v6 ? "IPv6:" : "", text);
}

int nexthop_write(const struct nexthop *h, struct buf *out)
{
	static const char *const protocols[] = {"", "smtps:", "lmtp:"};
	switch (h->kind) {
	case NEXTHOP_ERROR:
		buf_addf(out, "error:%s%s%.*s", h->status, h->text.n ? " " : "", STR_ARG(h->text));
		return out->failed ? -FAIL_LIMIT : 0;
	case NEXTHOP_DISCARD:
	case NEXTHOP_HOLD:
		buf_addf(out, "%s:%.*s", h->kind == NEXTHOP_HOLD ? "hold" : "discard",
			 STR_ARG(h->text));
		return out->failed ? -FAIL_LIMIT : 0;
	case NEXTHOP_RECIPIENT:
	case NEXTHOP_DOMAIN:
	case NEXTHOP_HOST:
	case NEXTHOP_ADDRESS:
	default:
		break;
	}
	bool port = h->port && h->port != own_port(h->protocol, 25);
	/* In front of a port, no name and a name like "hold" would be read as something else. */
	bool word = h->kind == NEXTHOP_RECIPIENT ||
		    (h->kind == NEXTHOP_DOMAIN && !strchr(h->name, '.'));
	buf_add_c(out,
		  word && h->protocol == NEXTHOP_SMTP && port ? "smtp:" : protocols[h->protocol]);
	if (h->kind == NEXTHOP_ADDRESS)
		write_address(&h->address, out);
	else
		buf_addf(out, h->kind == NEXTHOP_HOST ? "[%s]" : "%s", h->name);
	if (port)
		buf_addf(out, ":%u", (unsigned)h->port);
	return out->failed ? -FAIL_LIMIT : 0;
}
