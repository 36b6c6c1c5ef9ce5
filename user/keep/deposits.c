// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keep/deposits.h"
#include "keep/keeper.h"

#define PREFIX	"kept-"
#define NAME_IS sizeof(PREFIX "255-00112233445566778899aabbccddeeff")

struct deposit {
	struct deposit *next;
	int fd;
	uint16_t vf;
	uint8_t id[16];
};

static void name_of(char name[NAME_IS], uint16_t vf, const uint8_t id[16])
{
	int used = snprintf(name, NAME_IS, PREFIX "%03u-", vf % 1000U);

	for (unsigned int i = 0; i < 16; i++)
		used += snprintf(name + used, NAME_IS - (size_t)used, "%02x", id[i]);
}

static int insert(struct keeper *keeper, uint16_t vf, const uint8_t id[16], int fd)
{
	struct deposit *deposit = calloc(1, sizeof(*deposit));

	if (!deposit) {
		close(fd);
		return -ENOMEM;
	}
	deposit->fd = fd;
	deposit->vf = vf;
	memcpy(deposit->id, id, sizeof(deposit->id));
	deposit->next = keeper->deposits;
	keeper->deposits = deposit;
	return 0;
}

static void take_out(struct keeper *keeper, struct deposit **at)
{
	struct deposit *deposit = *at;
	char name[NAME_IS];

	name_of(name, deposit->vf, deposit->id);
	manager_drop(&keeper->manager, name);
	*at = deposit->next;
	close(deposit->fd);
	free(deposit);
}

/* @id NULL: all of that VF. */
static void drop(struct keeper *keeper, uint16_t vf, const uint8_t *id)
{
	struct deposit **at = &keeper->deposits;

	while (*at) {
		if ((*at)->vf == vf && (!id || !memcmp((*at)->id, id, sizeof((*at)->id))))
			take_out(keeper, at);
		else
			at = &(*at)->next;
	}
}

int deposits_put(struct keeper *keeper, uint16_t vf, const uint8_t id[16], int fd)
{
	char name[NAME_IS];
	struct stat stat;
	int ret;

	if (fd < 0)
		return -EINVAL;
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	/* A VF has one open journal at most: what another migration left is settled. */
	drop(keeper, vf, NULL);
	name_of(name, vf, id);
	if (keeper->record) {
		ret = keeper->manager.fds.put(&keeper->manager.fds, name, fd);
		if (ret) {
			close(fd);
			return ret;
		}
	}
	return insert(keeper, vf, id, fd);
}

int deposits_get(const struct keeper *keeper, uint16_t vf, const uint8_t id[16])
{
	for (const struct deposit *d = keeper->deposits; d; d = d->next) {
		if (d->vf == vf && !memcmp(d->id, id, sizeof(d->id)))
			return d->fd;
	}
	return -ENOENT;
}

void deposits_drop(struct keeper *keeper, uint16_t vf, const uint8_t id[16])
{
	drop(keeper, vf, id);
}

void deposits_resume(struct keeper *keeper)
{
	char name[NAME_IS];

	while (manager_next(&keeper->manager, PREFIX, name, sizeof(name))) {
		int fd = keeper->manager.fds.take(&keeper->manager.fds, name);
		unsigned int vf = 0, byte;
		uint8_t id[16];
		unsigned int i;

		for (i = 0; i < 16 && strlen(name) == NAME_IS - 1; i++) {
			if (sscanf(name + sizeof(PREFIX "255-") - 1 + 2 * i, "%2x", &byte) != 1)
				break;
			id[i] = (uint8_t)byte;
		}
		if (i == 16 && sscanf(name, PREFIX "%3u-", &vf) == 1 && vf && vf < VF_MAX_VFS)
			insert(keeper, (uint16_t)vf, id, fd);
		else
			close(fd);
	}
}

void deposits_end(struct keeper *keeper)
{
	while (keeper->deposits)
		take_out(keeper, &keeper->deposits);
}
