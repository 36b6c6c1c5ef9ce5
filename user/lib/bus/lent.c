// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "bus/keeper.h"
#include "bus/lent.h"
#include "ring/ring.h"

#define TIMEOUT_NS 5000000000ULL

struct lent {
	int sock;
	bool gone, recalled;
	void *notify_page;
	size_t notify_bytes;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Another process's memory: a file shorter than it says would be a SIGBUS. */
static int map(int fd, uint64_t offset, uint64_t bytes, void **memory)
{
	struct stat stat;

	if (fstat(fd, &stat))
		return -errno;
	if (S_ISREG(stat.st_mode) &&
	    (offset > (uint64_t)stat.st_size || bytes > (uint64_t)stat.st_size - offset))
		return -EPROTO;
	*memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (*memory == MAP_FAILED) {
		*memory = NULL;
		return -errno;
	}
	/* A child of the engine (exec: peers, hooks) must not outlive the loan with it. */
	madvise(*memory, bytes, MADV_DONTFORK);
	return 0;
}

static void unmap_all(struct vf_lease *lease)
{
	struct lent *lent = lease->holder;

	if (lease->rings)
		munmap(lease->rings, lease->rings_bytes);
	if (lease->arena)
		munmap(lease->arena, lease->arena_bytes);
	if (lent->notify_page)
		munmap(lent->notify_page, lent->notify_bytes);
	close_fd(&lease->rings_fd);
	close_fd(&lease->call_fd);
	close_fd(&lease->notify_fd);
	close_fd(&lease->kick_fd);
	close_fd(&lease->arena_fd);
	lease->rings = lease->arena = NULL;
	lease->notify = NULL;
	lent->notify_page = NULL;
}

static int map_all(struct vf_lease *lease, struct vferry_error *err)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), at;
	struct lent *lent = lease->holder;
	int ret;

	ret = map(lease->rings_fd, 0, lease->rings_bytes, &lease->rings);
	if (ret)
		return vferry_fail(err, ret, "cannot map the lent queue of %llu bytes: %s",
				   (unsigned long long)lease->rings_bytes, strerror(-ret));
	if (lease->arena_bytes) {
		ret = map(lease->arena_fd, 0, lease->arena_bytes, &lease->arena);
		if (ret)
			return vferry_fail(err, ret, "cannot map the lent arena of %llu bytes: %s",
					   (unsigned long long)lease->arena_bytes, strerror(-ret));
	}
	if (lease->doorbell == VF_DOORBELL_STORE) {
		at = lease->notify_fd_offset % page;
		lent->notify_bytes = page;
		if (at % 2)
			return vferry_fail(err, -EPROTO, "the keeper lent a doorbell at odd %#llx",
					   (unsigned long long)lease->notify_fd_offset);
		ret = map(lease->notify_fd, lease->notify_fd_offset - at, page, &lent->notify_page);
		if (ret)
			return vferry_fail(err, ret, "cannot map the lent doorbell at %#llx: %s",
					   (unsigned long long)lease->notify_fd_offset,
					   strerror(-ret));
		lease->notify = (volatile uint16_t *)((char *)lent->notify_page + at);
	}
	return 0;
}

/* What the keeper says unasked. Return: whether it was that. */
static bool unasked(struct lent *lent, const void *bytes, size_t count)
{
	switch (vf_keeper_op_of(bytes, count)) {
	case VF_KEEPER_RECALL:
		lent->recalled = true;
		return true;
	case VF_KEEPER_GONE:
		lent->gone = true;
		return true;
	}
	return false;
}

static int answer(struct lent *lent, uint64_t deadline_ns, struct vferry_error *err)
{
	struct vf_keeper_result message;
	ssize_t n;

	do {
		n = vf_keeper_receive(lent->sock, &message, sizeof(message), NULL, NULL,
				      deadline_ns, err);
		if (n == -ECONNRESET)
			lent->gone = true;
		if (n < 0)
			return (int)n;
	} while (unasked(lent, &message, (size_t)n) && !lent->gone);
	return lent->gone ? -ENODEV : vf_keeper_get_result(&message, (size_t)n, err);
}

static int lent_kick(struct vf_lease *lease)
{
	struct vf_keeper_request request = { .op = VF_KEEPER_KICK };
	struct lent *lent = lease->holder;

	return lent->gone ? -ENODEV : vf_keeper_send(lent->sock, &request, NULL);
}

