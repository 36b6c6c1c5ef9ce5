/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* vferry_recv(): connections that have said nothing yet, the one that is served, and questions about journals. */
#ifndef VF_RECV_H
#define VF_RECV_H

#include "migrate/destination.h"

#define VF_CONNECTIONS	 64 /* that have said nothing yet; the oldest goes for a new one */
#define VF_CONNECTION_NS 10000000000ULL /* so long may one say nothing */

struct vf_recv;

/** struct vf_connection - a peer that may be the source, or has a question */
struct vf_connection {
	struct vf_recv *recv;
	struct vf_link link;
	struct vf_stream *stream;
	struct vf_inbox inbox;
	struct vf_lane *arriving; /* CONTEXT for this lane */
	bool used, over, chosen;
	uint64_t since_ns;
	struct vf_control answer;
};

/** struct vf_recv - one run of vferry_recv() */
struct vf_recv {
	struct vf_move move;
	struct vf_peer *peer;
	struct vf_peer_opts peer_opts;
	int listen_fd;
	struct vf_op accept;
	struct vf_link waiting; /* accepted, until there is a place for it: out >= 0 */
	struct vf_connection connections[VF_CONNECTIONS];
	struct vf_connection *source; /* the one that made an offer */
	struct vferry_error failed;   /* before there were lanes */
	bool refused_run;	      /* an offer came that could not be taken at all */
	uint32_t lanes_offered;
	uint32_t lanes_expected;
	struct vf_timer tidy;
	uint64_t settled_ns;
};

/* recv_listen.c */
int vf_recv_listen(struct vf_recv *recv, struct vferry_error *err);
void vf_recv_close(struct vf_recv *recv);
int vf_recv_connection(struct vf_recv *recv, const struct vf_link *link, struct vferry_error *err);
/** vf_recv_tidy() - free what is over. Not from within a callback. */
void vf_recv_tidy(struct vf_recv *recv);

/* recv.c */
/** vf_recv_offer() - the first OFFER, or a further one of the run. */
void vf_recv_offer(struct vf_connection *connection, uint32_t lane, const struct vf_offer *offer);

/* recv_query.c */
/** vf_recv_query() - what is known here of an id; REFUSED is journalled before it is said. */
void vf_recv_query(struct vf_connection *connection, const void *payload, uint32_t length);

#endif
