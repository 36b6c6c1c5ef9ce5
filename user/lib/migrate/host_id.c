// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bus/lent.h"
#include "migrate/host_id.h"

bool vf_host_id_none(const uint8_t id[VF_ID_BYTES])
{
	static const uint8_t none[VF_ID_BYTES];

	return !memcmp(id, none, VF_ID_BYTES);
}

/* 0, -ENOENT, or what is wrong. */
static int read_id(const char *path, uint8_t id[VF_ID_BYTES], struct vferry_error *err)
{
	uint8_t bytes[VF_ID_BYTES + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t got;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT
				       : vferry_fail(err, -errno, "cannot open %s: %s", path,
						     strerror(errno));
	got = read(fd, bytes, sizeof(bytes));
	close(fd);
	if (got != VF_ID_BYTES || vf_host_id_none(bytes))
		return vferry_fail(
			err, -EBADMSG,
			"%s is damaged: settle what is open (vferry recover --list), then "
			"delete it",
			path);
	memcpy(id, bytes, VF_ID_BYTES);
	return 0;
}

/* It gets its name when it is whole; who comes second takes what is there. */
static int draw(const char *dir, const char *path, struct vferry_error *err)
{
	uint8_t id[VF_ID_BYTES];
	char self[40];
	int fd, ret = 0;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return vferry_fail(err, -errno, "cannot make %s: %s", dir, strerror(errno));
	if (vf_id_new(id))
		return vferry_fail(err, -EIO, "no random numbers for this host's id");
	errno = 0;
	fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, id, sizeof(id)) != (ssize_t)sizeof(id))
		ret = errno ? -errno : -EIO;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!ret && linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) && errno != EEXIST)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret ? vferry_fail(err, ret, "cannot make %s: %s", path, strerror(-ret)) : 0;
}

int vf_host_id(uint8_t id[VF_ID_BYTES], struct vferry_error *err)
{
	char dir[200], path[256];
	int ret = vf_run_dir(dir, sizeof(dir), err);

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/host-id", dir);
	ret = read_id(path, id, err);
	if (ret != -ENOENT)
		return ret;
	ret = draw(dir, path, err);
	return ret ? ret : read_id(path, id, err);
}
