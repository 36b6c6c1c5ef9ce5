/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one table of the downtime's phases, and the one of the causes inside them. Manual, text, JSON, HTML and metrics
 * are made from these.
 */
#ifndef PROF_PHASES_H
#define PROF_PHASES_H

#include <vferry/phase.h>

enum prof_at { PROF_SOURCE = 0, PROF_DESTINATION = 1, PROF_SIDES };

/*
 * From the source's Stop to the destination's Active: a phase begins where the one before ends, so they add up.
 * X(NAME, begins with, ends with, "side", "name", "meaning", "QEMU", "CRIU")
 */
#define PROF_PHASES(X)                                                                                                              \
	X(STOP, SRC_STOP, SRC_STOPPED, "source", "stop",                                                                            \
	  "the source device stops: MODE_SET(Stop) until its answer",                                                               \
	  "src-downtime-start to src-vm-stopped", "freezing_time")                                                                  \
	X(STOP_GATE, SRC_STOPPED, SRC_FREEZE, "source", "stop_gate",                                                                \
	  "the hook source-stopped (the VMM copies the last memory), and the journal; of a group, until all have stopped",          \
	  "src-vm-stopped", "frozen_time")                                                                                          \
	X(FREEZE, SRC_FREEZE, SRC_FROZEN, "source", "freeze",                                                                       \
	  "the source device freezes: MODE_SET(Freeze) until its answer",                                                           \
	  "VFIO's change to STOP_COPY", "frozen_time")                                                                              \
	X(FINAL_READ, SRC_FROZEN, SRC_FINAL_READ, "source", "final_read",                                                           \
	  "what has changed since pre-copy is read from the source device, and sent as it comes",                                   \
	  "vmstate_downtime_save", "memdump_time")                                                                                  \
	X(FINAL_SEND, SRC_FINAL_READ, DST_FINAL_LAST, "both", "final_send",                                                         \
	  "the rest of it is on its way: from the last READ's answer until END has arrived",                                        \
	  "vmstate_downtime_save, the flush at its end", "memwrite_time")                                                           \
	X(LOAD, DST_FINAL_LAST, DST_LOADED, "destination", "load",                                                                  \
	  "the destination device takes in what is not yet written, until all is staged and checked",                               \
	  "vmstate_downtime_load", "restore_time")                                                                                  \
	X(LOADED_WORD, DST_LOADED, SRC_LOADED, "both", "loaded_word",                                                               \
	  "the word LOADED is on its way", "the return path", "none")                                                               \
	X(RELEASE_GATE, SRC_LOADED, SRC_RELEASE, "source", "release_gate",                                                          \
	  "the hook before-release (memory and disks have arrived), and the journal; of a group, until all are loaded",             \
	  "none", "none")                                                                                                           \
	X(RELEASE_WORD, SRC_RELEASE, DST_RELEASE, "both", "release_word",                                                           \
	  "the word RELEASE is on its way", "none", "none")                                                                         \
	X(GRANT_GATE, DST_RELEASE, DST_GRANTED, "destination", "grant_gate",                                                        \
	  "the journal, and the hook destination-before-active", "dst-precopy-bh-enter", "none")                                    \
	X(ACTIVATE, DST_GRANTED, DST_ACTIVE, "destination", "activate",                                                             \
	  "the destination device becomes active: MODE_SET(Active) until its answer; of a group, MODE_SET(Stop) for all before it", \
	  "dst-precopy-bh-vm-started", "restore_time, its end")

/*
 * When a migration does not come to its end, or only one side's profile is at hand:
 * X(NAME, "side", "name", "meaning")
 */
#define PROF_OTHER_PHASES(X)                                                        \
	X(TAKE_BACK, "source", "take_back",                                         \
	  "something failed: DISCARD and MODE_SET until the VF is as it was found") \
	X(ACTIVE_WORD, "both", "active_word",                                       \
	  "the word ACTIVE is on its way; not part of the downtime, and counted only where the destination's profile is missing")

