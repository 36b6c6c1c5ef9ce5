/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that this is built for (Debian's 6.12 and 7.3), and nothing
 * else.
 */
#ifndef VFERRY_COMPAT_H
#define VFERRY_COMPAT_H

#include <linux/io_uring/cmd.h>
#include <linux/timer.h>
#include <linux/version.h>

/* The CQE32 form of completion. */
static inline void vferry_cmd_done(struct io_uring_cmd *cmd, s32 res, u64 res2,
				   unsigned int issue_flags)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
	io_uring_cmd_done(cmd, res, res2, issue_flags);
#else
	io_uring_cmd_done32(cmd, res, res2, issue_flags);
#endif
}

/* @name, for io_uring_cmd_complete_in_task(), calls @function(cmd, issue_flags). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define VFERRY_TASK_WORK(name, function)                                       \
	static void name(struct io_uring_cmd *cmd, unsigned int issue_flags)   \
	{                                                                      \
		function(cmd, issue_flags);                                    \
	}
#else
#define VFERRY_TASK_WORK(name, function)                                       \
	static void name(struct io_tw_req tw_req, io_tw_token_t tw)            \
	{                                                                      \
		function(io_uring_cmd_from_tw(tw_req),                         \
			 IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);                  \
	}
#endif

static inline const void *vferry_sqe_payload(const struct io_uring_cmd *cmd)
{
	return cmd->sqe->cmd;
}

#ifndef timer_container_of
#define timer_container_of(var, timer, field) from_timer(var, timer, field)
#endif

/* VF tokens: a hook of their own since 6.17 or so; before, the core's match did it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VFERRY_VFIO_OPS_NEW                                        \
	.match_token_uuid = vfio_pci_core_match_token_uuid,        \
	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
#else
#define VFERRY_VFIO_OPS_NEW
#endif

#endif
