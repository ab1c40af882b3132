/* SPDX-License-Identifier: Apache-2.0 */
/* What commands want of their arguments, as far as a script shows it. */
#include "base/num.h"
#include "base/text.h"
#include "codec/sieve/sieve_date.h"
#include "codec/sieve/sieve_int.h"
#include "codec/sieve/sieve_variable.h"

/* Calls for each constant string of an argument. */
#define EACH_CONSTANT(c, a, s)                                                                     \
	for (size_t i_ = 0; (a) && i_ < (a)->n; i_++)                                              \
		for (struct str s = (a)->strings[i_], *once_ = &s; once_; once_ = NULL)            \
			if (sieve_is_constant(c, s))

static void check_numeric(struct sieve_compiler *c, const struct sieve_arg *keys)
{
	EACH_CONSTANT(c, keys, s)
	if (s.n == 0 || !ascii_digit(s.p[0]))
		sieve_warn(c, keys,
			   T("i;ascii-numeric compares numbers; \"%.*s\" is none, and counts "
			     "as larger than all of them."),
			   STR_ARG(s));
}

static void check_regex(struct sieve_compiler *c, struct sieve_bound *b,
			const struct sieve_arg *keys)
{
	const struct sieve_regex_ops *ops = c->options->regex;
	EACH_CONSTANT(c, keys, s)
	{
		void *re = NULL;
		struct fail why = FAIL_INIT;
		if (ops && ops->make(ops->ctx, s, b->comparator != CMP_OCTET, &re, &why) < 0)
			sieve_err(c, keys, T("\"%.*s\" is no regular expression: %s."), STR_ARG(s),
				  why.detail);
		if (ops && re)
			ops->free(ops->ctx, re);
	}
}

void sieve_check_match(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b,
		       const struct sieve_arg *keys)
{
	bool numeric = b->comparator == CMP_NUMERIC;
	if (numeric &&
	    (b->match == MATCH_CONTAINS || b->match == MATCH_MATCHES || b->match == MATCH_REGEX))
		sieve_err_at(c, n,
			     T("i;ascii-numeric compares numbers; it does not go with \":%s\"."),
			     sieve_matches[b->match].name);
	if (b->match == MATCH_REGEX)
		check_regex(c, b, keys);
	if (numeric || b->match == MATCH_COUNT)
		check_numeric(c, keys);
}

/* A test of such a field is never true; a field of this name cannot be made. */
static void check_field_names(struct sieve_compiler *c, const struct sieve_arg *a)
{
	EACH_CONSTANT(c, a, s)
	if (!sieve_is_field_name(s))
		sieve_warn(c, a, T("\"%.*s\" cannot be the name of a header field."), STR_ARG(s));
}

static void check_new_field(struct sieve_compiler *c, const struct sieve_arg *a)
{
	EACH_CONSTANT(c, a, s)
	if (!sieve_is_field_name(s))
		sieve_err(c, a, T("\"%.*s\" cannot be the name of a header field."), STR_ARG(s));
}

/* RFC 5703 4: the options of `header` that look into parts. */
static void check_mime(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	uint64_t need = S_BIT(S_ANYCHILD) | S_BIT(S_TYPE) | S_BIT(S_SUBTYPE) |
			S_BIT(S_CONTENTTYPE) | S_BIT(S_PARAM);
	if (b->present & need && !(b->present & S_BIT(S_MIME)))
		sieve_err_at(c, n, T("These tags need \":mime\" besides."));
	if (b->present & S_BIT(S_LAST) && !(b->present & S_BIT(S_INDEX)))
		sieve_err_at(c, n, T("\":last\" needs \":index\" besides."));
	if (b->present & S_BIT(S_INDEX) && b->arg[S_INDEX]->number == 0)
		sieve_err(c, b->arg[S_INDEX], T("\":index\" counts from 1."));
}

