/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/login/login_sasl.h"
#include "base/check.h"
#include "base/encode.h"
#include "base/text.h"
#include "codec/imap/imap_quirks.h"
#include "codec/managesieve/managesieve_write.h"

#define MENDED_MAX KIB(16)

/*
 * Texts of each end, by dialect. SMTP's codes: RFC 4954 section 6 and RFC 3463; IMAP's: RFC 5530.
 * One text for everything that dir refuses, so that nobody learns which addresses exist.
 */
enum end { END_CANCELLED, END_SYNTAX, END_TOO_LONG, END_MECHANISM, END_IDENTITY, END_COUNT };

static const char *const end_texts[END_COUNT][2] = {
	[END_CANCELLED] = {"BAD Authentication cancelled.", "501 5.7.0 Authentication cancelled"},
	[END_SYNTAX] = {"BAD That is not a response of this mechanism.",
			"501 5.5.2 That is not a response of this mechanism"},
	[END_TOO_LONG] = {"BAD The response is too long.", "500 5.5.6 The response is too long"},
	[END_MECHANISM] = {"NO [CANNOT] Mechanism not offered.", "504 5.5.4 Mechanism not offered"},
	[END_IDENTITY] = {"NO [AUTHORIZATIONFAILED] Acting for others is not offered.",
			  "535 5.7.8 Acting for others is not offered"},
};

static const char *const verdict_texts[4][2] = {
	[LOGIN_VERDICT_OK] = {"OK Logged in.", "235 2.7.0 Authentication successful"},
	[LOGIN_VERDICT_REFUSED] = {"NO [AUTHENTICATIONFAILED] Authentication failed.",
				   "535 5.7.8 Authentication failed"},
	[LOGIN_VERDICT_UNAVAILABLE] = {"NO [UNAVAILABLE] Logins are not possible now, try later.",
				       "454 4.7.0 Logins are not possible now, try later"},
	[LOGIN_VERDICT_BUSY] = {"NO [LIMIT] Too many sessions or attempts, try later.",
				"454 4.7.0 Too many sessions or attempts, try later"},
};

/* POP3's, whose texts are in the client's language: RFC 2449 section 8, RFC 3206. ManageSieve has
 * the same texts. */
struct pop3_words {
	const char *status, *text;
};

static const struct pop3_words pop3_ends[END_COUNT] = {
	[END_CANCELLED] = {"-ERR", TX("Authentication cancelled.")},
	[END_SYNTAX] = {"-ERR", TX("That is not a response of this mechanism.")},
	[END_TOO_LONG] = {"-ERR", TX("The response is too long.")},
	[END_MECHANISM] = {"-ERR", TX("Mechanism not offered.")},
	[END_IDENTITY] = {"-ERR [AUTH]", TX("Acting for others is not offered.")},
};

static const struct pop3_words pop3_verdicts[4] = {
	[LOGIN_VERDICT_OK] = {"+OK", TX("Logged in.")},
	[LOGIN_VERDICT_REFUSED] = {"-ERR [AUTH]", TX("Authentication failed.")},
	[LOGIN_VERDICT_UNAVAILABLE] = {"-ERR [SYS/TEMP]",
				       TX("Logins are not possible now, try later.")},
	[LOGIN_VERDICT_BUSY] = {"-ERR [IN-USE]", TX("Too many sessions or attempts, try later.")},
};

static const char *const end_reasons[END_COUNT] = {
	[END_CANCELLED] = "cancelled by the client",
	[END_SYNTAX] = "not a response of this mechanism",
	[END_TOO_LONG] = "the response is too long",
	[END_MECHANISM] = "mechanism not offered",
	[END_IDENTITY] = "acting for others is not offered",
};

static void write_pop3(struct buf *reply, const struct pop3_words *w)
{
	(void)buf_addf(reply, "%s %s\r\n", w->status, text_of(w->text));
}

static void write_managesieve(struct buf *reply, enum managesieve_status status, const char *code,
			      const char *text)
{
	(void)managesieve_write_reply(reply, status, str_c(code), str_c(text_of(text)));
}

static void write_line(struct buf *reply, enum login_dialect dialect, struct str tag,
		       const char *text)
{
	if (dialect == LOGIN_IMAP) {
		(void)buf_add(reply, tag.n > 0 ? tag : STR("*"));
		(void)buf_addc(reply, ' ');
	}
	(void)buf_add_c(reply, text);
	(void)buf_add(reply, STR("\r\n"));
}

