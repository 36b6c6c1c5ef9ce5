/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What stands on vferry-owner's command line. */
#ifndef OWNER_OPTIONS_H
#define OWNER_OPTIONS_H

#include "owner.h"

struct disk_choice {
	unsigned int vf; /* 0: every VF without one of its own */
	const char *path;
};

struct options {
	struct owner_opts owner;
	struct disk_choice *disks;
	unsigned int disk_count;
	uint64_t disk_size; /* of files that are made */
	const char **faults;
	unsigned int fault_count;
	bool json;
	bool help;
	bool version;
	bool wrong_list;
};

/** options_parse() - 0, or -EINVAL with words that name the value. Strings point into @argv. */
int options_parse(struct options *options, int argc, char **argv, struct vferry_error *err);
void options_free(struct options *options);
void options_help(FILE *out);
/** options_disk() - the file of VF @vf into @path. Return: false without one: a disk in memory. */
bool options_disk(const struct options *options, unsigned int vf, char *path, size_t room);

#endif
