/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Our own minimal declarations of kernel types: no vmlinux.h, so that a build on Debian 12 (6.1) traces 7.3 as well.
 * CO-RE relocates each field; what changed between versions has flavours (___suffix).
 */
#ifndef VFT_KERNEL_H
#define VFT_KERNEL_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <asm/ptrace.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct scatterlist {
	unsigned int length;
};

struct virtio_admin_cmd {
	__le16 opcode;
	__le16 group_type;
	__le64 group_member_id;
	struct scatterlist *data_sg;
	struct scatterlist *result_sg;
};

struct io_cqe {
	__u64 user_data;
	__s32 res;
};

struct inode {
	__u32 i_rdev;
};

struct file {
	struct inode *f_inode;
};

struct io_cmd_data {
	struct file *file;
};

struct io_kiocb {
	struct file *file;
	struct io_cmd_data cmd;
	__u8 opcode;
	struct io_cqe cqe;
};

struct io_uring_sqe;

struct io_uring_cmd {
	__u32 cmd_op;
	const struct io_uring_sqe *sqe; /* 6.7 on */
};

struct io_uring_cqe___view {
	__u64 user_data;
	__s32 res;
	__u32 flags;
};

#pragma clang attribute pop

#endif
