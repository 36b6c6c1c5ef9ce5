/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Admin commands to a virtio owner device by IORING_OP_URING_CMD, as the module vferry_vfio_pci
 * takes them on /dev/vferry/BDF. One SQE is one command, one CQE its answer; the device reads and
 * writes registered memory itself.
 *
 * The ring has IORING_SETUP_SQE128 and IORING_SETUP_CQE32. In the SQE: opcode
 * IORING_OP_URING_CMD, fd, cmd_op one of VFERRY_URING_*, uring_cmd_flags 0, and in cmd[] the
 * structure named there. Whatever is reserved, and whatever of cmd[] lies beyond the structure,
 * is zero, or the command ends with -EINVAL: so it can get a meaning later.
 *
 * In the CQE: res is negative (an errno of the kernel: the device was not asked, or did not
 * answer), or as said for each command. Used by the kernel and by user space alike: nothing but
 * linux/types.h and linux/ioctl.h.
 */
#ifndef VFERRY_URING_CMD_H
#define VFERRY_URING_CMD_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Grows when a field or a command is added; a program asks with VFERRY_URING_QUERY. */
#define VFERRY_URING_VERSION 1

/* What fits into cmd[] of an SQE128. */
#define VFERRY_URING_CMD_BYTES 80

#define VFERRY_URING_INLINE 16		/* bytes of data in the command itself */
#define VFERRY_URING_RUNS   16		/* runs of data, and as many of result, in one command */
#define VFERRY_URING_NONE   0xffffffffU /* no buffer */

/**
 * struct vferry_uring_run - a run of registered memory
 * @buffer: as VFERRY_URING_REGISTER answered
 * @length: bytes, not 0
 * @offset: where in the buffer
 */
struct vferry_uring_run {
	__u32 buffer;
	__u32 length;
	__u64 offset;
};

/*
 * @data_offset is the address of @data_length struct vferry_uring_run, read once; @data_buffer is
 * VFERRY_URING_NONE
 */
#define VFERRY_URING_DATA_RUNS 0x1U
/* likewise for the result */
#define VFERRY_URING_RESULT_RUNS 0x2U

/**
 * struct vferry_uring_admin - VFERRY_URING_ADMIN: one group administration command
 * @opcode: as on the wire
 * @group_type: 1 for SR-IOV VFs
 * @flags: VFERRY_URING_*_RUNS
 * @member: group_member_id. Of group 1 it is a VF that this file has claimed
 * @data_buffer: registered buffer with command_specific_data, VFERRY_URING_NONE without
 * @data_length: bytes of it
 * @data_offset: where in the buffer
 * @result_buffer: registered buffer for command_specific_result, VFERRY_URING_NONE without
 * @result_length: room there
 * @result_offset: where in the buffer
 * @timeout_ms: 0: the device's default (struct vferry_uring_info.timeout_ms)
 * @inline_length: bytes of @inline_data, which come before the data of the buffer
 * @reserved1: zero
 * @inline_data: command_specific_data in the command
 * @reserved2: zero
 *
 * Data in all, and the room for the result, are multiples of 8 (virtio: the driver must).
 *
 * CQE: res: bytes that the device wrote, its 8-byte header included; big_cqe[0]: status in bits
 * 0-15, qualifier in bits 16-31, the four bytes of command_specific_output (little endian) in
 * bits 32-63. -ETIMEDOUT and -ECANCELED: the device may still use the buffers; they stay pinned
 * and mapped until it has answered or its queue was reset, and VFERRY_URING_UNREGISTER says
 * -EBUSY till then. -EBUSY: the queue is full. -EACCES: the member is not claimed. -EOPNOTSUPP:
 * not among the commands in use. -EPROTO: an answer that cannot be. -EIO: the queue is parked:
 * the device did not answer, and could not be reset. -ENODEV: the device is gone.
 */
struct vferry_uring_admin {
	__u16 opcode;
	__u16 group_type;
	__u32 flags;
	__u64 member;
	__u32 data_buffer;
	__u32 data_length;
	__u64 data_offset;
	__u32 result_buffer;
	__u32 result_length;
	__u64 result_offset;
	__u32 timeout_ms;
	__u16 inline_length;
	__u16 reserved1;
	__u8 inline_data[VFERRY_URING_INLINE];
	__u64 reserved2;
};