/* Best first: clients that take the first they know do well. */
static const struct {
	const char *name;
	uint32_t offer; /* 0: always */
	bool binding;
	bool tls;
} mechanisms[] = {
	{"SCRAM-SHA-256-PLUS", SASL_OFFER_SCRAM_256, true, true},
	{"SCRAM-SHA-256", SASL_OFFER_SCRAM_256, false, false},
	{"SCRAM-SHA-1-PLUS", SASL_OFFER_SCRAM_1, true, true},
	{"SCRAM-SHA-1", SASL_OFFER_SCRAM_1, false, false},
	{"OAUTHBEARER", SASL_OFFER_OAUTH, false, true},
	{"XOAUTH2", SASL_OFFER_OAUTH, false, true},
	{"PLAIN", 0, false, false},
	{"LOGIN", 0, false, false},
};

static bool is_offered(const struct login_offer *o, size_t i)
{
	return (mechanisms[i].offer & o->mechanisms) == mechanisms[i].offer &&
	       (o->binding || !mechanisms[i].binding) && (o->tls || !mechanisms[i].tls);
}

void login_sasl_names(const struct login_offer *offer, const char *prefix, bool plain,
		      struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
		if (is_offered(offer, i) && (plain || mechanisms[i].offer))
			(void)buf_addf(out, "%s%s", prefix, mechanisms[i].name);
}

static void write_challenge(const struct login_sasl *x, struct str base64, struct buf *reply)
{
	if (x->dialect == LOGIN_MANAGESIEVE) {
		(void)managesieve_write_string(reply, base64);
	} else {
		(void)buf_add(reply, x->dialect == LOGIN_SMTP ? STR("334 ") : STR("+ "));
		(void)buf_add(reply, base64);
	}
	(void)buf_add(reply, STR("\r\n"));
}

static enum login_sasl_result finish(struct login_sasl *x, int r, struct buf *reply)
{
	if (r == SASL_STEP_DONE)
		return LOGIN_SASL_VERIFY;
	if (r == SASL_STEP_CHALLENGE) {
		write_challenge(x, sasl_challenge(&x->sasl), reply);
		return LOGIN_SASL_CONTINUE;
	}
	enum end end = r == -FAIL_CANCELLED	? END_CANCELLED
		       : r == -FAIL_LIMIT	? END_TOO_LONG
		       : r == -FAIL_UNSUPPORTED ? END_MECHANISM
		       : r == -FAIL_AUTH	? END_IDENTITY
						: END_SYNTAX;
	if (x->dialect == LOGIN_POP3)
		write_pop3(reply, &pop3_ends[end]);
	else if (x->dialect == LOGIN_MANAGESIEVE)
		write_managesieve(reply, MANAGESIEVE_NO, "", pop3_ends[end].text);
	else
		write_line(reply, x->dialect, str_make(x->tag, x->tag_n),
			   end_texts[end][x->dialect]);
	/* Dir has logged what it has granted: this is no other attempt. */
	x->failed = x->ending ? NULL : end_reasons[end];
	return LOGIN_SASL_FAILED;
}

/* A message for dir, or, when dir has granted already, the client's nod to its last word. */
static enum login_sasl_result relay(struct login_sasl *x, struct str line, struct buf *reply)
{
	int r = SASL_STEP_DONE;
	if (str_eq(line, STR("*")))
		r = -FAIL_CANCELLED;
	else if (x->ending)
		r = line.n > 0 ? -FAIL_SYNTAX : SASL_STEP_DONE;
	else if (line.n > (SASL_RELAYED_MAX + 2) / 3 * 4)
		r = -FAIL_LIMIT;
	else {
		x->message = BUF_INIT(SASL_RELAYED_MAX + 4);
		CHECK(buf_room(&x->message, SASL_RELAYED_MAX + 3));
		int bad = base64_decode(&x->message, line);
		r = bad < 0 ? bad : x->message.n > SASL_RELAYED_MAX ? -FAIL_LIMIT : SASL_STEP_DONE;
	}
	if (x->ending && r == SASL_STEP_DONE)
		return LOGIN_SASL_DECIDED;
	return finish(x, r, reply);
}

static void forget_message(struct login_sasl *x)
{
	if (x->message.p)
		explicit_bzero(x->message.p, x->message.cap);
	buf_clear(&x->message);
}

static bool asks_again(struct login_sasl *x, struct str line)
{
	bool again = !x->asked_again && line.n == 0 && !x->relayed && x->dialect == LOGIN_IMAP &&
		     str_eq(str_c(x->mechanism), STR("PLAIN")) &&
		     imap_bends(IMAP_QUIRK_EMPTY_PLAIN);
	x->asked_again |= again;
	return again;
}

