/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/smtp_cmd.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/smtp/smtp_param.h"

enum arg_rule { ARG_NONE, ARG_OPTIONAL, ARG_REQUIRED };

static const struct {
	struct str name;
	enum smtp_verb verb;
	enum arg_rule arg;
	const char *usage;
} verbs[] = {
	{STR("HELO"), SMTP_VERB_HELO, ARG_REQUIRED, "Syntax: HELO hostname"},
	{STR("EHLO"), SMTP_VERB_EHLO, ARG_REQUIRED, "Syntax: EHLO hostname"},
	{STR("LHLO"), SMTP_VERB_LHLO, ARG_REQUIRED, "Syntax: LHLO hostname"},
	{STR("MAIL"), SMTP_VERB_MAIL, ARG_REQUIRED, "Syntax: MAIL FROM:<address>"},
	{STR("RCPT"), SMTP_VERB_RCPT, ARG_REQUIRED, "Syntax: RCPT TO:<address>"},
	{STR("DATA"), SMTP_VERB_DATA, ARG_NONE, "Syntax: DATA"},
	{STR("BDAT"), SMTP_VERB_BDAT, ARG_REQUIRED, "Syntax: BDAT count [LAST]"},
	{STR("RSET"), SMTP_VERB_RSET, ARG_NONE, "Syntax: RSET"},
	{STR("NOOP"), SMTP_VERB_NOOP, ARG_OPTIONAL, "Syntax: NOOP"},
	{STR("VRFY"), SMTP_VERB_VRFY, ARG_REQUIRED, "Syntax: VRFY address"},
	{STR("EXPN"), SMTP_VERB_EXPN, ARG_OPTIONAL, "Syntax: EXPN list"},
	{STR("HELP"), SMTP_VERB_HELP, ARG_OPTIONAL, "Syntax: HELP"},
	{STR("QUIT"), SMTP_VERB_QUIT, ARG_NONE, "Syntax: QUIT"},
	{STR("STARTTLS"), SMTP_VERB_STARTTLS, ARG_NONE, "Syntax: STARTTLS"},
	{STR("AUTH"), SMTP_VERB_AUTH, ARG_REQUIRED, "Syntax: AUTH mechanism"},
	{STR("XCLIENT"), SMTP_VERB_XCLIENT, ARG_REQUIRED, "Syntax: XCLIENT attribute=value ..."},
	{STR("XFORWARD"), SMTP_VERB_XFORWARD, ARG_REQUIRED, "Syntax: XFORWARD attribute=value ..."},
	{STR("BURL"), SMTP_VERB_BURL, ARG_REQUIRED, "Syntax: BURL url [LAST]"},
	{STR("ETRN"), SMTP_VERB_ETRN, ARG_REQUIRED, "Syntax: ETRN domain"},
};

static int refuse(struct smtp_status *ret, unsigned code, const char *enhanced, const char *text)
{
	*ret = (struct smtp_status){code, enhanced, text};
	return -FAIL_SYNTAX;
}

/* First word of the line, and what follows it without the blanks around. */
static struct str split(struct str line, struct str *ret_arg)
{
	size_t blank = str_find(line, 0, ' ');
	*ret_arg = str_trim(str_skip(line, blank));
	return str_sub(line, 0, blank);
}

/* Index in verbs, ARRAY_LEN(verbs) when unknown. */
static size_t find_verb(struct str word)
{
	size_t i = 0;
	while (i < ARRAY_LEN(verbs) && !str_eqi(word, verbs[i].name))
		i++;
	return i;
}

enum smtp_verb smtp_cmd_verb(struct str line)
{
	struct str arg;
	size_t i = find_verb(split(str_trim(line), &arg));
	return i < ARRAY_LEN(verbs) ? verbs[i].verb : SMTP_VERB_UNKNOWN;
}

/* What was wrong with an address, as a reply. `syntax` is 5.1.7 for senders, 5.1.3 for recipients.
 */
static int refuse_address(int r, const char *syntax, struct smtp_status *ret)
{
	if (r == -FAIL_NOTFOUND)
		return refuse(ret, 504, "5.5.2",
			      "Address rejected: need a fully-qualified address");
	if (r == -FAIL_TOOBIG)
		return refuse(ret, 501, syntax,
			      "Address too long: at most 64 octets before the @ and 254 in all");
	return refuse(ret, 501, syntax, "Bad address syntax");
}

/* "FROM:" or "TO:", then perhaps blanks (many clients), then the path. */
static bool cut_keyword(struct str *arg, struct str keyword)
{
	if (!str_startsi(*arg, keyword))
		return false;
	*arg = str_trim(str_skip(*arg, keyword.n));
	return true;
}

static int parse_mail(struct str arg, struct smtp_mail *m, struct smtp_status *ret)
{
	size_t used = 0;
	if (!cut_keyword(&arg, STR("FROM:")))
		return refuse(ret, 501, "5.5.4", "Syntax: MAIL FROM:<address>");
	int r = smtp_path_parse(arg, SMTP_PATH_NULL, &m->from, &used);
	if (r < 0)
		return refuse_address(r, "5.1.7", ret);
	return smtp_mail_params(str_skip(arg, used), m, ret);
}

