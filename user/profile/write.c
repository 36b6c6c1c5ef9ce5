// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "profile/profile.h"

static int put(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t done = write(fd, text, length);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		text += done;
		length -= (size_t)done;
	}
	return 0;
}

int prof_may_put(const char *path, struct vferry_error *err)
{
	const char *slash = strrchr(path, '/');
	struct stat status;
	char folder[4096];

	if (!stat(path, &status)) {
		if (S_ISDIR(status.st_mode))
			return vferry_fail(err, -EISDIR, "cannot write %s: %s", path,
					   strerror(EISDIR));
		if (!S_ISREG(status.st_mode))
			return 0;
	}
	/* A file is made beside it and takes its place. */
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		 slash ? path : ".");
	if (!access(folder, W_OK | X_OK))
		return 0;
	return vferry_fail(err, -errno, "cannot write %s: %s", path, strerror(errno));
}

int prof_put_file(const char *path, const char *text, size_t length, struct vferry_error *err)
{
	char temporary[4096];
	struct stat status;
	bool plain = stat(path, &status) || S_ISREG(status.st_mode);
	int fd, ret;

	/* A pipe or a terminal is written to as it is. */
	snprintf(temporary, sizeof(temporary), plain ? "%s.%d.new" : "%s", path, getpid());
	fd = open(temporary, plain ? O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC : O_WRONLY | O_CLOEXEC,
		  0644);
	if (fd < 0)
		return vferry_fail(err, -errno, "cannot write %s: %s", path, strerror(errno));
	ret = put(fd, text, length);
	if (close(fd) && !ret)
		ret = -errno;
	if (plain && !ret && rename(temporary, path))
		ret = -errno;
	if (!ret)
		return 0;
	if (plain)
		unlink(temporary);
	return vferry_fail(err, ret, "cannot write %s: %s", path, strerror(-ret));
}
