/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff.h - what one generation of master leaves to the next.              [roles, private]
 *
 * A sealed memory file: a magic number, then records of tag (u16), length (u32) and bytes. A reader
 * passes over tags that it does not know and has defaults for those that are missing, so that both
 * an older and a newer build can write it. docs/formats/handoff.md.
 */
#ifndef BARID_ROLES_MASTER_HANDOFF_H
#define BARID_ROLES_MASTER_HANDOFF_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/vec.h"
#include "runtime/ipc/ipc.h"
#include "runtime/seal.h"

#define HANDOFF_MAX MIB(32)

struct handoff_child {
	char role[16];
	char build[80], version[40];
	char sandbox[200];
	uint32_t index, generation, restarts;
	uint32_t pid;
	int control; /* descriptor */
	struct ipc_numbers numbers;
	bool draining;
	bool has_log_level;
	uint8_t log_level;
};

struct handoff_listener {
	char service[16];
	char address[64];
	int fd;
};

/* Texts are borrowed from what was read. */
struct handoff {
	struct str build, version, schema;
	struct str about; /* lines "format NAME N" and "state NAME N" of all roles */
	struct str conf;  /* canonical */
	struct str conf_path, libexec;
	uint64_t revision, generation;
	int64_t since_us, started_us, bent_us;
	unsigned char seal_key[SEAL_KEY_SIZE];
	struct str tickets; /* keys of TLS session tickets */
	uint32_t blob_gid;
	int state_fd, lock_fd, admin_fd; /* -1: none */
	bool say_ready;
	VEC(struct handoff_listener) listeners;
	VEC(struct msg_identity) identities;
	VEC(struct handoff_child) children;
};

#define HANDOFF_INIT ((struct handoff){.state_fd = -1, .lock_fd = -1, .admin_fd = -1})
void handoff_write(const struct handoff *h, struct buf *out);
/* -FAIL_UNSUPPORTED: not ours, or damaged. */
MUST_CHECK int handoff_read(struct str bytes, struct handoff *ret, struct fail *why);
void handoff_clear(struct handoff *h);
DEFINE_AUTO(handoff, struct handoff, handoff_clear);

#endif
