/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sasl/oauthbearer.h"
#include "base/encode.h"
#include "base/utf8.h"

#define SEPARATOR '\x01'

static int check_text(struct str message)
{
	if (message.n > OAUTH_MESSAGE_MAX)
		return -FAIL_LIMIT;
	return utf8_valid(message) && str_find(message, 0, '\0') == message.n ? 0 : -FAIL_SYNTAX;
}

/* RFC 6750 section 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" */
static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && !strchr("-._~+/=", s.p[i]))
			return false;
	return s.n > 0;
}

/* key=value pairs, each ended by ^A, and one more ^A; only `auth` counts. */
static int take_pairs(struct str pairs, struct oauth_message *ret)
{
	struct str rest = pairs;
	struct str pair = STR_NULL;
	struct str auth = STR_NULL;
	if (!str_ends(pairs, STR("\x01\x01")))
		return -FAIL_SYNTAX;
	rest = str_sub(pairs, 0, pairs.n - 2);
	while (str_cut(&rest, SEPARATOR, &pair)) {
		struct str key = STR_NULL;
		struct str value = pair;
		if (!str_cut(&value, '=', &key) || !value.p || key.n == 0)
			return -FAIL_SYNTAX;
		if (!str_eq(key, STR("auth")))
			continue;
		if (auth.p)
			return -FAIL_SYNTAX;
		auth = value;
	}
	if (!auth.p)
		return -FAIL_SYNTAX;
	if (!str_startsi(auth, STR("Bearer ")))
		return -FAIL_UNSUPPORTED;
	ret->token = str_trim(str_skip(auth, 7));
	return is_token(ret->token) ? 0 : -FAIL_SYNTAX;
}

int oauthbearer_parse(struct str message, struct oauth_message *ret)
{
	struct oauth_message out = {0};
	struct str rest = message;
	struct str flag = STR_NULL;
	struct str authzid = STR_NULL;
	struct str empty = STR_NULL;
	int r = check_text(message);
	if (r < 0)
		return r;
	/* No channel binding with bearer tokens: only "n" and "y". */
	if (!str_cut(&rest, ',', &flag) || !str_cut(&rest, ',', &authzid) ||
	    !str_cut(&rest, SEPARATOR, &empty) || empty.n > 0 || !rest.p ||
	    (!str_eq(flag, STR("n")) && !str_eq(flag, STR("y"))))
		return -FAIL_SYNTAX;
	if (authzid.n > 0 && (!str_starts(authzid, STR("a=")) || authzid.n == 2))
		return -FAIL_SYNTAX;
	out.user = str_skip(authzid, 2);
	r = take_pairs(rest, &out);
	if (r == 0)
		*ret = out;
	return r;
}

int xoauth2_parse(struct str message, struct oauth_message *ret)
{
	struct oauth_message out = {0};
	struct str rest = message;
	struct str user = STR_NULL;
	int r = check_text(message);
	if (r < 0)
		return r;
	if (!str_cut(&rest, SEPARATOR, &user) || !rest.p || !str_starts(user, STR("user=")) ||
	    user.n == 5)
		return -FAIL_SYNTAX;
	out.user = str_skip(user, 5);
	r = take_pairs(rest, &out);
	if (r == 0)
		*ret = out;
	return r;
}

int base64url_decode(struct buf *out, struct str text)
{
	AUTO(buf) struct buf plain = BUF_INIT(OAUTH_MESSAGE_MAX + 4);
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c == '+' || c == '/' || c == '=')
			return -FAIL_SYNTAX;
		(void)buf_addc(&plain, c == '-' ? '+' : c == '_' ? '/' : c);
	}
	while (plain.n % 4 != 0)
		(void)buf_addc(&plain, '=');
	if (plain.failed)
		return -FAIL_LIMIT;
	return base64_decode(out, buf_str(&plain));
}

static bool is_part(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return true;
}

int jwt_split(struct str token, struct jwt_parts *ret)
{
	struct jwt_parts out = {0};
	struct str rest = token;
	if (token.n > OAUTH_MESSAGE_MAX)
		return -FAIL_LIMIT;
	if (!str_cut(&rest, '.', &out.header) || !str_cut(&rest, '.', &out.claims) || !rest.p)
		return -FAIL_SYNTAX;
	out.signature = rest;
	out.signed_text = str_sub(token, 0, out.header.n + 1 + out.claims.n);
	if (out.header.n == 0 || out.claims.n == 0 || !is_part(out.header) ||
	    !is_part(out.claims) || !is_part(out.signature))
		return -FAIL_SYNTAX;
	*ret = out;
	return 0;
}
