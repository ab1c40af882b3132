/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/progress.h"
#include "base/text.h"
#include "sys/clock.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TERMINAL_NS (SEC_NS / 5)
#define LOG_NS	    (10 * SEC_NS)

const char *progress_bytes(uint64_t n, char text[32])
{
	static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
	double v = (double)n;
	size_t u = 0;
	while (v >= 1000 && u < 4) {
		v /= 1000;
		u++;
	}
	(void)snprintf(text, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return text;
}

void progress_begin(struct progress *p, const char *unit, uint64_t total)
{
	bool quiet = p->quiet;
	*p = (struct progress){.unit = unit,
			       .total = total,
			       .began = clock_mono(),
			       .quiet = quiet,
			       .bytes = strcmp(unit, "bytes") == 0,
			       .terminal = isatty(STDERR_FILENO)};
	p->shown = p->began;
}

double progress_seconds(const struct progress *p)
{
	double s = (double)(clock_mono().v - p->began.v) / (double)SEC_NS;
	return s > 0.001 ? s : 0.001;
}

static void show(const struct progress *p)
{
	char done[32], total[32], rate[32];
	double s = progress_seconds(p);
	double per_s = (double)p->done / s;
	if (p->bytes) {
		(void)fprintf(stderr, "%s", progress_bytes(p->done, done));
		if (p->total)
			(void)fprintf(stderr, " of %s", progress_bytes(p->total, total));
		(void)fprintf(stderr, ", %s/s", progress_bytes((uint64_t)per_s, rate));
	} else {
		(void)fprintf(stderr, "%llu", (unsigned long long)p->done);
		if (p->total)
			(void)fprintf(stderr, " of %llu", (unsigned long long)p->total);
		(void)fprintf(stderr, " %s, %.0f/s", p->unit, per_s);
	}
	if (p->total > p->done && per_s > 0)
		(void)fprintf(stderr, T(", %.0f s to go"), (double)(p->total - p->done) / per_s);
}

void progress_add(struct progress *p, uint64_t n)
{
	struct mono_ns now = clock_mono();
	p->done += n;
	if (p->quiet || now.v - p->shown.v < (p->terminal ? TERMINAL_NS : LOG_NS))
		return;
	p->shown = now;
	if (p->terminal)
		(void)fputs("\r\033[K", stderr);
	show(p);
	if (!p->terminal)
		(void)fputc('\n', stderr);
}

void progress_end(struct progress *p)
{
	if (p->terminal && !p->quiet && p->shown.v != p->began.v)
		(void)fputs("\r\033[K", stderr);
}
