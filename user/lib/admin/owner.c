// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "admin/owner.h"
#include "admin/uring_cmd.h"
#include "bus/lent.h"
#include "virtio/pf.h"

#define ARENA_BYTES (64ULL << 20)
#define SLOT_BYTES  (256U << 10)
#define TIMEOUT_NS  5000000000ULL
#define ENTRIES	    256

/* Of a structure that may be older or newer than this library: what both know. */
static int read_opts(struct vferry_owner_opts *out, const struct vferry_owner_opts *opts,
		     struct vferry_error *err)
{
	memset(out, 0, sizeof(*out));
	if (opts) {
		if (opts->size < offsetof(struct vferry_owner_opts, slot_bytes))
			return vferry_fail(err, -EINVAL,
					   "vferry_owner_opts.size is %u: set it to "
					   "sizeof(struct vferry_owner_opts)",
					   opts->size);
		memcpy(out, opts, opts->size < sizeof(*out) ? opts->size : sizeof(*out));
	}
	if (out->vfs_count && !out->vfs)
		return vferry_fail(err, -EINVAL, "vferry_owner_opts: %u VFs, and no list of them",
				   out->vfs_count);
	if (!out->arena_bytes)
		out->arena_bytes = ARENA_BYTES;
	if (!out->slot_bytes)
		out->slot_bytes = SLOT_BYTES;
	if (!out->timeout_ns)
		out->timeout_ns = TIMEOUT_NS;
	return 0;
}

static int take_directly(struct vferry_owner *owner, const char *address,
			 const struct vferry_owner_opts *opts, struct vferry_error *err)
{
	struct vf_pf_opts pf_opts = {
		.bus.timeout_ns = opts->timeout_ns,
		.num_vfs = opts->num_vfs,
		.queues = 1,
	};
	int ret = vf_pf_open(&owner->pf, address, &pf_opts, err);

	if (ret)
		return ret;
	for (uint32_t i = 0; i < opts->vfs_count; i++) {
		if (!opts->vfs[i] || opts->vfs[i] > vf_pf_num_vfs(owner->pf))
			return vferry_fail(err, -EINVAL,
					   "%s: there is no VF %u: VFs 1 to %u are enabled of %u",
					   address, opts->vfs[i], vf_pf_num_vfs(owner->pf),
					   vf_pf_total_vfs(owner->pf));
	}
	ret = vf_pf_lease(owner->pf, 0, opts->arena_bytes, &owner->lease, err);
	for (uint32_t i = 0; i < opts->vfs_count && !ret; i++)
		vf_vfset_add(&owner->lease.vfs, opts->vfs[i]);
	return ret;
}

int vf_owner_open_on(struct vferry_owner **out, struct vf_ring *ring, const char *address,
		     const struct vferry_owner_opts *given, struct vferry_error *err)
{
	struct vferry_owner_opts opts;
	struct vferry_owner *owner;
	char way[sizeof(owner->lease.address)];
	int ret = read_opts(&opts, given, err);

	if (!ret && vf_owner_address_bare(address)) {
		ret = vf_owner_address(address, way, sizeof(way), err);
		address = way;
	}
	if (ret)
		return ret;
	owner = calloc(1, sizeof(*owner));
	if (!owner)
		return vferry_fail(err, -ENOMEM, "no memory");
	owner->poll_fd = owner->timer_fd = -1;
	owner->ring = ring;
	owner->timeout_ns = opts.timeout_ns;
	if (vf_uring_cmd_is(address)) {
		/* The kernel module is its own keeper. */
		ret = vf_uring_cmd_open(&owner->admin, ring, &owner->lease, address, &opts, err);
	} else {
		if (opts.flags & VFERRY_OWNER_DIRECT)
			ret = take_directly(owner, address, &opts, err);
		else
			ret = vf_lent_borrow(&owner->lease, address, &opts, err);
		if (!ret)
			ret = vf_user_queue_open(&owner->admin, ring, &owner->lease, err);
	}
	if (!ret) {
		owner->admin->timeout_ns = opts.timeout_ns;
		if (owner->lease.arena_bytes >= opts.slot_bytes)
			ret = vf_arena_new(&owner->arena, &owner->lease, opts.slot_bytes, err);
	}
	if (ret) {
		vferry_owner_close(owner);
		return ret;
	}
	*out = owner;
	return 0;
}

int vferry_owner_open(struct vferry_owner **out, const char *address,
		      const struct vferry_owner_opts *opts, struct vferry_error *err)
{
	struct vf_ring *ring;
	int ret = vf_ring_new(&ring, ENTRIES, err);

	if (ret)
		return ret;
	ret = vf_owner_open_on(out, ring, address, opts, err);
	if (ret)
		vf_ring_free(ring);
	else
		(*out)->own_ring = true;
	return ret;
}

