/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One caller's connection: who it is, what it asks, what it has. */
#ifndef VF_KEEP_SESSION_H
#define VF_KEEP_SESSION_H

#include <sys/socket.h>
#include "keep/loans.h"

struct keeper;

struct session {
	struct keeper *keeper;
	struct session *next;
	int sock, pidfd;
	struct vf_op receive, death;
	uint8_t bytes[VF_KEEPER_REQUEST_MAX + 1]; /* one more shows a message that is too long */
	struct msghdr message;
	struct iovec iov;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct want want;
	struct loan *returning; /* RETURN is answered when it is at rest */
	struct vf_timer patience;
	uint64_t since_ns;
	uint32_t asking;   /* STATUS is under way: 1 + VF_KEEPER_ASK_*; 0: none */
	unsigned int deaf; /* it has had its last words; so many messages more are read */
	bool hung_up;	   /* its end of the socket is closed, its process lives */
	bool closing;	   /* ends as soon as its operations have */
};

/** session_new() - takes @sock. A caller that may not is told so. */
void session_new(struct keeper *keeper, int sock);
/** session_orphan() - the borrower of @loan, whose connection ended with the last keeper. It gives back by ending; after a while it is made to. */
void session_orphan(struct keeper *keeper, struct loan *loan, uint64_t started);
/** session_close() - gives back what it has; the memory goes in sessions_sweep(). */
void session_close(struct session *session);
/** session_leave() - the keeper ends: forget the caller, whose socket stays open until sessions_sweep(). */
void session_leave(struct session *session);
void session_recall(struct session *session, uint64_t grace_ns);
/** session_kill() - SIGKILL to a borrower. */
void session_kill(struct session *session);
void session_gone(struct session *session, int code, const char *words);
/** sessions_ended() - @loan is at rest or wedged: answers RETURN. */
void sessions_ended(struct keeper *keeper, struct loan *loan);
/** sessions_report() - answers every STATUS that was asked for no more than @ask. */
void sessions_report(struct keeper *keeper, uint32_t ask);
/** sessions_sweep() - free what has closed. */
void sessions_sweep(struct keeper *keeper);

#endif
