/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One guest with one virtio-blk VF: a thread that keeps the VF's queues full, checks all that comes back, and goes on
 * at the destination when the VF has moved. guest.c is its life and its interrupts, load.c its requests.
 */
#ifndef STANDIN_GUEST_H
#define STANDIN_GUEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/virtio_blk.h>
#include <vferry/error.h>
#include "tools/standin/blocks.h"
#include "tools/standin/memory.h"
#include "tools/standin/port.h"
#include "virtio/vq.h"

/* X(NAME, "name in output") in the order in which a guest goes through them */
#define GUEST_STATES(X)             \
	X(CONNECTING, "connecting") \
	X(FILLING, "filling")       \
	X(RUNNING, "running")       \
	X(PAUSED, "paused")         \
	X(DRAINING, "draining")     \
	X(READBACK, "readback")     \
	X(DONE, "done")             \
	X(FAILED, "failed")

enum guest_state {
#define X(name, text) GUEST_##name,
	GUEST_STATES(X)
#undef X
};

enum guest_phase { PHASE_BEFORE, PHASE_DURING, PHASE_AFTER, PHASES };

/* How a guest's doorbell finds the destination. */
enum guest_switch {
	SWITCH_BOTH_DOORBELLS, /* ring both, before and after; only the Active device listens */
	SWITCH_CONTROL, /* ring one; "attach" on the control socket changes over, as a VMM would */
};

struct guest_opts {
	unsigned int vf;
	char source[256];      /* owner address of the VF */
	char destination[256]; /* likewise; empty: the VF stays */
	uint16_t queues, queue_size, depth;
	uint64_t span_bytes;
	uint32_t max_request_bytes;
	uint64_t iops; /* 0: as fast as it goes */
	unsigned int read_percent;
	uint64_t timeout_ns; /* a request that takes longer is lost */
	uint64_t seed;
	bool event_idx, indirect, verbose;
	enum guest_switch how;
	char corrupt[512]; /* the VF's disk file, to break a block of behind the device's back */
};

/* What the guest saw. Every count that should be 0 is counted apart. */
struct tally {
	uint64_t io[PHASES];
	uint64_t reads, writes, flushes, filled, read_back;
	uint64_t direct_chains, indirect_chains;
	uint64_t source_interrupts, destination_interrupts;
	uint64_t gap_ns,
		gap_during_ns;	 /* longest time without a completion while requests waited */
	uint64_t switch_gap_ns;	 /* around the first completion from the destination */
	uint64_t switch_ns;	 /* when that was; 0: not yet */
	uint64_t ring_at_switch; /* requests in the rings then */
	uint64_t latency_max_ns;

	uint64_t failed;	   /* the device answered with an error status */
	uint64_t ring_errors;	   /* used entries that cannot be */
	uint64_t wrong_lengths;	   /* used length does not match the request */
	uint64_t lost_completions; /* no used entry within the timeout */
	uint64_t lost_interrupts;  /* a used entry, but no interrupt within the timeout */
	uint64_t stray_interrupts; /* the source interrupts after the destination did */
	uint64_t stale_reads, corrupt_reads;
	uint64_t lost_blocks, corrupt_blocks; /* read back at the end */
};

struct request {
	struct request *next; /* of the idle ones */
	bool busy;
	uint16_t queue;
	uint32_t type; /* VIRTIO_BLK_T_* */
	uint32_t first, count;
	uint64_t submit_ns;
	struct virtio_blk_outhdr *header;
	uint8_t *status;
	struct vring_desc *table;
	uint8_t *data;
	uint64_t header_iova, status_iova, table_iova, data_iova;
};

enum guest_command { GUEST_PAUSE, GUEST_RESUME, GUEST_ATTACH, GUEST_STOP, GUEST_MARK, GUEST_LOOK };

struct guest {
	struct guest_opts opts;
	pthread_t thread;
	bool started;

	/* the mailbox: one command at a time, from the main thread */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	int bell; /* eventfd: a command waits */
	bool waiting, ended;
	enum guest_command command;
	int argument;
	struct vferry_error *answer;
	int answer_code;
	struct tally seen; /* copied at each command */
	enum guest_state seen_state;
	int over; /* eventfd of the main thread: this guest has ended */

	/* the thread's own; the main thread looks at them through the mailbox or after the end */
	enum guest_state state, resume_to;
	struct vferry_error error;
	struct port source, destination;
	bool destination_open, switched, stop_asked;
	struct port_driver driver;
	struct memory memory;
	struct vf_vq queues[PORT_QUEUES_MAX];
	uint64_t ring_iova[PORT_QUEUES_MAX];
	unsigned int queue_count;
	struct request *requests;
	struct request *idle[PORT_QUEUES_MAX];
	uint32_t inflight;
	struct blocks blocks;
	uint32_t max_blocks;
	uint32_t cursor; /* filling and reading back */
	uint64_t random;
	enum guest_phase phase;
	struct tally tally;
	int epoll;

	uint64_t pace_ns;	   /* since when, */
	uint64_t pace_sent;	   /* and how many: --iops */
	uint64_t waiting_since_ns; /* the gap that is open now; 0: nothing waits */
	uint64_t patience_ns;	   /* no request is late before this (after a pause) */
	uint64_t looked_ns;	   /* for late requests */
};

const char *guest_state_name(enum guest_state state);
/** guest_errors() - of @tally: all that should not have happened to a request. */
uint64_t guest_errors(const struct tally *tally);
/** guest_verified() - done, and nothing that should be 0 is not. */
bool guest_verified(const struct guest *guest);

int guest_new(struct guest **guest, const struct guest_opts *opts, int over,
	      struct vferry_error *err);
int guest_start(struct guest *guest, struct vferry_error *err);
/** guest_tell() - a command for the guest's thread, waits until it has obeyed. GUEST_LOOK copies tally and state out. */
int guest_tell(struct guest *guest, enum guest_command command, int argument,
	       struct vferry_error *err);
void guest_free(struct guest *guest); /* waits for its end */

/* --- load.c, called by the guest's thread --- */
int load_new(struct guest *guest, struct vferry_error *err);
void load_free(struct guest *guest);
/** load_submit() - make available what the state allows; rings doorbells. When the next would be due, UINT64_MAX: after a completion. */
uint64_t load_submit(struct guest *guest, uint64_t now_ns);
/** load_reap() - take all used entries of a queue, check them, arm the interrupt. How many, or -EPROTO. */
int load_reap(struct guest *guest, unsigned int queue, uint64_t now_ns);
/** load_has_used() - a used entry that was not taken. */
bool load_has_used(const struct guest *guest, unsigned int queue);
/** load_late() - a request that waits since before @before_ns; NULL: none. */
const struct request *load_late(const struct guest *guest, uint64_t before_ns);
/** guest_ring() - the doorbell, or both; in guest.c. */
void guest_ring(struct guest *guest, unsigned int queue);

#endif
