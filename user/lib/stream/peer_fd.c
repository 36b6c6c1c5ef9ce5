// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fd:N, file:PATH, and - for standard input and output: descriptors of many kinds, told apart by fstat(). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "stream/peer.h"

enum direction { IN, OUT };

static const char *const verbs[] = { "read from", "written to" };

static int unfit(const struct vf_peer *peer, const char *why, struct vferry_error *err)
{
	return vferry_fail(
		err, -EINVAL,
		"%s %s: a stream goes through a connected stream socket, a pipe or a file",
		peer->name, why);
}

static int check_access(const struct vf_peer *peer, int fd, enum direction direction,
			struct vferry_error *err)
{
	int flags = fcntl(fd, F_GETFL);
	int mode = flags & O_ACCMODE;

	if (flags < 0)
		return vferry_fail(err, -EBADF,
				   "%s: descriptor %d is not open: is it passed on by the parent?",
				   peer->name, fd);
	if (flags & O_PATH || mode == (direction == IN ? O_WRONLY : O_RDONLY))
		return vferry_fail(err, -EBADF, "%s: descriptor %d cannot be %s", peer->name, fd,
				   verbs[direction]);
	return 0;
}

static int check_socket(const struct vf_peer *peer, int fd, struct vferry_error *err)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(int);
	int type = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_STREAM)
		return unfit(peer, "is a socket, but none of a stream", err);
	size = sizeof(address);
	if (getpeername(fd, (struct sockaddr *)&address, &size))
		return unfit(peer, "is a socket that is not connected", err);
	return 0;
}

/* What is @fd? Fills in the link's kind. */
static int check_kind(const struct vf_peer *peer, int fd, enum direction direction,
		      struct vf_link *link, struct vferry_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return vferry_fail(err, -errno, "%s: %s", peer->name, strerror(errno));
	link->socket = false;
	link->one_way = true;
	if (isatty(fd))
		return vferry_fail(
			err, -EINVAL,
			"%s: this is a terminal, and a stream is not text: use a pipe or a "
			"redirection",
			peer->name);
	if (S_ISSOCK(st.st_mode)) {
		link->socket = true;
		link->one_way = false;
		return check_socket(peer, fd, err);
	}
	if (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode))
		return unfit(peer, "is a directory", err);
	/* /dev/null takes a stream as it takes all; others do not. */
	if (S_ISCHR(st.st_mode) && direction == OUT)
		return 0;
	return unfit(peer, "is a device or something else", err);
}

static int check(const struct vf_peer *peer, int fd, enum direction direction, struct vf_link *link,
		 struct vferry_error *err)
{
	int ret = check_access(peer, fd, direction, err);

	return ret ? ret : check_kind(peer, fd, direction, link, err);
}

/* --- fd:N --- */

static int fd_parse(struct vf_peer *peer, struct vferry_error *err)
{
	char *end;
	unsigned long number = strtoul(peer->rest, &end, 10);

	if (*peer->rest < '0' || *peer->rest > '9' || *end || number > 1 << 20)
		return vferry_fail(err, -EINVAL, "%s: fd: takes the number of an open descriptor",
				   peer->name);
	peer->fd = (int)number;
	return 0;
}

static int fd_open(struct vf_peer *peer, enum direction direction, struct vf_link *link,
		   struct vferry_error *err)
{
	int fd = peer->fd;
	int ret = check(peer, fd, direction, link, err);

	if (ret)
		return ret;
	/* From here on the link owns it; 0 to 2 stay what the program expects of them. */
	if (fd <= STDERR_FILENO)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	else
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (fd < 0)
		return vferry_fail(err, -errno, "%s: %s", peer->name, strerror(errno));
	if (direction == IN || link->socket)
		link->in = fd;
	if (direction == OUT || link->socket)
		link->out = fd;
	return 0;
}

static int fd_connect(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		      struct vferry_error *err)
{
	return fd_open(peer, OUT, link, err);
}

static int fd_open_in(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		      struct vferry_error *err)
{
	return fd_open(peer, IN, link, err);
}

/* --- file:PATH --- */

