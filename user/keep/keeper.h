/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The inside of the keeper's process. */
#ifndef VF_KEEPER_PROCESS_H
#define VF_KEEPER_PROCESS_H

#include <sys/signalfd.h>
#include <sys/un.h>
#include "admin/admin.h"
#include "keep/deposits.h"
#include "keep/keep.h"
#include "keep/loans.h"
#include "keep/manager.h"
#include "keep/session.h"
#include "keep/successor.h"

struct vf_pf;

/* The place where callers find the keeper (place.c). */
struct place {
	struct sockaddr_un name;
	char lock[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char log[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int lock_fd;
	int sock; /* listening */
};

/* Questions to the device that the keeper asks on its own (own.c). */
struct own {
	struct vf_lease lease;
	struct vf_admin *admin;
	struct loan *slot; /* the owner has one queue only, and it is ours at this moment */
	struct vferry_cmd *cmds;
	unsigned int cmd_count, under_way;
	uint32_t asked, next_ask;
	bool running, again;
	bool list_due, list_busy;	 /* LIST_USE is to be put back; is on its way */
	struct vf_keeper_report_vf *vfs; /* 1..num_vfs at [0]... */
	struct vferry_cmd list_use;
	struct vf_timer finish, list_back;
};

struct keeper {
	const struct keep_opts *opts;
	char address[256];
	struct vf_ring *ring;
	struct vf_pf *pf;
	struct loans loans;
	struct place place;
	struct session *sessions;
	unsigned int session_count;
	struct own own;

	struct vf_op accept;
	struct vf_timer accept_again;
	int signal_fd;
	struct vf_op signal;
	struct signalfd_siginfo signal_info;

	struct manager manager;
	struct record *record; /* for a successor; NULL: there will be none */
	bool resumed;	       /* this one is a successor */
	struct deposit *deposits;

	/* epoch.c */
	struct vf_op hangup;
	struct vf_timer health;
	uint8_t epoch[16];
	bool owner_gone;
	bool needs_reset;
	bool software;

	/* ending */
	bool ending, ended;
	struct vf_timer patience;
	bool killed;
};

__attribute__((format(printf, 1, 2))) void keep_log(const char *format, ...);

/** keeper_end() - recall all loans, kill after @grace_ns who does not return, then end. */
void keeper_end(struct keeper *keeper, uint64_t grace_ns);

/* place.c */
/** place_take() - @patience_ns: how long another keeper is waited for. */
int place_take(struct place *place, const char *address, uint64_t patience_ns,
	       struct vferry_error *err);
void place_leave(struct place *place);

/* start.c */

/** start_begin() - take note of a starter's pipe. */
void start_begin(void);
/** start_verdict() - tell it and the service manager: @code 0: ready. From then on a detached keeper writes to its log. */
void start_verdict(const struct manager *manager, int code, const char *words, const char *log);

/* epoch.c */
int epoch_begin(struct keeper *keeper, struct vferry_error *err);
/** epoch_check() - look at the device's status now; whether it can be lent. */
bool epoch_check(struct keeper *keeper);

/* own.c */
int own_begin(struct keeper *keeper, struct vferry_error *err);
void own_end(struct keeper *keeper);
/** own_ask() - modes and sizes; then keeper's sessions that ask get their report. */
void own_ask(struct keeper *keeper, uint32_t ask);
/** own_list_use() - put the list of legal commands back, after a borrower that was alone. */
void own_list_use(struct keeper *keeper);

/* report.c */

/** report_make() - the bytes of REPORT; freed by the caller. */
void *report_make(const struct keeper *keeper, uint32_t ask, size_t *count);

#endif
