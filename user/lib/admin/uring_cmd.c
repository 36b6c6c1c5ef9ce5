// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Admin commands as SQEs: what a virtqueue does for user_queue.c, the kernel module does here. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vferry/uring_cmd.h>
#include "admin/queue_inside.h"
#include "admin/uring_cmd.h"
#include "virtio/pf_inside.h"

#define PREFIX	   "uring-cmd:"
#define MOST_SLOTS 128
#define ANSWER	   ((uint32_t)sizeof(struct vferry_admin_answer_hdr))

/* Memory of a command, registered with the module. */
#define SLOT_DATA  4096
#define SLOT_RUNS  4160
#define SLOT_BYTES 5120

_Static_assert(VFERRY_CMD_INLINE_RESULT <= SLOT_DATA, "command memory");
_Static_assert(SLOT_DATA + VFERRY_CMD_INLINE_DATA <= SLOT_RUNS, "command memory");
_Static_assert(SLOT_RUNS + 2 * VFERRY_URING_RUNS * sizeof(struct vferry_uring_run) <= SLOT_BYTES,
	       "command memory");
_Static_assert(VFERRY_CMD_SG_MAX <= VFERRY_URING_RUNS, "runs of a command");
_Static_assert(sizeof(struct vferry_uring_admin) == VFERRY_URING_CMD_BYTES, "cmd[] of an SQE128");

struct carrier {
	int fd;
	bool has_ring;
	struct io_uring ring;
	struct vferry_uring_info info;
	unsigned int slots;
	unsigned char *commands;
	uint64_t commands_bytes;
	int commands_fd;
	uint32_t commands_buffer, arena_buffer; /* VFERRY_URING_NONE: not registered */
	uint32_t generation;			/* an answer from before a reset is nobody's */
	struct {
		int32_t res;
		uint64_t word;
	} answers[MOST_SLOTS];
};

bool vf_uring_cmd_is(const char *address)
{
	return !strncmp(address, PREFIX, strlen(PREFIX));
}

/* --- SQEs --- */

static struct io_uring_sqe *new_sqe(struct carrier *carrier, uint32_t op, const void *payload,
				    size_t bytes)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&carrier->ring);

	if (!sqe)
		return NULL;
	/* Both halves: the second one is not the library's to clear. */
	memset((void *)sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = carrier->fd;
	sqe->off = op; /* cmd_op in its lower half */
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, addr3), payload, bytes);
	return sqe;
}

/* Only while no command is under way: before the first one, and after the last. */
static int ask(struct carrier *carrier, uint32_t op, const void *payload, size_t bytes)
{
	struct io_uring_sqe *sqe = new_sqe(carrier, op, payload, bytes);
	struct io_uring_cqe *cqe;
	uint64_t tag = UINT64_MAX;
	int ret;

	if (!sqe)
		return -EBUSY;
	sqe->user_data = tag;
	ret = io_uring_submit(&carrier->ring);
	while (ret >= 0) {
		ret = io_uring_wait_cqe(&carrier->ring, &cqe);
		if (ret == -EINTR) {
			ret = 0;
			continue;
		}
		if (ret)
			break;
		tag = cqe->user_data;
		ret = cqe->res;
		io_uring_cqe_seen(&carrier->ring, cqe);
		if (tag == UINT64_MAX)
			return ret;
		/* Of a command that nobody waits for any more. */
		ret = 0;
	}
	return ret;
}

static int register_memory(struct carrier *carrier, const void *memory, uint64_t bytes,
			   uint32_t *buffer)
{
	struct vferry_uring_register reg = {
		.address = (uintptr_t)memory,
		.length = bytes,
	};
	int ret = ask(carrier, VFERRY_URING_REGISTER, &reg, sizeof(reg));

	if (ret < 0)
		return ret;
	*buffer = (uint32_t)ret;
	return 0;
}

static int unregister(struct carrier *carrier, uint32_t *buffer)
{
	struct vferry_uring_unregister unreg = { .buffer = *buffer };
	int ret;

	if (*buffer == VFERRY_URING_NONE)
		return 0;
	ret = ask(carrier, VFERRY_URING_UNREGISTER, &unreg, sizeof(unreg));
	if (!ret)
		*buffer = VFERRY_URING_NONE;
	return ret;
}

/* --- a command --- */

static unsigned char *slot_memory(const struct carrier *carrier, uint16_t slot)
{
	return carrier->commands + slot * (size_t)SLOT_BYTES;
}