static int lent_reset(struct vf_lease *lease, uint64_t deadline_ns)
{
	struct vf_keeper_request request = { .op = VF_KEEPER_RESET };
	struct lent *lent = lease->holder;
	uint64_t now = vf_now_ns();
	int ret;

	if (!lease->can_reset)
		return -EOPNOTSUPP;
	if (lent->gone)
		return -ENODEV;
	request.ns = deadline_ns > now ? deadline_ns - now : 0;
	ret = vf_keeper_send(lent->sock, &request, NULL);
	/* The keeper keeps to the deadline; its answer may be a little behind it. */
	return ret ? ret : answer(lent, deadline_ns + 1000000000ULL, NULL);
}

static int lent_alive(struct vf_lease *lease)
{
	struct lent *lent = lease->holder;
	struct vf_keeper_result message;

	while (!lent->gone) {
		ssize_t n = recv(lent->sock, &message, sizeof(message), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			lent->gone = true;
		else
			unasked(lent, &message, (size_t)n);
	}
	if (lent->gone)
		return -ENODEV;
	return lent->recalled ? -ECANCELED : 0;
}

static int lent_fd(struct vf_lease *lease)
{
	return ((struct lent *)lease->holder)->sock;
}

static void lent_release(struct vf_lease *lease)
{
	struct vf_keeper_request request = { .op = VF_KEEPER_RETURN };
	struct lent *lent = lease->holder;

	/* Unmapped before it is said: from then on the keeper has the memory for itself. */
	unmap_all(lease);
	if (!lent->gone && !vf_keeper_send(lent->sock, &request, NULL))
		answer(lent, vf_now_ns() + TIMEOUT_NS, NULL);
	close(lent->sock);
	free(lent);
	lease->holder = NULL;
}

static int ask_about(struct vf_lease *lease, enum vf_keeper_op op, uint16_t vf,
		     const uint8_t id[16], int fd, struct vferry_error *err)
{
	struct vf_keeper_request request = { .op = op, .vf = vf };
	struct lent *lent = lease->holder;

	if (lent->gone)
		return vferry_fail(err, -ENODEV, "the keeper has ended");
	memcpy(request.id, id, sizeof(request.id));
	return vf_keeper_send_fd(lent->sock, &request, fd, err);
}

static int lent_deposit(struct vf_lease *lease, uint16_t vf, const uint8_t id[16], int fd,
			struct vferry_error *err)
{
	int ret = ask_about(lease, VF_KEEPER_DEPOSIT, vf, id, fd, err);

	return ret ? ret : answer(lease->holder, vf_now_ns() + TIMEOUT_NS, err);
}

static int lent_forget(struct vf_lease *lease, uint16_t vf, const uint8_t id[16])
{
	int ret = ask_about(lease, VF_KEEPER_FORGET, vf, id, -1, NULL);

	return ret ? ret : answer(lease->holder, vf_now_ns() + TIMEOUT_NS, NULL);
}

static int lent_fetch(struct vf_lease *lease, uint16_t vf, const uint8_t id[16],
		      struct vferry_error *err)
{
	union {
		struct vf_keeper_kept kept;
		struct vf_keeper_result result;
	} message;
	struct lent *lent = lease->holder;
	int fds[VF_KEEPER_FDS], ret;
	unsigned int count;
	ssize_t n;

	ret = ask_about(lease, VF_KEEPER_FETCH, vf, id, -1, err);
	if (ret)
		return ret;
	do {
		n = vf_keeper_receive(lent->sock, &message, sizeof(message), fds, &count,
				      vf_now_ns() + TIMEOUT_NS, err);
		if (n < 0)
			return (int)n;
		if (count == 1 && vf_keeper_op_of(&message, (size_t)n) == VF_KEEPER_KEPT)
			return fds[0];
		for (unsigned int i = 0; i < count; i++)
			close(fds[i]);
	} while (unasked(lent, &message, (size_t)n) && !lent->gone);
	ret = lent->gone ? -ENODEV : vf_keeper_get_result(&message, (size_t)n, err);
	return ret ? ret : -EPROTO;
}

static const struct vf_lease_ops lent_ops = {
	.deposit = lent_deposit,
	.fetch = lent_fetch,
	.forget = lent_forget,
	.kick = lent_kick,
	.reset = lent_reset,
	.alive = lent_alive,
	.fd = lent_fd,
	.release = lent_release,
};

/* A socket to the keeper, started when there is none. */
static int reach(const char *address, const struct vferry_owner_opts *opts, uint64_t deadline_ns,
		 struct vferry_error *err)
{
	struct vf_keeper_start how = { .num_vfs = opts->num_vfs };
	bool started = false;
	struct timespec pause = { .tv_nsec = 10000000 };

	for (;;) {
		int sock = vf_keeper_connect(address, deadline_ns, err);
		int ret;

		if (sock != -ENOENT || (opts->flags & VFERRY_OWNER_NO_START) ||
		    vf_now_ns() >= deadline_ns)
			return sock;
		if (!started) {
			ret = vf_keeper_start(address, &how, err);
			/* Somebody else's is on its way. */
			if (ret && ret != -EALREADY)
				return ret;
			started = true;
			continue;
		}
		nanosleep(&pause, NULL);
	}
}

static int want(struct vf_keeper_request *request, const struct vferry_owner_opts *opts,
		struct vferry_error *err)
{
	request->op = VF_KEEPER_BORROW;
	request->arena_bytes = opts->arena_bytes ? opts->arena_bytes : 64ULL << 20;
	request->flags = (opts->flags & VFERRY_OWNER_WAIT ? VF_KEEPER_F_WAIT : 0) |
			 (opts->flags & VFERRY_OWNER_ALONE ? VF_KEEPER_F_ALONE : 0);
	for (uint32_t i = 0; i < opts->vfs_count; i++) {
		if (!opts->vfs[i] || opts->vfs[i] >= VF_MAX_VFS)
			return vferry_fail(err, -EINVAL, "VF %u: VF numbers go from 1 to %d",
					   opts->vfs[i], VF_MAX_VFS - 1);
		vf_vfset_add(&request->vfs, opts->vfs[i]);
	}
	return 0;
}

static int receive_lease(struct vf_lease *lease, uint64_t deadline_ns, struct vferry_error *err)
{
	union {
		struct vf_keeper_lent lent;
		struct vf_keeper_result result;
	} message;
	struct lent *lent = lease->holder;
	int fds[VF_KEEPER_FDS], ret;
	unsigned int fd_count;
	ssize_t n;

	n = vf_keeper_receive(lent->sock, &message, sizeof(message), fds, &fd_count, deadline_ns,
			      err);
	if (n < 0)
		return (int)n;
	if (vf_keeper_op_of(&message, (size_t)n) == VF_KEEPER_LENT) {
		ret = vf_keeper_get_lent(&message, (size_t)n, fds, fd_count, lease, err);
		if (!ret)
			return map_all(lease, err);
	} else {
		ret = vf_keeper_get_result(&message, (size_t)n, err);
		if (!ret)
			ret = vferry_fail(err, -EPROTO, "the keeper granted without a loan");
	}
	for (unsigned int i = 0; i < fd_count; i++)
		close(fds[i]);
	return ret;
}

int vf_lent_borrow(struct vf_lease *lease, const char *address,
		   const struct vferry_owner_opts *opts, struct vferry_error *err)
{
	static const struct vferry_owner_opts none;
	struct vf_keeper_request request = { 0 };
	uint64_t timeout, deadline;
	bool again = true;
	struct lent *lent;
	int ret;

	if (!opts)
		opts = &none;
	memset(lease, 0, sizeof(*lease));
	lease->rings_fd = lease->call_fd = lease->notify_fd = lease->kick_fd = lease->arena_fd = -1;
	timeout = opts->timeout_ns ? opts->timeout_ns : TIMEOUT_NS;
	deadline = vf_now_ns() + timeout;
	ret = vf_owner_address(address, lease->address, sizeof(lease->address), err);
	if (!ret)
		ret = want(&request, opts, err);
	if (ret)
		return ret;
	lent = calloc(1, sizeof(*lent));
	if (!lent)
		return vferry_fail(err, -ENOMEM, "no memory to borrow %s", address);
	lease->holder = lent;
	lease->ops = &lent_ops;
	for (;; again = false) {
		lent->sock = reach(address, opts, deadline, err);
		ret = lent->sock < 0 ? lent->sock : vf_keeper_send(lent->sock, &request, err);
		/* Who waits for others' loans waits as long as asked, or until interrupted. */
		if (!ret)
			ret = receive_lease(lease,
					    opts->flags & VFERRY_OWNER_WAIT && !opts->timeout_ns
						    ? UINT64_MAX
						    : deadline,
					    err);
		if ((ret != -ECONNRESET && ret != -EPIPE) || !again)
			break;
		/* A keeper that was just ending, or never got its owner: one of ours says why. */
		close(lent->sock);
	}
	if (!ret)
		return 0;
	if (ret == -ETIMEDOUT && lent->sock >= 0)
		vferry_fail(
			err, ret,
			"the keeper of %s has not lent in time: what was asked for is on loan, or "
			"comes to rest (vferry list says)",
			lease->address);
	unmap_all(lease);
	if (lent->sock >= 0)
		close(lent->sock);
	free(lent);
	lease->holder = NULL;
	lease->ops = NULL;
	return ret;
}
