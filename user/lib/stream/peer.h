/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kinds of peers share. */
#ifndef VF_STREAM_PEER_H
#define VF_STREAM_PEER_H

#include <sys/socket.h>
#include <sys/types.h>
#include "stream/stream.h"

struct vf_peer_kind;

struct vf_peer {
	const struct vf_peer_kind *kind;
	char name[256]; /* the address, for messages; after tcp: was bound, with the real port */
	char *rest;	/* what stands behind the first colon */
	char *host;	/* tcp: */
	char *port;
	int fd; /* fd: */
	/* the file or socket that this side made, and no other one */
	char *made;
	bool keep; /* vf_peer_free() leaves it */
	dev_t made_dev;
	ino_t made_ino;
};

/** struct vf_peer_kind - one way to write an address; NULL where it does not apply */
struct vf_peer_kind {
	const char *prefix;
	int (*parse)(struct vf_peer *peer, struct vferry_error *err);
	int (*connect)(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		       struct vferry_error *err);
	int (*listen)(struct vf_peer *peer, const struct vf_peer_opts *opts,
		      struct vferry_error *err);
	int (*open_in)(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		       struct vferry_error *err);
};

extern const struct vf_peer_kind vf_peer_tcp, vf_peer_unix, vf_peer_exec, vf_peer_fd, vf_peer_file,
	vf_peer_stdio;

/** vf_peer_deadline() - when a connection must stand. */
static inline uint64_t vf_peer_deadline(const struct vf_peer_opts *opts)
{
	uint64_t now = vf_now_ns();

	return opts->timeout_ns < UINT64_MAX - now ? now + opts->timeout_ns : UINT64_MAX;
}

/** vf_peer_made() - remember that @path is this side's own. */
void vf_peer_made(struct vf_peer *peer, const char *path);
/** vf_peer_tune() - the options of a connected TCP socket. */
void vf_peer_tune(int fd);

/**
 * vf_resolve() - look up a name, no longer than until @deadline_ns
 *
 * Return: 0 and a list for freeaddrinfo(); -ETIMEDOUT; -EHOSTUNREACH with words.
 */
struct addrinfo;
int vf_resolve(const char *host, const char *port, bool passive, uint64_t deadline_ns,
	       struct addrinfo **list, struct vferry_error *err);

#endif