static struct vferry_uring_run in_slot(const struct carrier *carrier, uint16_t slot,
				       uint32_t offset, uint32_t length)
{
	return (struct vferry_uring_run){
		.buffer = carrier->commands_buffer,
		.length = length,
		.offset = slot * (uint64_t)SLOT_BYTES + offset,
	};
}

static unsigned int in_arena(const struct user_queue *queue, const struct vferry_sg *sg,
			     unsigned int count, struct vferry_uring_run *runs)
{
	const struct carrier *carrier = queue->carrier;

	for (unsigned int i = 0; i < count; i++)
		runs[i] = (struct vferry_uring_run){
			.buffer = carrier->arena_buffer,
			.length = sg[i].length,
			.offset = sg[i].iova - queue->lease->arena_iova,
		};
	return count;
}

static const char *check(const struct user_queue *queue, const struct vferry_cmd *cmd)
{
	const char *why = vf_chain_check(queue, cmd);

	if (!why && vf_chain_inline_bytes(cmd) > VFERRY_URING_INLINE &&
	    cmd->data_count == VFERRY_URING_RUNS)
		return "more runs than the kernel module takes";
	return why;
}

static uint32_t timeout_ms(const struct vferry_cmd *cmd)
{
	const struct cmd_state_of *state = (const struct cmd_state_of *)cmd->private_;
	uint64_t now = vf_now_ns();
	uint64_t ms = state->deadline_ns > now ? (state->deadline_ns - now) / 1000000 + 1 : 1;

	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static int add(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot)
{
	struct carrier *carrier = queue->carrier;
	unsigned char *memory = slot_memory(carrier, slot);
	struct vferry_uring_run *out = (struct vferry_uring_run *)(memory + SLOT_RUNS);
	struct vferry_uring_run *in = out + VFERRY_URING_RUNS;
	struct vferry_uring_admin admin = {
		.opcode = cmd->opcode,
		.group_type = cmd->group_type,
		.member = cmd->member,
		.data_buffer = VFERRY_URING_NONE,
		.result_buffer = VFERRY_URING_NONE,
		.timeout_ms = timeout_ms(cmd),
	};
	uint32_t data = vf_chain_inline_bytes(cmd), result = vf_chain_result_bytes(cmd);
	unsigned int outs = 0, ins;
	struct io_uring_sqe *sqe;

	if (data <= sizeof(admin.inline_data)) {
		admin.inline_length = (uint16_t)data;
		memcpy(admin.inline_data, cmd->inline_data, cmd->inline_length);
	} else {
		memset(memory + SLOT_DATA, 0, data);
		memcpy(memory + SLOT_DATA, cmd->inline_data, cmd->inline_length);
		out[outs++] = in_slot(carrier, slot, SLOT_DATA, data);
	}
	outs += in_arena(queue, cmd->data, cmd->data_count, out + outs);
	ins = in_arena(queue, cmd->result, cmd->result_count, in);
	if (result)
		in[ins++] = in_slot(carrier, slot, 0, result);
	if (outs == 1) {
		admin.data_buffer = out->buffer;
		admin.data_length = out->length;
		admin.data_offset = out->offset;
	} else if (outs) {
		admin.flags |= VFERRY_URING_DATA_RUNS;
		admin.data_length = outs;
		admin.data_offset = (uintptr_t)out;
	}
	if (ins == 1) {
		admin.result_buffer = in->buffer;
		admin.result_length = in->length;
		admin.result_offset = in->offset;
	} else if (ins) {
		admin.flags |= VFERRY_URING_RESULT_RUNS;
		admin.result_length = ins;
		admin.result_offset = (uintptr_t)in;
	}
	sqe = new_sqe(carrier, VFERRY_URING_ADMIN, &admin, sizeof(admin));
	if (!sqe)
		return -ENOSPC;
	sqe->user_data = (uint64_t)carrier->generation << 16 | slot;
	return 0;
}

static void publish(struct user_queue *queue)
{
	struct carrier *carrier = queue->carrier;
	int ret;

	queue->base.stats.doorbells++;
	do {
		ret = io_uring_submit(&carrier->ring);
	} while (ret == -EINTR || ret == -EAGAIN);
	if (ret < 0)
		vf_queue_die(queue, -EIO, "io_uring does not take the commands");
}

/* The kernel gave up, the device did not: its memory is the device's until a reset says otherwise. */
static bool keeps_memory(int32_t res)
{
	return res == -ETIMEDOUT || res == -ECANCELED;
}

static int pop(struct user_queue *queue, struct vf_vq_answer *answer)
{
	struct carrier *carrier = queue->carrier;
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&carrier->ring, &cqe)) {
		uint64_t tag = cqe->user_data;
		int32_t res = cqe->res;
		uint64_t word = cqe->big_cqe[0];
		unsigned int slot = tag & 0xffff;

		io_uring_cqe_seen(&carrier->ring, cqe);
		if (tag >> 16 != carrier->generation || slot >= queue->slots_count ||
		    !queue->slots[slot].in_use)
			continue;
		if (res == -ENODEV) {
			vf_queue_die(queue, -ENODEV, "the owner is gone, or it was reset");
			return 0;
		}
		if (keeps_memory(res)) {
			if (queue->slots[slot].cmd)
				vf_queue_end(queue, queue->slots[slot].cmd, res,
					     "the device did not answer the kernel module");
			continue;
		}
		carrier->answers[slot].res = res;
		carrier->answers[slot].word = word;
		answer->token = &queue->slots[slot];
		answer->length = res > 0 ? (uint32_t)res : 0;
		return 1;
	}
	return 0;
}

