// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "trace/find.h"
#include "trace/table.h"

#define STAPSDT_NOTE 3

/* A note's description: three addresses, then provider, name and arguments as strings. */
static bool note_is_ours(const char *desc, size_t size, size_t word)
{
	return size > 3 * word + sizeof("vferry") &&
	       !strncmp(desc + 3 * word, "vferry", size - 3 * word);
}

static bool section_has_probes(Elf *elf, Elf_Scn *section)
{
	size_t word = gelf_getclass(elf) == ELFCLASS64 ? 8 : 4, offset = 0, name, desc;
	Elf_Data *data = elf_getdata(section, NULL);
	GElf_Nhdr note;

	while (data && (offset = gelf_getnote(data, offset, &note, &name, &desc)) > 0)
		if (note.n_type == STAPSDT_NOTE &&
		    note_is_ours((const char *)data->d_buf + desc, note.n_descsz, word))
			return true;
	return false;
}

bool vft_has_probes(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf_Scn *section = NULL;
	bool found = false;
	size_t names;
	Elf *elf;

	if (fd < 0)
		return false;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && !elf_getshdrstrndx(elf, &names)) {
		while (!found && (section = elf_nextscn(elf, section))) {
			GElf_Shdr header;
			const char *name;

			if (!gelf_getshdr(section, &header) || header.sh_type != SHT_NOTE)
				continue;
			name = elf_strptr(elf, names, header.sh_name);
			if (name && !strcmp(name, ".note.stapsdt"))
				found = section_has_probes(elf, section);
		}
	}
	elf_end(elf);
	close(fd);
	return found;
}

static struct vft_target *known(struct vft_finder *finder, const struct stat *file)
{
	for (unsigned int i = 0; i < finder->count; i++)
		if (finder->targets[i].ino == file->st_ino &&
		    finder->targets[i].dev == file->st_dev)
			return &finder->targets[i];
	return NULL;
}

/* A place for a new file: a fresh one, or that of a file without probes which nobody runs any more. */
static struct vft_target *new_place(struct vft_finder *finder)
{
	if (finder->count < VFT_TARGETS_MAX)
		return &finder->targets[finder->count++];
	for (unsigned int i = 0; i < finder->count; i++)
		if (!finder->targets[i].probes && finder->targets[i].seen + 1 < finder->scan)
			return &finder->targets[i];
	finder->left_out++;
	return NULL;
}

static int add(struct vft_finder *finder, const char *path, const char *name)
{
	struct vft_target *target;
	struct stat file;

	if (stat(path, &file))
		return -errno;
	target = known(finder, &file);
	if (!target) {
		target = new_place(finder);
		if (!target)
			return -ENOSPC;
		*target = (struct vft_target){ .dev = file.st_dev, .ino = file.st_ino };
		snprintf(target->open, sizeof(target->open), "%s", path);
		snprintf(target->name, sizeof(target->name), "%s", name);
		vft_clean(target->name);
		target->probes = vft_has_probes(path);
	}
	target->seen = finder->scan;
	return target->probes;
}

int vft_find_file(struct vft_finder *finder, const char *path)
{
	return add(finder, path, path);
}

/* Libraries: only files whose name says libvferry, since reading every mapped file's sections would be a cost. */
static int scan_maps(struct vft_finder *finder, pid_t pid)
{
	char path[64], line[1024];
	int found = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return -errno;
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long begin, end;
		char *file = strchr(line, '/');

		if (!file || !strstr(file, "libvferry") ||
		    sscanf(line, "%llx-%llx", &begin, &end) != 2)
			continue;
		file[strcspn(file, "\n")] = 0;
		snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", pid, begin, end);
		if (add(finder, path, file) > 0)
			found++;
	}
	fclose(maps);
	return found;
}

int vft_find_program(struct vft_finder *finder, pid_t pid)
{
	char path[64], name[256];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	length = readlink(path, name, sizeof(name) - 1);
	if (length < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	name[length] = 0;
	return add(finder, path, name) > 0;
}

static int scan_process(struct vft_finder *finder, pid_t pid)
{
	int found = vft_find_program(finder, pid), maps;

	if (found < 0)
		return found;
	maps = scan_maps(finder, pid);
	return found + (maps > 0 ? maps : 0);
}

int vft_find(struct vft_finder *finder, pid_t pid)
{
	struct dirent *entry;
	int found = 0;
	DIR *proc;

	finder->scan++;
	if (pid)
		return scan_process(finder, pid);
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		int n;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		n = scan_process(finder, (pid_t)atoi(entry->d_name));
		if (n > 0)
			found += n;
	}
	closedir(proc);
	return found;
}
