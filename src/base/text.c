/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "base/text_int.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN 20

static const struct text_language *of_process;
static _Thread_local const struct text_language *of_thread;

/* --- which language --- */

/* pt-br, pt_BR and PT_br are the same. */
static bool same_name(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char x = a[i] == '-' ? '_' : a[i];
		char y = b[i];
		if (strncasecmp(&x, &y, 1) != 0)
			return false;
	}
	return b[n] == '\0';
}

static const struct text_language *find(const char *name, size_t n)
{
	for (size_t i = 0; n && i < text_table_n; i++)
		if (strlen(text_table[i].name) == n && same_name(name, text_table[i].name, n))
			return &text_table[i];
	return NULL;
}

static bool is_utf8(const char *charset, size_t n)
{
	return (n == 5 && strncasecmp(charset, "UTF-8", n) == 0) ||
	       (n == 4 && strncasecmp(charset, "UTF8", n) == 0);
}

/* language[_country][.charset][@variant] */
const struct text_language *text_find_language(const char *name)
{
	if (!name || strnlen(name, NAME_MAX_LEN * 2) == NAME_MAX_LEN * 2)
		return NULL;
	size_t country = strcspn(name, ".@");
	if (name[country] == '.' && !is_utf8(name + country + 1, strcspn(name + country + 1, "@")))
		return NULL;
	const struct text_language *lang = find(name, country);
	return lang ? lang : find(name, strcspn(name, "_-.@"));
}

const char *text_language_name(const struct text_language *lang)
{
	return lang ? lang->name : "en";
}

const char *text_languages(void)
{
	return text_table_names;
}

void text_set_language(const struct text_language *lang)
{
	of_process = lang;
}

void text_set_language_from_environment(void)
{
	static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);
		if (value && *value) {
			text_set_language(text_find_language(value));
			return;
		}
	}
}

const struct text_language *text_speak(const struct text_language *lang)
{
	const struct text_language *before = of_thread;
	of_thread = lang;
	return before;
}

const struct text_language *text_spoken(void)
{
	return of_thread ? of_thread : of_process;
}

/* --- which text --- */

static const char *look_up(const struct text_language *lang, const char *msgid)
{
	size_t low = 0, high = lang->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(msgid, lang->bytes + lang->rows[mid].msgid);
		if (c == 0)
			return lang->bytes + lang->rows[mid].text;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const char *text_in(const struct text_language *lang, const char *msgid)
{
	const char *found = lang && msgid && *msgid ? look_up(lang, msgid) : NULL;
	return found ? found : msgid;
}

const char *text_n_in(const struct text_language *lang, const char *one, const char *many,
		      unsigned long long n)
{
	const char *found = lang ? look_up(lang, one) : NULL;
	if (!found)
		return n == 1 ? one : many;
	unsigned form = lang->form(n);
	for (unsigned i = 0; i < form && i + 1 < lang->forms; i++)
		found += strlen(found) + 1;
	return found;
}

const char *text_of(const char *msgid)
{
	return text_in(text_spoken(), msgid);
}

const char *text_n(const char *one, const char *many, unsigned long long n)
{
	return text_n_in(text_spoken(), one, many, n);
}

void text_copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size);
	if (n == size) {
		n = size - 1;
		while (n && ((unsigned char)from[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(to, from, n);
	to[n] = '\0';
}