static const char *refusal(int error)
{
	switch (error) {
	case -EACCES:
		return "the kernel module refuses it: the VF is not this program's, or the owner is not its alone";
	case -EOPNOTSUPP:
		return "the kernel module refuses it: not among the commands in use (LIST_USE), or too many runs";
	case -EPROTO:
		return "the device answered what cannot be";
	case -EIO:
		return "the admin queue is parked: the device does not answer and cannot be reset";
	}
	return "the kernel module refuses it";
}

static int take(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot, uint32_t used)
{
	const struct carrier *carrier = queue->carrier;
	uint64_t word = carrier->answers[slot].word;
	struct vferry_admin_answer_hdr header = {
		.status = htole16((uint16_t)word),
		.status_qualifier = htole16((uint16_t)(word >> 16)),
	};
	uint32_t output = htole32((uint32_t)(word >> 32));
	uint64_t room = ANSWER + vf_chain_result_bytes(cmd);
	int ret = carrier->answers[slot].res;

	/* Other files share the queue: there will be room. */
	if (ret == -EBUSY && !cmd->no_retry) {
		cmd->status = VFERRY_STATUS_EAGAIN;
		return 0;
	}
	if (ret < 0) {
		cmd->why = refusal(ret);
		return ret;
	}
	for (unsigned int i = 0; i < cmd->result_count; i++)
		room += cmd->result[i].length;
	memcpy(header.output, &output, sizeof(header.output));
	ret = vf_answer_take(cmd, &header, used, room);
	if (!ret && !cmd->result_count && cmd->result_room)
		vf_chain_result(queue, cmd, slot_memory(carrier, slot));
	return ret;
}

static bool has_answers(struct user_queue *queue)
{
	struct carrier *carrier = queue->carrier;

	return io_uring_cq_ready(&carrier->ring);
}

static void quiet(struct user_queue *queue)
{
	(void)queue;
}

static void restart(struct user_queue *queue)
{
	struct carrier *carrier = queue->carrier;

	carrier->generation++;
}

/* Ends what is under way: the module keeps the pages for as long as the device has them. */
static void close_ring(struct user_queue *queue)
{
	struct carrier *carrier = queue->carrier;

	io_uring_queue_exit(&carrier->ring);
	carrier->has_ring = false;
}

static const struct vf_queue_way uring_cmd = {
	.check = check,
	.add = add,
	.publish = publish,
	.pop = pop,
	.take = take,
	.listen = has_answers,
	.quiet = quiet,
	.restart = restart,
	.close = close_ring,
};

/* --- the lease: here from the kernel module --- */

static int kick(struct vf_lease *lease)
{
	(void)lease;
	return 0;
}

/* The module resets a queue that does not answer by itself. That it let go of the memory is the proof. */
static int reset(struct vf_lease *lease, uint64_t deadline_ns)
{
	struct carrier *carrier = lease->holder;
	const struct timespec pause = { .tv_nsec = 10000000 };
	int ret;

	for (;;) {
		ret = unregister(carrier, &carrier->commands_buffer);
		if (!ret)
			ret = unregister(carrier, &carrier->arena_buffer);
		if (ret != -EBUSY || vf_now_ns() >= deadline_ns)
			break;
		nanosleep(&pause, NULL);
	}
	if (carrier->commands_buffer == VFERRY_URING_NONE && ret != -ENODEV) {
		int again = register_memory(carrier, carrier->commands, carrier->commands_bytes,
					    &carrier->commands_buffer);

		if (again)
			return again;
	}
	if (!ret && lease->arena)
		ret = register_memory(carrier, lease->arena, lease->arena_bytes,
				      &carrier->arena_buffer);
	return ret;
}

