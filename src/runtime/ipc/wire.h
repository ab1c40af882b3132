/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - one message between roles as bytes and descriptors.                  [runtime, private
 * to ipc]
 *
 * A datagram is a 24-byte header (struct ipc_head, little-endian) and a body written by the
 * generated code. A body over IPC_INLINE_MAX travels as a sealed memfd, the datagram's last
 * descriptor. A receiver trusts nothing: sizes, counts, types and seals are checked, a body must
 * be consumed to its last byte.
 */
#ifndef BARID_RUNTIME_IPC_WIRE_H
#define BARID_RUNTIME_IPC_WIRE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/num.h"
#include "ipc_msg.h"
#include "sys/fdpass.h"

#define IPC_DATAGRAM_MAX KIB(64)
#define IPC_INLINE_MAX	 KIB(60)
#define IPC_BODY_MAX	 MIB(32)
#define IPC_FDS_MAX	 16
#define IPC_HEAD_SIZE	 24

enum ipc_flag {
	IPC_REPLY = 1u << 0,   /* answers the request of this number */
	IPC_SPILLED = 1u << 1, /* the body is in the last descriptor */
	IPC_CREDIT = 1u << 2,  /* carries credits only */
};

struct ipc_head {
	uint16_t type; /* enum ipc_type */
	uint8_t flags;
	uint8_t fds;
	uint32_t request; /* 0 = no answer wanted */
	uint64_t trace;
	uint32_t deadline_ms; /* how long the sender will wait */
	uint32_t credits;     /* messages that the sender of this has finished with */
};

struct ipc_packet {
	struct ipc_head head;
	struct ipc_channel *from; /* holds a reference; NULL for packets made by tests */
	uint32_t generation; /* of the connection it came by: credits and replies belong to that one
			      */
	bool credited;	     /* the credit was given back */
	int fds[IPC_FDS_MAX]; /* -1 once taken */
	struct str body;
	struct memmap spilled;
	struct arena arena; /* lists */
	char data[];
};

struct ipc_out {
	struct buf body;
	int fds[IPC_FDS_MAX]; /* borrowed */
	size_t nfds;
};

struct ipc_in {
	struct cursor c;
	struct ipc_packet *p;
	size_t next_fd;
};

struct ipc_kind {
	const char *name;
	void (*put)(const void *msg, struct ipc_out *o);
};
extern const struct ipc_kind ipc_kinds[IPC_TYPE_COUNT];

/* For the generated writers: an overrun marks o->body failed. */
void ipc_put_str(struct ipc_out *o, struct str s, size_t max);
void ipc_put_count(struct ipc_out *o, size_t n, size_t max);
void ipc_put_fd(struct ipc_out *o, int fd);
/* For the generated readers: a violation marks in->c bad. */
bool ipc_in_begin(struct ipc_in *in, struct ipc_packet *p, enum ipc_type type);
int ipc_in_end(struct ipc_in *in);
bool ipc_get_bool(struct ipc_in *in);
struct str ipc_get_str(struct ipc_in *in, size_t max);
int ipc_get_fd(struct ipc_in *in);
void *ipc_get_list(struct ipc_in *in, size_t max, size_t size, size_t *ret_n);

void ipc_head_write(const struct ipc_head *h, unsigned char out[IPC_HEAD_SIZE]);
/* False when it is no header of ours. */
bool ipc_head_read(struct str datagram, struct ipc_head *ret);

/*
 * Make a packet of one datagram and its descriptors, which it owns from now on, also on failure.
 * NULL when the datagram breaks a rule.
 */
struct ipc_packet *ipc_packet_make(struct str datagram, const int *fds, size_t nfds);
/* One whose descriptors were lost for lack of room: its header, and no body. */
struct ipc_packet *ipc_packet_make_bare(struct str datagram);

#endif
