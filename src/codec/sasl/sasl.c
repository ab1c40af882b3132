/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sasl/sasl.h"
#include "base/check.h"
#include "base/encode.h"
#include "base/utf8.h"

void sasl_credentials_clear(struct sasl_credentials *c)
{
	explicit_bzero(c, sizeof *c);
}

/* A copy of s in c->bytes. */
static int keep(struct sasl_credentials *c, struct str s, struct str *ret)
{
	if (s.n > SASL_MESSAGE_MAX || s.n > sizeof c->bytes - c->used)
		return -FAIL_LIMIT;
	if (s.n == 0 || !utf8_valid(s) || str_find(s, 0, '\0') < s.n)
		return -FAIL_SYNTAX;
	char *p = c->bytes + c->used;
	memcpy(p, s.p, s.n);
	c->used += s.n;
	*ret = str_make(p, s.n);
	return 0;
}

int sasl_credentials_set(struct sasl_credentials *c, struct str user, struct str password)
{
	sasl_credentials_clear(c);
	int r = keep(c, user, &c->user);
	if (r == 0)
		r = keep(c, password, &c->password);
	if (r < 0)
		sasl_credentials_clear(c);
	return r;
}

int sasl_mechanism_find(struct str name, enum sasl_mechanism *ret)
{
	bool plain = str_eqi(name, STR("PLAIN"));
	if (!plain && !str_eqi(name, STR("LOGIN")))
		return -FAIL_UNSUPPORTED;
	*ret = plain ? SASL_PLAIN : SASL_LOGIN;
	return 0;
}

struct str sasl_challenge(const struct sasl *s)
{
	if (s->mechanism == SASL_PLAIN)
		return STR("");
	return s->responses == 0 ? STR("VXNlcm5hbWU6") : STR("UGFzc3dvcmQ6");
}

/* RFC 4616: [authzid] NUL authcid NUL passwd */
static int take_plain(struct sasl *s, struct str message)
{
	struct str rest = message;
	struct str authzid;
	struct str user;
	struct str password;
	if (!str_cut(&rest, '\0', &authzid) || !str_cut(&rest, '\0', &user) ||
	    !str_cut(&rest, '\0', &password) || rest.p)
		return -FAIL_SYNTAX;
	if (!utf8_valid(authzid))
		return -FAIL_SYNTAX;
	int r = keep(s->into, user, &s->into->user);
	if (r == 0)
		r = keep(s->into, password, &s->into->password);
	if (r == 0 && authzid.n > 0 && !str_eqi(authzid, user))
		r = keep(s->into, authzid, &s->into->authzid);
	return r < 0 ? r : SASL_STEP_DONE;
}

static int take_login(struct sasl *s, struct str message)
{
	bool first = s->responses == 1;
	int r = keep(s->into, message, first ? &s->into->user : &s->into->password);
	if (r < 0)
		return r;
	return first ? SASL_STEP_CHALLENGE : SASL_STEP_DONE;
}

static int take_message(struct sasl *s, struct str message)
{
	s->responses++;
	return s->mechanism == SASL_PLAIN ? take_plain(s, message) : take_login(s, message);
}

static int take_base64(struct sasl *s, struct str line)
{
	if (line.n > (SASL_MESSAGE_MAX + 2) / 3 * 4)
		return -FAIL_LIMIT;
	AUTO(buf) struct buf b = BUF_INIT(SASL_MESSAGE_MAX + 3);
	CHECK(buf_room(&b, SASL_MESSAGE_MAX + 3)); /* so that no copy is left behind by growing */
	int r = base64_decode(&b, line);
	if (r == 0)
		r = take_message(s, buf_str(&b));
	explicit_bzero(b.p, b.cap);
	return r;
}

int sasl_start(struct sasl *s, enum sasl_mechanism mechanism, struct str initial,
	       struct sasl_credentials *into)
{
	*s = (struct sasl){.mechanism = mechanism, .into = into};
	sasl_credentials_clear(into);
	if (!initial.p)
		return SASL_STEP_CHALLENGE;
	/* "=" is an empty message: in base64 that is an empty line. */
	return sasl_continue(s, str_eq(initial, STR("=")) ? STR("") : initial);
}

int sasl_continue(struct sasl *s, struct str line)
{
	int r = str_eq(line, STR("*")) ? -FAIL_CANCELLED : take_base64(s, line);
	if (r < 0)
		sasl_credentials_clear(s->into);
	return r;
}
