/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Talking to a keeper: what it knows, to end it, to start one. Borrowing is lent.h. */
#ifndef VF_KEEPER_H
#define VF_KEEPER_H

#include <sys/types.h>
#include <vferry/error.h>
#include "bus/keeper_wire.h"

struct vf_keeper_loan {
	pid_t pid;
	char comm[16];
	uint16_t queue;
	enum vf_loan_state state;
	bool alone;
	struct vf_vfset vfs;
	uint64_t age_ns;
};

struct vf_keeper_vf {
	uint16_t vf;
	int mode; /* enum vferry_mode; -1: not asked, or the keeper could not tell */
	bool size_known;
	uint64_t context_bytes; /* as it is in the VF's mode now */
	pid_t pid;		/* who has it on loan; 0: nobody */
};

/** struct vf_keeper_report - what a keeper knows; free with vf_keeper_report_free() */
struct vf_keeper_report {
	char address[256];
	const char *driver; /* "vfio-user", "vfio-pci" */
	bool software;	    /* a software owner device */
	char trouble[504];  /* why nothing is lent; empty otherwise */
	enum vf_keeper_state state;
	pid_t pid;
	uint8_t epoch[16];
	uint16_t num_vfs, total_vfs;
	uint16_t queues, queues_free, waiting;
	uint32_t wedged; /* queues that do not come to rest */
	uint64_t list;	 /* LIST_USE in force, first word */
	char token[40];	 /* VF token, empty: none is needed */
	unsigned int loan_count, vf_count;
	struct vf_keeper_loan *loans;
	struct vf_keeper_vf *vfs; /* 1..num_vfs */
};

/**
 * vf_keeper_ask() - what the keeper of @address knows
 * @ask: VF_KEEPER_ASK_*: each costs the owner a command for each VF
 * @timeout_ns: 0: 5 s
 *
 * Return: 0; -ENOENT: no keeper holds this owner; -EACCES; -ETIMEDOUT; -errno.
 */
int vf_keeper_ask(const char *address, uint32_t ask, uint64_t timeout_ns,
		  struct vf_keeper_report **out, struct vferry_error *err);
void vf_keeper_report_free(struct vf_keeper_report *report);

/**
 * vf_keepers() - ask every keeper on this host
 * @fn: called for each; a keeper that does not answer is given as NULL with words in the error
 *
 * Return: how many there are; -errno of the run directory; what @fn returned when that is not 0.
 */
int vf_keepers(uint32_t ask, uint64_t timeout_ns,
	       int (*fn)(void *arg, const struct vf_keeper_report *report,
			 const struct vferry_error *why),
	       void *arg, struct vferry_error *err);

/** vf_keeper_stop() - borrowers get @grace_ns (0: 5 s) to give back, then are killed; returns when the keeper has ended. */
int vf_keeper_stop(const char *address, uint64_t grace_ns, struct vferry_error *err);

/**
 * struct vf_keeper_start - how to start a keeper
 * @num_vfs: VFs to enable; 0: as found
 * @vf_token: kernel VFIO; may be NULL
 * @timeout_ns: keep's --timeout; 0: its default
 */
struct vf_keeper_start {
	uint16_t num_vfs;
	const char *vf_token;
	uint64_t timeout_ns;
};

/**
 * vf_keeper_start() - start a keeper, detached, and wait until it serves
 *
 * The program is $VFERRY_PROGRAM, else this one when it is vferry, else the vferry beside it, else the one in PATH.
 * Return: 0; -EALREADY: another keeper has the owner, or is about to; what the keeper said.
 */
int vf_keeper_start(const char *address, const struct vf_keeper_start *how,
		    struct vferry_error *err);

/* The starter's pipe: "0\n" when the keeper serves, "ERRNO words" when it cannot. */
#define VF_KEEPER_READY_ENV "VFERRY_KEEP_READY_FD"

/* --- the link itself --- */

/** vf_keeper_connect() - a socket to the keeper; -ENOENT: nobody there (a socket left behind included). */
int vf_keeper_connect(const char *address, uint64_t deadline_ns, struct vferry_error *err);
int vf_keeper_send(int sock, const struct vf_keeper_request *request, struct vferry_error *err);
/** vf_keeper_send_fd() - with a descriptor beside it, which stays the caller's; -1: none. */
int vf_keeper_send_fd(int sock, const struct vf_keeper_request *request, int fd,
		      struct vferry_error *err);
/**
 * vf_keeper_receive() - one message
 * @room: a longer message is -EPROTO
 * @fds: room for VF_KEEPER_FDS, close-on-exec; NULL: descriptors are dropped
 * @deadline_ns: UINT64_MAX: until a signal
 *
 * Return: its length; -ECONNRESET: the keeper has ended; -ETIMEDOUT; -EINTR, also for a SIGINT, SIGTERM or SIGHUP that is blocked and pending.
 */
ssize_t vf_keeper_receive(int sock, void *bytes, size_t room, int *fds, unsigned int *fd_count,
			  uint64_t deadline_ns, struct vferry_error *err);
int vf_keeper_decode_report(const void *bytes, size_t count, struct vf_keeper_report **out,
			    struct vferry_error *err);

#endif
