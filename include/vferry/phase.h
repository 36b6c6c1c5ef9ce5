/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The states of the hand-off (design: handoff.md) and the phases in between that a profile adds up. Journal, probes,
 * model and reports use these names.
 */
#ifndef VFERRY_PHASE_H
#define VFERRY_PHASE_H

#include <vferry/names.h>

/* X(NAME, number, "name") */
#define VFERRY_SOURCE_STATES(X)    \
	X(PRECOPY, 1, "precopy")   \
	X(STOPPED, 2, "stopped")   \
	X(FROZEN, 3, "frozen")     \
	X(RELEASED, 4, "released") \
	X(GONE, 5, "gone")

#define VFERRY_DESTINATION_STATES(X)  \
	X(LOADING, 17, "loading")     \
	X(LOADED, 18, "loaded")       \
	X(COMMITTED, 19, "committed") \
	X(GRANTED, 20, "granted")     \
	X(ACTIVE, 21, "active")       \
	X(REFUSED, 22, "refused")

#define VFERRY_STATES(X) VFERRY_SOURCE_STATES(X) VFERRY_DESTINATION_STATES(X)

enum vferry_state {
	VFERRY_STATE_NONE = 0,
#define X(name, number, text) VFERRY_STATE_##name = number,
	VFERRY_STATES(X)
#undef X
};

/*
 * Phases: what "phase" probes carry. Those between STOP and ACTIVE are the downtime.
 * X(NAME, number, "name")
 */
#define VFERRY_PHASES(X)                                                                           \
	X(SRC_OFFER, 1, "source_offer")		  /* OFFER sent */                                 \
	X(SRC_PRECOPY, 2, "source_precopy")	  /* a pre-copy pass begins */                     \
	X(SRC_STOP, 3, "source_stop")		  /* MODE_SET(Stop) issued: the downtime begins */ \
	X(SRC_STOPPED, 4, "source_stopped")	  /* the device said OK */                         \
	X(SRC_FREEZE, 5, "source_freeze")	  /* gates done, MODE_SET(Freeze) issued */        \
	X(SRC_FROZEN, 6, "source_frozen")	  /* the device said OK; the final read begins */  \
	X(SRC_FINAL_READ, 7, "source_final_read") /* the last READ was answered */                 \
	X(SRC_FINAL_SENT, 8, "source_final_sent") /* END is sent */                                \
	X(SRC_LOADED, 9, "source_loaded")	  /* LOADED received */                            \
	X(SRC_RELEASE, 10, "source_release")	  /* gates done, journal written, RELEASE sent */  \
	X(SRC_ACTIVE, 11, "source_active")	/* ACTIVE received: over, as the source sees it */ \
	X(SRC_BACK, 12, "source_back")		/* taken back, Active again */                     \
	X(DST_OFFER, 32, "destination_offer")	/* OFFER received */                               \
	X(DST_ACCEPT, 33, "destination_accept") /* Freeze, journal, ACCEPT sent */                 \
	X(DST_FINAL_FIRST, 34, "destination_final_first") /* first bytes of the last image */      \
	X(DST_FINAL_LAST, 35, "destination_final_last")	  /* END received */                       \
	X(DST_LOADED, 36, "destination_loaded")		  /* all staged, LOADED sent */            \
	X(DST_RELEASE, 37, "destination_release")	  /* RELEASE received */                   \
	X(DST_GRANTED, 38, "destination_granted") /* gates done, MODE_SET(Active) issued */        \
	X(DST_ACTIVE, 39, "destination_active")	  /* the device said OK: the downtime ends */      \
	X(DST_REFUSED, 40, "destination_refused")                                                  \
	X(DST_DONE, 41, "destination_done")

enum vferry_phase {
#define X(name, number, text) VFERRY_PHASE_##name = number,
	VFERRY_PHASES(X)
#undef X
};

VFERRY_NAMES(vferry_state_name, VFERRY_STATES, "none")

VFERRY_NAMES(vferry_phase_name, VFERRY_PHASES, "unknown")

#endif