void sieve_check_address(struct sieve_compiler *c, const struct sieve_node *n,
			 struct sieve_bound *b)
{
	static const char *const names[] = {"from",
					    "to",
					    "cc",
					    "bcc",
					    "sender",
					    "reply-to",
					    "resent-from",
					    "resent-to",
					    "resent-cc",
					    "resent-bcc",
					    "resent-sender",
					    "resent-reply-to",
					    "return-path",
					    "delivered-to",
					    "x-original-to",
					    "mail-reply-to",
					    "errors-to",
					    "mail-followup-to",
					    "for-comment",
					    "disposition-notification-to",
					    "for-handling",
					    "for-approval",
					    "envelope-to",
					    "x-envelope-to",
					    "apparently-to",
					    "return-receipt-to",
					    "envelope-from",
					    "x-envelope-from",
					    "original-recipient",
					    "abuse-reports-to",
					    "x-complaints-to",
					    "x-report-abuse-to",
					    "x-beenthere",
					    "x-admin",
					    "list-id",
					    "expires-to",
					    "followup-to",
					    "x-loop"};
	check_field_names(c, b->arg[S_P1]);
	EACH_CONSTANT(c, b->arg[S_P1], s)
	{
		size_t i = 0;
		while (i < ARRAY_LEN(names) && !str_eqi(s, str_c(names[i])))
			i++;
		if (i == ARRAY_LEN(names))
			sieve_err(c, b->arg[S_P1],
				  T("The field \"%.*s\" holds no addresses; use the test "
				    "\"header\" for it."),
				  STR_ARG(s));
	}
	check_mime(c, n, b);
	sieve_check_match(c, n, b, b->arg[S_P2]);
}

void sieve_check_envelope(struct sieve_compiler *c, const struct sieve_node *n,
			  struct sieve_bound *b)
{
	static const struct sieve_name parts[] = {
		{"from", X_CORE},	   {"to", X_CORE},
		{"auth", X_CORE},	   {"notify", X_ENVELOPE_DSN},
		{"orcpt", X_ENVELOPE_DSN}, {"ret", X_ENVELOPE_DSN},
		{"envid", X_ENVELOPE_DSN}};
	EACH_CONSTANT(c, b->arg[S_P1], s)
	{
		size_t i = 0;
		while (i < ARRAY_LEN(parts) && !str_eqi(s, str_c(parts[i].name)))
			i++;
		if (i == ARRAY_LEN(parts))
			sieve_err(c, b->arg[S_P1], T("The envelope has no part \"%.*s\"."),
				  STR_ARG(s));
		else if (parts[i].ext != X_CORE && !sieve_has(c, parts[i].ext))
			sieve_err(c, b->arg[S_P1],
				  T("\"%.*s\" has to be asked for at the beginning of the script: "
				    "require \"%s\";"),
				  STR_ARG(s), sieve_exts[parts[i].ext].name);
		else if (i >= 3 && b->present & S_BIT(S_PART) && i != 4)
			sieve_err(c, b->arg[S_P1],
				  T("\"%.*s\" is no address: it has no parts to choose."),
				  STR_ARG(s));
	}
	sieve_check_match(c, n, b, b->arg[S_P2]);
}

void sieve_check_header(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	check_field_names(c, b->arg[S_P1]);
	check_mime(c, n, b);
	sieve_check_match(c, n, b, b->arg[S_P2]);
}

void sieve_check_exists(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	check_field_names(c, b->arg[S_P1]);
	check_mime(c, n, b);
}

void sieve_check_size(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	if (!(b->present & (S_BIT(S_OVER) | S_BIT(S_UNDER))))
		sieve_err_at(c, n, T("\"size\" needs \":over\" or \":under\"."));
}

void sieve_check_body(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	sieve_check_match(c, n, b, b->arg[S_P1]);
}

void sieve_check_keys1(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	sieve_check_match(c, n, b, b->arg[S_P1]);
}

void sieve_check_keys2(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	sieve_check_match(c, n, b, b->arg[S_P2]);
}

void sieve_check_keys3(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	sieve_check_match(c, n, b, b->arg[S_P3]);
}

void sieve_check_date(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	bool current = !b->arg[S_P3];
	const struct sieve_arg *part = b->arg[current ? S_P1 : S_P2], *zone = b->arg[S_ZONE];
	int minutes;
	if (!current)
		check_field_names(c, b->arg[S_P1]);
	EACH_CONSTANT(c, part, s)
	if (!sieve_date_part_known(s))
		sieve_err(c, part, T("A date has no part \"%.*s\"."), STR_ARG(s));
	EACH_CONSTANT(c, zone, s)
	if (!sieve_zone(s, &minutes))
		sieve_err(c, zone, T("A time zone is written as \"+0100\", not as \"%.*s\"."),
			  STR_ARG(s));
	check_mime(c, n, b);
	sieve_check_match(c, n, b, b->arg[current ? S_P2 : S_P3]);
}

