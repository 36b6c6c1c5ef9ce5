/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a keeper and its callers say to each other: SOCK_SEQPACKET, one message a packet, little-endian, sizes
 * fixed by the operation, descriptors beside LENT, DEPOSIT and KEPT only. A message that is a byte too short or too long is refused,
 * on both sides. Both run on one host but not always from one build, so the version stands in each message.
 *
 *   caller: BORROW -> LENT | RESULT     (RESULT with a code is a refusal and its words)
 *           RETURN -> RESULT            at rest, or wedged: -EBUSY
 *           KICK   -> nothing           VF_DOORBELL_RELAY
 *           RESET  -> RESULT            queue_reset of the lent queue
 *           STATUS -> REPORT
 *           STOP   -> RESULT            then the connection ends with the keeper
 *   keeper, unasked: RECALL, GONE
 *
 * What a device whose READ clears has given outlives the engine (handoff.md), by the migration's id, for whoever has the VF on loan:
 *           DEPOSIT and a file -> RESULT    another one of this VF goes
 *           FETCH  -> KEPT and the file | RESULT
 *           FORGET -> RESULT                also when there is none
 */
#ifndef VF_KEEPER_WIRE_H
#define VF_KEEPER_WIRE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vferry/error.h>
#include "bus/lease.h"

#define VF_KEEPER_VERSION 1

enum vf_keeper_op {
	VF_KEEPER_BORROW = 1,
	VF_KEEPER_RETURN = 2,
	VF_KEEPER_KICK = 3,
	VF_KEEPER_RESET = 4,
	VF_KEEPER_STATUS = 5,
	VF_KEEPER_STOP = 6,
	VF_KEEPER_DEPOSIT = 7,
	VF_KEEPER_FETCH = 8,
	VF_KEEPER_FORGET = 9,
	VF_KEEPER_RESULT = 0x81,
	VF_KEEPER_LENT = 0x82,
	VF_KEEPER_REPORT = 0x83,
	VF_KEEPER_RECALL = 0x84,
	VF_KEEPER_GONE = 0x85,
	VF_KEEPER_KEPT = 0x86,
};

struct vf_keeper_hdr {
	__le16 op;
	__le16 version;
	__le32 bytes; /* of the whole message */
};

#define VF_KEEPER_F_WAIT  0x1u
#define VF_KEEPER_F_ALONE 0x2u

struct vf_keeper_borrow {
	struct vf_keeper_hdr hdr;
	__le32 flags;
	__le32 reserved;
	__le64 arena_bytes; /* 0: none */
	__le64 vfs[VF_MAX_VFS / 64];
};

struct vf_keeper_bare { /* RETURN, KICK */
	struct vf_keeper_hdr hdr;
};

struct vf_keeper_time { /* RESET: how long it may take; STOP, RECALL: until borrowers are killed */
	struct vf_keeper_hdr hdr;
	__le64 ns;
};

#define VF_KEEPER_ASK_MODES 0x1u
#define VF_KEEPER_ASK_SIZES 0x2u

struct vf_keeper_status {
	struct vf_keeper_hdr hdr;
	__le32 ask;
	__le32 reserved;
};

struct vf_keeper_kept { /* DEPOSIT, FETCH, FORGET, KEPT */
	struct vf_keeper_hdr hdr;
	__u8 id[16];
	__le16 vf;
	__le16 reserved[3];
};

struct vf_keeper_result { /* RESULT, GONE */
	struct vf_keeper_hdr hdr;
	__le32 code; /* positive errno, 0: done */
	__u8 text[500];
};

/* Descriptors of LENT, in this order, those of the mask only. */
#define VF_KEEPER_FD_RINGS  0x01u
#define VF_KEEPER_FD_CALL   0x02u
#define VF_KEEPER_FD_NOTIFY 0x04u
#define VF_KEEPER_FD_KICK   0x08u
#define VF_KEEPER_FD_ARENA  0x10u
#define VF_KEEPER_FDS	    5

#define VF_KEEPER_EVENT_IDX 0x1u
#define VF_KEEPER_INDIRECT  0x2u
#define VF_KEEPER_CAN_RESET 0x4u

struct vf_keeper_lent {
	struct vf_keeper_hdr hdr;
	__u8 epoch[16];
	__le64 generation;
	__le64 list;
	__le64 vfs[VF_MAX_VFS / 64];
	__le64 rings_bytes;
	__le64 rings_iova;
	__le64 arena_bytes;
	__le64 arena_iova;
	__le64 notify_offset;
	__le32 desc_offset;
	__le32 avail_offset;
	__le32 used_offset;
	__le32 commands_offset;
	__le16 queue;
	__le16 queue_size;
	__le16 num_vfs;
	__u8 features; /* VF_KEEPER_EVENT_IDX ... */
	__u8 doorbell; /* enum vf_doorbell */
	__le32 fds;    /* VF_KEEPER_FD_* */
	__le32 reserved;
};

