/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Moving VFs: a source that sends their contexts, a destination that receives them, and the recovery of what was
 * interrupted. At most one of the two sides ever serves (design: handoff.md).
 */
#ifndef VFERRY_MIGRATE_H
#define VFERRY_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vferry/admin.h>
#include <vferry/error.h>
#include <vferry/phase.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VFERRY_PASSES_SHOWN \
	32 /* passes kept one by one in a result; later ones are added to the last */
#define VFERRY_PHASES_SHOWN 48 /* more than the largest enum vferry_phase */

/* How a VF's part of a run ended. */
enum vferry_outcome {
	VFERRY_OUTCOME_NONE = 0,    /* not begun */
	VFERRY_OUTCOME_MOVED,	    /* source: the destination is Active. destination: Active */
	VFERRY_OUTCOME_COPIED,	    /* a snapshot was written or taken in */
	VFERRY_OUTCOME_HANDED_OVER, /* source: released to whoever holds the file */
	VFERRY_OUTCOME_TAKEN_BACK,  /* source: as it was found */
	VFERRY_OUTCOME_DISCARDED,   /* destination: as it was found */
	VFERRY_OUTCOME_IN_DOUBT,    /* frozen, the journal is kept: vferry recover */
	VFERRY_OUTCOME_UNTOUCHED,   /* it failed before anything was done */
};

/** struct vferry_vf_result - one VF of a run; times are CLOCK_MONOTONIC durations */
struct vferry_vf_result {
	uint16_t vf;
	char id[33]; /* of the migration */
	enum vferry_outcome outcome;
	enum vferry_state state; /* last state of the hand-off on this side */
	int error;		 /* 0, or why it did not move */
	struct vferry_error why;
	uint16_t opcode, status,
		qualifier; /* of the command that the device refused; status 0: none */
	char undone[240];  /* what was done about a failure */

	uint32_t passes;
	uint64_t pass_bytes[VFERRY_PASSES_SHOWN];
	uint64_t pass_ns[VFERRY_PASSES_SHOWN];
	uint64_t context_bytes; /* all passes */
	uint64_t final_bytes;	/* moved while frozen */
	uint64_t mode_ns[3];	/* time in each mode, by enum vferry_mode */
	uint64_t
		downtime_ns; /* source: Stop issued to ACTIVE received. destination: RELEASE to the device's OK */
	uint64_t peer_ns;    /* source: what the destination measured */
	uint64_t kept_bytes; /* kept because the device cannot give them again */
	uint64_t phase_ns
		[VFERRY_PHASES_SHOWN]; /* CLOCK_MONOTONIC at which each enum vferry_phase was last entered; 0: never */
	/* source: the destination's clock minus ours, measured right before Stop; no exchanges: not known */
	int64_t clock_offset_ns;
	uint64_t clock_error_ns;
	uint32_t clock_exchanges;
};

/** struct vferry_move - result of a run */
struct vferry_move {
	uint32_t size; /* sizeof(struct vferry_move) */
	uint32_t vf_count;
	struct vferry_vf_result *vfs; /* vferry_move_free() */
	char peer[160];
	uint64_t total_ns;
	uint64_t
		user_copied_bytes; /* context bytes sent or received outside the memory that the device uses */
	uint64_t zc_sends, zc_copied, plain_sends;
	uint64_t commands, retries;
	bool interrupted;    /* the caller's interrupt_fd became readable */
	char recording[512]; /* file that the flight recorder was written to; empty: none */
	struct vferry_error
		recording_why; /* why it could not be written; code 0: it was, or need not be */
	char group
		[33]; /* VFs that were moved together: their group's id, which vferry_recover() takes; else empty */
};

void vferry_move_free(struct vferry_move *move);

/** struct vferry_progress - where a VF is, for a line on a terminal */
struct vferry_progress {
	uint16_t vf;
	enum vferry_state state;
	enum vferry_phase phase;
	uint32_t pass;
	uint64_t done_bytes;	  /* of this pass */
	uint64_t remaining_bytes; /* estimate, this pass */
	uint64_t rate_bytes;	  /* a second, all VFs */
};

#define VFERRY_MOVE_NO_PRECOPY	      0x1u
#define VFERRY_MOVE_TOGETHER	      0x2u /* send: the VFs are of one guest, and all of them move or none */
#define VFERRY_MOVE_HAND_OVER	      0x4u
#define VFERRY_MOVE_WAIT	      0x8u
#define VFERRY_MOVE_INSECURE	      0x10u
#define VFERRY_MOVE_ACTIVATE_SNAPSHOT 0x20u
#define VFERRY_MOVE_NO_START	      0x40u /* no keeper: fail instead of starting one */

