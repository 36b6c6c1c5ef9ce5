// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "keep/keeper.h"
#include "virtio/pf.h"

static enum vf_keeper_state state_of(const struct keeper *keeper)
{
	if (keeper->ending)
		return VF_KEEPER_ENDING;
	if (keeper->needs_reset || keeper->owner_gone)
		return VF_KEEPER_NEEDS_RESET;
	return loans_wedged(&keeper->loans) ? VF_KEEPER_WEDGED : VF_KEEPER_SERVING;
}

static void put_loan(struct vf_keeper_report_loan *entry, const struct loan *loan)
{
	for (unsigned int i = 0; i < VF_MAX_VFS / 64; i++)
		entry->vfs[i] = htole64(loan->vfs.bits[i]);
	entry->age_ns = htole64(vf_now_ns() - loan->since_ns);
	entry->pid = htole32(loan->pid);
	entry->queue = htole16((uint16_t)loan->queue);
	entry->state = (uint8_t)loan->state;
	entry->alone = loan->alone;
	memcpy(entry->comm, loan->comm, sizeof(entry->comm));
}

void *report_make(const struct keeper *keeper, uint32_t ask, size_t *count)
{
	const char *token = vf_bus_token(vf_pf_bus(keeper->pf));
	const struct loans *loans = &keeper->loans;
	unsigned int shown = 0;
	struct vf_keeper_report_loan *entries;
	struct vf_keeper_report_hdr *hdr;

	for (unsigned int i = 0; i < loans->count; i++)
		shown += loans->slots[i].state && !loans->slots[i].own;
	*count =
		sizeof(*hdr) + shown * sizeof(*entries) + loans->num_vfs * sizeof(*keeper->own.vfs);
	hdr = calloc(1, *count);
	if (!hdr)
		return NULL;
	hdr->hdr.op = htole16(VF_KEEPER_REPORT);
	hdr->hdr.version = htole16(VF_KEEPER_VERSION);
	hdr->hdr.bytes = htole32((uint32_t)*count);
	memcpy(hdr->epoch, keeper->epoch, sizeof(hdr->epoch));
	memcpy(hdr->address, keeper->address, sizeof(hdr->address));
	memcpy(hdr->trouble, loans->trouble, sizeof(hdr->trouble));
	hdr->pid = htole32((uint32_t)getpid());
	hdr->num_vfs = htole16(loans->num_vfs);
	hdr->total_vfs = htole16(vf_pf_total_vfs(keeper->pf));
	hdr->queues = htole16((uint16_t)(loans->count - loans->first));
	hdr->queues_free = htole16((uint16_t)loans_free_queues(loans));
	hdr->loans = htole16((uint16_t)shown);
	hdr->vfs = htole16(loans->num_vfs);
	hdr->waiting = htole16((uint16_t)loans_waiting(loans));
	hdr->state = (uint8_t)state_of(keeper);
	hdr->software = keeper->software;
	hdr->wedged = htole32(loans_wedged(loans));
	hdr->list = htole64(vf_pf_list(keeper->pf));
	if (token)
		snprintf((char *)hdr->token, sizeof(hdr->token), "%s", token);
	entries = (struct vf_keeper_report_loan *)(hdr + 1);
	for (unsigned int i = 0; i < loans->count; i++) {
		if (loans->slots[i].state && !loans->slots[i].own)
			put_loan(entries++, &loans->slots[i]);
	}
	memcpy(entries, keeper->own.vfs, loans->num_vfs * sizeof(*keeper->own.vfs));
	return hdr;
}
