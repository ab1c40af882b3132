/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "tools/sieve/tool.h"
#include <fcntl.h>

bool words_take(int argc, char **argv, struct words *w)
{
	*w = (struct words){0};
	const struct {
		const char *name;
		bool *flag;
		const char **text;
	} options[] = {{"--json", &w->json, NULL},
		       {"--program", &w->program, NULL},
		       {"--extensions", &w->extensions, NULL},
		       {"--quiet", &w->quiet, NULL},
		       {"--time", &w->time, NULL},
		       {"--from", NULL, &w->from},
		       {"--to", NULL, &w->to},
		       {"--scripts", NULL, &w->scripts},
		       {"--global", NULL, &w->global},
		       {"--spam", NULL, &w->spam},
		       {"--virus", NULL, &w->virus},
		       {"--now", NULL, &w->now},
		       {"--seen", NULL, &w->seen},
		       {"--mailbox", NULL, NULL}};
	for (int i = 0; i < argc; i++) {
		size_t k = 0;
		if (argv[i][0] != '-' || argv[i][1] == '\0') {
			if (w->n_files == NAMES_MAX)
				return false;
			w->files[w->n_files++] = argv[i];
			continue;
		}
		while (k < ARRAY_LEN(options) && strcmp(options[k].name, argv[i]) != 0)
			k++;
		if (k == ARRAY_LEN(options) || (!options[k].flag && i + 1 == argc)) {
			(void)fprintf(stderr, T("Unknown option, or one without its value: %s\n"),
				      argv[i]);
			return false;
		}
		if (options[k].flag)
			*options[k].flag = true;
		else if (options[k].text)
			*options[k].text = argv[++i];
		else if (w->n_mailboxes < NAMES_MAX)
			w->mailboxes[w->n_mailboxes++] = argv[++i];
	}
	return true;
}

bool read_file(const char *path, struct buf *out)
{
	AUTO_FD int fd = strcmp(path, "-") == 0 ? dup(0) : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0) {
		char *room = buf_room(out, 65536);
		if (!room) {
			(void)fprintf(stderr, T("%s is too large.\n"), path);
			return false;
		}
		n = read(fd, room, 65536);
		if (n > 0)
			buf_added(out, (size_t)n);
	}
	if (n < 0)
		(void)fprintf(stderr, T("Cannot read %s: %m\n"), path);
	return n == 0;
}