static int file_parse(struct vf_peer *peer, struct vferry_error *err)
{
	peer->keep = true;
	if (!*peer->rest)
		return vferry_fail(err, -EINVAL, "%s: the path is missing: file:PATH", peer->name);
	return 0;
}

static int file_connect(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
			struct vferry_error *err)
{
	int fd = open(peer->rest, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return vferry_fail(err, -errno, "cannot create %s: %s%s", peer->name,
				   strerror(errno),
				   errno == EEXIST ? ": a saved stream is never overwritten, take "
						     "another name or remove it"
						   : "");
	vf_peer_made(peer, peer->rest);
	link->out = fd;
	link->one_way = true;
	return 0;
}

static int file_open_in(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
			struct vferry_error *err)
{
	/* Non-blocking for the open only: a FIFO nobody writes to would hold it up for ever. */
	int fd = open(peer->rest, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int ret;

	if (fd < 0)
		return vferry_fail(err, -errno, "cannot open %s: %s", peer->name, strerror(errno));
	ret = check_kind(peer, fd, IN, link, err);
	if (!ret && (link->socket || lseek(fd, 0, SEEK_CUR) < 0))
		ret = vferry_fail(err, -EINVAL, "%s is no regular file: use - and a redirection",
				  peer->name);
	if (!ret && fcntl(fd, F_SETFL, 0))
		ret = vferry_fail(err, -errno, "%s: %s", peer->name, strerror(errno));
	if (ret) {
		close(fd);
		return ret;
	}
	link->in = fd;
	return 0;
}

/* --- - --- */

static bool is_socket(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISSOCK(st.st_mode);
}

/* May the peer be at this end too? ssh gives two sockets or two pipes, a shell a terminal or a file. */
static bool leads_to_a_peer(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode));
}

/* The link gets descriptors of its own, above the three that the program knows. */
static int move_up(const struct vf_peer *peer, int fd, int *to, struct vferry_error *err)
{
	*to = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return *to < 0 ? vferry_fail(err, -errno, "%s: %s", peer->name, strerror(errno)) : 0;
}

static int stdio_open(struct vf_peer *peer, enum direction direction, struct vf_link *link,
		      struct vferry_error *err)
{
	int main_fd = direction == IN ? STDIN_FILENO : STDOUT_FILENO;
	bool both = leads_to_a_peer(STDIN_FILENO) && leads_to_a_peer(STDOUT_FILENO) &&
		    !check_access(peer, STDIN_FILENO, IN, NULL) &&
		    !check_access(peer, STDOUT_FILENO, OUT, NULL);
	int ret = check(peer, main_fd, direction, link, err);

	if (!ret && (both || direction == IN))
		ret = move_up(peer, STDIN_FILENO, &link->in, err);
	if (!ret && (both || direction == OUT))
		ret = move_up(peer, STDOUT_FILENO, &link->out, err);
	if (ret) {
		vf_link_close(link, 0);
		return ret;
	}
	link->one_way = !both;
	link->socket =
		(link->in < 0 || is_socket(link->in)) && (link->out < 0 || is_socket(link->out));
	return 0;
}

static int stdio_connect(struct vf_peer *peer, const struct vf_peer_opts *opts,
			 struct vf_link *link, struct vferry_error *err)
{
	int ret = stdio_open(peer, OUT, link, err);
	int null = ret ? -1 : open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* Whatever the program prints by mistake must not land in the stream. */
	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		close(null);
	}
	return ret;
}

static int stdio_open_in(struct vf_peer *peer, const struct vf_peer_opts *opts,
			 struct vf_link *link, struct vferry_error *err)
{
	return stdio_open(peer, IN, link, err);
}

const struct vf_peer_kind vf_peer_fd = {
	.prefix = "fd:",
	.parse = fd_parse,
	.connect = fd_connect,
	.open_in = fd_open_in,
};

const struct vf_peer_kind vf_peer_file = {
	.prefix = "file:",
	.parse = file_parse,
	.connect = file_connect,
	.open_in = file_open_in,
};

const struct vf_peer_kind vf_peer_stdio = {
	.prefix = "-",
	.connect = stdio_connect,
	.open_in = stdio_open_in,
};
