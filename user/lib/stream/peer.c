// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "stream/peer.h"

static const struct vf_peer_kind *const kinds[] = {
	&vf_peer_tcp, &vf_peer_unix, &vf_peer_exec, &vf_peer_fd, &vf_peer_file, &vf_peer_stdio,
};

static const struct vf_peer_kind *find_kind(const char *address, const char **rest)
{
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t length = strlen(kinds[i]->prefix);

		if (strncmp(address, kinds[i]->prefix, length))
			continue;
		if (kinds[i] == &vf_peer_stdio && address[length])
			continue;
		*rest = address + length;
		return kinds[i];
	}
	return NULL;
}

int vf_peer_parse(struct vf_peer **out, const char *address, struct vferry_error *err)
{
	const char *rest;
	const struct vf_peer_kind *kind = find_kind(address, &rest);
	struct vf_peer *peer;
	int ret;

	if (!kind)
		return vferry_fail(err, -EINVAL,
				   "\"%.200s\" is no peer: tcp:HOST:PORT, unix:PATH, exec:COMMAND, "
				   "fd:N, file:PATH, or - for standard input or output",
				   address);
	peer = calloc(1, sizeof(*peer));
	if (!peer || !(peer->rest = strdup(rest))) {
		free(peer);
		return vferry_fail(err, -ENOMEM, "no memory for a peer's address");
	}
	peer->kind = kind;
	snprintf(peer->name, sizeof(peer->name), "%s", address);
	ret = kind->parse ? kind->parse(peer, err) : 0;
	if (ret) {
		vf_peer_free(peer);
		return ret;
	}
	*out = peer;
	return 0;
}

void vf_peer_made(struct vf_peer *peer, const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return;
	free(peer->made);
	peer->made = strdup(path);
	peer->made_dev = st.st_dev;
	peer->made_ino = st.st_ino;
}

void vf_peer_discard(struct vf_peer *peer)
{
	struct stat st;

	if (!peer->made)
		return;
	if (!lstat(peer->made, &st) && st.st_dev == peer->made_dev && st.st_ino == peer->made_ino)
		unlink(peer->made);
	free(peer->made);
	peer->made = NULL;
}

void vf_peer_free(struct vf_peer *peer)
{
	if (!peer)
		return;
	/* A socket's name in the file system ends with its listener; a saved stream stays. */
	if (!peer->keep)
		vf_peer_discard(peer);
	free(peer->made);
	free(peer->rest);
	free(peer->host);
	free(peer->port);
	free(peer);
}

const char *vf_peer_name(const struct vf_peer *peer)
{
	return peer->name;
}

static void name_link(const struct vf_peer *peer, struct vf_link *link)
{
	*link = (struct vf_link){ .in = -1, .out = -1 };
	snprintf(link->name, sizeof(link->name), "%.*s", (int)sizeof(link->name) - 1, peer->name);
}

int vf_peer_connect(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		    struct vferry_error *err)
{
	name_link(peer, link);
	return peer->kind->connect(peer, opts, link, err);
}

bool vf_peer_listens(const struct vf_peer *peer)
{
	return peer->kind->listen;
}

int vf_peer_listen(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vferry_error *err)
{
	if (!peer->kind->listen)
		return vferry_fail(err, -EINVAL, "%s: nobody can connect to this kind of peer",
				   peer->name);
	return peer->kind->listen(peer, opts, err);
}

void vf_peer_accept_link(struct vf_peer *peer, int fd, struct vf_link *link)
{
	name_link(peer, link);
	link->in = fd;
	link->out = fd;
	link->socket = true;
	vf_peer_tune(fd);
}

int vf_peer_open_in(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		    struct vferry_error *err)
{
	name_link(peer, link);
	if (!peer->kind->open_in)
		return vferry_fail(err, -EINVAL, "%s is listened on, not opened", peer->name);
	return peer->kind->open_in(peer, opts, link, err);
}
