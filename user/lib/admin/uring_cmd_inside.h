/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The inside of the way over the kernel module: uring_cmd.c has the commands, uring_cmd_open.c the lease. */
#ifndef VF_URING_CMD_INSIDE_H
#define VF_URING_CMD_INSIDE_H

#include <vferry/uring_cmd.h>
#include "admin/queue_inside.h"
#include "admin/uring_cmd.h"

#define VF_URING_CMD_SLOTS 128
/* Memory of a command, registered with the module. */
#define VF_URING_CMD_SLOT_BYTES 5120

struct vf_uring_cmd {
	int fd;
	bool has_ring;
	struct io_uring ring;
	struct vferry_uring_info info;
	unsigned int slots;
	unsigned char *commands;
	uint64_t commands_bytes;
	int commands_fd;
	uint32_t commands_buffer, arena_buffer; /* VFERRY_URING_NONE: not registered */
	uint32_t generation;			/* an answer from before a reset is nobody's */
	struct {
		int32_t res;
		uint64_t word;
	} answers[VF_URING_CMD_SLOTS];
};

extern const struct vf_queue_way vf_uring_cmd_way;

/**
 * vf_uring_cmd_ask() - one SQE that is no admin command, and its answer
 *
 * Only while no command is under way that somebody waits for: before the first one, and after the last.
 *
 * Return: the CQE's res, or -errno.
 */
int vf_uring_cmd_ask(struct vf_uring_cmd *carrier, uint32_t op, const void *payload, size_t bytes);

#endif
