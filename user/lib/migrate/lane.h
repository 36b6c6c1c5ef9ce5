/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What source and destination share: a run (one owner, one stream, many VFs) and a lane (one VF of it), its
 * commands, its control frames, its journal, its gate. A lane is a state machine: each step hands over the function
 * that goes on when the device, the peer or the hook has answered.
 */
#ifndef VF_LANE_H
#define VF_LANE_H

#include <vferry/migrate.h>
#include "admin/owner.h"
#include "migrate/fault_point.h"
#include "migrate/gate.h"
#include "migrate/journal.h"
#include "migrate/messages.h"
#include "migrate/offer.h"
#include "migrate/probe.h"
#include "migrate/recorder.h"
#include "migrate/retain.h"
#include "stream/stream.h"

/* Of the arena, before anything moves: what a VF in Freeze has under way at most. */
#define VF_TOUCHED_BYTES (8ULL << 20)

#define VF_CONTROLS 8 /* control frames of a lane that may be under way at once */

struct vf_move;
struct vf_lane;

typedef void (*vf_lane_fn)(struct vf_lane *lane);

/** struct vf_control - a small frame under way, its body in place */
struct vf_control {
	struct vf_tx tx;
	struct vf_move *move;
	bool busy;
	void *text; /* malloc()ed body of OFFER, freed when sent */
	uint8_t body[VF_WORDS_BYTES];
};

/** struct vf_chunk - a slot under way at the source: free when nobody holds it any more */
struct vf_chunk {
	struct vf_tx tx;
	struct vf_lane *lane;
	struct vf_slot *slot;
	unsigned int holds;
	uint32_t length;
	uint64_t begin_ns;
	struct vf_keep keep;
};

/**
 * struct vf_side - what differs between source and destination
 * @undo: nothing of the lane is under way any more: bring the VF back to how it was found; ends with vf_lane_settle()
 * @quiet: true when nothing of the lane's own (reads, writes) is under way
 * @hush: make that come true soon
 * @slots: slots of the arena have come free
 */
struct vf_side {
	enum vf_role role;
	vf_lane_fn undo;
	bool (*quiet)(struct vf_lane *lane);
	vf_lane_fn hush;
	vf_lane_fn slots;
};

struct vf_lane {
	struct vf_move *move;
	const struct vf_side *side;
	uint32_t number;
	uint16_t vf;
	uint8_t id[VF_ID_BYTES];
	enum vferry_state state;
	uint8_t mode, mode_found;
	bool mode_known;
	uint64_t mode_since_ns;
	struct vf_journal journal;
	struct vferry_vf_result *result;

	/* a command that is waited for */
	struct vferry_cmd cmd;
	bool calling;
	vf_lane_fn then;

	struct vf_control controls[VF_CONTROLS];
	struct vf_gate gate;
	vf_lane_fn after_hook;
	struct vf_probe probe;
	struct vf_description about;
	vf_lane_fn after_probe;

	bool failing; /* something went wrong; waits for quiet, then undo */
	bool undoing;
	bool settled;
	uint64_t shown_ns;

	struct vf_recorder recorder;
	struct vf_clock clock;
	uint64_t gate_ns; /* the hook that runs was started */
	uint64_t met_ns;  /* waits for the others of its group since */
};

static inline void vf_lane_count_pass(struct vf_lane *lane, uint64_t bytes, uint64_t ns)
{
	struct vferry_vf_result *result = lane->result;
	uint32_t at =
		result->passes < VFERRY_PASSES_SHOWN ? result->passes : VFERRY_PASSES_SHOWN - 1;

	result->passes++;
	result->pass_bytes[at] += bytes;
	result->pass_ns[at] += ns;
	result->context_bytes += bytes;
}

/**
 * struct vf_group_run - how far a group's lanes have come together (migrate/group.h)
 * @there: lanes that have come to the step at hand
 * @cause: number of the lane that failed first, + 1
 * @failing: it did, and all follow
 * @moving: destination: mode changes towards Active have been given to devices
 * @last: what the leader does when its members are settled
 */
struct vf_group_run {
	uint32_t there;
	uint32_t cause;
	bool failing;
	bool back; /* destination: the way back has begun */
	bool told; /* destination: REFUSED was said on a connection that stood */
	bool moving;
	vf_lane_fn last;
};

/** struct vf_move - a run */
struct vf_move {
	const struct vferry_move_opts *opts;
	struct vferry_move *result;
	struct vf_ring *ring;
	struct vferry_owner *owner;
	char address[256]; /* of the owner, in its one spelling */
	char peer_name[160];
	struct vf_stream *stream;
	bool mute;    /* nothing may be said: nobody listens (a recv from a file) */
	bool listens; /* a destination that can be asked after its connection is gone */
	bool broken;  /* the stream has ended */
	int broken_error;
	int send_error; /* a frame did not go out: "broken" follows */
	struct vferry_error broken_why;
	struct vf_chunk *chunks; /* one for each slot */
	uint32_t unsent;	 /* chunks that the stream has */
	bool sated;		 /* it has enough of them */
	uint64_t timeout_ns;
	uint32_t count, settled;
	struct vf_lane **lanes;

