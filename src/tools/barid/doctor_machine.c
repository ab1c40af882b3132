/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine below the server: clock, disk, limits, kernel.
 */
#include "base/check.h"
#include "base/text.h"
#include "sys/clock.h"
#include "tools/barid/doctor.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SYNCS	     17
#define SYNC_SLOW_MS 20.0

static void check_clock(struct doctor *d)
{
	struct timex t = {0};
	int state = adjtimex(&t);
	if (state < 0 || state == TIME_ERROR || (t.status & STA_UNSYNC)) {
		doctor_say(d, DOCTOR_WARN, "clock",
			   "nothing keeps the clock right; wrong time breaks TLS, one-time codes "
			   "and the dates of mail");
		doctor_mend(d, "timedatectl set-ntp true\nor: apt install chrony");
		return;
	}
	doctor_say(d, DOCTOR_OK, "clock", "synchronised, within %.1f ms",
		   (double)t.esterror / 1000.0);
}

static void check_file_system(struct doctor *d, const struct statfs *s)
{
	const char *kind = NULL;
	if (s->f_type == TMPFS_MAGIC || s->f_type == RAMFS_MAGIC)
		kind = T("in memory: everything is lost at the next start of the machine");
	else if (s->f_type == NFS_SUPER_MAGIC || s->f_type == SMB_SUPER_MAGIC ||
		 s->f_type == SMB2_SUPER_MAGIC)
		kind = T("on a network file system, on which databases are not safe");
	if (!kind)
		return;
	doctor_say(d, DOCTOR_BAD, "disk", "%s is %s", d->state_dir, kind);
	doctor_mend(d, "Put state_dir on a local disk (ext4, xfs, btrfs, zfs).");
}

static void check_space(struct doctor *d, const struct statfs *s)
{
	uint64_t block = (uint64_t)s->f_bsize;
	uint64_t total = s->f_blocks * block, left = s->f_bavail * block;
	double gib = (double)left / (double)GIB(1);
	bool few_files = s->f_files && s->f_ffree < s->f_files / 20;
	if (left < MIB(500) || left < total / 100)
		doctor_say(d, DOCTOR_BAD, "disk", "%.1f GiB left for mail in %s", gib,
			   d->state_dir);
	else if (left < GIB(5) || left < total / 10)
		doctor_say(d, DOCTOR_WARN, "disk", "%.1f GiB left for mail in %s", gib,
			   d->state_dir);
	else
		doctor_say(d, DOCTOR_OK, "disk", "%.0f GiB left for mail in %s", gib, d->state_dir);
	if (left < GIB(5) || left < total / 10)
		doctor_mend(d, "Find what fills it: du -xh %s | sort -h | tail", d->state_dir);
	if (few_files) {
		doctor_say(d, DOCTOR_WARN, "disk", "only %llu more files fit on the disk",
			   (unsigned long long)s->f_ffree);
		doctor_mend(d, "df -i shows it; the file system needs more inodes.");
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* What each accepted message waits for at least: the median of a few writes that are synced. */
static void check_sync(struct doctor *d)
{
	static char page[4096];
	double ms[SYNCS];
	AUTO_FD int fd = open(d->state_dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	for (size_t i = 0; i < SYNCS; i++) {
		struct mono_ns begin = clock_mono();
		if (fd < 0 || pwrite(fd, page, sizeof page, (off_t)(i * sizeof page)) < 0 ||
		    fdatasync(fd) < 0) {
			doctor_say(d, DOCTOR_SKIPPED, "disk", "cannot write in %s: %s",
				   d->state_dir, strerror(errno));
			return;
		}
		ms[i] = (double)(clock_mono().v - begin.v) / (double)MS_NS;
	}
	qsort(ms, SYNCS, sizeof *ms, compare);
	if (ms[SYNCS / 2] <= SYNC_SLOW_MS) {
		doctor_say(d, DOCTOR_OK, "disk", "a write reaches it in %.1f ms", ms[SYNCS / 2]);
		return;
	}
	doctor_say(d, DOCTOR_WARN, "disk",
		   "a write takes %.0f ms to reach it: every sender waits so long", ms[SYNCS / 2]);
	doctor_mend(d, "Use a disk with a protected write cache, or an SSD.");
}

static void check_disk(struct doctor *d)
{
	struct statfs s;
	if (!d->state_dir)
		return;
	if (statfs(d->state_dir, &s) < 0) {
		doctor_say(d, DOCTOR_BAD, "disk", "%s: %s", d->state_dir, strerror(errno));
		doctor_mend(d, "barid init makes it.");
		return;
	}
	check_file_system(d, &s);
	check_space(d, &s);
	check_sync(d);
}

static long read_number(const char *path)
{
	long v = -1;
	FILE *f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%ld", &v) != 1)
		v = -1;
	(void)fclose(f);
	return v;
}

static void check_kernel(struct doctor *d)
{
	struct utsname u = {0};
	struct sysinfo memory = {0};
	long backlog = read_number("/proc/sys/net/core/somaxconn");
	long landlock =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	(void)uname(&u);
	(void)sysinfo(&memory);
	if (landlock < 1) {
		doctor_say(d, DOCTOR_WARN, "kernel",
			   "%s has no Landlock: the processes are kept from files by their users "
			   "alone",
			   u.release);
		doctor_mend(d,
			    "Use Debian's kernel; \"landlock\" must be in the kernel's lsm= list.");
	} else {
		doctor_say(d, DOCTOR_OK, "kernel", "%s, Landlock %ld", u.release, landlock);
	}
	if (backlog >= 0 && backlog < 1024) {
		doctor_say(d, DOCTOR_WARN, "kernel",
			   "no more than %ld connections may wait to be accepted", backlog);
		doctor_mend(d, "sysctl -w net.core.somaxconn=4096   (and in /etc/sysctl.d/)");
	}
	if (memory.totalram * memory.mem_unit < MIB(400)) {
		doctor_say(d, DOCTOR_WARN, "memory", "the machine has %llu MiB",
			   (unsigned long long)(memory.totalram * memory.mem_unit / MIB(1)));
		doctor_mend(d, "512 MiB are enough for a small organisation.");
	}
}

void doctor_machine(struct doctor *d)
{
	check_clock(d);
	check_disk(d);
	check_kernel(d);
}
