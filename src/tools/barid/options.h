/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - words and --options of one command.                                          [tools]
 */
#ifndef BARID_TOOLS_BARID_OPTIONS_H
#define BARID_TOOLS_BARID_OPTIONS_H

#include "tools/barid/cli.h"

struct option {
	const char *name;  /* "--keep" */
	bool *flag;	   /* one of the three is set: an option without a value, */
	const char **text; /* with one, */
	uint64_t *number;  /* or with a number */
};
/*
 * Sort what follows the command's name. Words that are no options go to words[0..]; false (and a
 * message) for an option that is not known, lacks its value, or for too many words.
 */
bool options_take(const struct cli *c, const struct option *options, size_t n_options,
		  const char **words, size_t max_words, size_t *ret_words);

#endif
