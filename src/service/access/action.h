/* SPDX-License-Identifier: Apache-2.0 */
/*
 * action.h - the right half of a line of a table.                           [service/access only]
 */
#ifndef BARID_SERVICE_ACCESS_ACTION_H
#define BARID_SERVICE_ACCESS_ACTION_H

#include "service/access/access.h"

struct action {
	enum access_act act;
	unsigned code;
	char status[12];
	struct str text; /* borrowed */
};

/* NULL when it is good; else what is wrong with it, for people. */
MUST_CHECK const char *action_parse(struct str s, struct action *ret);
/* Of a table of content. */
MUST_CHECK const char *action_parse_content(struct str s, struct action *ret);

#endif
