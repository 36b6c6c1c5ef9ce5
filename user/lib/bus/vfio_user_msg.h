/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* vfio-user messages: one request and its reply at a time, each with a deadline. Private to the bus room. */
#ifndef VF_VFIO_USER_MSG_H
#define VF_VFIO_USER_MSG_H

#include <sys/uio.h>
#include <vferry/vfio_user.h>
#include "bus/ops.h"

/** struct vf_vu - a connection to a vfio-user server */
struct vf_vu {
	int fd; /* non-blocking */
	uint16_t next_id;
	uint16_t stale;	     /* requests given up, whose replies may still come */
	uint32_t max_fds;    /* what the server takes in one message */
	uint32_t max_xfer;   /* bytes of data in one message */
	uint64_t timeout_ns; /* for each request */
	const char *lost;    /* why nothing more can be said on this connection */
	const char *name;    /* of the server, for words */

	/* Of a connection that may outlive this process: what stands here is right whenever the process ends. */
	struct vf_bus_kept *kept;
	char *whole; /* the message that is being read, taken from the socket by one call */
	size_t whole_bytes, whole_at;
};

/** struct vf_vu_call - a request, and room for its reply */
struct vf_vu_call {
	uint16_t command;
	struct iovec out[2]; /* payload behind the header */
	const int *out_fds;
	unsigned int out_fds_count;

	struct iovec in[2]; /* room for the reply's payload behind the header */
	uint32_t in_min;    /* a shorter payload is the server's mistake */
	int *in_fds;	    /* room for descriptors of the reply; what comes beyond it is closed */
	unsigned int in_fds_room;

	uint32_t in_bytes; /* what came */
	unsigned int in_fds_count;
};

/** vf_vu_connect() - connect to a socket, without a word yet. */
int vf_vu_connect(struct vf_vu *vu, const char *path, uint64_t timeout_ns,
		  struct vferry_error *err);
void vf_vu_close(struct vf_vu *vu);

/** vf_vu_keep() - from now on the connection always stands between two messages, and @kept says where. */
int vf_vu_keep(struct vf_vu *vu, struct vf_bus_kept *kept, struct vferry_error *err);

/**
 * vf_vu_exchange() - send a request, wait for its reply
 *
 * Return: 0; -errno as the server said; -ETIMEDOUT; -EPROTO: a reply that cannot be; -ENODEV: the connection is over.
 * No descriptor is left open on failure.
 */
int vf_vu_exchange(struct vf_vu *vu, struct vf_vu_call *call, struct vferry_error *err);

const char *vf_vu_command_name(unsigned int command);

/** vf_vu_negotiate() - VERSION: 0.0, and what each side can take. */
int vf_vu_negotiate(struct vf_vu *vu, struct vferry_error *err);
/** vf_vu_read_capabilities() - the reply's JSON, @length bytes from the server, into @vu. */
int vf_vu_read_capabilities(struct vf_vu *vu, const char *json, size_t length,
			    struct vferry_error *err);

/** vf_vfio_user_adopt() - the bus on a connection that is there; @vu->fd becomes the bus's, also on failure. */
int vf_vfio_user_adopt(struct vf_bus **bus, struct vf_vu *vu, struct vferry_error *err);

#endif
