/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in at a relay host, by AUTH (RFC 4954): SCRAM (client_scram.c), SASL PLAIN (RFC 4616) and
 * LOGIN. The last two show the password: whoever calls this has seen to it that the connection is
 * encrypted.
 */
#include "base/encode.h"
#include "proto/smtp_client/smtp_client_int.h"

#define SECRET_MAX KIB(4)

bool client_has_mechanism(const struct smtp_client *c, struct str name)
{
	struct str words = str_c(c->mechanisms), word;
	while (words.p && str_cut(&words, ' ', &word))
		if (str_eqi(word, name))
			return true;
	return false;
}

static void wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_clear(b);
}

int client_say_secret(struct smtp_client *c, const char *before, struct str s)
{
	struct buf text = BUF_INIT(SECRET_MAX);
	(void)!buf_room(&text, SECRET_MAX - 1); /* so that it never moves */
	buf_add_c(&text, before);
	base64_encode(&text, s);
	buf_add(&text, STR("\r\n"));
	/* c->out is empty, and is left so: no copy of a password stays in it. */
	struct buf out = c->out;
	c->out = text;
	int r = client_flush(c, c->times.mail);
	text = c->out;
	c->out = out;
	wipe(&text);
	return r < 0 ? r : client_reply(c, c->times.mail, NULL);
}

static int auth_plain(struct smtp_client *c, struct str user, struct str password)
{
	struct buf message = BUF_INIT(SECRET_MAX);
	(void)!buf_room(&message, SECRET_MAX - 1);
	buf_addc(&message, '\0');
	buf_add(&message, user);
	buf_addc(&message, '\0');
	buf_add(&message, password);
	int r = client_say_secret(c, "AUTH PLAIN ", buf_str(&message));
	wipe(&message);
	return r;
}

static int auth_login(struct smtp_client *c, struct str user, struct str password)
{
	int r = client_ask(c, c->phase, "AUTH LOGIN", c->times.mail);
	if (r == 0 && c->answer.code == 334)
		r = client_say_secret(c, "", user);
	if (r == 0 && c->answer.code == 334)
		r = client_say_secret(c, "", password);
	return r;
}

int smtp_client_auth(struct smtp_client *c, struct str user, struct str password)
{
	int r = 0;
	c->phase = "logging in";
	if (memchr(user.p, '\0', user.n) || memchr(password.p, '\0', password.n) ||
	    user.n + password.n > SECRET_MAX / 2)
		return client_lost(c, FAIL_LIMIT, "the login cannot be said");
	int scram = client_auth_scram(c, user, password);
	if (scram < 0)
		return scram;
	bool plain = client_has_mechanism(c, STR("PLAIN"));
	bool login = client_has_mechanism(c, STR("LOGIN"));
	/* Who has no keys for SCRAM says what a wrong password is told. */
	if (scram && (c->broken || client_verdict(c) != -FAIL_PERM || (!plain && !login))) {
		r = 0;
	} else if (plain) {
		r = auth_plain(c, user, password);
	} else if (login) {
		r = auth_login(c, user, password);
	} else {
		smtp_answer_own(&c->answer, "4.7.4",
				STR("The next server takes none of the ways of logging in that "
				    "this one knows."));
		return -FAIL_UNSUPPORTED;
	}
	if (r == 0)
		r = client_verdict(c);
	if (r == 0 && c->answer.code != 235)
		r = client_lost(c, FAIL_PEER, "the server did not speak SMTP");
	return r;
}
