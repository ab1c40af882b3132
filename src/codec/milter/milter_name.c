/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/milter/milter_name.h"
#include "base/num.h"

bool milter_default_parse(struct str word, enum milter_default *ret)
{
	static const char *const words[] = {
		[MILTER_DEFAULT_ACCEPT] = "accept",
		[MILTER_DEFAULT_TEMPFAIL] = "tempfail",
		[MILTER_DEFAULT_REJECT] = "reject",
		[MILTER_DEFAULT_QUARANTINE] = "quarantine",
	};
	for (size_t i = MILTER_DEFAULT_ACCEPT; i <= MILTER_DEFAULT_QUARANTINE; i++)
		if (str_eq(word, str_c(words[i]))) {
			*ret = (enum milter_default)i;
			return true;
		}
	return false;
}

static bool is_host_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '.' || c == '-' || c == '_' || c == ':';
}

/* "host:port", "[address]:port". */
static bool get_inet(struct str s, struct milter_name *ret)
{
	size_t colon = str_rfind(s, ':');
	uint32_t port = 0;
	if (colon >= s.n || !num_parse_u32(str_skip(s, colon + 1), &port) || port == 0 ||
	    port > UINT16_MAX)
		return false;
	struct str host = str_sub(s, 0, colon);
	bool bracket = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (bracket)
		host = str_sub(host, 1, host.n - 1);
	for (size_t i = 0; i < host.n; i++)
		if (!is_host_char(host.p[i]) || (!bracket && host.p[i] == ':'))
			return false;
	ret->host = host;
	ret->port = (uint16_t)port;
	return host.n > 0 && host.n <= 255;
}

static bool get_unix(struct str s, struct milter_name *ret)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == ',')
			return false;
	ret->path = s;
	return s.n > 1 && s.p[0] == '/' && s.n <= MILTER_PATH_MAX;
}

static bool name_ok(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_alpha(name.p[i]) && !ascii_digit(name.p[i]) && name.p[i] != '-' &&
		    name.p[i] != '_' && name.p[i] != '.')
			return false;
	return name.n > 0 && name.n <= MILTER_NAME_MAX;
}

bool milter_name_parse(struct str text, struct milter_name *ret)
{
	struct milter_name got = {0};
	struct str rest = str_trim(text), where;
	str_cut(&rest, ' ', &where);
	if (rest.n && !milter_default_parse(str_trim(rest), &got.otherwise))
		return false;
	size_t equals = str_find(where, 0, '=');
	if (equals < where.n) {
		got.name = str_sub(where, 0, equals);
		where = str_skip(where, equals + 1);
		if (!name_ok(got.name))
			return false;
	}
	bool ok = str_starts(where, STR("inet:"))   ? get_inet(str_skip(where, 5), &got)
		  : str_starts(where, STR("unix:")) ? get_unix(str_skip(where, 5), &got)
						    : false;
	if (!got.name.n)
		got.name = str_skip(where, 5);
	if (ok)
		*ret = got;
	return ok;
}