	uint64_t progress_ns; /* something moved */
	uint64_t begin_ns;
	uint64_t watched_ns; /* the watchdog looked last */
	uint64_t bytes;	     /* context bytes passed, for the rate */
	struct vf_timer watchdog;
	struct vf_op interrupt;
	bool interrupted;
	vf_lane_fn on_interrupt, on_silence;
	void (*on_frame)(struct vf_move *move, const struct vf_frame *frame, void *payload);
	vf_lane_fn on_broken;
	struct vf_inbox inbox;
	uint32_t next_slot_lane;
	int tcp_fd;		     /* what TCP_INFO is asked of; -1: no such connection */
	uint8_t lane_of[VF_MAX_VFS]; /* number of a VF's lane + 1 */
	struct vf_clock clock;	     /* the last one measured */
	uint8_t group[VF_ID_BYTES];
	bool together; /* all or none: @group is the leader's id */
	struct vf_group_run group_run;
	uint8_t host[VF_ID_BYTES]; /* who this side is (a destination) */
};

/* --- the run --- */
void vf_move_defaults(struct vferry_move_opts *opts, const struct vferry_move_opts *given);
int vf_move_begin(struct vf_move *move, const struct vferry_move_opts *opts,
		  struct vferry_move *result, struct vferry_error *err);
/** vf_move_open_owner() - borrow the VFs, check that none has an open journal, allocate lanes of @lane_bytes. */
int vf_move_open_owner(struct vf_move *move, uint32_t slot_bytes, size_t lane_bytes,
		       const struct vf_side *side, struct vferry_error *err);
void vf_move_end(struct vf_move *move);
/** vf_move_watch() - deadlines without progress and the caller's interrupt. */
void vf_move_watch(struct vf_move *move);
static inline void vf_move_progress(struct vf_move *move)
{
	move->progress_ns = vf_now_ns();
}
/** vf_move_link() - begin to talk on @link; frames go to @move->on_frame, CONTEXT excepted, which is refused. */
int vf_move_link(struct vf_move *move, const struct vf_link *link, struct vferry_error *err);
/** vf_move_broken() - the stream has ended, or what came is not to be borne: each lane is told. */
void vf_move_broken(struct vf_move *move, int error, const struct vferry_error *why);
/** vf_move_slots() - slots came free: lanes that wait for one, in turn. */
void vf_move_slots(struct vf_move *move);
/** vf_move_verdict() - the run's return value out of its lanes' results. */
int vf_move_verdict(struct vf_move *move, struct vferry_error *err);

/* --- a lane's steps --- */
/** vf_lane_call() - one admin command; @then when the device said OK, otherwise the lane fails. */
void vf_lane_call(struct vf_lane *lane, uint16_t opcode, int data, uint32_t result_room,
		  vf_lane_fn then);
/** vf_lane_mode() - MODE_SET; keeps the time in each mode. */
void vf_lane_mode(struct vf_lane *lane, enum vferry_mode mode, vf_lane_fn then);
/** vf_lane_state() - journal a state before it is acted on; 0, or the lane fails. */
int vf_lane_state(struct vf_lane *lane, enum vferry_state state);
/** vf_lane_open_journal() - write the journal's first record. */
int vf_lane_open_journal(struct vf_lane *lane, enum vf_role role, enum vferry_state state,
			 uint32_t flags);
/** vf_lane_probe() - look at the VF. */
void vf_lane_probe(struct vf_lane *lane, bool keep, vf_lane_fn then);
/** vf_lane_gate() - run the hook for a gate; at once without a hook. For a group: its leader's, once. */
void vf_lane_gate(struct vf_lane *lane, const char *event, vf_lane_fn then);
/** vf_lane_gated() - the hook has ended: into the recorder. */
void vf_lane_gated(struct vf_lane *lane);
/** vf_lane_phase() - tell the probe and the caller. */
void vf_lane_phase(struct vf_lane *lane, enum vferry_phase phase);
void vf_lane_show(struct vf_lane *lane, enum vferry_phase phase, uint64_t done, uint64_t remaining);

/** vf_control_sent() - a control frame's tx.done. */
void vf_control_sent(struct vf_tx *tx, int error);

/* frames; without effect when the peer does not answer (destination) or the stream has ended */
void vf_lane_say(struct vf_lane *lane, enum vf_frame_type type, struct vf_message *message);
void vf_lane_say_words(struct vf_lane *lane, enum vf_frame_type type, int code, const char *text);

int vf_lane_say_offer(struct vf_lane *lane, const struct vf_offer *offer);

/**
 * vf_count_copies() - a run of context bytes goes from or to @memory: by whom was it brought there?
 *
 * The arena is what the device itself reads and writes. Bytes that stand anywhere else were copied by this process,
 * and are counted as such in the result.
 */
void vf_count_copies(struct vf_move *move, const void *memory, uint32_t length);

/** vf_lane_fail() - the first failure counts. Nothing new is begun; when all is quiet the side's undo runs. */
__attribute__((format(printf, 3, 4))) void vf_lane_fail(struct vf_lane *lane, int code,
							const char *format, ...);
/** vf_lane_quiet() - called whenever something of the lane has ended. */
void vf_lane_quiet(struct vf_lane *lane);
/** vf_lane_doubt() - give up undoing: the journal is kept, the VF stays as it is. */
void vf_lane_doubt(struct vf_lane *lane, const char *what);
/** vf_lane_settle() - this lane is over. */
void vf_lane_settle(struct vf_lane *lane, enum vferry_outcome outcome);

#endif
