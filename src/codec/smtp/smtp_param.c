/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/smtp_param.h"
#include "base/civil.h"
#include "base/num.h"
#include "codec/smtp/xtext.h"

/* One esmtp-param of RFC 5321 4.1.2: keyword, or keyword "=" value (then value.p is not NULL). */
struct param {
	struct str key;
	struct str value;
};

static int refuse(struct smtp_status *ret, unsigned code, const char *text)
{
	*ret = (struct smtp_status){code, "5.5.4", text};
	return -(int)(code == 501 ? FAIL_SYNTAX : FAIL_UNSUPPORTED);
}

/* 1 = a parameter, 0 = no more, negative = not the grammar. */
static int next_param(struct str *rest, struct param *ret)
{
	struct str s = *rest;
	while (s.n && s.p[0] == ' ')
		s = str_skip(s, 1);
	if (s.n == 0)
		return 0;
	struct str word = str_sub(s, 0, str_find(s, 0, ' '));
	size_t equals = str_find(word, 0, '=');
	*rest = str_skip(s, word.n);
	ret->key = str_sub(word, 0, equals);
	ret->value = equals < word.n ? str_skip(word, equals + 1) : STR_NULL;
	if (ret->key.n == 0 || (equals < word.n && ret->value.n == 0))
		return -FAIL_SYNTAX;
	for (size_t i = 0; i < ret->key.n; i++) {
		char c = ret->key.p[i];
		if (!ascii_alpha(c) && !ascii_digit(c) && (c != '-' || i == 0))
			return -FAIL_SYNTAX;
	}
	for (size_t i = 0; i < ret->value.n; i++) {
		unsigned char c = (unsigned char)ret->value.p[i];
		if (c <= 0x20 || c == 0x7f)
			return -FAIL_SYNTAX;
	}
	return 1;
}

/* SIZE=1*20DIGIT, RFC 1870 section 3. */
static int set_size(struct smtp_mail *m, struct str v, struct smtp_status *ret)
{
	for (size_t i = 0; i < v.n; i++)
		if (!ascii_digit(v.p[i]))
			return refuse(ret, 501, "Bad message size");
	if (m->has_size || v.n == 0 || v.n > 20)
		return refuse(ret, 501, "Bad message size");
	m->has_size = true;
	if (!num_parse_u64(v, &m->size))
		m->size = UINT64_MAX;
	return 0;
}

static int set_body(struct smtp_mail *m, struct str v, struct smtp_status *ret)
{
	if (m->body != SMTP_BODY_UNSPECIFIED)
		return refuse(ret, 501, "BODY given twice");
	if (str_eqi(v, STR("BINARYMIME")))
		return refuse(ret, 504, "BODY=BINARYMIME is not offered");
	if (str_eqi(v, STR("7BIT")))
		m->body = SMTP_BODY_7BIT;
	else if (str_eqi(v, STR("8BITMIME")))
		m->body = SMTP_BODY_8BITMIME;
	else
		return refuse(ret, 501, "Unknown BODY value");
	return 0;
}

static int set_ret(struct smtp_mail *m, struct str v, struct smtp_status *ret)
{
	if (m->ret != SMTP_RET_UNSPECIFIED)
		return refuse(ret, 501, "RET given twice");
	if (str_eqi(v, STR("FULL")))
		m->ret = SMTP_RET_FULL;
	else if (str_eqi(v, STR("HDRS")))
		m->ret = SMTP_RET_HDRS;
	else
		return refuse(ret, 501, "RET must be FULL or HDRS");
	return 0;
}

/* ENVID= (RFC 3461 4.4): xtext of printable characters. */
static int set_envid(struct smtp_mail *m, struct str v, struct smtp_status *ret)
{
	if (m->envid.p || v.n == 0 || v.n > SMTP_ENVID_MAX || !xtext_valid(v))
		return refuse(ret, 501, "Bad ENVID");
	m->envid = v;
	return 0;
}

