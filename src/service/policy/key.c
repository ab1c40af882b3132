/* SPDX-License-Identifier: Apache-2.0 */
#include "service/policy/key.h"
#include "base/buf.h"
#include "base/num.h"
#include <sys/socket.h>

/* Four parts, each a number or "*", and a "*" among them. */
static bool is_wildcard_ip(struct str s)
{
	struct str rest = s, part;
	unsigned parts = 0, stars = 0;
	while (str_cut(&rest, '.', &part)) {
		uint32_t n = 0;
		if (str_eq(part, STR("*")))
			stars++;
		else if (part.n > 3 || !num_parse_u32(part, &n) || n > 255)
			return false;
		parts++;
	}
	return parts == 4 && stars > 0 && stars < 4;
}

static bool is_domain(struct str s)
{
	struct str rest = s, label;
	if (s.n == 0 || s.n > 255)
		return false;
	while (str_cut(&rest, '.', &label)) {
		if (!label.n || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++) {
			char c = label.p[i];
			if ((unsigned char)c < 0x80 && !ascii_alpha(c) && !ascii_digit(c) &&
			    c != '-' && c != '_')
				return false;
		}
	}
	return true;
}

static enum policy_key_kind kind_of_domain(struct str key)
{
	if (str_eq(key, STR("@.")))
		return POLICY_KEY_ALL;
	if (str_eqi(key, STR("@ip")))
		return POLICY_KEY_ALL_IP;
	bool below = key.n > 1 && key.p[1] == '.';
	struct str domain = str_skip(key, below ? 2 : 1);
	if (!is_domain(domain))
		return POLICY_KEY_BAD;
	if (!below)
		return POLICY_KEY_DOMAIN;
	return str_find(domain, 0, '.') == domain.n ? POLICY_KEY_TLD : POLICY_KEY_SUBDOMAIN;
}

static bool has_blank(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

enum policy_key_kind policy_key_kind(struct str key)
{
	struct netcidr net;
	if (key.n == 0 || key.n > 320 || has_blank(key))
		return POLICY_KEY_BAD;
	size_t at = str_rfind(key, '@');
	if (at == 0)
		return kind_of_domain(key);
	if (at < key.n) {
		struct str domain = str_skip(key, at + 1);
		if (str_eq(domain, STR("*")))
			return POLICY_KEY_WILDCARD_ADDRESS;
		return is_domain(domain) ? POLICY_KEY_ADDRESS : POLICY_KEY_BAD;
	}
	if (netcidr_parse(key, &net))
		return str_find(key, 0, '/') < key.n ? POLICY_KEY_CIDR : POLICY_KEY_IP;
	return is_wildcard_ip(key) ? POLICY_KEY_WILDCARD_IP : POLICY_KEY_BAD;
}

static const struct {
	int greylist, mail;
} priorities[POLICY_KEY_KINDS] = {
	[POLICY_KEY_ALL] = {0, 0},	    [POLICY_KEY_ALL_IP] = {10, 1},
	[POLICY_KEY_TLD] = {40, 2},	    [POLICY_KEY_SUBDOMAIN] = {50, 3},
	[POLICY_KEY_DOMAIN] = {60, 5},	    [POLICY_KEY_CIDR] = {70, 7},
	[POLICY_KEY_WILDCARD_IP] = {70, 8}, [POLICY_KEY_WILDCARD_ADDRESS] = {90, 7},
	[POLICY_KEY_IP] = {80, 9},	    [POLICY_KEY_ADDRESS] = {100, 10},
};

int policy_key_priority(enum policy_key_kind k)
{
	return priorities[k < POLICY_KEY_KINDS ? k : POLICY_KEY_BAD].greylist;
}

int policy_key_mail_priority(enum policy_key_kind k)
{
	return priorities[k < POLICY_KEY_KINDS ? k : POLICY_KEY_BAD].mail;
}

static struct str lower(struct arena *a, struct str s)
{
	char *copy = arena_c(a, s);
	for (char *p = copy; p && *p; p++)
		*p = ascii_lower(*p);
	return copy ? str_make(copy, s.n) : STR_NULL;
}

bool policy_key_normal(struct str key, struct arena *a, struct str *ret)
{
	struct str s = lower(a, str_trim(key));
	struct netcidr net;
	char text[NETADDR_TEXT_MAX];
	enum policy_key_kind k = policy_key_kind(s);
	if (k == POLICY_KEY_BAD)
		return false;
	if ((k == POLICY_KEY_CIDR || k == POLICY_KEY_IP) && netcidr_parse(s, &net)) {
		struct str addr = netaddr_text(&net.addr, false, text);
		s = k == POLICY_KEY_IP ? arena_str(a, addr)
				       : arena_printf(a, "%.*s/%u", STR_ARG(addr), net.bits);
	}
	*ret = s;
	return s.p != NULL;
}

static void add(struct policy_keys *k, struct str key)
{
	if (key.p && k->n < POLICY_KEYS_MAX)
		k->v[k->n++] = key;
}

/* "@." and, when there are many, the outermost domains are what rows are about. */
static void add_domains(struct policy_keys *k, struct str domain, struct arena *a)
{
	unsigned labels = 1;
	for (size_t i = 0; i < domain.n; i++)
		labels += domain.p[i] == '.';
	char *text = arena_alloc(a, domain.n + 3);
	if (!text)
		return;
	text[0] = '@';
	memcpy(text + 1, domain.p, domain.n);
	add(k, str_make(text, domain.n + 1));
	struct str rest = domain, label;
	for (unsigned i = 0; rest.n; i++) {
		bool shown = i == 0 || labels - i <= POLICY_PARENTS_MAX;
		if (shown)
			add(k, arena_printf(a, "@.%.*s", STR_ARG(rest)));
		(void)str_cut(&rest, '.', &label);
	}
}

void policy_keys_of_address(struct str full, struct str bare, struct arena *a,
			    struct policy_keys *ret)
{
	size_t at = str_rfind(bare, '@');
	ret->n = 0;
	if (full.n && at < bare.n) {
		add(ret, full);
		if (!str_eq(full, bare))
			add(ret, bare);
		add(ret, arena_printf(a, "%.*s@*", STR_ARG(str_sub(bare, 0, at))));
		add_domains(ret, str_skip(bare, at + 1), a);
	}
	add(ret, STR("@."));
}

/* Any of the parts but not all may be a "*" in a row; rows have one or two, at any place. */
static void add_wildcards(struct policy_keys *k, const uint8_t b[4], struct arena *a)
{
	for (unsigned mask = 1; mask < 15; mask++) {
		AUTO(buf) struct buf text = BUF_INIT(20);
		for (unsigned i = 0; i < 4; i++) {
			if (i)
				(void)buf_addc(&text, '.');
			if (mask & (8u >> i))
				(void)buf_addc(&text, '*');
			else
				(void)buf_add_u64(&text, b[i]);
		}
		add(k, arena_str(a, buf_str(&text)));
	}
}

void policy_keys_of_client(const struct netaddr *client, struct arena *a, struct policy_keys *ret)
{
	char text[NETADDR_TEXT_MAX];
	ret->n = 0;
	if (client->family) {
		add(ret, arena_str(a, netaddr_text(client, false, text)));
		if (client->family == AF_INET)
			add_wildcards(ret, client->bytes, a);
		add(ret, STR("@ip"));
	}
	add(ret, STR("@."));
}

bool policy_keys_have(const struct policy_keys *k, struct str key)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(k->v[i], key))
			return true;
	return false;
}
