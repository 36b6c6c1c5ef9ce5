// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "bus/lent.h"

int vf_run_dir(char *path, size_t room, struct vferry_error *err)
{
	const char *dir = secure_getenv("VFERRY_RUN_DIR");
	int n;

	if (dir && *dir) {
		n = snprintf(path, room, "%s", dir);
	} else if (geteuid() == 0) {
		n = snprintf(path, room, "/run/vferry");
	} else {
		dir = secure_getenv("XDG_RUNTIME_DIR");
		if (!dir || !*dir)
			return vferry_fail(
				err, -ENOENT,
				"no place for sockets and journals: not root, and neither "
				"VFERRY_RUN_DIR nor XDG_RUNTIME_DIR is set");
		n = snprintf(path, room, "%s/vferry", dir);
	}
	if (n < 0 || (size_t)n >= room)
		return vferry_fail(err, -ENAMETOOLONG, "%s: too long for a run directory", dir);
	return 0;
}

/* The real path of what may not be there yet: that of its folder, then its name. */
static int real_path(const char *path, char *out, size_t room)
{
	char copy[PATH_MAX], folder[PATH_MAX], *slash;
	const char *dir = ".", *name = copy;
	int n;

	if (realpath(path, folder)) {
		n = snprintf(out, room, "%s", folder);
		return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
	}
	n = snprintf(copy, sizeof(copy), "%s", path);
	if (n < 0 || (size_t)n >= sizeof(copy))
		return -ENAMETOOLONG;
	slash = strrchr(copy, '/');
	if (slash) {
		*slash = '\0';
		dir = slash == copy ? "/" : copy;
		name = slash + 1;
	}
	if (!*name)
		return -EINVAL;
	if (realpath(dir, folder))
		n = snprintf(out, room, "%s/%s", strcmp(folder, "/") ? folder : "", name);
	else
		n = snprintf(out, room, "%s", path);
	return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}

static int vfio_user_address(const char *path, char *out, size_t room, struct vferry_error *err)
{
	char real[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int ret = *path ? real_path(path, real, sizeof(real)) : -EINVAL;

	if (ret)
		return vferry_fail(
			err, ret == -ENAMETOOLONG ? -EINVAL : ret,
			"vfio-user:%s: %s; give vfio-user:PATH of the owner's socket", path,
			ret == -ENAMETOOLONG ? "too long for a socket's path" : "not a path");
	if ((size_t)snprintf(out, room, "vfio-user:%s", real) >= room)
		return vferry_fail(err, -EINVAL, "vfio-user:%s: too long", path);
	return 0;
}

/* With its domain, in lower case; false: it is no PCI address. */
static bool pci_address(const char *bdf, char out[16])
{
	unsigned int domain = 0, bus, device, function;
	int end = -1;

	if (sscanf(bdf, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) != 4 ||
	    end < 0 || bdf[end]) {
		end = -1;
		domain = 0;
		if (sscanf(bdf, "%2x:%2x.%1x%n", &bus, &device, &function, &end) != 3 || end < 0 ||
		    bdf[end])
			end = -1;
	}
	if (end < 0 || device > 0x1f || function > 7 || !isxdigit((unsigned char)bdf[0]))
		return false;
	snprintf(out, 16, "%04x:%02x:%02x.%x", domain, bus, device, function);
	return true;
}

static int vfio_address(const char *bdf, char *out, size_t room, struct vferry_error *err)
{
	char whole[16];

	if (!pci_address(bdf, whole))
		return vferry_fail(err, -EINVAL,
				   "vfio:%s: not a PCI address; it looks like vfio:0000:65:00.0",
				   bdf);
	if ((size_t)snprintf(out, room, "vfio:%s", whole) >= room)
		return vferry_fail(err, -EINVAL, "vfio:%s: too long", bdf);
	return 0;
}

static int uring_cmd_address(const char *path, char *out, size_t room, struct vferry_error *err)
{
	char real[PATH_MAX];

	if (!*path)
		return vferry_fail(err, -EINVAL,
				   "uring-cmd: needs a device node, as "
				   "uring-cmd:/dev/vferry/0000:65:00.0");
	/* A node that is not there yet is the one of this name. */
	if (!realpath(path, real))
		snprintf(real, sizeof(real), "%s", path);
	if ((size_t)snprintf(out, room, "uring-cmd:%s", real) >= room)
		return vferry_fail(err, -ENAMETOOLONG, "uring-cmd:%.40s...: too long", path);
	return 0;
}

/* The best way that the machine has: io_uring passthrough where the kernel module has the PF, VFIO otherwise; a socket is vfio-user's. */
static int bare_address(const char *address, char *out, size_t room, struct vferry_error *err)
{
	char whole[16], node[64];
	struct stat st;

	if (pci_address(address, whole)) {
		snprintf(node, sizeof(node), "/dev/vferry/%s", whole);
		return access(node, F_OK) ? vfio_address(whole, out, room, err)
					  : uring_cmd_address(node, out, room, err);
	}
	if (strchr(address, '/') && !stat(address, &st)) {
		if (S_ISSOCK(st.st_mode))
			return vfio_user_address(address, out, room, err);
		if (S_ISCHR(st.st_mode))
			return uring_cmd_address(address, out, room, err);
	}
	return vferry_fail(
		err, -EINVAL,
		"%s: not an owner's address; give vfio-user:PATH, vfio:BDF or "
		"uring-cmd:PATH, or a PCI address, or the path of a socket or device node",
		address);
}

bool vf_owner_address_bare(const char *address)
{
	return strncmp(address, "vfio-user:", 10) && strncmp(address, "vfio:", 5) &&
	       strncmp(address, "uring-cmd:", 10);
}

int vf_owner_address(const char *address, char *out, size_t room, struct vferry_error *err)
{
	if (vf_owner_address_bare(address))
		return bare_address(address, out, room, err);
	if (!strncmp(address, "vfio-user:", 10))
		return vfio_user_address(address + 10, out, room, err);
	if (!strncmp(address, "vfio:", 5))
		return vfio_address(address + 5, out, room, err);
	return uring_cmd_address(address + 10, out, room, err);
}

int vf_keeper_socket(const char *address, char *path, size_t room, struct vferry_error *err)
{
	char real[256], dir[PATH_MAX];
	unsigned char hash[SHA256_DIGEST_LENGTH];
	uint64_t name = 0;
	int ret, n;

	ret = vf_owner_address(address, real, sizeof(real), err);
	if (!ret && !strncmp(real, "uring-cmd:", 10))
		ret = vferry_fail(err, -EPROTONOSUPPORT,
				  "%s needs no keeper: the kernel module holds the owner", real);
	if (!ret)
		ret = vf_run_dir(dir, sizeof(dir), err);
	if (ret)
		return ret;
	SHA256((const unsigned char *)real, strlen(real), hash);
	for (int i = 0; i < 8; i++)
		name = name << 8 | hash[i];
	n = snprintf(path, room, "%s/keep/%016llx.sock", dir, (unsigned long long)name);
	if (n < 0 || (size_t)n >= room)
		return vferry_fail(err, -ENAMETOOLONG,
				   "%s: too long for a keeper's socket; set VFERRY_RUN_DIR to a "
				   "shorter path",
				   dir);
	return 0;
}
