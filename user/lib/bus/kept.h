/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What outlives a process that held a bus: descriptors, which a service manager keeps by name, and what has to be known
 * beside them, in memory that is one of these. The next process goes on with them; the device notices nothing.
 */
#ifndef VF_KEPT_H
#define VF_KEPT_H

#include <stdint.h>

/** struct vf_bus_kept - of a bus; written as it changes, so that it is right at whatever instruction the process ends */
struct vf_bus_kept {
	char token[40];	   /* kernel VFIO: the VF token, empty without */
	uint32_t ioas;	   /* kernel VFIO by iommufd: its address space */
	int32_t vfs_found; /* kernel VFIO: sriov_numvfs before it was changed; -1: it was not */
	uint32_t vectors;  /* MSI-X, installed */
	uint32_t message;  /* vfio-user: number of the next request */
	uint32_t stale;	   /* vfio-user: requests whose answers may still come */
	uint32_t max_fds, max_xfer;
};

/** struct vf_kept_fds - where descriptors are put by name, and taken from */
struct vf_kept_fds {
	/* @fd stays the caller's; -errno */
	int (*put)(struct vf_kept_fds *fds, const char *name, int fd);
	/* the descriptor is the caller's from then on; -ENOENT */
	int (*take)(struct vf_kept_fds *fds, const char *name);
};

#endif