static int alive(struct vf_lease *lease)
{
	struct carrier *carrier = lease->holder;
	struct vferry_uring_info info;
	struct vferry_uring_query query = { .address = (uintptr_t)&info, .length = sizeof(info) };
	int ret = ask(carrier, VFERRY_URING_QUERY, &query, sizeof(query));

	return ret < 0 || memcmp(info.epoch, lease->epoch, sizeof(info.epoch)) ? -ENODEV : 0;
}

static int no_fd(struct vf_lease *lease)
{
	(void)lease;
	return -1;
}

static void release(struct vf_lease *lease)
{
	struct carrier *carrier = lease->holder;

	if (carrier->has_ring)
		io_uring_queue_exit(&carrier->ring);
	if (carrier->fd >= 0)
		close(carrier->fd);
	if (carrier->commands) {
		munmap(carrier->commands, carrier->commands_bytes);
		close(carrier->commands_fd);
	}
	if (lease->arena) {
		munmap(lease->arena, lease->arena_bytes);
		close(lease->arena_fd);
	}
	if (lease->call_fd >= 0)
		close(lease->call_fd);
	free(carrier);
	lease->holder = NULL;
	lease->ops = NULL;
}

static const struct vf_lease_ops lease_ops = {
	.kick = kick,
	.reset = reset,
	.alive = alive,
	.fd = no_fd,
	.release = release,
};

/* --- opening --- */

static int open_node(struct carrier *carrier, const char *path, struct vferry_error *err)
{
	carrier->fd = open(path, O_RDWR | O_CLOEXEC);
	if (carrier->fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
		return vferry_fail(err, -ENOENT,
				   "%s: no such device node: load kmod/vferry_vfio_pci.ko and bind "
				   "the PF to it (driver_override vferry-vfio-pci)",
				   path);
	case EBUSY:
		return vferry_fail(err, -EBUSY,
				   "%s: a VFIO container holds the owner device: end the program "
				   "that opened it (vferry keep --stop)",
				   path);
	case EACCES:
	case EPERM:
		return vferry_fail(err, -errno, "%s: no permission to open it", path);
	}
	return vferry_fail(err, -errno, "%s: %s", path, strerror(errno));
}

static int make_ring(struct carrier *carrier, int call_fd, struct vferry_error *err)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER,
	};
	int ret = io_uring_queue_init_params(2 * MOST_SLOTS, &carrier->ring, &params);

	if (ret)
		return vferry_fail(err, ret, "io_uring with SQE128 and CQE32: %s", strerror(-ret));
	carrier->has_ring = true;
	ret = io_uring_register_eventfd(&carrier->ring, call_fd);
	if (ret)
		return vferry_fail(err, ret, "io_uring and an eventfd: %s", strerror(-ret));
	return 0;
}

static int query(struct carrier *carrier, const char *address, struct vferry_error *err)
{
	struct vferry_uring_query query = {
		.address = (uintptr_t)&carrier->info,
		.length = sizeof(carrier->info),
	};
	int ret = ask(carrier, VFERRY_URING_QUERY, &query, sizeof(query));

	if (ret == -EOPNOTSUPP)
		return vferry_fail(err, ret, "%s: not a device node of vferry's kernel module",
				   address);
	if (ret < 0)
		return vferry_fail(err, ret, "%s: %s", address, strerror(-ret));
	if ((size_t)ret < sizeof(carrier->info) || carrier->info.version < VFERRY_URING_VERSION ||
	    !carrier->info.depth)
		return vferry_fail(err, -EPROTONOSUPPORT,
				   "%s: the kernel module speaks version %u, this is version %u",
				   address, carrier->info.version, VFERRY_URING_VERSION);
	carrier->slots = carrier->info.depth < MOST_SLOTS ? carrier->info.depth : MOST_SLOTS;
	return 0;
}

static int claim(struct carrier *carrier, struct vf_lease *lease,
		 const struct vferry_owner_opts *opts, struct vferry_error *err)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	uint64_t until = vf_now_ns() + opts->timeout_ns;

	for (uint32_t i = 0; i < opts->vfs_count; i++) {
		struct vferry_uring_claim claim = { .first = opts->vfs[i], .count = 1 };
		int ret;

		if (vf_vfset_has(&lease->vfs, opts->vfs[i]))
			continue;
		if (!claim.first || claim.first > lease->num_vfs)
			return vferry_fail(err, -EINVAL,
					   "%s: there is no VF %u: VFs 1 to %u are enabled",
					   lease->address, claim.first, lease->num_vfs);
		for (;;) {
			ret = ask(carrier, VFERRY_URING_CLAIM, &claim, sizeof(claim));
			if (ret != -EBUSY || !(opts->flags & VFERRY_OWNER_WAIT) ||
			    vf_now_ns() >= until)
				break;
			nanosleep(&pause, NULL);
		}
		if (ret)
			return vferry_fail(err, ret, "%s: VF %u: %s", lease->address, claim.first,
					   ret == -EBUSY ? "another program has it"
							 : strerror(-ret));
		vf_vfset_add(&lease->vfs, claim.first);
	}
	return 0;
}

