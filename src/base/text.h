/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - sentences for people, in their language.                           [base]
 *
 * Texts stand in the code, in English, and are marked where they stand:
 *
 *     (void)fprintf(stderr, T("There is no mailbox %s here.\n"), name);
 *     static const char *const states[] = {TX("starting"), TX("ready")};   ... text_of(states[i])
 *     (void)printf(TN("%zu message\n", "%zu messages\n", n), n);
 *
 * and some functions take such texts without a mark, because all that they are given is one:
 * fail_set, refuse, doctor_say ...; tools/dev/text_marks.py names them. The gate `check-text` makes
 * sure that po/barid.pot holds every one and that none is glued together.
 *
 * The translations po/LL.po are compiled into a table of the program: no file is opened and nothing
 * allocated, so a sandboxed role can use them, and what is returned lives as long as the program.
 * What is not translated comes back in English.
 *
 * In which language? That of the thread (text_speak) if it has one, else that of the process
 * (text_set_language), else English. SMTP and IMAP replies are English always; reports to a user
 * are in the user's language, which is named with text_in.
 */
#ifndef BARID_BASE_TEXT_H
#define BARID_BASE_TEXT_H

#include "attr.h"
#include <stdbool.h>

#define FORMAT_ARG(n) __attribute__((format_arg(n)))

struct text_language; /* of the program; NULL is English */

/* Only a literal compiles. */
#define T(literal) text_of("" literal "")
/* Marked, and translated where it is used. */
#define TX(literal) ("" literal "")
/* The same as an argument, where a format is checked. */
#define T_MARK(literal) "" literal ""
/* For one, and for another number; `n` chooses the form of the language. Both have the same
 * conversions; where there is one, the first may leave out the number. */
#define TN(one, many, n) text_n("" one "", "" many "", (n))

/*
 * The language of "de", "de_DE", "de_DE.UTF-8", "pt-br": the exact one or else the one of the part
 * before the country. NULL when there is none (then English it is), or when the name asks for
 * another encoding than UTF-8.
 */
const struct text_language *text_find_language(const char *name);
/* "de"; "en" of NULL. */
const char *text_language_name(const struct text_language *lang);
/* "de fr", separated by blanks; "" when there is none. */
const char *text_languages(void);

/* Of the process. Once, before there are threads. */
void text_set_language(const struct text_language *lang);
/* The same as LC_ALL, LC_MESSAGES and LANG say, the first of them that is set. */
void text_set_language_from_environment(void);
/* Of this thread, until called again; returns what it was. NULL: the one of the process. */
const struct text_language *text_speak(const struct text_language *lang);

/* What T() speaks in this thread now. */
const struct text_language *text_spoken(void);

const char *text_of(const char *msgid) FORMAT_ARG(1);
const char *text_n(const char *one, const char *many, unsigned long long n) FORMAT_ARG(1)
	FORMAT_ARG(2);
const char *text_in(const struct text_language *lang, const char *msgid) FORMAT_ARG(2);
const char *text_n_in(const struct text_language *lang, const char *one, const char *many,
		      unsigned long long n) FORMAT_ARG(2) FORMAT_ARG(3);

/* Copy; what does not fit is cut between characters, never within one. */
void text_copy(char *to, size_t size, const char *from);

#endif
