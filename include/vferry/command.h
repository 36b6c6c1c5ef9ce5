/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A group administration command on its way to an owner device, and its answer. */
#ifndef VFERRY_COMMAND_H
#define VFERRY_COMMAND_H

#include <stdbool.h>
#include <vferry/admin.h>
#include <vferry/error.h>

#define VFERRY_CMD_INLINE_DATA	 64
#define VFERRY_CMD_INLINE_RESULT 4096
#define VFERRY_CMD_SG_MAX	 16

/** struct vferry_sg - a run of memory that the device sees */
struct vferry_sg {
	uint64_t iova;
	uint32_t length;
};

/*
 * What becomes of later commands of a member when the device puts one off with EAGAIN. A device processes its queue in order,
 * but a command that it put off is executed when it is sent again, and by then later ones of the queue have run.
 *
 * FREE       Nothing is held back. Right for commands that do not build on each other, and for READ: context bytes belong in
 *            the order in which done() is called, which is the order of execution, whatever was retried.
 * STRICT     With the device at a time: one ordered command of a member. Nothing ever overtakes. Right for WRITE.
 * PIPELINED  Sent at once, side by side with other PIPELINED commands of the member. When one is put off, those behind it are
 *            waited for: those put off too are sent again in order, one at a time; one that was executed nevertheless is done
 *            with -EILSEQ: it overtook, and only DISCARD and writing from the start puts that right.
 *
 * STRICT and PIPELINED commands of a member take effect in the order of submission or not at all: when one fails, the ones
 * behind it that the device has not got are done with -ECANCELED (those that it has got it is left to answer). The order is
 * forgotten, and may begin again, when none is left.
 */
enum vferry_order {
	VFERRY_ORDER_FREE = 0,
	VFERRY_ORDER_STRICT = 1,
	VFERRY_ORDER_PIPELINED = 2,
};

/**
 * struct vferry_cmd - one admin command
 * @opcode: enum vferry_admin_opcode, or any other number
 * @group_type: VFERRY_GROUP_SRIOV
 * @member: group_member_id: VF number, 0 for the LIST commands
 * @inline_data: command_specific_data in the command itself; padded with zeros to a multiple of 8
 * @inline_length: bytes of it
 * @data: more command_specific_data, in the owner's arena; with @inline_data a multiple of 8 in sum
 * @data_count: runs of it
 * @result_room: command_specific_result of at most this many bytes is wanted in the command's own memory (@answer)
 * @result: command_specific_result goes here instead, in the owner's arena
 * @result_count: runs of it
 * @deadline_ns: CLOCK_MONOTONIC; 0: the owner's timeout from submission
 * @order: enum vferry_order
 * @no_retry: give EAGAIN to the caller; otherwise it is retried until the deadline, as virtio 1.3 asks
 * @relaxed: where many such are under way and answers come fast, they are taken several at a time, with fewer interrupts; up
 *	     to a millisecond late
 * @done: called once, from the loop
 * @arg: the caller's
 *
 * The answer:
 * @error: 0: the device answered. -ETIMEDOUT, -ECANCELED, -EILSEQ (see enum vferry_order), -EPROTO (an answer that cannot be),
 *	   -ENODEV (owner or keeper gone), -EINVAL (lengths or runs that cannot be sent)
 * @status: as the device gave it (enum vferry_admin_status_code or unknown)
 * @qualifier: likewise
 * @output: command_specific_output
 * @used: result bytes that the device wrote (used length - 8, never beyond the room)
 * @answer: @result_room's bytes, zero beyond @used, out of the device's reach; valid during @done, or after vferry_owner_exec() until the next command
 * @submit_ns: handed over by the caller
 * @issue_ns: given to the device (doorbell)
 * @wake_ns: the loop woke for the interrupt
 * @done_ns: reaped
 * @retries: how often EAGAIN was answered before
 * @abandoned: done without an answer while the device had it: the memory that @data and @result name is the device's still,
 *	       and must not be used for anything else before a late answer or a reset of the queue
 * @why: words for @error, NULL without
 */
struct vferry_cmd {
	uint16_t opcode;
	uint16_t group_type;
	uint64_t member;
	uint8_t inline_data[VFERRY_CMD_INLINE_DATA];
	uint32_t inline_length;
	const struct vferry_sg *data;
	unsigned int data_count;
	uint32_t result_room;
	const struct vferry_sg *result;
	unsigned int result_count;
	uint64_t deadline_ns;
	uint8_t order;
	bool no_retry;
	bool relaxed;
	void (*done)(struct vferry_cmd *cmd);
	void *arg;

	int error;
	uint16_t status;
	uint16_t qualifier;
	uint8_t output[4];
	uint32_t used;
	const void *answer;
	uint64_t submit_ns;
	uint64_t issue_ns;
	uint64_t wake_ns;
	uint64_t done_ns;
	uint32_t retries;
	bool abandoned;
	const char *why;

	uint64_t private_[10]; /* vferry's own while the command is under way */
};

/** struct vferry_admin_stats - of one owner handle */
struct vferry_admin_stats {
	uint64_t submitted;
	uint64_t completed;
	uint64_t failed; /* status other than OK */
	uint64_t timed_out;
	uint64_t retried;
	uint64_t doorbells;
	uint64_t interrupts;
	uint32_t inflight_max;
};

#endif
