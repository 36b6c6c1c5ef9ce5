// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The two commands that come before all others, one at a time and without a loop. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ring/ring.h"
#include "virtio/pf_inside.h"

#define ROOM 4096

struct list_command {
	struct vf_pf_queue *queue;
	uint16_t opcode;
	uint64_t data;
	uint32_t data_bytes;
	struct vferry_admin_answer_hdr header;
	uint32_t result_bytes;
	__le64 result[ROOM / 8];
};

static int await(struct vf_vq *vq, struct vf_pf_queue *queue, uint64_t deadline_ns,
		 struct vf_vq_answer *answer)
{
	for (;;) {
		struct pollfd pfd = { .fd = queue->call_fd, .events = POLLIN };
		uint64_t now = vf_now_ns(), signals;
		int ret = vf_vq_pop(vq, answer);

		if (ret)
			return ret;
		if (now >= deadline_ns || vf_bus_gone(queue->pf->bus))
			return now >= deadline_ns ? -ETIMEDOUT : -ENODEV;
		if (vf_vq_listen(vq, 0))
			continue;
		/* Looks again by itself too: an interrupt that never comes is found here, at the first command. */
		if (poll(&pfd, 1, 20) > 0 && read(queue->call_fd, &signals, sizeof(signals)) < 0)
			return -errno;
	}
}

static int exec_once(struct list_command *cmd, uint64_t deadline_ns, struct vferry_error *err)
{
	struct vf_pf_queue *queue = cmd->queue;
	const char *who = vf_bus_address(queue->pf->bus), *name = vferry_opcode_name(cmd->opcode);
	char *memory = (char *)queue->memory + queue->commands;
	uint64_t iova = queue->iova + queue->commands;
	struct vferry_admin_hdr header = {
		.opcode = htole16(cmd->opcode),
		.group_type = htole16(VFERRY_GROUP_SRIOV),
	};
	struct vferry_sg out = { iova, (uint32_t)sizeof(header) + cmd->data_bytes };
	struct vferry_sg in = { iova + VF_COMMAND_WRITABLE, sizeof(cmd->header) + ROOM };
	__le64 data = htole64(cmd->data);
	struct vf_vq_answer answer;
	struct vf_vq vq;
	int ret = vf_vq_open(&vq, queue->memory, &queue->layout, queue->size,
			     queue->pf->dev.features & 1ULL << VIRTIO_RING_F_EVENT_IDX);

	if (ret)
		return vferry_fail(err, ret, "%s: admin queue %u is not at rest", who,
				   queue->index);
	memcpy(memory, &header, sizeof(header));
	memcpy(memory + sizeof(header), &data, sizeof(data));
	memset(memory + VF_COMMAND_WRITABLE, 0, in.length);
	ret = vf_vq_add(&vq, &out, 1, &in, 1, NULL, cmd);
	if (!ret && vf_vq_publish(&vq))
		ret = vf_pf_ring_doorbell(queue, err);
	if (!ret)
		ret = await(&vq, queue, deadline_ns, &answer);
	vf_vq_close(&vq);
	if (ret == -ETIMEDOUT)
		return vferry_fail(err, ret, "%s: the admin queue does not answer %s within %.3f s",
				   who, name, (double)queue->pf->timeout_ns / 1e9);
	if (ret < 0)
		return vferry_fail(err, ret, "%s: %s on the admin queue: %s", who, name,
				   vq.broken ? vq.broken : strerror(-ret));
	if (answer.length > answer.writable || answer.length < 4)
		return vferry_fail(err, -EPROTO,
				   "%s: the answer to %s has a used length of %u, where 4 to %u "
				   "can be",
				   who, name, answer.length, answer.writable);
	memset(&cmd->header, 0, sizeof(cmd->header));
	memcpy(&cmd->header, memory + VF_COMMAND_WRITABLE,
	       answer.length < sizeof(cmd->header) ? answer.length : sizeof(cmd->header));
	cmd->result_bytes = answer.length > sizeof(cmd->header)
				    ? answer.length - (uint32_t)sizeof(cmd->header)
				    : 0;
	memset(cmd->result, 0, sizeof(cmd->result));
	memcpy(cmd->result, memory + VF_COMMAND_WRITABLE + sizeof(cmd->header), cmd->result_bytes);
	return 0;
}

static int exec(struct list_command *cmd, struct vferry_error *err)
{
	uint64_t deadline = vf_now_ns() + cmd->queue->pf->timeout_ns;
	struct timespec pause = { .tv_nsec = 1000000 };
	unsigned int status;

	for (;;) {
		int ret = exec_once(cmd, deadline, err);

		if (ret)
			return ret;
		status = le16toh(cmd->header.status);
		if (status != VFERRY_STATUS_EAGAIN || vf_now_ns() >= deadline)
			break;
		nanosleep(&pause, NULL);
	}
	if (status)
		return vferry_fail(err, -EREMOTEIO, "%s: %s: the device answers %s (%u), %s (%u)",
				   vf_bus_address(cmd->queue->pf->bus),
				   vferry_opcode_name(cmd->opcode), vferry_status_name(status),
				   status,
				   vferry_qualifier_name(le16toh(cmd->header.status_qualifier)),
				   le16toh(cmd->header.status_qualifier));
	return 0;
}

static int missing(struct vf_pf *pf, uint64_t bits, struct vferry_error *err)
{
	char names[256];
	size_t at = 0;

	names[0] = 0;
	for (unsigned int i = 0; i < 64 && at < sizeof(names); i++) {
		if (bits >> i & 1)
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s (0x%x)",
					       at ? ", " : "", vferry_opcode_name(i), i);
	}
	return vferry_fail(
		err, -EOPNOTSUPP,
		"%s: the device lacks commands that migration needs: %s; LIST_QUERY says "
		"0x%llx",
		vf_bus_address(pf->bus), names, (unsigned long long)pf->list);
}

int vf_pf_lists(struct vf_pf *pf, uint64_t want, struct vferry_error *err)
{
	struct list_command cmd = { .queue = &pf->queues[0], .opcode = VFERRY_CMD_LIST_QUERY };
	uint64_t need = VFERRY_LIST_BASE | VFERRY_LIST_MIGRATION;
	int ret = exec(&cmd, err);

	if (ret)
		return ret;
	/* However long or short: what was not written reads as zero. */
	pf->list = le64toh(cmd.result[0]);
	if (!want && (need & ~pf->list))
		return missing(pf, need & ~pf->list, err);
	cmd.opcode = VFERRY_CMD_LIST_USE;
	cmd.data = want ? want : need;
	cmd.data_bytes = 8;
	ret = exec(&cmd, err);
	if (!ret)
		pf->list_used = cmd.data;
	return ret;
}
