/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master.h - the process that owns ports, configuration and the other processes.     [roles]
 *
 * It runs as root where it may (to bind low ports and give each role its own user) and parses
 * nothing that comes from outside: the configuration is the operator's, the control socket is
 * open to root and to master's own user only.
 */
#ifndef BARID_ROLES_MASTER_MASTER_H
#define BARID_ROLES_MASTER_MASTER_H

#include "base/fail.h"
#include "runtime/conf.h"

struct master_options {
	struct conf *conf;     /* borrowed; numbers left to us are filled in */
	const char *conf_path; /* the file that it was read from, for reloads */
	const char *libexec;   /* folder of the role executables */
	bool say_ready;	       /* print "ready" on standard output when every listener serves */
};

/*
 * Serve until SIGTERM or SIGINT. Returns the exit status of the process: 0 after an orderly end,
 * 1 when it could not start (the reason is in the log), 78 when its files are of a later barid or
 * not barid's.
 */
int master_run(const struct master_options *o);

/* Name of the control socket below the state folder. */
#define MASTER_SOCKET "control.sock"

/*
 * The same for the next generation: the process is the old master, in which the new program runs
 * now; `fd` is what it left (handoff.h). `libexec` is borrowed.
 */
int master_adopt(int fd);
/*
 * Would that work? Prints what is known of this build, and "rolling" or "restart" (how the roles
 * would be replaced), or says on standard error why not. Returns an exit status.
 */
int master_self_check(int fd, const char *libexec);

#endif
