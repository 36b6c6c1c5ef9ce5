// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel module as the lender of an admin queue: opening its node, claims, memory, reset. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "admin/uring_cmd_inside.h"
#include "virtio/pf_inside.h"

#define PREFIX "uring-cmd:"

bool vf_uring_cmd_is(const char *address)
{
	return !strncmp(address, PREFIX, strlen(PREFIX));
}

static int register_memory(struct vf_uring_cmd *carrier, const void *memory, uint64_t bytes,
			   uint32_t *buffer)
{
	struct vferry_uring_register reg = {
		.address = (uintptr_t)memory,
		.length = bytes,
	};
	int ret = vf_uring_cmd_ask(carrier, VFERRY_URING_REGISTER, &reg, sizeof(reg));

	if (ret < 0)
		return ret;
	*buffer = (uint32_t)ret;
	return 0;
}

static int unregister(struct vf_uring_cmd *carrier, uint32_t *buffer)
{
	struct vferry_uring_unregister unreg = { .buffer = *buffer };
	int ret;

	if (*buffer == VFERRY_URING_NONE)
		return 0;
	ret = vf_uring_cmd_ask(carrier, VFERRY_URING_UNREGISTER, &unreg, sizeof(unreg));
	if (!ret)
		*buffer = VFERRY_URING_NONE;
	return ret;
}

/* --- the lease: here from the kernel module --- */

static int kick(struct vf_lease *lease)
{
	(void)lease;
	return 0;
}

/* The module resets a queue that does not answer by itself. That it let go of the memory is the proof. */
static int reset(struct vf_lease *lease, uint64_t deadline_ns)
{
	struct vf_uring_cmd *carrier = lease->holder;
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
	struct vf_uring_cmd *carrier = lease->holder;
	struct vferry_uring_info info;
	struct vferry_uring_query query = { .address = (uintptr_t)&info, .length = sizeof(info) };
	int ret = vf_uring_cmd_ask(carrier, VFERRY_URING_QUERY, &query, sizeof(query));

	return ret < 0 || memcmp(info.epoch, lease->epoch, sizeof(info.epoch)) ? -ENODEV : 0;
}

static int no_fd(struct vf_lease *lease)
{
	(void)lease;
	return -1;
}

static void release(struct vf_lease *lease)
{
	struct vf_uring_cmd *carrier = lease->holder;

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

static int open_node(struct vf_uring_cmd *carrier, const char *path, struct vferry_error *err)
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

static int make_ring(struct vf_uring_cmd *carrier, int call_fd, struct vferry_error *err)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER,
	};
	int ret = io_uring_queue_init_params(2 * VF_URING_CMD_SLOTS, &carrier->ring, &params);

	if (ret)
		return vferry_fail(err, ret, "io_uring with SQE128 and CQE32: %s", strerror(-ret));
	carrier->has_ring = true;
	ret = io_uring_register_eventfd(&carrier->ring, call_fd);
	if (ret)
		return vferry_fail(err, ret, "io_uring and an eventfd: %s", strerror(-ret));
	return 0;
}

static int query(struct vf_uring_cmd *carrier, const char *address, struct vferry_error *err)
{
	struct vferry_uring_query query = {
		.address = (uintptr_t)&carrier->info,
		.length = sizeof(carrier->info),
	};
	int ret = vf_uring_cmd_ask(carrier, VFERRY_URING_QUERY, &query, sizeof(query));

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
	carrier->slots =
		carrier->info.depth < VF_URING_CMD_SLOTS ? carrier->info.depth : VF_URING_CMD_SLOTS;
	return 0;
}

static int claim(struct vf_uring_cmd *carrier, struct vf_lease *lease,
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
			ret = vf_uring_cmd_ask(carrier, VFERRY_URING_CLAIM, &claim, sizeof(claim));
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

static int make_memory(struct vf_uring_cmd *carrier, struct vf_lease *lease,
		       const struct vferry_owner_opts *opts, struct vferry_error *err)
{
	void *memory;
	int ret;

	carrier->commands_bytes = carrier->slots * (uint64_t)VF_URING_CMD_SLOT_BYTES;
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

static int open_all(struct vf_uring_cmd *carrier, struct vf_lease *lease,
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
	struct vf_uring_cmd *carrier;
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
		ret = vf_queue_open(&queue, ring, lease, &vf_uring_cmd_way, carrier, carrier->slots,
				    err);
	if (ret) {
		release(lease);
		return ret;
	}
	*admin = &queue->base;
	return 0;
}