enum login_sasl_result login_sasl_begin(struct login_sasl *x, const struct login_sasl_start *start,
					struct buf *reply)
{
	enum sasl_mechanism m;
	size_t i = 0;
	CHECK(start->tag.n <= sizeof x->tag);
	login_sasl_clear(x);
	x->dialect = start->dialect;
	if (start->tag.n > 0)
		memcpy(x->tag, start->tag.p, start->tag.n);
	x->tag_n = start->tag.n;
	while (i < ARRAY_LEN(mechanisms) && !str_eqi(start->mechanism, str_c(mechanisms[i].name)))
		i++;
	if (i == ARRAY_LEN(mechanisms) || !is_offered(start->offer, i))
		return finish(x, -FAIL_UNSUPPORTED, reply);
	x->mechanism = mechanisms[i].name;
	x->relayed = mechanisms[i].offer != 0;
	bool none = str_eq(start->initial, STR("=")) && asks_again(x, STR(""));
	if (!x->relayed) {
		int r = sasl_mechanism_find(start->mechanism, &m);
		return finish(x,
			      r == 0 ? sasl_start(&x->sasl, m, none ? STR_NULL : start->initial,
						  &x->credentials)
				     : r,
			      reply);
	}
	if (start->initial.p)
		return relay(x, str_eq(start->initial, STR("=")) ? STR("") : start->initial, reply);
	write_challenge(x, STR(""), reply);
	return LOGIN_SASL_CONTINUE;
}

/* Without blanks at its end, and with the "=" that it lacks (in *room). */
static struct str mended(const struct login_sasl *x, struct str line, struct buf *room)
{
	if (x->dialect != LOGIN_IMAP || !imap_bends(IMAP_QUIRK_BASE64))
		return line;
	while (line.n && line.p[line.n - 1] == ' ')
		line.n--;
	size_t lacks = line.n % 4 ? 4 - line.n % 4 : 0;
	if (lacks == 0 || lacks == 3 || line.n > MENDED_MAX)
		return line;
	(void)buf_add(room, line);
	(void)buf_add(room, str_make("==", lacks));
	return buf_str(room);
}

enum login_sasl_result login_sasl_line(struct login_sasl *x, struct str line, struct buf *reply)
{
	AUTO(buf) struct buf room = BUF_INIT(MENDED_MAX + 4);
	if (asks_again(x, line)) {
		write_challenge(x, STR(""), reply);
		return LOGIN_SASL_CONTINUE;
	}
	line = mended(x, line, &room);
	enum login_sasl_result r = x->relayed ? relay(x, line, reply)
					      : finish(x, sasl_continue(&x->sasl, line), reply);
	if (room.p)
		explicit_bzero(room.p, room.cap);
	return r;
}

enum login_sasl_result login_sasl_answer(struct login_sasl *x, const struct login_answer *a,
					 struct buf *reply)
{
	AUTO(buf) struct buf base64 = BUF_INIT(KIB(16));
	bool granted = !a->more && a->verdict == LOGIN_VERDICT_OK;
	x->begun = true;
	x->verdict = a->verdict;
	sasl_credentials_clear(&x->credentials);
	forget_message(x);
	if (!x->relayed || (!a->more && (!granted || a->challenge.n == 0)))
		return LOGIN_SASL_DECIDED;
	(void)base64_encode(&base64, a->challenge);
	write_challenge(x, buf_str(&base64), reply);
	x->ending = granted;
	return LOGIN_SASL_CONTINUE;
}

void login_sasl_clear(struct login_sasl *x)
{
	forget_message(x);
	explicit_bzero(x, sizeof *x);
}

void login_sasl_verdict(struct buf *reply, enum login_dialect dialect, struct str tag,
			enum login_verdict verdict)
{
	bool later = verdict == LOGIN_VERDICT_UNAVAILABLE || verdict == LOGIN_VERDICT_BUSY;
	if (dialect == LOGIN_POP3)
		write_pop3(reply, &pop3_verdicts[verdict]);
	else if (dialect == LOGIN_MANAGESIEVE)
		write_managesieve(reply,
				  verdict == LOGIN_VERDICT_OK ? MANAGESIEVE_OK : MANAGESIEVE_NO,
				  later ? "TRYLATER" : "", pop3_verdicts[verdict].text);
	else
		write_line(reply, dialect, tag, verdict_texts[verdict][dialect]);
}