static void check_flag_list(struct sieve_compiler *c, const struct sieve_arg *a)
{
	EACH_CONSTANT(c, a, s)
	{
		struct str rest = s, flag;
		while (str_cut(&rest, ' ', &flag))
			if (flag.n && !sieve_is_flag(flag))
				sieve_warn(c, a, T("\"%.*s\" is no flag of IMAP; it is ignored."),
					   STR_ARG(flag));
	}
}

static void check_variable_name(struct sieve_compiler *c, const struct sieve_arg *a)
{
	EACH_CONSTANT(c, a, s)
	if (!sieve_is_identifier(s))
		sieve_err(c, a,
			  T("\"%.*s\" is no name of a variable: letters, digits and "
			    "underscores, with no digit in front."),
			  STR_ARG(s));
}

void sieve_check_hasflag(struct sieve_compiler *c, const struct sieve_node *n,
			 struct sieve_bound *b)
{
	if (b->present & S_BIT(S_P1)) {
		if (!sieve_has(c, X_VARIABLES))
			sieve_err(c, b->arg[S_P1],
				  T("Flags in variables need: require \"variables\";"));
		check_variable_name(c, b->arg[S_P1]);
	}
	if (b->match != MATCH_COUNT && b->match != MATCH_MATCHES && b->match != MATCH_REGEX &&
	    b->match != MATCH_CONTAINS)
		check_flag_list(c, b->arg[S_P2]);
	sieve_check_match(c, n, b, b->arg[S_P2]);
}

void sieve_check_flags(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	(void)n;
	if (b->present & S_BIT(S_P1)) {
		if (!sieve_has(c, X_VARIABLES))
			sieve_err(c, b->arg[S_P1],
				  T("Flags in variables need: require \"variables\";"));
		check_variable_name(c, b->arg[S_P1]);
	}
	check_flag_list(c, b->arg[S_P2]);
}

void sieve_check_keep(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	(void)n;
	check_flag_list(c, b->arg[S_FLAGS]);
}

static void check_mailbox_name(struct sieve_compiler *c, const struct sieve_arg *a)
{
	EACH_CONSTANT(c, a, s)
	if (s.n == 0 || s.n > 1000)
		sieve_err(c, a, T("A mailbox has a name of one to 1000 octets."));
}

void sieve_check_mailbox(struct sieve_compiler *c, const struct sieve_node *n,
			 struct sieve_bound *b)
{
	(void)n;
	check_mailbox_name(c, b->arg[S_P1]);
}

/* :flags, :create, :mailboxid and :specialuse, which say how something is stored. */
static void check_storing(struct sieve_compiler *c, struct sieve_bound *b)
{
	check_flag_list(c, b->arg[S_FLAGS]);
	if (b->present & S_BIT(S_SPECIALUSE) && b->present & S_BIT(S_MAILBOXID))
		sieve_err(c, b->arg[S_SPECIALUSE],
			  T("\":specialuse\" and \":mailboxid\" exclude each other."));
	EACH_CONSTANT(c, b->arg[S_SPECIALUSE], s)
	if (s.n < 2 || s.p[0] != '\\')
		sieve_err(c, b->arg[S_SPECIALUSE],
			  T("A special use begins with a backslash, as in \"\\\\Junk\"."));
}

void sieve_check_fileinto(struct sieve_compiler *c, const struct sieve_node *n,
			  struct sieve_bound *b)
{
	(void)n;
	check_mailbox_name(c, b->arg[S_P1]);
	check_storing(c, b);
}

static void check_addresses(struct sieve_compiler *c, const struct sieve_arg *a)
{
	struct str local, domain;
	EACH_CONSTANT(c, a, s)
	if (!sieve_address(c->parser.lex.arena, s, &local, &domain))
		sieve_err(c, a, T("\"%.*s\" is no mail address."), STR_ARG(s));
}