static int parse_rcpt(struct str arg, struct smtp_rcpt *rcpt, struct smtp_status *ret)
{
	size_t used = 0;
	if (!cut_keyword(&arg, STR("TO:")))
		return refuse(ret, 501, "5.5.4", "Syntax: RCPT TO:<address>");
	int r = smtp_path_parse(arg, SMTP_PATH_POSTMASTER, &rcpt->to, &used);
	if (r < 0)
		return refuse_address(r, "5.1.3", ret);
	return smtp_rcpt_params(str_skip(arg, used), rcpt, ret);
}

static int parse_bdat(struct str arg, struct smtp_cmd *cmd, struct smtp_status *ret)
{
	struct str word;
	struct str count = split(arg, &word);
	cmd->bdat.last = str_eqi(word, STR("LAST"));
	if (!num_parse_u64(count, &cmd->bdat.size) || (word.n && !cmd->bdat.last))
		return refuse(ret, 501, "5.5.4", "Syntax: BDAT count [LAST]");
	return 0;
}

static int parse_burl(struct str arg, struct smtp_cmd *cmd, struct smtp_status *ret)
{
	struct str word;
	cmd->burl.url = split(arg, &word);
	cmd->burl.last = str_eqi(word, STR("LAST"));
	if (word.n && !cmd->burl.last)
		return refuse(ret, 501, "5.5.4", "Syntax: BURL url [LAST]");
	return 0;
}

static int parse_auth(struct str arg, struct smtp_cmd *cmd, struct smtp_status *ret)
{
	struct str initial;
	struct str mechanism = split(arg, &initial);
	bool ok = mechanism.n <= 20 && str_find(initial, 0, ' ') == initial.n;
	for (size_t i = 0; ok && i < mechanism.n; i++) {
		char c = mechanism.p[i];
		ok = ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '_';
	}
	if (!ok)
		return refuse(ret, 501, "5.5.4", "Syntax: AUTH mechanism");
	cmd->auth.mechanism = mechanism;
	cmd->auth.initial = initial.n ? initial : STR_NULL;
	return 0;
}

/* The name of HELO and friends is only recorded, so any visible word will do. */
static int check_name(struct str name, struct smtp_status *ret)
{
	if (name.n > 255 || str_find(name, 0, ' ') < name.n || !utf8_valid(name))
		return refuse(ret, 501, "5.5.4", "Bad host name");
	return 0;
}

static bool has_control(struct str line)
{
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < 0x20 || line.p[i] == 0x7f)
			return true;
	return false;
}

static int parse_arg(struct smtp_cmd *cmd, struct smtp_status *ret)
{
	switch (cmd->verb) {
	case SMTP_VERB_HELO:
	case SMTP_VERB_EHLO:
	case SMTP_VERB_LHLO:
		return check_name(cmd->arg, ret);
	case SMTP_VERB_MAIL:
		return parse_mail(cmd->arg, &cmd->mail, ret);
	case SMTP_VERB_RCPT:
		return parse_rcpt(cmd->arg, &cmd->rcpt, ret);
	case SMTP_VERB_BDAT:
		return parse_bdat(cmd->arg, cmd, ret);
	case SMTP_VERB_BURL:
		return parse_burl(cmd->arg, cmd, ret);
	case SMTP_VERB_AUTH:
		return parse_auth(cmd->arg, cmd, ret);
	case SMTP_VERB_UNKNOWN:
	case SMTP_VERB_DATA:
	case SMTP_VERB_RSET:
	case SMTP_VERB_NOOP:
	case SMTP_VERB_VRFY:
	case SMTP_VERB_EXPN:
	case SMTP_VERB_HELP:
	case SMTP_VERB_QUIT:
	case SMTP_VERB_STARTTLS:
	case SMTP_VERB_XCLIENT:
	case SMTP_VERB_XFORWARD:
	case SMTP_VERB_ETRN:
		break;
	}
	return 0;
}

int smtp_cmd_parse(struct str line, struct smtp_cmd *ret, struct smtp_status *ret_refusal)
{
	*ret = (struct smtp_cmd){0};
	line = str_trim(line);
	size_t i = find_verb(split(line, &ret->arg));
	if (i == ARRAY_LEN(verbs))
		return refuse(ret_refusal, 500, "5.5.2", "Command not recognized");
	ret->verb = verbs[i].verb;
	if (has_control(line))
		return refuse(ret_refusal, 501, "5.5.2", "Control character in a command");
	if ((verbs[i].arg == ARG_NONE && ret->arg.n) ||
	    (verbs[i].arg == ARG_REQUIRED && !ret->arg.n))
		return refuse(ret_refusal, 501, "5.5.4", verbs[i].usage);
	return parse_arg(ret, ret_refusal);
}

bool smtp_cmd_split_auth(struct str line, struct str *ret_line, struct str *ret_initial)
{
	struct str arg, initial;
	struct str word = split(str_trim(line), &arg);
	*ret_line = line;
	if (!str_eqi(word, STR("AUTH")))
		return false;
	struct str mechanism = split(arg, &initial);
	if (!initial.n)
		return false;
	*ret_line = str_make(word.p, (size_t)(mechanism.p + mechanism.n - word.p));
	*ret_initial = initial;
	return true;
}
