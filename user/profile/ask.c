// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An engine that runs already is asked for its flight recorder by a folder in its run folder: it writes there when its moves are
 * over. The run folder is looked for as the process itself would, through its own root, and entered with its user's rights only.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>
#include "profile/ask.h"

struct prof_ask {
	int run; /* the run folder */
	char name[32];
	uid_t uid;
	gid_t gid;
};

/* A value of the process's environment; it may hold anything. */
static bool from_environment(pid_t pid, const char *key, char *value, size_t room)
{
	size_t length = strlen(key), size = 0;
	char path[64], *line = NULL;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	file = fopen(path, "re");
	while (file && !found && getdelim(&line, &size, 0, file) > 0) {
		found = !strncmp(line, key, length) && line[length] == '=' &&
			strlen(line + length + 1) < room && line[length + 1];
		if (found)
			strcpy(value, line + length + 1);
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* Whose the process is, and its number as it sees it itself. */
static int identity(pid_t pid, struct prof_ask *ask, int *inside)
{
	unsigned int uid = 0, gid = 0, found = 0;
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	*inside = pid;
	while (fgets(line, sizeof(line), file)) {
		found += sscanf(line, "Uid: %*u %u", &uid) == 1;
		found += sscanf(line, "Gid: %*u %u", &gid) == 1;
		if (!strncmp(line, "NSpid:", 6) && strrchr(line, '\t'))
			*inside = atoi(strrchr(line, '\t') + 1);
	}
	fclose(file);
	ask->uid = uid;
	ask->gid = gid;
	return found == 2 ? 0 : -ESRCH;
}

int prof_inside(pid_t pid)
{
	struct prof_ask nobody;
	int inside;

	return identity(pid, &nobody, &inside) ? pid : inside;
}

static int run_folder(pid_t pid, const struct prof_ask *ask, char *path, size_t room)
{
	char dir[512], base[480];
	int length;

	if (from_environment(pid, "VFERRY_RUN_DIR", dir, sizeof(dir)))
		;
	else if (!ask->uid)
		strcpy(dir, "/run/vferry");
	else if (from_environment(pid, "XDG_RUNTIME_DIR", base, sizeof(base)))
		snprintf(dir, sizeof(dir), "%s/vferry", base);
	else
		return -ENOENT;
	length = snprintf(path, room, "/proc/%d/%s%s%s", pid, *dir == '/' ? "root" : "cwd",
			  *dir == '/' ? "" : "/", dir);
	return length > 0 && (size_t)length < room ? 0 : -ENAMETOOLONG;
}

int prof_ask_open(struct prof_ask **out, pid_t pid, struct vferry_error *err)
{
	struct prof_ask *ask = calloc(1, sizeof(*ask));
	uid_t user = geteuid();
	gid_t group = getegid();
	char path[640] = "";
	int inside = pid, ret;

	if (!ask)
		return vferry_fail(err, -ENOMEM, "no memory");
	ask->run = -1;
	ret = identity(pid, ask, &inside);
	if (!ret)
		ret = run_folder(pid, ask, path, sizeof(path));
	if (!ret) {
		snprintf(ask->name, sizeof(ask->name), "profile-%d", inside);
		/* Of the rights of root only those that the process has itself. */
		setfsgid(ask->gid);
		setfsuid(ask->uid);
		ask->run = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (ask->run < 0 || (mkdirat(ask->run, ask->name, 0700) && errno != EEXIST))
			ret = -errno;
		setfsuid(user);
		setfsgid(group);
	}
	if (ret) {
		if (ask->run >= 0)
			close(ask->run);
		free(ask);
		return vferry_fail(err, ret, "process %d cannot be asked through %s: %s", pid,
				   *path ? path : "its run folder", strerror(-ret));
	}
	*out = ask;
	return 0;
}

static struct json_object *load(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct json_object *doc = NULL;
	struct stat status;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_size <= PROF_FILE_MOST)
		doc = json_object_from_fd(fd);
	close(fd);
	return doc;
}

unsigned int prof_gather(struct json_object *sides, int fd)
{
	DIR *folder = fdopendir(fd);
	struct dirent *entry;
	unsigned int found = 0;

	while (folder && (entry = readdir(folder))) {
		struct json_object *one, *list;

		if (entry->d_name[0] == '.')
			continue;
		one = load(dirfd(folder), entry->d_name);
		list = prof_get_array(one, "sides");
		for (size_t i = 0; sides && list && i < json_object_array_length(list);
		     i++, found++)
			json_object_array_add(sides,
					      json_object_get(json_object_array_get_idx(list, i)));
		json_object_put(one);
		unlinkat(dirfd(folder), entry->d_name, 0);
	}
	if (folder)
		closedir(folder);
	else
		close(fd);
	return found;
}

unsigned int prof_ask_close(struct prof_ask *ask, struct json_object *sides)
{
	unsigned int found = 0;
	uid_t user = geteuid();
	gid_t group = getegid();
	int folder;

	if (!ask)
		return 0;
	setfsgid(ask->gid);
	setfsuid(ask->uid);
	folder = openat(ask->run, ask->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder >= 0)
		found = prof_gather(sides, folder);
	unlinkat(ask->run, ask->name, AT_REMOVEDIR);
	setfsuid(user);
	setfsgid(group);
	close(ask->run);
	free(ask);
	return found;
}

/* --- the engine's own word and its probes' --- */

static struct json_object *same_vf(struct json_object *side, const char *id)
{
	struct json_object *vfs = prof_get_array(side, "vfs");

	for (size_t i = 0; vfs && i < json_object_array_length(vfs); i++) {
		struct json_object *vf = json_object_array_get_idx(vfs, i);
		const char *other = prof_get_text(vf, "id");

		if (strlen(id) >= 16 && !strncmp(other, id, strlen(id)))
			return vf;
	}
	return NULL;
}

/* What the engine's ring has overwritten, the probes have seen go by. */
static void fill_up(struct json_object *vf, struct json_object *probed)
{
	struct json_object *events = prof_get_array(vf, "events"), *whole;
	struct json_object *seen = prof_get_array(probed, "events");
	uint64_t until = prof_get(vf, "events_lost_until_ns");

	if (!until || !events || !seen || prof_get(probed, "events_lost"))
		return;
	whole = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(seen); i++) {
		struct json_object *event = json_object_array_get_idx(seen, i);

		/* Mode changes are never overwritten. */
		if (prof_get(event, "at_ns") < until &&
		    strcmp(prof_get_text(event, "name"), "dev_mode_set"))
			json_object_array_add(whole, json_object_get(event));
	}
	for (size_t i = 0; i < json_object_array_length(events); i++)
		json_object_array_add(whole, json_object_get(json_object_array_get_idx(events, i)));
	json_object_object_add(vf, "events", whole);
	json_object_object_add(vf, "events_lost_until_ns",
			       json_object_new_uint64(prof_get(probed, "events_from_ns")));
}

void prof_reconcile(struct json_object *sides)
{
	for (size_t i = json_object_array_length(sides); i--;) {
		struct json_object *probes = json_object_array_get_idx(sides, i);
		struct json_object *vfs = prof_get_array(probes, "vfs");

		if (strcmp(prof_get_text(probes, "origin"), "probes"))
			continue;
		for (size_t v = json_object_array_length(vfs); v--;) {
			struct json_object *probed = json_object_array_get_idx(vfs, v), *vf = NULL;

			for (size_t k = 0; !vf && k < json_object_array_length(sides); k++) {
				struct json_object *side = json_object_array_get_idx(sides, k);

				if (!strcmp(prof_get_text(side, "origin"), "engine") &&
				    !strcmp(prof_get_text(side, "role"),
					    prof_get_text(probes, "role")))
					vf = same_vf(side, prof_get_text(probed, "id"));
			}
			if (!vf)
				continue;
			fill_up(vf, probed);
			json_object_array_del_idx(vfs, v, 1);
		}
		if (!json_object_array_length(vfs))
			json_object_array_del_idx(sides, i, 1);
	}
}