/* AUTH= (RFC 4954 section 5): xtext of a mailbox, or <>. */
static int set_auth(struct smtp_mail *m, struct str v, struct smtp_status *ret)
{
	if (m->auth.p || v.n == 0 || !xtext_valid(v))
		return refuse(ret, 501, "Bad AUTH parameter");
	m->auth = v;
	return 0;
}

/* 1*9DIGIT. */
static bool nine_digits(struct str v, uint32_t *ret)
{
	return v.n >= 1 && v.n <= 9 && num_parse_u32(v, ret);
}

/* HOLDFOR= (RFC 4865 section 4): seconds. */
static int set_holdfor(struct smtp_mail *m, struct str v, struct smtp_status *ret)
{
	if (m->has_hold || !nine_digits(v, &m->hold_for_s))
		return refuse(ret, 501, "Bad HOLDFOR, or HOLDUNTIL beside it");
	m->has_hold = true;
	return 0;
}

/* RFC 3339 section 5.6, without fractions (RFC 4865 section 4). */
static bool parse_moment(struct str v, struct wall_us *ret)
{
	return str_find(v, 0, '.') == v.n && us_from_rfc3339(v, ret);
}

/* HOLDUNTIL= (RFC 4865 section 4). */
static int set_holduntil(struct smtp_mail *m, struct str v, struct smtp_status *ret)
{
	if (m->has_hold || !parse_moment(v, &m->hold_until))
		return refuse(ret, 501, "Bad HOLDUNTIL, or HOLDFOR beside it");
	m->has_hold = true;
	return 0;
}

/* BY= (RFC 2852 section 4): seconds ";" mode, and perhaps "T". */
static int set_by(struct smtp_mail *m, struct str v, struct smtp_status *ret)
{
	struct str rest = v, time;
	uint32_t seconds = 0;
	bool ok = m->by_mode == SMTP_BY_NONE && str_cut(&rest, ';', &time);
	bool minus = time.n && time.p[0] == '-';
	if (time.n && (minus || time.p[0] == '+'))
		time = str_skip(time, 1);
	ok = ok && nine_digits(time, &seconds) && (rest.n == 1 || rest.n == 2);
	char mode = ok ? ascii_lower(rest.p[0]) : 'x';
	ok = ok && (mode == 'r' || mode == 'n') && (rest.n == 1 || ascii_lower(rest.p[1]) == 't');
	if (!ok)
		return refuse(ret, 501, "Bad BY");
	m->by_s = minus ? -(int32_t)seconds : (int32_t)seconds;
	m->by_mode = mode == 'r' ? SMTP_BY_RETURN : SMTP_BY_NOTIFY;
	m->by_trace = rest.n == 2;
	if (m->by_mode == SMTP_BY_RETURN && m->by_s <= 0)
		return refuse(ret, 501, "BY with R needs time");
	return 0;
}

/* MT-PRIORITY= (RFC 6710 section 7): one digit, perhaps a minus before it. */
static int set_priority(struct smtp_mail *m, struct str v, struct smtp_status *ret)
{
	bool minus = v.n == 2 && v.p[0] == '-';
	struct str digit = minus ? str_skip(v, 1) : v;
	if (m->has_priority || digit.n != 1 || !ascii_digit(digit.p[0]) ||
	    (minus && digit.p[0] == '0'))
		return refuse(ret, 501, "Bad MT-PRIORITY");
	m->has_priority = true;
	m->priority = (digit.p[0] - '0') * (minus ? -1 : 1);
	return 0;
}

/* A keyword without a value. */
static int set_flag(bool *flag, struct str v, const char *text, struct smtp_status *ret)
{
	if (v.p || *flag)
		return refuse(ret, 501, text);
	*flag = true;
	return 0;
}

