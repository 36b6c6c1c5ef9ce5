/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The inside of a user queue, shared by its files. */
#ifndef VF_QUEUE_INSIDE_H
#define VF_QUEUE_INSIDE_H

#include "admin/admin.h"
#include "virtio/vq.h"

struct user_queue;
struct lane;

struct cmd_list {
	struct vferry_cmd *head, *tail;
	unsigned int count;
};

enum cmd_state {
	CMD_IDLE,
	CMD_WAITING,  /* for a place: queue->waiting */
	CMD_HELD,     /* for its turn, or put off, in its lane */
	CMD_ISSUED,   /* with the device */
	CMD_RETRY,    /* put off; the timer sends it again: queue->retrying */
	CMD_FINISHED, /* for its done(): queue->finished */
};

/* What a command's private_ holds. */
struct cmd_state_of {
	struct vferry_cmd *next, *prev;
	struct cmd_list *list;
	struct user_queue *queue;
	struct lane *lane; /* NULL: VFERRY_ORDER_FREE */
	uint64_t deadline_ns;
	struct vf_timer timer;
	uint8_t state; /* enum cmd_state */
	uint16_t slot;
	uint32_t backoff_us;
};
_Static_assert(sizeof(struct cmd_state_of) <= sizeof(((struct vferry_cmd *)0)->private_),
	       "private_ is too small");

static inline struct cmd_state_of *of(struct vferry_cmd *cmd)
{
	return (struct cmd_state_of *)cmd->private_;
}

void vf_cmd_append(struct cmd_list *list, struct vferry_cmd *cmd);
void vf_cmd_remove(struct vferry_cmd *cmd);

/* Command memory of one command under way. */
struct command_slot {
	struct vferry_cmd *cmd; /* NULL: free, or abandoned */
	bool in_use;
	uint16_t next_free;
};

/* The ordered commands of one member (order.c). */
struct lane {
	struct lane *next;
	struct user_queue *queue;
	uint64_t member;
	struct cmd_list pending; /* not sent yet, or to be sent again, in order */
	struct cmd_list put_off; /* EAGAIN, in the order of execution */
	unsigned int out;	 /* waiting for a place or with the device */
	bool strict_out;	 /* one of them wants to be alone */
	bool serial;		 /* the device puts off: one at a time from now on */
	bool resting;		 /* the timer runs */
	bool broken;
	uint32_t backoff_us;
	struct vf_timer timer;
};

/* What carries the commands: a virtqueue of ours (user_queue.c), or the kernel module (uring_cmd.c). */
struct vf_queue_way {
	/* NULL, or what is wrong with the command */
	const char *(*check)(const struct user_queue *queue, const struct vferry_cmd *cmd);
	/* in the slot's memory; 0, -ENOSPC: later, -EPROTO */
	int (*add)(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot);
	/* what was added, to the device */
	void (*publish)(struct user_queue *queue);
	/* 1: an answer, whose token is its slot; 0; -EPROTO with vq.broken */
	int (*pop)(struct user_queue *queue, struct vf_vq_answer *answer);
	/* the answer, into the command; 0, or why there is none */
	int (*take)(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot, uint32_t used);
	/* an answer is to signal lease->call_fd, when @skip others have come; true: it is there already. Some ways do not skip */
	bool (*listen)(struct user_queue *queue, uint16_t skip);
	/* none needs to, somebody is looking */
	void (*quiet)(struct user_queue *queue);
	/* nothing is the device's any more */
	void (*restart)(struct user_queue *queue);
	void (*close)(struct user_queue *queue);
};

struct user_queue {
	struct vf_admin base;
	const struct vf_queue_way *way;
	void *carrier; /* the way's own */
	struct vf_lease *lease;
	struct vf_vq vq;
	struct command_slot *slots;
	unsigned int slots_count;
	uint16_t free_slot;
	struct cmd_list waiting, issued, retrying, finished;
	struct lane *lanes;
	const char *dead_why;

