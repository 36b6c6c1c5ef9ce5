/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The keeper: holds an owner and lends it (design/keeper.md). What the command line needs of it. */
#ifndef VF_KEEP_H
#define VF_KEEP_H

#include <stdint.h>
#include <vferry/error.h>

/**
 * struct keep_opts - how to keep
 * @address: the owner's
 * @num_vfs: VFs to enable; 0: as found
 * @vf_token: kernel VFIO; may be NULL
 * @rest_ns: how long a dead engine's commands may take before its queue is reset; 0: 5 s
 * @timeout_ns: for each access to the device; 0: 5 s
 */
struct keep_opts {
	const char *address;
	uint16_t num_vfs;
	const char *vf_token;
	uint64_t rest_ns;
	uint64_t timeout_ns;
};

/**
 * keep_run() - be the keeper, until it is told to stop
 *
 * Return: 0: stopped; -EALREADY: another keeper has this owner; -ENODEV: the owner has gone; -errno.
 */
int keep_run(const struct keep_opts *opts, struct vferry_error *err);

#endif