static void check_notify_value(struct sieve_compiler *c, const struct sieve_arg *a)
{
	EACH_CONSTANT(c, a, s)
	{
		struct str rest = s, word;
		bool never = false, other = false, bad = s.n == 0;
		while (str_cut(&rest, ',', &word)) {
			never = never || str_eqi(word, STR("NEVER"));
			other = other || !str_eqi(word, STR("NEVER"));
			bad = bad ||
			      !(str_eqi(word, STR("NEVER")) || str_eqi(word, STR("DELAY")) ||
				str_eqi(word, STR("SUCCESS")) || str_eqi(word, STR("FAILURE")));
		}
		if (bad || (never && other))
			sieve_err(c, a,
				  T("\":notify\" takes \"NEVER\", or some of \"SUCCESS\", "
				    "\"FAILURE\" and \"DELAY\" separated by commas."));
	}
}

void sieve_check_redirect(struct sieve_compiler *c, const struct sieve_node *n,
			  struct sieve_bound *b)
{
	if (!(b->present & S_BIT(S_LIST)))
		check_addresses(c, b->arg[S_P1]);
	if (++c->redirects == c->parser.limits.redirects + 1)
		sieve_err_at(c, n, T("A script may hold %u redirects."),
			     c->parser.limits.redirects);
	check_notify_value(c, b->arg[S_NOTIFY]);
	EACH_CONSTANT(c, b->arg[S_RET], s)
	if (!str_eqi(s, STR("FULL")) && !str_eqi(s, STR("HDRS")))
		sieve_err(c, b->arg[S_RET], T("\":ret\" takes \"FULL\" or \"HDRS\"."));
}

void sieve_check_vacation(struct sieve_compiler *c, const struct sieve_node *n,
			  struct sieve_bound *b)
{
	uint64_t how = S_BIT(S_FLAGS) | S_BIT(S_CREATE) | S_BIT(S_MAILBOXID) | S_BIT(S_SPECIALUSE);
	if (b->present & how && !(b->present & S_BIT(S_FCC)))
		sieve_err_at(c, n, T("These tags need \":fcc\" besides."));
	check_addresses(c, b->arg[S_FROM]);
	check_addresses(c, b->arg[S_ADDRESSES]);
	check_storing(c, b);
	check_mailbox_name(c, b->arg[S_FCC]);
	if (b->present & S_BIT(S_TEXT_IS_MIME) && sieve_is_constant(c, b->arg[S_P1]->strings[0]) &&
	    str_find(b->arg[S_P1]->strings[0], 0, ':') == b->arg[S_P1]->strings[0].n)
		sieve_warn(c, b->arg[S_P1],
			   T("With \":mime\" the text begins with header fields, as "
			     "\"Content-Type: text/plain\"."));
}

void sieve_check_set(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	(void)n;
	struct str s = b->arg[S_P1]->strings[0];
	if (!sieve_is_constant(c, s))
		sieve_err(c, b->arg[S_P1], T("The name of a variable may not hold variables."));
	else if (str_startsi(s, STR("global.")) && sieve_has(c, X_INCLUDE))
		s = str_skip(s, 7);
	if (!sieve_is_identifier(s))
		sieve_err(c, b->arg[S_P1],
			  T("\"%.*s\" is no name of a variable: letters, digits and underscores, "
			    "with no digit in front."),
			  STR_ARG(s));
}

void sieve_check_in_loop(struct sieve_compiler *c, const struct sieve_node *n,
			 struct sieve_bound *b)
{
	if (!sieve_has(c, X_VARIABLES))
		sieve_err_at(c, n, T("\"extracttext\" needs: require \"variables\";"));
	else if (c->loops == 0)
		sieve_err_at(c, n, T("\"extracttext\" stands in the block of a \"foreverypart\"."));
	else
		sieve_check_set(c, n, b);
}

void sieve_check_addheader(struct sieve_compiler *c, const struct sieve_node *n,
			   struct sieve_bound *b)
{
	(void)n;
	check_new_field(c, b->arg[S_P1]);
	EACH_CONSTANT(c, b->arg[S_P2], s)
	if (!sieve_is_field_text(str_trim(s)))
		sieve_err(c, b->arg[S_P2],
			  T("The text of a new header field is one line of at most 2048 "
			    "octets, maybe folded."));
}