/**
 * struct vferry_move_opts - of a send or a recv
 * @size: sizeof(struct vferry_move_opts)
 * @flags: VFERRY_MOVE_*
 * @owner: address of the owner device
 * @vfs: VF numbers in the order in which they pair with the peer's
 * @vfs_count: how many
 * @peer: tcp:host:port, unix:path, exec:command, fd:N, file:path or -
 * @downtime_limit_ns: send: switch over when the rest is expected to move within this; 0: 50 ms
 * @max_downtime_ns: send: take back when it takes longer than this, while that is allowed; 0: no such limit
 * @timeout_ns: no wait is longer than this without progress; 0: 30 s
 * @arena_bytes: memory for context bytes; 0: 64 MiB
 * @slot_bytes: largest chunk; 0: 256 KiB
 * @hook: command run at each gate, NULL: none
 * @hook_timeout_ns: 0: 30 s
 * @interrupt_fd: when it becomes readable the run is undone where that is allowed; -1: none
 * @slow_ns: write the flight recorder out when a VF was down for longer; 0: only after a failure
 * @record_dir: write it out into this folder in any case, and keep more events; NULL: only to the run folder's flight/
 * @progress: called now and then, at most ten times a second and VF, never between Stop and Active
 * @listening: recv: called once the peer may connect
 * @arg: for both
 */
struct vferry_move_opts {
	uint32_t size;
	uint32_t flags;
	const char *owner;
	const uint16_t *vfs;
	uint32_t vfs_count;
	uint32_t slot_bytes;
	const char *peer;
	uint64_t downtime_limit_ns;
	uint64_t max_downtime_ns;
	uint64_t timeout_ns;
	uint64_t arena_bytes;
	const char *hook;
	uint64_t hook_timeout_ns;
	int interrupt_fd;
	void (*progress)(void *arg, const struct vferry_progress *progress);
	void (*listening)(void *arg, const char *peer);
	void *arg;
	uint64_t slow_ns;
	const char *record_dir;
};

/**
 * vferry_send() - move VFs to a peer
 * @opts: what, where to, how
 * @move: result, also filled in on failure; vferry_move_free()
 * @err: the first failure
 *
 * Return: 0: every VF moved. Otherwise the first failure: -EINPROGRESS: in doubt, the VF is frozen on both sides and its journal is kept;
 * -EINTR: interrupted and undone; -EBUSY: a VF is lent or has an open journal; -EXDEV: the destination differs; -EREMOTEIO: the device
 * refused a command; -ETIMEDOUT; -ECONNRESET; -errno.
 */
int vferry_send(const struct vferry_move_opts *opts, struct vferry_move *move,
		struct vferry_error *err);
/** vferry_recv() - receive one run of VFs. As vferry_send(). Answers QUERY for every journal of this host while it listens. */
int vferry_recv(const struct vferry_move_opts *opts, struct vferry_move *move,
		struct vferry_error *err);

/* --- recovery --- */

#define VFERRY_RECOVER_LIST		   0x1u /* change nothing */
#define VFERRY_RECOVER_FINISH		   0x2u
#define VFERRY_RECOVER_ABORT		   0x4u
#define VFERRY_RECOVER_DESTINATION_IS_DEAD 0x8u
#define VFERRY_RECOVER_FORGET		   0x10u /* with @id: delete what is kept behind a settled migration */

/** struct vferry_recovered - one journal and what became of it */
struct vferry_recovered {
	char path[512];
	char id[33];
	char group
		[33]; /* of a group (--together): its id, which is that of the one that decides; else empty */
	char role[16];
	char owner[256];
	char peer[256];
	uint16_t vf;
	enum vferry_state before;
	enum vferry_state after; /* VFERRY_STATE_NONE: settled, the journal is gone */
	enum vferry_outcome outcome;
	bool settled;
	bool readable;
	uint64_t written_ns; /* CLOCK_REALTIME */
	int error;
	char words[512]; /* what was found and done, or what to do */
	bool kept;	 /* not open: kept so that nothing lives twice */
	bool was_kept;	 /* it was, and is deleted now */
};

/**
 * struct vferry_recover_opts - which journals, and how far to go
 * @owner: only of this owner; NULL: all
 * @id: only this migration, or with VFERRY_MOVE_TOGETHER the whole group that it is of; NULL: all
 * @peer: ask this address instead of the journal's
 * @each: called for each journal
 */
struct vferry_recover_opts {
	uint32_t size;
	uint32_t flags;
	const char *owner;
	const char *id;
	const char *peer;
	uint64_t timeout_ns;
	int interrupt_fd;
	void (*each)(void *arg, const struct vferry_recovered *recovered);
	void *arg;
};

/** vferry_recover() - settle open journals. 0: none is left; -EINPROGRESS: some are still in doubt; -errno. */
int vferry_recover(const struct vferry_recover_opts *opts, struct vferry_error *err);

/** vferry_journal_check() - -EBUSY with words when a migration of @vf of @owner is not settled, or has moved it away: for whoever would change its mode by hand. */
int vferry_journal_check(const char *owner, uint16_t vf, struct vferry_error *err);

static inline const char *vferry_outcome_name(enum vferry_outcome outcome)
{
	switch (outcome) {
	case VFERRY_OUTCOME_NONE:
		return "not_begun";
	case VFERRY_OUTCOME_MOVED:
		return "moved";
	case VFERRY_OUTCOME_COPIED:
		return "copied";
	case VFERRY_OUTCOME_HANDED_OVER:
		return "handed_over";
	case VFERRY_OUTCOME_TAKEN_BACK:
		return "taken_back";
	case VFERRY_OUTCOME_DISCARDED:
		return "discarded";
	case VFERRY_OUTCOME_IN_DOUBT:
		return "in_doubt";
	case VFERRY_OUTCOME_UNTOUCHED:
		return "untouched";
	}
	return "unknown";
}

#ifdef __cplusplus
}
#endif

#endif
