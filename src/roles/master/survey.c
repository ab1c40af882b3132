/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What admin tells monitoring: the processes with their memory and descriptors, everything that
 * they have counted, the disk. Roles that do not answer in time are in the list without counts.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "sys/counter.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STATS_MS    1500
#define SAMPLES_MAX 30000u

struct survey {
	struct master *m;
	struct ipc_packet *request;
	size_t open;		     /* roles that have not answered */
	struct ipc_packet **answers; /* by child; the names of samples live there */
	VEC(struct msg_sample) samples;
};
struct survey_ask {
	struct ipc_ask ask;
	struct survey *survey;
	size_t child;
};

/* --- by /proc
 * ---------------------------------------------------------------------------------------- */

static uint64_t resident_bytes(pid_t pid)
{
	char path[64], text[200] = "";
	unsigned long long size, resident = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0 ||
	    sscanf(text, "%llu %llu", &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* 0: we may not look (roles are not dumpable, so only root may). */
static uint32_t descriptors(pid_t pid)
{
	char path[64];
	uint32_t n = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	if (!d)
		return 0;
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n > 2 ? n - 2 : 0; /* . and .. */
}

static struct msg_survey_role describe(const char *role, unsigned index, pid_t pid)
{
	return (struct msg_survey_role){.role = str_c(role),
					.index = (uint16_t)index,
					.pid = (uint32_t)pid,
					.rss_bytes = pid > 0 ? resident_bytes(pid) : 0,
					.descriptors = pid > 0 ? descriptors(pid) : 0};
}

/* --- the answer
 * -------------------------------------------------------------------------------------- */

static void add_sample(struct survey *s, size_t process, struct str name, uint64_t value)
{
	if (s->samples.n < SAMPLES_MAX)
		*vec_push(&s->samples) = (struct msg_sample){
			.process = (uint16_t)process, .name = name, .value = value};
}

static void own_counter(void *arg, const struct counter *c)
{
	add_sample(arg, 0, str_c(c->name), counter_get(c));
}

/* `process`: its place in the answer, where spare children do not stand. */
static void take_counters(struct survey *s, size_t child, size_t process)
{
	struct msg_stats_reply m;
	if (!s->answers[child] || msg_stats_reply_read(s->answers[child], &m) < 0)
		return;
	for (size_t i = 0; i < m.counters_n; i++)
		add_sample(s, process, m.counters[i].name, m.counters[i].value);
}

static void survey_reply(struct survey *s)
{
	struct master *m = s->m;
	struct statvfs disk = {0};
	struct msg_survey_role *roles = xcalloc(m->children_n + 1, sizeof *roles);
	roles[0] = describe("master", 0, getpid());
	roles[0].ready = true;
	counter_each(own_counter, s);
	size_t n = 1;
	for (size_t i = 0; i < m->children_n; i++) {
		const struct child *c = &m->children[i];
		if (c->state == CHILD_SPARE)
			continue;
		roles[n] = describe(c->kind->name, c->index, c->pid);
		roles[n].ready = c->state == CHILD_READY;
		roles[n].restarts = c->restarts;
		take_counters(s, i, n++);
	}
	(void)fstatvfs(m->state_fd, &disk);
	struct msg_survey_reply reply = {.roles = roles,
					 .roles_n = n,
					 .samples = s->samples.p,
					 .samples_n = s->samples.n,
					 .disk_free = (uint64_t)disk.f_bavail * disk.f_frsize,
					 .disk_size = (uint64_t)disk.f_blocks * disk.f_frsize,
					 .started_us = m->started.v};
	(void)ipc_reply(s->request, IPC_SURVEY_REPLY, &reply);
	free(roles);
}

static void release(struct survey *s)
{
	if (--s->open > 0)
		return;
	survey_reply(s);
	for (size_t i = 0; i < s->m->children_n; i++)
		ipc_packet_free(s->answers[i]);
	free((void *)s->answers);
	vec_clear(&s->samples);
	ipc_packet_free(s->request);
	free(s);
}

static void counted(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct survey_ask *one = CONTAINER_OF(a, struct survey_ask, ask);
	(void)r;
	(void)why;
	one->survey->answers[one->child] = p;
	release(one->survey);
	free(one);
}

void survey(struct master *m, struct ipc_packet *request)
{
	static const struct msg_stats nothing = {0};
	struct ipc_question q = {.type = IPC_STATS,
				 .msg = &nothing,
				 .want = IPC_STATS_REPLY,
				 .deadline_ms = STATS_MS,
				 .only_while_up = true};
	struct survey *s = xcalloc(1, sizeof *s);
	s->m = m;
	s->request = request;
	s->answers = xcalloc(m->children_n, sizeof *s->answers);
	s->open = 1;
	for (size_t i = 0; i < m->children_n; i++) {
		if (m->children[i].state != CHILD_READY)
			continue;
		struct survey_ask *one = xcalloc(1, sizeof *one);
		*one = (struct survey_ask){.ask.done = counted, .survey = s, .child = i};
		s->open++;
		ipc_ask(m->children[i].control, &q, &one->ask);
	}
	release(s);
}