/* REPORT: this, then @loans loan entries, then @vfs VF entries. */
struct vf_keeper_report_hdr {
	struct vf_keeper_hdr hdr;
	__u8 epoch[16];
	__u8 address[256];
	__u8 trouble[504]; /* words; empty: the owner serves */
	__le32 pid;
	__le16 num_vfs;
	__le16 total_vfs;
	__le16 queues; /* admin queues that are lent */
	__le16 queues_free;
	__le16 loans;
	__le16 vfs;
	__le16 waiting;
	__u8 state;    /* enum vf_keeper_state */
	__u8 software; /* the device is a software owner */
	__le32 wedged; /* queues */
	__le64 list;
	__u8 token[40]; /* of VFs on vfio-pci; empty: none is needed */
};

struct vf_keeper_report_loan {
	__le64 vfs[VF_MAX_VFS / 64];
	__le64 age_ns;
	__le32 pid;
	__le16 queue;
	__u8 state; /* enum vf_loan_state */
	__u8 alone;
	__u8 comm[16];
};

#define VF_KEEPER_MODE_UNKNOWN 0xff

struct vf_keeper_report_vf {
	__le16 vf;
	__u8 mode; /* enum vferry_mode or VF_KEEPER_MODE_UNKNOWN */
	__u8 size_known;
	__le32 reserved;
	__le64 context_bytes;
};

#define VF_KEEPER_LOANS_MAX 64
#define VF_KEEPER_REPORT_MAX                                          \
	(sizeof(struct vf_keeper_report_hdr) +                        \
	 VF_KEEPER_LOANS_MAX * sizeof(struct vf_keeper_report_loan) + \
	 VF_MAX_VFS * sizeof(struct vf_keeper_report_vf))
#define VF_KEEPER_REQUEST_MAX sizeof(struct vf_keeper_borrow)

VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_hdr) == 8, "keeper header");
VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_borrow) == 56, "BORROW");
VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_time) == 16, "RESET, STOP, RECALL");
VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_status) == 16, "STATUS");
VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_kept) == 32, "DEPOSIT, FETCH, FORGET, KEPT");
VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_result) == 512, "RESULT, GONE");
VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_lent) == 144, "LENT");
VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_report_hdr) == 856, "REPORT");
VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_report_loan) == 64, "loan entry");
VFERRY_STATIC_ASSERT(sizeof(struct vf_keeper_report_vf) == 16, "VF entry");

enum vf_keeper_state {
	VF_KEEPER_SERVING = 0,
	VF_KEEPER_WEDGED = 1,	   /* a queue does not come to rest */
	VF_KEEPER_NEEDS_RESET = 2, /* the device was reset or asks for it */
	VF_KEEPER_ENDING = 3,
};

enum vf_loan_state {
	VF_LOAN_LENT = 1,
	VF_LOAN_RESTING = 2,
	VF_LOAN_WEDGED = 3,
};

/* A caller's message, decoded. */
struct vf_keeper_request {
	enum vf_keeper_op op;
	uint32_t flags; /* BORROW: VF_KEEPER_F_*; STATUS: VF_KEEPER_ASK_* */
	uint64_t arena_bytes;
	uint64_t ns;
	struct vf_vfset vfs;
	uint16_t vf; /* DEPOSIT, FETCH, FORGET */
	uint8_t id[16];
};

/**
 * vf_keeper_decode() - a caller's message, as the keeper takes it
 *
 * Return: 0; -EPROTO with words: length, version, operation, or a reserved bit.
 */
int vf_keeper_decode(const void *bytes, size_t count, struct vf_keeper_request *request,
		     struct vferry_error *err);
/** vf_keeper_encode() - the same the other way; the number of bytes, at most VF_KEEPER_REQUEST_MAX. */
size_t vf_keeper_encode(const struct vf_keeper_request *request, void *bytes);

void vf_keeper_put_result(struct vf_keeper_result *message, enum vf_keeper_op op, int code,
			  const char *text);
/** vf_keeper_get_result() - RESULT or GONE: @err gets its words. Return: its code (0 or negative); -EPROTO. */
int vf_keeper_get_result(const void *bytes, size_t count, struct vferry_error *err);

/** vf_keeper_put_lent() - message and descriptors (VF_KEEPER_FDS at most) of a lease; the number of descriptors. */
unsigned int vf_keeper_put_lent(struct vf_keeper_lent *message, int fds[VF_KEEPER_FDS],
				const struct vf_lease *lease);
/**
 * vf_keeper_get_lent() - a lease from its message; checks every size and offset against each other
 *
 * Descriptors are the caller's to close on error. Nothing is mapped yet.
 */
int vf_keeper_get_lent(const void *bytes, size_t count, const int *fds, unsigned int fd_count,
		       struct vf_lease *lease, struct vferry_error *err);

/** vf_keeper_op_of() - operation of a message of at least a header with the right version and length; 0 otherwise. */
unsigned int vf_keeper_op_of(const void *bytes, size_t count);

#endif