static int set_mail_param(struct smtp_mail *m, const struct param *p, struct smtp_status *ret)
{
	static const struct {
		struct str key;
		int (*set)(struct smtp_mail *m, struct str v, struct smtp_status *ret);
	} known[] = {{STR("SIZE"), set_size},
		     {STR("BODY"), set_body},
		     {STR("RET"), set_ret},
		     {STR("ENVID"), set_envid},
		     {STR("AUTH"), set_auth},
		     {STR("HOLDFOR"), set_holdfor},
		     {STR("HOLDUNTIL"), set_holduntil},
		     {STR("BY"), set_by},
		     {STR("MT-PRIORITY"), set_priority}};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eqi(p->key, known[i].key))
			return known[i].set(m, p->value, ret);
	if (str_eqi(p->key, STR("SMTPUTF8")))
		return set_flag(&m->smtputf8, p->value, "SMTPUTF8 takes no value and stands once",
				ret);
	if (str_eqi(p->key, STR("REQUIRETLS")))
		return set_flag(&m->requiretls, p->value,
				"REQUIRETLS takes no value and stands once", ret);
	return refuse(ret, 555, "Unknown MAIL parameter");
}

int smtp_mail_params(struct str params, struct smtp_mail *m, struct smtp_status *ret)
{
	struct param p;
	int more, r = 0;
	while (r == 0 && (more = next_param(&params, &p)) != 0) {
		if (more < 0)
			r = refuse(ret, 501, "Bad parameter syntax");
		else
			r = set_mail_param(m, &p, ret);
	}
	return r;
}

static unsigned notify_bit(struct str word)
{
	if (str_eqi(word, STR("NEVER")))
		return SMTP_NOTIFY_NEVER;
	if (str_eqi(word, STR("SUCCESS")))
		return SMTP_NOTIFY_SUCCESS;
	if (str_eqi(word, STR("FAILURE")))
		return SMTP_NOTIFY_FAILURE;
	return str_eqi(word, STR("DELAY")) ? SMTP_NOTIFY_DELAY : 0;
}

/* NOTIFY= (RFC 3461 4.1): NEVER alone, or a list of the others. */
static int set_notify(struct smtp_rcpt *r, struct str v, struct smtp_status *ret)
{
	struct str rest = v, word;
	if (r->notify || !v.p)
		return refuse(ret, 501, "Bad NOTIFY");
	while (str_cut(&rest, ',', &word)) {
		unsigned bit = notify_bit(word);
		if (bit == 0 || (r->notify & bit))
			return refuse(ret, 501, "Bad NOTIFY");
		r->notify |= bit;
	}
	if ((r->notify & SMTP_NOTIFY_NEVER) && r->notify != SMTP_NOTIFY_NEVER)
		return refuse(ret, 501, "NOTIFY=NEVER stands alone");
	return 0;
}

/* ORCPT= (RFC 3461 4.2): addr-type ";" xtext; the "utf-8" type has its own forms (RFC 6533). */
static int set_orcpt(struct smtp_rcpt *r, struct str v, struct smtp_status *ret)
{
	size_t semicolon = str_find(v, 0, ';');
	struct str type = str_sub(v, 0, semicolon), address = str_skip(v, semicolon + 1);
	AUTO(buf) struct buf plain = BUF_INIT(KIB(4));
	bool ok = !r->orcpt.p && v.n <= SMTP_ORCPT_MAX && type.n > 0 && address.n > 0;

	for (size_t i = 0; ok && i < type.n; i++)
		ok = ascii_alpha(type.p[i]) || ascii_digit(type.p[i]) || type.p[i] == '-';
	if (ok && str_eqi(type, STR("utf-8")))
		ok = utf8_addr_decode(&plain, address) == 0;
	else if (ok)
		ok = xtext_decode(&plain, address) == 0;
	if (!ok)
		return refuse(ret, 501, "Bad ORCPT");
	r->orcpt = v;
	return 0;
}

int smtp_rcpt_params(struct str params, struct smtp_rcpt *rcpt, struct smtp_status *ret)
{
	struct param p;
	int more, r = 0;
	while (r == 0 && (more = next_param(&params, &p)) != 0) {
		if (more < 0)
			r = refuse(ret, 501, "Bad parameter syntax");
		else if (str_eqi(p.key, STR("NOTIFY")))
			r = set_notify(rcpt, p.value, ret);
		else if (str_eqi(p.key, STR("ORCPT")))
			r = set_orcpt(rcpt, p.value, ret);
		else
			r = refuse(ret, 555, "Unknown RCPT parameter");
	}
	return r;
}