static void come_to_rest(struct vferry_owner *owner)
{
	struct vf_admin *admin = owner->admin;

	/* Each command has a deadline, so this ends. */
	while (!admin->dead && (admin->queued || admin->inflight > admin->abandoned)) {
		int ret = vf_ring_turn(owner->ring, UINT64_MAX);

		if (ret < 0 && ret != -EINTR)
			break;
	}
	vf_admin_settle(admin, vf_now_ns() + owner->timeout_ns);
}

void vferry_owner_close(struct vferry_owner *owner)
{
	if (!owner)
		return;
	if (owner->admin) {
		come_to_rest(owner);
		vf_admin_close(owner->admin);
	}
	vf_arena_free(owner->arena);
	if (owner->lease.ops)
		owner->lease.ops->release(&owner->lease);
	vf_pf_close(owner->pf);
	if (owner->poll_fd >= 0)
		close(owner->poll_fd);
	if (owner->timer_fd >= 0)
		close(owner->timer_fd);
	if (owner->own_ring)
		vf_ring_free(owner->ring);
	free(owner);
}

/* --- the loop --- */

static void set_timer(struct vferry_owner *owner, uint64_t at_ns)
{
	struct itimerspec when = { 0 };

	if (owner->timer_fd < 0)
		return;
	/* Zero would disarm it. */
	if (!at_ns)
		at_ns = 1;
	if (at_ns != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(at_ns / 1000000000ULL);
		when.it_value.tv_nsec = (long)(at_ns % 1000000000ULL);
	}
	timerfd_settime(owner->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* The ring polls it by edges and never reads; whoever watches the descriptor by level would see it for ever. */
static void take_call(struct vferry_owner *owner)
{
	struct pollfd pfd = { .fd = owner->lease.call_fd, .events = POLLIN };
	eventfd_t signals;

	if (owner->poll_fd >= 0 && pfd.fd >= 0 && poll(&pfd, 1, 0) > 0)
		eventfd_read(pfd.fd, &signals);
}

void vferry_owner_submit(struct vferry_owner *owner, struct vferry_cmd *cmd)
{
	vf_admin_submit(owner->admin, cmd);
	set_timer(owner, 0);
}

int vferry_owner_turn(struct vferry_owner *owner, uint64_t timeout_ns)
{
	uint64_t now = vf_now_ns(), until = now + timeout_ns;
	int ret;

	take_call(owner);
	if (!timeout_ns)
		until = 0;
	else if (until < now)
		until = UINT64_MAX;
	ret = vf_ring_turn(owner->ring, until);
	set_timer(owner, owner->admin->wants_turn ? 0 : vf_ring_next_timer(owner->ring));
	return ret;
}

static int watch(struct vferry_owner *owner, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };

	if (fd < 0)
		return 0;
	return epoll_ctl(owner->poll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int vferry_owner_fd(struct vferry_owner *owner)
{
	int fd, ret;

	if (owner->poll_fd >= 0)
		return owner->poll_fd;
	fd = vf_ring_fd(owner->ring);
	if (fd < 0)
		return fd;
	owner->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (owner->timer_fd < 0)
		return -errno;
	owner->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	ret = owner->poll_fd < 0 ? -errno : watch(owner, owner->timer_fd, EPOLLIN);
	if (!ret)
		ret = watch(owner, fd, EPOLLIN);
	/* Beside the ring's, see vf_ring_fd(). */
	if (!ret)
		ret = watch(owner, owner->lease.call_fd, EPOLLIN);
	if (!ret)
		ret = watch(owner, owner->lease.ops->fd(&owner->lease), EPOLLRDHUP | EPOLLIN);
	if (!ret) {
		set_timer(owner, 0);
		return owner->poll_fd;
	}
	close(owner->timer_fd);
	if (owner->poll_fd >= 0)
		close(owner->poll_fd);
	owner->poll_fd = owner->timer_fd = -1;
	return ret;
}

int vferry_owner_exec(struct vferry_owner *owner, struct vferry_cmd *cmd)
{
	int ret = vf_admin_exec(owner->admin, cmd);

	set_timer(owner, owner->admin->wants_turn ? 0 : vf_ring_next_timer(owner->ring));
	return ret;
}

uint16_t vferry_owner_num_vfs(const struct vferry_owner *owner)
{
	return owner->lease.num_vfs;
}

const uint8_t *vferry_owner_epoch(const struct vferry_owner *owner)
{
	return owner->lease.epoch;
}

const struct vferry_admin_stats *vferry_owner_stats(const struct vferry_owner *owner)
{
	return &owner->admin->stats;
}
