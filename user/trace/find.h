/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which files on this machine carry vferry's probes and are running: programs linked with libvferry, and the library. Found by
 * what is mapped, not by name on disk: a file that was replaced or lies in another mount namespace counts as well.
 */
#ifndef VFT_FIND_H
#define VFT_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VFT_TARGETS_MAX 4096

struct vft_target {
	dev_t dev;
	ino_t ino;
	bool probes;	   /* has probes of provider vferry */
	bool attached;	   /* the attacher's own */
	bool failed;	   /* the attacher gave up on it, and has said so */
	unsigned int seen; /* scan that last saw it */
	char open[64];	   /* path to open it by: /proc/PID/exe or /proc/PID/map_files/… */
	char name[256];	   /* for people */
};

struct vft_finder {
	struct vft_target targets[VFT_TARGETS_MAX];
	unsigned int count;
	unsigned int scan;
	unsigned int left_out; /* files that found no place in targets[] */
};

/** vft_has_probes() - does the ELF file have USDT probes of provider vferry? Only sections are looked at, no debug information. */
bool vft_has_probes(const char *path);

/**
 * vft_find() - look at what runs now (@pid 0: everywhere) and add what is new
 * Return: number of targets with probes in this scan; -ESRCH: there is no process @pid; -EACCES: its mappings may not be read.
 */
int vft_find(struct vft_finder *finder, pid_t pid);

/** vft_find_program() - look at the program file of one process. */
int vft_find_program(struct vft_finder *finder, pid_t pid);

/** vft_find_file() - add a file that need not be running yet. */
int vft_find_file(struct vft_finder *finder, const char *path);

#endif
