// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The socket where callers find the keeper of an owner, and the lock that says that there is one. The lock goes first: a socket
 * without its lock was left behind by a keeper that was killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "bus/lent.h"
#include "keep/keeper.h"

#define BACKLOG 4096

static int make_folder(const char *path, struct vferry_error *err)
{
	struct stat stat;

	if (!mkdir(path, 0755))
		return 0;
	if (errno != EEXIST)
		return vferry_fail(err, -errno,
				   "%s: cannot make this folder: %s; VFERRY_RUN_DIR names another",
				   path, strerror(errno));
	/* Whoever could write there could take the keeper's place. */
	if (lstat(path, &stat) || !S_ISDIR(stat.st_mode) ||
	    (stat.st_uid != geteuid() && stat.st_uid != 0) || stat.st_mode & S_IWOTH)
		return vferry_fail(err, -EACCES,
				   "%s: belongs to somebody else, or others may write there", path);
	return 0;
}

static int make_folders(struct vferry_error *err)
{
	char path[PATH_MAX - 8], keep[PATH_MAX];
	int ret = vf_run_dir(path, sizeof(path), err);

	if (!ret)
		ret = make_folder(path, err);
	if (ret)
		return ret;
	snprintf(keep, sizeof(keep), "%s/keep", path);
	return make_folder(keep, err);
}

/* A lock file is removed by who holds it; one that was removed meanwhile is nobody's lock. */
static bool still_there(int fd, const char *path)
{
	struct stat ours, named;

	return !fstat(fd, &ours) && !stat(path, &named) && ours.st_ino == named.st_ino &&
	       ours.st_dev == named.st_dev;
}

static int lock(struct place *place, const char *address, uint64_t until_ns,
		struct vferry_error *err)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	char who[16] = "";
	int fd, ret;

	for (;;) {
		fd = open(place->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0)
			return vferry_fail(err, -errno, "%s: %s", place->lock, strerror(errno));
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			ret = -errno;
			if (ret == -EWOULDBLOCK && pread(fd, who, sizeof(who) - 1, 0) > 0)
				who[strcspn(who, "\n")] = '\0';
			close(fd);
			if (ret != -EWOULDBLOCK)
				return vferry_fail(err, ret, "%s: cannot lock: %s", place->lock,
						   strerror(-ret));
			if (vf_now_ns() < until_ns) {
				nanosleep(&pause, NULL);
				continue;
			}
			return vferry_fail(
				err, -EALREADY,
				"a keeper holds %s already: pid %s; vferry keep %s --stop ends it",
				address, *who ? who : "unknown", address);
		}
		if (still_there(fd, place->lock))
			break;
		close(fd);
	}
	snprintf(who, sizeof(who), "%d\n", getpid());
	if (ftruncate(fd, 0) || pwrite(fd, who, strlen(who), 0) < 0) {
		ret = -errno;
		close(fd);
		return vferry_fail(err, ret, "%s: %s", place->lock, strerror(-ret));
	}
	place->lock_fd = fd;
	return 0;
}

static int listen_there(struct place *place, struct vferry_error *err)
{
	struct group *group = getgrnam("vferry");
	mode_t mask;
	int ret;

	place->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (place->sock < 0)
		return vferry_fail(err, -errno, "no socket: %s", strerror(errno));
	unlink(place->name.sun_path);
	mask = umask(0117);
	ret = bind(place->sock, (const struct sockaddr *)&place->name, sizeof(place->name)) ? -errno
											    : 0;
	umask(mask);
	/* Without the group, or the right to give it away, root and the keeper's own user remain. */
	if (!ret && group && lchown(place->name.sun_path, (uid_t)-1, group->gr_gid) &&
	    errno != EPERM)
		ret = -errno;
	if (!ret && listen(place->sock, BACKLOG))
		ret = -errno;
	if (ret)
		return vferry_fail(err, ret, "%s: %s", place->name.sun_path, strerror(-ret));
	return 0;
}

int place_take(struct place *place, const char *address, uint64_t patience_ns,
	       struct vferry_error *err)
{
	size_t stem;
	int ret;

	place->lock_fd = place->sock = -1;
	place->name.sun_family = AF_UNIX;
	ret = vf_keeper_socket(address, place->name.sun_path, sizeof(place->name.sun_path), err);
	if (ret)
		return ret;
	stem = strlen(place->name.sun_path) - strlen(".sock");
	snprintf(place->lock, sizeof(place->lock), "%.*s.lock", (int)stem, place->name.sun_path);
	snprintf(place->log, sizeof(place->log), "%.*s.log", (int)stem, place->name.sun_path);
	ret = make_folders(err);
	if (!ret)
		ret = lock(place, address, vf_now_ns() + patience_ns, err);
	if (!ret)
		ret = listen_there(place, err);
	if (ret)
		place_leave(place);
	return ret;
}

void place_leave(struct place *place)
{
	if (place->sock >= 0) {
		unlink(place->name.sun_path);
		close(place->sock);
	}
	if (place->lock_fd >= 0) {
		unlink(place->lock);
		close(place->lock_fd);
	}
	place->sock = place->lock_fd = -1;
}