void sieve_check_deleteheader(struct sieve_compiler *c, const struct sieve_node *n,
			      struct sieve_bound *b)
{
	check_new_field(c, b->arg[S_P1]);
	if (b->present & S_BIT(S_EDIT_LAST) && !(b->present & S_BIT(S_EDIT_INDEX)))
		sieve_err_at(c, n, T("\":last\" needs \":index\" besides."));
	if (b->present & S_BIT(S_EDIT_INDEX) && b->arg[S_EDIT_INDEX]->number == 0)
		sieve_err(c, b->arg[S_EDIT_INDEX], T("\":index\" counts from 1."));
	EACH_CONSTANT(c, b->arg[S_P1], s)
	if (str_eqi(s, STR("received")) || str_eqi(s, STR("auto-submitted")))
		sieve_warn(c, b->arg[S_P1],
			   T("The field \"%.*s\" keeps mail from going round for ever; it "
			     "is not deleted."),
			   STR_ARG(s));
	sieve_check_match(c, n, b, b->arg[S_P2]);
}

void sieve_check_duplicate(struct sieve_compiler *c, const struct sieve_node *n,
			   struct sieve_bound *b)
{
	(void)n;
	check_field_names(c, b->arg[S_HEADER]);
}

void sieve_check_environment(struct sieve_compiler *c, const struct sieve_node *n,
			     struct sieve_bound *b)
{
	sieve_check_match(c, n, b, b->arg[S_P2]);
}

static bool is_mailto(struct str s)
{
	return str_startsi(s, STR("mailto:"));
}

void sieve_check_notify(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	uint64_t how = S_BIT(S_FLAGS) | S_BIT(S_CREATE) | S_BIT(S_MAILBOXID) | S_BIT(S_SPECIALUSE);
	struct str to;
	if (b->present & how && !(b->present & S_BIT(S_FCC)))
		sieve_err_at(c, n, T("These tags need \":fcc\" besides."));
	EACH_CONSTANT(c, b->arg[S_P1], s)
	{
		if (!is_mailto(s))
			sieve_err(c, b->arg[S_P1],
				  T("Notices go out by mail: \"mailto:\" and an address."));
		else if (!sieve_mailto(c->parser.lex.arena, s, &to))
			sieve_err(c, b->arg[S_P1], T("\"%.*s\" names nobody to write to."),
				  STR_ARG(s));
	}
	EACH_CONSTANT(c, b->arg[S_IMPORTANCE], s)
	if (s.n != 1 || s.p[0] < '1' || s.p[0] > '3')
		sieve_err(c, b->arg[S_IMPORTANCE],
			  T("\":importance\" takes \"1\" (high), \"2\" or \"3\"."));
	EACH_CONSTANT(c, b->arg[S_OPTIONS], s)
	if (str_find(s, 0, '=') == s.n || str_find(s, 0, '=') == 0)
		sieve_err(c, b->arg[S_OPTIONS], T("\":options\" takes texts as \"name=value\"."));
	check_addresses(c, b->arg[S_FROM]);
	check_storing(c, b);
	check_mailbox_name(c, b->arg[S_FCC]);
}

void sieve_check_capability(struct sieve_compiler *c, const struct sieve_node *n,
			    struct sieve_bound *b)
{
	sieve_check_match(c, n, b, b->arg[S_P3]);
}

void sieve_check_include(struct sieve_compiler *c, const struct sieve_node *n,
			 struct sieve_bound *b)
{
	(void)n;
	const struct sieve_arg *a = b->arg[S_P1];
	bool global = b->present & S_BIT(S_GLOBAL);
	struct str name = a->strings[0];
	if (!sieve_is_constant(c, name))
		sieve_err(c, a, T("The name of an included script may not hold variables."));
	else if (name.n == 0 || name.n > 128 || str_find(name, 0, '/') < name.n)
		sieve_err(c, a, T("A script has a name of one to 128 octets, without a slash."));
	else if (c->options->script_exists && !(b->present & S_BIT(S_OPTIONAL)) &&
		 !c->options->script_exists(c->options->ctx, global, name))
		sieve_warn(c, a, T("There is no script \"%.*s\" yet."), STR_ARG(name));
}

void sieve_check_global(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
{
	if (!sieve_has(c, X_VARIABLES))
		sieve_err_at(c, n, T("\"global\" needs: require \"variables\";"));
	check_variable_name(c, b->arg[S_P1]);
}
