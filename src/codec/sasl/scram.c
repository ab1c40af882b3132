/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sasl/scram.h"
#include "base/encode.h"
#include "base/utf8.h"

/* The next "x=value" of a comma-separated list. False: there is none, or it is another one. */
static bool take_attribute(struct str *rest, char name, struct str *ret)
{
	struct str part = STR_NULL;
	if (!str_cut(rest, ',', &part) || part.n < 2 || part.p[0] != name || part.p[1] != '=')
		return false;
	*ret = str_skip(part, 2);
	return true;
}

/* RFC 5802 section 7: printable = %x21-2B / %x2D-7E. */
static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',')
			return false;
	return s.n > 0;
}

/* cb-name = 1*(ALPHA / DIGIT / "." / "-") */
static bool is_binding_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && s.p[i] != '.' && s.p[i] != '-')
			return false;
	return s.n > 0;
}

static int check_text(struct str message)
{
	if (message.n > SCRAM_MESSAGE_MAX)
		return -FAIL_LIMIT;
	if (!utf8_valid(message) || str_find(message, 0, '\0') < message.n)
		return -FAIL_SYNTAX;
	return 0;
}

/* gs2-header = gs2-cbind-flag "," [ "a=" saslname ] "," */
static bool take_header(struct str *rest, struct scram_client_first *ret)
{
	struct str flag = STR_NULL;
	struct str authzid = STR_NULL;
	if (!str_cut(rest, ',', &flag) || !str_cut(rest, ',', &authzid) || !rest->p)
		return false;
	if (str_eq(flag, STR("n"))) {
		ret->binding = SCRAM_BINDING_NONE;
	} else if (str_eq(flag, STR("y"))) {
		ret->binding = SCRAM_BINDING_MISSED;
	} else if (str_starts(flag, STR("p="))) {
		ret->binding = SCRAM_BINDING_PRESENT;
		ret->binding_name = str_skip(flag, 2);
		if (!is_binding_name(ret->binding_name))
			return false;
	} else {
		return false;
	}
	if (authzid.n > 0 && (!str_starts(authzid, STR("a=")) || authzid.n == 2))
		return false;
	ret->authzid = str_skip(authzid, 2);
	return true;
}

int scram_client_first_parse(struct str message, struct scram_client_first *ret)
{
	struct scram_client_first out = {0};
	struct str rest = message;
	int r = check_text(message);
	if (r < 0)
		return r;
	if (!take_header(&rest, &out))
		return -FAIL_SYNTAX;
	out.bare = rest;
	out.gs2 = str_sub(message, 0, message.n - rest.n);
	if (str_starts(rest, STR("m=")))
		return -FAIL_UNSUPPORTED;
	if (!take_attribute(&rest, 'n', &out.user) || !take_attribute(&rest, 'r', &out.nonce))
		return -FAIL_SYNTAX;
	if (out.user.n == 0 || !is_printable(out.nonce))
		return -FAIL_SYNTAX;
	if (out.nonce.n > SCRAM_NONCE_MAX)
		return -FAIL_LIMIT;
	*ret = out; /* extensions may follow; none is known, and they are part of `bare` */
	return 0;
}

int scram_client_final_parse(struct str message, struct scram_client_final *ret)
{
	struct scram_client_final out = {0};
	struct str rest = message;
	int r = check_text(message);
	if (r < 0)
		return r;
	if (!take_attribute(&rest, 'c', &out.binding) || !take_attribute(&rest, 'r', &out.nonce) ||
	    !is_printable(out.nonce))
		return -FAIL_SYNTAX;
	/* The proof is the last attribute; base64 holds no comma. */
	size_t comma = str_rfind(message, ',');
	struct str last = str_skip(message, comma + 1);
	if (comma == message.n || !rest.p || !str_starts(last, STR("p=")))
		return -FAIL_SYNTAX;
	out.proof = str_skip(last, 2);
	out.without_proof = str_sub(message, 0, comma);
	*ret = out;
	return 0;
}

int scram_name_decode(struct str name, struct buf *out)
{
	if (name.n == 0)
		return -FAIL_SYNTAX;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (c == ',')
			return -FAIL_SYNTAX;
		if (c == '=') {
			struct str code = str_sub(name, i + 1, i + 3);
			if (!str_eq(code, STR("2C")) && !str_eq(code, STR("3D")))
				return -FAIL_SYNTAX;
			c = code.p[0] == '2' ? ',' : '=';
			i += 2;
		}
		if (buf_addc(out, c) < 0)
			return -FAIL_LIMIT;
	}
	return 0;
}

int scram_server_first_write(struct buf *out, struct str nonce, struct str salt,
			     uint32_t iterations)
{
	(void)buf_addf(out, "r=%.*s,s=", STR_ARG(nonce));
	(void)base64_encode(out, salt);
	(void)buf_addf(out, ",i=%u", iterations);
	return out->failed ? -FAIL_LIMIT : 0;
}

int scram_server_final_write(struct buf *out, struct str signature)
{
	(void)buf_add(out, STR("v="));
	(void)base64_encode(out, signature);
	return out->failed ? -FAIL_LIMIT : 0;
}

bool scram_binding_is(struct str given, struct str gs2, struct str data)
{
	AUTO(buf) struct buf bytes = BUF_INIT(SCRAM_MESSAGE_MAX);
	AUTO(buf) struct buf want = BUF_INIT(SCRAM_MESSAGE_MAX * 2);
	(void)buf_add(&bytes, gs2);
	(void)buf_add(&bytes, data);
	(void)base64_encode(&want, buf_str(&bytes));
	return !bytes.failed && !want.failed && str_eq(given, buf_str(&want));
}
