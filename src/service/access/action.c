/* SPDX-License-Identifier: Apache-2.0 */
/* REJECT, 450 4.7.1 text, PREPEND X-Seen: yes, and the others of Postfix' access(5). */
#include "service/access/action.h"
#include "base/num.h"
#include "base/text.h"
#include "codec/smtp/smtp_addr.h"
#include <stdio.h>
#include <string.h>

static struct str first_word(struct str *rest)
{
	size_t n = 0;
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	struct str word = str_sub(*rest, 0, n);
	*rest = str_trim(str_skip(*rest, n));
	return word;
}

/* "5.7.1": a class that fits the code, and two numbers of up to three digits. */
static bool is_status(struct str s, unsigned code)
{
	unsigned part = 0, digits = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' && digits) {
			part++;
			digits = 0;
		} else if (!ascii_digit(s.p[i]) || ++digits > 3) {
			return false;
		}
	}
	return part == 2 && digits && s.n < 12 && s.p[1] == '.' &&
	       (unsigned)(s.p[0] - '0') == code / 100;
}

/* A refusal: its text may begin with a status of its own. */
static void refuse(struct action *a, unsigned code, struct str text)
{
	struct str rest = text, word = first_word(&rest);
	bool own = is_status(word, code);
	a->act = ACCESS_REFUSE;
	a->code = code;
	a->text = own ? rest : text;
	(void)snprintf(a->status, sizeof a->status, "%.*s", own ? (int)word.n : 5,
		       own		 ? word.p
		       : code / 100 == 4 ? "4.7.1"
					 : "5.7.1");
}

/* "X-Name: text" */
static bool is_header(struct str s)
{
	size_t colon = str_find(s, 0, ':');
	for (size_t i = 0; i < colon; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return colon > 0 && colon < s.n;
}

static bool is_mailbox(struct str s)
{
	struct smtp_addr address;
	return smtp_mailbox_parse(s, &address) == 0;
}

static const char *with_argument(enum access_act act, struct str rest, struct action *ret)
{
	ret->act = act;
	ret->text = rest;
	if (act == ACCESS_PREPEND && !is_header(rest))
		return T("PREPEND needs a header field, as in PREPEND X-Seen: yes");
	if ((act == ACCESS_REDIRECT || act == ACCESS_BCC) && !is_mailbox(rest))
		return T("REDIRECT and BCC need an address");
	if (act == ACCESS_FILTER && !rest.n)
		return T("FILTER needs a next hop, as in FILTER smtp:[127.0.0.1]:10024");
	return NULL;
}

const char *action_parse(struct str s, struct action *ret)
{
	static const struct {
		struct str word;
		enum access_act act;
	} plain[] = {{STR("DUNNO"), ACCESS_DUNNO},     {STR("OK"), ACCESS_OK},
		     {STR("DISCARD"), ACCESS_DISCARD}, {STR("HOLD"), ACCESS_HOLD},
		     {STR("WARN"), ACCESS_WARN},       {STR("INFO"), ACCESS_WARN},
		     {STR("PREPEND"), ACCESS_PREPEND}, {STR("REDIRECT"), ACCESS_REDIRECT},
		     {STR("BCC"), ACCESS_BCC},	       {STR("FILTER"), ACCESS_FILTER}};
	struct str rest = str_trim(s), word = first_word(&rest);
	uint64_t code = 0;
	*ret = (struct action){0};
	if (str_eqi(word, STR("REJECT"))) {
		refuse(ret, 554, rest);
		return NULL;
	}
	if (str_eqi(word, STR("DEFER")) || str_eqi(word, STR("DEFER_IF_PERMIT"))) {
		refuse(ret, 450, rest);
		return NULL;
	}
	if (word.n == 3 && num_parse_u64(word, &code)) {
		if (code < 400 || code > 599)
			return T("a reply code must be from 400 to 599");
		refuse(ret, (unsigned)code, rest);
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (str_eqi(word, plain[i].word))
			return with_argument(plain[i].act, rest, ret);
	return T("no such action; allowed: OK, REJECT, DEFER, a reply code from 400 to 599, DUNNO, "
		 "DISCARD, HOLD, WARN, INFO, PREPEND, REDIRECT, BCC, FILTER");
}

/* A status of its own says whether the refusal is for now or for good. */
static void refuse_content(struct action *a, struct str text)
{
	struct str rest = text, word = first_word(&rest);
	refuse(a, is_status(word, 400) ? 450 : 550, text);
}

const char *action_parse_content(struct str s, struct action *ret)
{
	static const struct {
		struct str word;
		enum access_act act;
	} plain[] = {{STR("DUNNO"), ACCESS_DUNNO},     {STR("OK"), ACCESS_DUNNO},
		     {STR("DISCARD"), ACCESS_DISCARD}, {STR("HOLD"), ACCESS_HOLD},
		     {STR("WARN"), ACCESS_WARN},       {STR("INFO"), ACCESS_WARN},
		     {STR("PASS"), ACCESS_PASS},       {STR("REDIRECT"), ACCESS_REDIRECT},
		     {STR("BCC"), ACCESS_BCC},	       {STR("FILTER"), ACCESS_FILTER},
		     {STR("IGNORE"), ACCESS_IGNORE},   {STR("STRIP"), ACCESS_STRIP}};
	struct str rest = str_trim(s), word = first_word(&rest);
	bool prepend = str_eqi(word, STR("PREPEND"));
	*ret = (struct action){0};
	if (str_eqi(word, STR("REJECT"))) {
		refuse_content(ret, rest);
		return NULL;
	}
	if (prepend || str_eqi(word, STR("REPLACE"))) {
		ret->act = prepend ? ACCESS_PREPEND : ACCESS_REPLACE;
		ret->text = rest;
		return rest.n ? NULL : T("PREPEND and REPLACE need a text");
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (str_eqi(word, plain[i].word))
			return with_argument(plain[i].act, rest, ret);
	return T(
		"no such action; allowed: REJECT, DISCARD, DUNNO, HOLD, IGNORE, STRIP, INFO, WARN, "
		"PASS, PREPEND, REPLACE, REDIRECT, BCC, FILTER");
}
