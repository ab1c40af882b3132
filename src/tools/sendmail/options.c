/* SPDX-License-Identifier: Apache-2.0 */
/* The options of sendmail. Most of them mean something to other programs' queues: they are taken
 * and ignored. */
#include "base/text.h"
#include "tools/sendmail/sendmail.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char known[] = "A:B:C:D:d:F:f:Gh:IiL:mN:nO:o:p:q::R:r:sTtUV:vX:b:";

static int set_mode(struct sendmail_options *o, const char *mode)
{
	static const struct {
		char letter;
		enum sendmail_mode mode;
	} modes[] = {{'m', SENDMAIL_DELIVER},
		     {'s', SENDMAIL_SMTP},
		     {'v', SENDMAIL_VERIFY},
		     {'p', SENDMAIL_LIST},
		     {'i', SENDMAIL_ALIASES}};
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (mode[0] == modes[i].letter) {
			o->mode = modes[i].mode;
			return 0;
		}
	(void)fprintf(stderr, T("sendmail: -b%s is not known here\n"), mode);
	return EX_USAGE;
}

static int set(struct sendmail_options *o, int option, const char *value)
{
	switch (option) {
	case 'b':
		return set_mode(o, value);
	case 'B':
		o->eightbit = str_eqi(str_c(value), STR("8BITMIME"));
		break;
	case 'f':
	case 'r':
		o->sender = str_c(value);
		if (str_eq(o->sender, STR("<>")))
			o->sender = STR("");
		break;
	case 'F':
		o->name = str_c(value);
		break;
	case 'N':
		o->notify = str_c(value);
		break;
	case 'R':
		o->ret = str_c(value);
		break;
	case 'V':
		o->envid = str_c(value);
		break;
	case 'I':
		o->mode = SENDMAIL_ALIASES;
		break;
	case 'q':
		o->mode = SENDMAIL_FLUSH;
		break;
	case 't':
		o->from_header = true;
		break;
	case 'i':
		o->dot_is_data = true;
		break;
	case 'o':
		o->dot_is_data |= strcmp(value, "i") == 0;
		break;
	case '?':
		return EX_USAGE;
	default: /* -v, -G, -h, -O, -oem ...: nothing to do */
		break;
	}
	return 0;
}

static bool is_list(struct str s, const char *const *words)
{
	struct str word;
	while (str_cut(&s, ',', &word)) {
		size_t i = 0;
		while (words[i] && !str_eqi(str_trim(word), str_c(words[i])))
			i++;
		if (!words[i])
			return false;
	}
	return true;
}

/* What would go into the dialogue as it is must be of words that we know. */
static int check(const struct sendmail_options *o)
{
	static const char *const notify[] = {"never", "success", "failure", "delay", NULL};
	static const char *const ret[] = {"full", "hdrs", NULL};
	if (!is_list(o->notify, notify) || !is_list(o->ret, ret)) {
		(void)fputs(
			T("sendmail: -N takes never or success, failure, delay; -R full or hdrs\n"),
			stderr);
		return EX_USAGE;
	}
	return 0;
}

int sendmail_options_read(int argc, char **argv, struct sendmail_options *ret)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	int option, r = 0;
	*ret = (struct sendmail_options){.mode = strcmp(name, "mailq") == 0 ? SENDMAIL_LIST
						 : strcmp(name, "newaliases") == 0
							 ? SENDMAIL_ALIASES
							 : SENDMAIL_DELIVER};
	optind = 0; /* glibc: from the beginning */
	while (r == 0 && (option = getopt(argc, argv, known)) >= 0)
		r = set(ret, option, optarg);
	if (r == 0)
		r = check(ret);
	for (int i = optind; r == 0 && i < argc; i++)
		*(struct str *)vec_push(&ret->rcpts.v) = str_c(argv[i]);
	return r;
}

void sendmail_options_clear(struct sendmail_options *o)
{
	vec_clear(&o->rcpts.v);
}