static int make_memory(struct carrier *carrier, struct vf_lease *lease,
		       const struct vferry_owner_opts *opts, struct vferry_error *err)
{
	void *memory;
	int ret;

	carrier->commands_bytes = carrier->slots * (uint64_t)SLOT_BYTES;
	ret = vf_pf_memory("vferry-commands", &carrier->commands_bytes, false,
			   &carrier->commands_fd, &memory, err);
	if (ret)
		return ret;
	carrier->commands = memory;
	ret = register_memory(carrier, memory, carrier->commands_bytes, &carrier->commands_buffer);
	if (!ret && opts->arena_bytes) {
		if (opts->arena_bytes > carrier->info.buffer_bytes)
			return vferry_fail(
				err, -EINVAL,
				"%s: an arena of %llu bytes: the kernel module registers at most "
				"%llu",
				lease->address, (unsigned long long)opts->arena_bytes,
				(unsigned long long)carrier->info.buffer_bytes);
		lease->arena_bytes = opts->arena_bytes;
		ret = vf_pf_memory("vferry-arena", &lease->arena_bytes, true, &lease->arena_fd,
				   &lease->arena, err);
		if (ret)
			return ret;
		ret = register_memory(carrier, lease->arena, lease->arena_bytes,
				      &carrier->arena_buffer);
	}
	if (ret)
		return vferry_fail(err, ret, "%s: memory cannot be registered: %s", lease->address,
				   ret == -ENOMEM ? "not enough, or RLIMIT_MEMLOCK is too small"
						  : strerror(-ret));
	return 0;
}

static int open_all(struct carrier *carrier, struct vf_lease *lease,
		    const struct vferry_owner_opts *opts, struct vferry_error *err)
{
	int ret = open_node(carrier, lease->address + strlen(PREFIX), err);

	if (!ret)
		ret = make_ring(carrier, lease->call_fd, err);
	if (!ret)
		ret = query(carrier, lease->address, err);
	if (ret)
		return ret;
	/* A hypervisor hides SR-IOV from its guest: then the device alone knows its members. */
	lease->num_vfs = carrier->info.num_vfs;
	if (!(carrier->info.flags & VFERRY_URING_INFO_SRIOV) ||
	    carrier->info.num_vfs > VF_MAX_VFS - 1)
		lease->num_vfs = VF_MAX_VFS - 1;
	lease->list = carrier->info.list_used;
	memcpy(lease->epoch, carrier->info.epoch, sizeof(lease->epoch));
	ret = claim(carrier, lease, opts, err);
	return ret ? ret : make_memory(carrier, lease, opts, err);
}

int vf_uring_cmd_open(struct vf_admin **admin, struct vf_ring *ring, struct vf_lease *lease,
		      const char *address, const struct vferry_owner_opts *opts,
		      struct vferry_error *err)
{
	struct carrier *carrier;
	struct user_queue *queue;
	int ret;

	if (strlen(address) >= sizeof(lease->address))
		return vferry_fail(err, -EINVAL, "%.40s...: the address is too long", address);
	carrier = calloc(1, sizeof(*carrier));
	if (!carrier)
		return vferry_fail(err, -ENOMEM, "no memory");
	carrier->fd = carrier->commands_fd = -1;
	carrier->commands_buffer = carrier->arena_buffer = VFERRY_URING_NONE;
	*lease = (struct vf_lease){
		.indirect = true,
		.can_reset = true,
		.rings_fd = -1,
		.notify_fd = -1,
		.kick_fd = -1,
		.arena_fd = -1,
		.arena_iova = VF_PF_ARENA_IOVA,
		.ops = &lease_ops,
		.holder = carrier,
	};
	strcpy(lease->address, address);
	lease->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = lease->call_fd < 0 ? vferry_fail(err, -errno, "no eventfd: %s", strerror(errno))
				 : open_all(carrier, lease, opts, err);
	if (!ret)
		ret = vf_queue_open(&queue, ring, lease, &uring_cmd, carrier, carrier->slots, err);
	if (ret) {
		release(lease);
		return ret;
	}
	*admin = &queue->base;
	return 0;
}
