/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spf_run.c - evaluate SPF for checks read from standard input.
 *
 * Lines "ZONE " and a line of codec/spf/spf_testing.h make a zone, "ASK", tab, address, tab, HELO,
 * tab, sender asks it, and "END" forgets it. Each ASK is answered by a line: result, mechanism,
 * explanation, problem, parted by tabs. For spf_vectors.py.
 */
#include "codec/spf/spf_testing.h"
#include <stdio.h>

static void ask(struct str line, struct spf_zone *zone)
{
	AUTO(arena) struct arena a = ARENA_INIT(4U << 20);
	struct spf_question q = {.receiver = STR("receiver.example.org"), .now = 1700000000};
	struct spf_dns dns = {zone, zone_ask};
	struct spf_verdict v;
	struct str ip;
	char c[64];
	str_cut(&line, '\t', &ip);
	str_cut(&line, '\t', &q.helo);
	q.sender = line;
	snprintf(c, sizeof(c), "%.*s", STR_ARG(ip));
	q.ip_n = inet_pton(AF_INET6, c, q.ip) == 1 ? 16 : 4;
	if (q.ip_n == 4 && inet_pton(AF_INET, c, q.ip) != 1)
		fprintf(stderr, "no address: %s\n", c);
	spf_check(&q, &dns, &a, &v);
	printf("%s\t%.*s\t%.*s\t%.*s\n", spf_result_name(v.result), STR_ARG(v.mechanism),
	       STR_ARG(v.explanation), STR_ARG(v.problem));
	fflush(stdout);
}

int main(void)
{
	AUTO(buf) struct buf text = BUF_INIT(4U << 20);
	static char line[65536];
	while (fgets(line, sizeof(line), stdin)) {
		struct str s = str_c(line);
		if (str_ends(s, STR("\n")))
			s.n--;
		struct spf_zone zone = {.text = buf_str(&text)};
		if (str_starts(s, STR("ZONE "))) {
			buf_add(&text, str_skip(s, 5));
			buf_addc(&text, '\n');
		} else if (str_starts(s, STR("ASK\t"))) {
			ask(str_skip(s, 4), &zone);
		} else {
			buf_reset(&text);
		}
	}
	return 0;
}