	struct vf_hook hook;
	struct vf_op call; /* interrupts: multishot poll of call_fd, whose count is never read */
	struct vf_op end;  /* poll for the end of the lease */
	bool closing;
	struct vf_timer soon; /* wakes the turn for what finished outside of it */
	uint64_t wake_ns;     /* last interrupt */
	unsigned int answers; /* since then */
	uint64_t gap_ns;      /* between answers, of late */
	struct vf_timer look; /* when answers may wait without an interrupt */
	unsigned char answer[VFERRY_CMD_INLINE_RESULT];
};

#define NO_SLOT		 UINT16_MAX
#define BACKOFF_FIRST_US 100
#define BACKOFF_MOST_US	 10000

static inline uint64_t vf_backoff_ns(uint32_t *backoff_us)
{
	*backoff_us = !*backoff_us			  ? BACKOFF_FIRST_US
		      : *backoff_us * 2 < BACKOFF_MOST_US ? *backoff_us * 2
							  : BACKOFF_MOST_US;
	return *backoff_us * 1000ULL;
}

/* chain.c */
/** vf_chain_check() - NULL, or what is wrong with a command's lengths and runs. */
const char *vf_chain_check(const struct user_queue *queue, const struct vferry_cmd *cmd);
/** vf_chain_add() - lay the command out in its slot's memory and put it in the ring. 0, -ENOSPC or -EPROTO. */
int vf_chain_add(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot);
/** vf_chain_take() - copy the answer out of the slot's memory, into @cmd and queue->answer. 0 or -EPROTO. */
int vf_chain_take(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot, uint32_t used);
/** vf_chain_inline_bytes() - of inline data that the device gets, padding included. */
uint32_t vf_chain_inline_bytes(const struct vferry_cmd *cmd);
/** vf_chain_result_bytes() - of room for a result in the command's own memory, padding included. */
uint32_t vf_chain_result_bytes(const struct vferry_cmd *cmd);
/** vf_chain_result() - @result, which stands in the command's own memory, out of reach of the device. */
void vf_chain_result(struct user_queue *queue, struct vferry_cmd *cmd, const void *result);

/* user_queue.c */
void vf_queue_send(struct user_queue *queue, struct vferry_cmd *cmd);
/** vf_queue_open() - a queue with @slots places, carried by @way. Closing it closes @carrier; on failure it stays the caller's. */
int vf_queue_open(struct user_queue **queue, struct vf_ring *ring, struct vf_lease *lease,
		  const struct vf_queue_way *way, void *carrier, unsigned int slots,
		  struct vferry_error *err);

/* queue_end.c */
void vf_slots_free(struct user_queue *queue); /* all of them */
void vf_slot_free(struct user_queue *queue, struct command_slot *slot);
/** vf_queue_finish() - the command's error (0: answered) is known: done() follows. */
void vf_queue_finish(struct user_queue *queue, struct vferry_cmd *cmd, int error, const char *why);
/** vf_queue_deliver() - done() of all that is finished; how many. */
int vf_queue_deliver(struct user_queue *queue);
/** vf_queue_deliver_soon() - the same in the next turn, which does not wait. */
void vf_queue_deliver_soon(struct user_queue *queue);
void vf_queue_deliver_now(struct vf_timer *timer);
/** vf_queue_end() - take a command out of wherever it is, and finish it. */
void vf_queue_end(struct user_queue *queue, struct vferry_cmd *cmd, int error, const char *why);
void vf_queue_end_all(struct user_queue *queue, int error, const char *why);
/** vf_queue_die() - nothing works from here on. */
void vf_queue_die(struct user_queue *queue, int error, const char *why);

/* order.c */
int vf_order_submit(struct user_queue *queue, struct vferry_cmd *cmd);
/** vf_order_answered() - an ordered command was answered (@put_off: EAGAIN, to be tried again). True: the order took it over. */
bool vf_order_answered(struct vferry_cmd *cmd, bool put_off);
/** vf_order_ended() - after vf_queue_finish() of an ordered command, so that the ones that end for its sake end behind it. */
void vf_order_ended(struct lane *lane, enum cmd_state was, int error);
void vf_order_free(struct user_queue *queue);

#endif
