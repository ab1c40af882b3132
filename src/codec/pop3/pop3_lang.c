/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pop3/pop3_lang.h"
#include "base/text.h"

#define RANGE_MAX 20

static void write_list(struct buf *out)
{
	struct str rest = str_c(text_languages()), one;
	(void)buf_addf(out, "+OK %s\r\nen\r\n", T("These are the languages."));
	while (rest.n && str_cut(&rest, ' ', &one))
		if (one.n)
			(void)buf_addf(out, "%.*s\r\n", STR_ARG(one));
	(void)buf_add(out, STR(".\r\n"));
}

static bool is_english(struct str range)
{
	return str_eqi(range, STR("en")) || str_startsi(range, STR("en-"));
}

bool pop3_lang(struct buf *out, struct str range, const char *usual,
	       const struct text_language **lang)
{
	char name[RANGE_MAX + 1];
	if (range.n == 0) {
		write_list(out);
		return false;
	}
	if (str_eq(range, STR("*")))
		range = text_find_language(usual) ? str_c(usual) : STR("en");
	(void)snprintf(name, sizeof name, "%.*s", STR_ARG(str_sub(range, 0, RANGE_MAX)));
	const struct text_language *found = text_find_language(name);
	if (range.n > RANGE_MAX || (!found && !is_english(range))) {
		(void)buf_addf(out, "-ERR %s\r\n", T("There is no such language here."));
		return false;
	}
	*lang = found;
	(void)buf_addf(out, "+OK %s %s\r\n", text_language_name(found),
		       text_in(found, TX("The language has changed.")));
	return true;
}