/**
 * struct vferry_uring_register - VFERRY_URING_REGISTER: pin memory and map it for the device, once
 * @address: of the memory, a multiple of the page size
 * @length: a multiple of the page size, not more than struct vferry_uring_info.buffer_bytes
 * @flags: zero
 *
 * Counts against RLIMIT_MEMLOCK. CQE: res: number of the buffer, valid for this open file.
 */
struct vferry_uring_register {
	__u64 address;
	__u64 length;
	__u64 flags;
	__u64 reserved[2];
};

/**
 * struct vferry_uring_unregister - VFERRY_URING_UNREGISTER
 * @buffer: as VFERRY_URING_REGISTER answered
 *
 * CQE: res: 0; -EBUSY: a command that names it is with the device; -ENOENT.
 */
struct vferry_uring_unregister {
	__u32 buffer;
	__u32 flags;
	__u64 reserved[2];
};

/**
 * struct vferry_uring_claim - VFERRY_URING_CLAIM, VFERRY_URING_RELEASE: VFs that no other open
 * file may command
 * @first: VF number, from 1
 * @count: how many from there on, all or none
 *
 * Closing the file lets go of all. CQE: res: 0; -EBUSY: another file has one of them.
 */
struct vferry_uring_claim {
	__u32 first;
	__u32 count;
	__u32 flags;
	__u32 reserved1;
	__u64 reserved[2];
};

#define VFERRY_URING_INFO_RESET	 0x1U /* a queue that does not answer can be reset */
#define VFERRY_URING_INFO_RUNS	 0x2U /* VFERRY_URING_*_RUNS work; otherwise one run of each */
#define VFERRY_URING_INFO_SRIOV	 0x4U /* @num_vfs is known; otherwise the device alone knows */
#define VFERRY_URING_INFO_PARKED 0x8U /* this file's queue answers -EIO */

/**
 * struct vferry_uring_info - what VFERRY_URING_QUERY answers
 * @version: VFERRY_URING_VERSION of the module
 * @flags: VFERRY_URING_INFO_*
 * @num_vfs: VFs enabled
 * @total_vfs: VFs that there may be
 * @queues: admin queues in use; each open file has one of them, its commands are executed in order
 * @depth: commands that may be with the device at once, over all files of this queue
 * @buffers: buffers that may be registered, over all files
 * @timeout_ms: default
 * @buffer_bytes: largest buffer
 * @list: LIST_QUERY's first word, group 1: bit n stands for opcode n
 * @list_used: the bits that are in use (LIST_USE)
 * @features: virtio features negotiated, bits 0-63
 * @epoch: random; another one means that the owner was reset meanwhile, and with it every VF
 * @reserved: zero, to grow into
 */
struct vferry_uring_info {
	__u32 version;
	__u32 flags;
	__u32 num_vfs;
	__u32 total_vfs;
	__u32 queues;
	__u32 depth;
	__u32 buffers;
	__u32 timeout_ms;
	__u64 buffer_bytes;
	__u64 list;
	__u64 list_used;
	__u64 features;
	__u8 epoch[16];
	__u64 reserved[6];
};

/**
 * struct vferry_uring_query - VFERRY_URING_QUERY: capabilities and limits
 * @address: where struct vferry_uring_info goes
 * @length: room there: less than the structure is filled as far as it goes, more is left alone
 * @flags: zero
 *
 * CQE: res: bytes written.
 */
struct vferry_uring_query {
	__u64 address;
	__u32 length;
	__u32 flags;
	__u64 reserved[2];
};

#define VFERRY_URING_ADMIN	_IOWR('V', 0xe0, struct vferry_uring_admin)
#define VFERRY_URING_REGISTER	_IOWR('V', 0xe1, struct vferry_uring_register)
#define VFERRY_URING_UNREGISTER _IOWR('V', 0xe2, struct vferry_uring_unregister)
#define VFERRY_URING_CLAIM	_IOWR('V', 0xe3, struct vferry_uring_claim)
#define VFERRY_URING_RELEASE	_IOWR('V', 0xe4, struct vferry_uring_claim)
#define VFERRY_URING_QUERY	_IOWR('V', 0xe5, struct vferry_uring_query)

#endif