enum prof_phase {
#define X(name, ...) PROF_PHASE_##name,
	PROF_PHASES(X) PROF_PHASE_COUNT, /* of those that make up the downtime */
	PROF_PHASE_BEFORE_OTHER = PROF_PHASE_COUNT - 1,
	PROF_OTHER_PHASES(X)
#undef X
		PROF_PHASE_ALL,
};

#define PROF_BOUNDS (PROF_PHASE_COUNT + 1) /* the events between which the phases lie */

/*
 * What an instant is blamed on: the first of these that holds. X(NAME, "name", "words", needs the kernel's scheduler
 * events, "meaning")
 */
#define PROF_CAUSES(X)                                                                                                        \
	X(STOPPED, "stopped", "engine stopped", 1,                                                                            \
	  "the engine was stopped by a signal or a debugger")                                                                 \
	X(PREEMPTED, "preempted", "engine preempted", 1,                                                                      \
	  "the engine had work, another task had its processor")                                                              \
	X(RUNQUEUE, "runqueue", "wake-up latency", 1,                                                                         \
	  "the engine was woken and waited for a processor")                                                                  \
	X(INTERRUPT, "interrupt", "interrupts", 1,                                                                            \
	  "interrupts and soft interrupts ran on the engine's processor in its time")                                         \
	X(DISK, "disk", "disk, page faults", 1,                                                                               \
	  "the engine slept for input or output without being interruptible: a disk, a page that lies there")                 \
	X(LOCK, "kernel_lock", "kernel locks, memory", 1,                                                                     \
	  "the engine slept without being interruptible, but not for input or output")                                        \
	X(JOURNAL, "journal", "journal", 0, "the hand-off's journal was written")                                             \
	X(HOOK, "hook", "hook", 0, "the user's hook ran")                                                                     \
	X(DEVICE, "device", "device", 0,                                                                                      \
	  "the device had a command of this VF: from its doorbell to the interrupt being seen. Until the engine fell asleep " \
	  "for the last time before it, or was woken from that, nothing else is blamed")                                      \
	X(REAP, "reap", "reaping", 0, "from the interrupt being seen to the answer being taken")                              \
	X(QUEUE, "queue", "queueing", 0, "a command of this VF waited to be given to the device")                             \
	X(GROUP, "group", "its group", 0,                                                                                     \
	  "the VF was ready and waited for the others of its group (--together)")                                             \
	X(ENGINE, "engine", "engine's CPU", 1, "the engine ran")                                                              \
	X(WORKER, "io_wq", "io_uring worker", 1,                                                                              \
	  "the engine slept, and a worker thread of its io_uring ran or waited for a disk")                                   \
	X(NETWORK, "network", "network", 0,                                                                                   \
	  "context or a word was on its way, and none of the above held")                                                     \
	X(WAIT, "wait", "waiting", 1, "the engine slept, for what was not seen")                                              \
	X(REST, "rest", "engine, on or off CPU", 0,                                                                           \
	  "the engine, running or not: the scheduler was not seen")                                                           \
	X(UNSEEN, "unseen", "other side, not seen", 0, "time at the side whose profile is missing")

enum prof_cause {
#define X(name, ...) PROF_CAUSE_##name,
	PROF_CAUSES(X)
#undef X
		PROF_CAUSE_COUNT,
};

struct prof_phase_def {
	const char *name, *side, *meaning, *qemu, *criu;
	enum vferry_phase from, to;
};
struct prof_cause_def {
	const char *name, *words, *meaning;
	int kernel;
};

extern const struct prof_phase_def prof_phase_defs[PROF_PHASE_ALL];
extern const struct prof_cause_def prof_cause_defs[PROF_CAUSE_COUNT];
/** prof_bounds - the event at each border, the side by its number */
extern const enum vferry_phase prof_bounds[PROF_BOUNDS];

static inline enum prof_at prof_side_of(enum vferry_phase phase)
{
	return phase >= VFERRY_PHASE_DST_OFFER ? PROF_DESTINATION : PROF_SOURCE;
}

#endif
