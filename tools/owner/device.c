// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "device.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guard.h"
#include "server.h"
#include "take_over.h"

#define RING_ENTRIES 512
#define END_NS	     5000000000ULL /* for requests that are inside when the end comes */

static struct function *function_at(const struct owner *owner, unsigned int number)
{
	return number ? &owner->vfs[number] : (struct function *)&owner->pf;
}

const char *device_socket(const struct owner *owner, unsigned int number)
{
	return function_at(owner, number)->io->server->path;
}

static int listen_all(struct owner *owner, struct vferry_error *err)
{
	const char *dir = owner->opts.socket_dir;
	char path[256];
	int ret = 0;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return vferry_fail(err, -errno, "--socket-dir %s: %s", dir, strerror(errno));
	/* One owner a folder; the lock ends with the process, however that ends. */
	owner->io->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (owner->io->dir < 0)
		return vferry_fail(err, -errno, "--socket-dir %s: %s", dir, strerror(errno));
	if (flock(owner->io->dir, LOCK_EX | LOCK_NB))
		return vferry_fail(err, -EBUSY,
				   "--socket-dir %s: another vferry-owner runs there; end it, or "
				   "give another folder",
				   dir);
	for (unsigned int i = 0; i <= owner->opts.vfs && !ret; i++) {
		snprintf(path, sizeof(path), i ? "%s/vf%u.sock" : "%s/pf%u.sock", dir, i);
		ret = server_new(function_at(owner, i), path, err);
	}
	if (!ret && owner->opts.take_over)
		ret = take_over_new(owner, err);
	return ret;
}

int device_new(struct owner *owner,
	       int (*disk)(void *arg, unsigned int vf, struct vferry_error *err), void *arg,
	       struct vferry_error *err)
{
	int ret = vf_ring_new(&owner->ring, RING_ENTRIES, err);

	if (ret)
		return ret;
	owner->io = calloc(1, sizeof(*owner->io));
	owner->vfs = calloc(owner->opts.vfs + 1, sizeof(*owner->vfs));
	if (!owner->io || !owner->vfs)
		return vferry_fail(err, -ENOMEM, "no memory for %u VFs", owner->opts.vfs);
	owner->io->dir = -1;
	for (unsigned int i = 0; i <= owner->opts.vfs; i++) {
		int fd = disk(arg, i, err);

		if (fd < 0)
			return fd;
		ret = function_new(owner, function_at(owner, i), (uint16_t)i, fd, err);
		if (ret) {
			close(fd);
			return ret;
		}
	}
	ret = admin_new(owner, err);
	if (ret)
		return ret;
	if (owner->opts.vfs_enabled && owner->opts.vfs) {
		fn_set_vfs(&owner->pf, true, (uint16_t)owner->opts.vfs);
		pci_set_vfs(&owner->pf, owner->num_vfs);
	}
	return owner->opts.socket_dir ? listen_all(owner, err) : 0;
}

void device_turn(struct owner *owner)
{
	unsigned int hits = guard_hits();

	if (hits == owner->io->guard_hits)
		return;
	owner->io->guard_hits = hits;
	for (unsigned int i = 0; i <= owner->opts.vfs; i++) {
		struct function *fn = function_at(owner, i);

		if (!dma_broken(&fn->io->dma))
			continue;
		fprintf(stderr,
			"vferry-owner: function %u: its client truncated memory that it had lent; "
			"connection closed\n",
			i);
		server_drop_client(fn->io->server);
	}
}

static bool busy(const struct owner *owner)
{
	for (unsigned int i = 0; i <= owner->opts.vfs; i++)
		if (function_at(owner, i)->io && function_at(owner, i)->io->inflight)
			return true;
	return false;
}

void device_free(struct owner *owner)
{
	uint64_t deadline = vf_now_ns() + END_NS;

	if (!owner->ring)
		return;
	if (owner->vfs && owner->io) {
		for (unsigned int i = 0; i <= owner->opts.vfs; i++)
			if (function_at(owner, i)->io)
				server_end(function_at(owner, i));
		take_over_end(owner);
		while (busy(owner) && vf_now_ns() < deadline)
			vf_ring_turn(owner->ring, deadline);
		if (owner->admin)
			admin_free(owner);
		for (unsigned int i = 0; i <= owner->opts.vfs; i++)
			function_end(function_at(owner, i));
	}
	/* Callbacks of what is cancelled run in here and find their functions. */
	vf_ring_free(owner->ring);
	owner->ring = NULL;
	if (owner->io)
		take_over_free(owner);
	for (unsigned int i = 0; owner->vfs && i <= owner->opts.vfs; i++) {
		server_free(function_at(owner, i));
		function_free(function_at(owner, i));
	}
	if (owner->io && owner->io->dir >= 0)
		close(owner->io->dir);
	free(owner->vfs);
	free(owner->io);
	owner->vfs = NULL;
	owner->io = NULL;
}
