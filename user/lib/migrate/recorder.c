// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "migrate/recorder.h"
#include "ring/ring.h"

int vf_recorder_init(struct vf_recorder *recorder, uint32_t events)
{
	uint32_t size = 64;

	while (size < events && size < VF_RECORDER_EVENTS_MOST)
		size <<= 1;
	if (posix_memalign((void **)&recorder->ring, 64,
			   (size + VF_RECORDER_RARE) * sizeof(*recorder->ring))) {
		recorder->ring = NULL;
		return -ENOMEM;
	}
	memset(recorder->ring, 0, (size + VF_RECORDER_RARE) * sizeof(*recorder->ring));
	recorder->rare = recorder->ring + size;
	recorder->mask = size - 1;
	return 0;
}

void vf_recorder_free(struct vf_recorder *recorder)
{
	free(recorder->ring);
	recorder->ring = recorder->rare = NULL;
}

static uint32_t bytes_of(const struct vferry_cmd *cmd)
{
	uint32_t bytes = cmd->inline_length;

	if (cmd->opcode == VFERRY_CMD_DEV_CTX_READ) {
		memcpy(&bytes, cmd->output, sizeof(bytes));
		return le32toh(bytes);
	}
	if (cmd->opcode != VFERRY_CMD_DEV_CTX_WRITE)
		return cmd->used;
	for (unsigned int i = 0; i < cmd->data_count; i++)
		bytes += cmd->data[i].length;
	return bytes;
}

void vf_recorder_command(struct vf_recorder *recorder, const struct vferry_cmd *cmd)
{
	if (!recorder->ring)
		return;
	*(cmd->opcode == VFERRY_CMD_DEV_MODE_SET ? vf_recorder_rare(recorder)
						 : vf_recorder_add(recorder)) = (struct vf_record){
		.at = cmd->done_ns,
		.a = cmd->submit_ns,
		.b = cmd->issue_ns,
		.c = cmd->wake_ns,
		.bytes = bytes_of(cmd),
		.error = cmd->error,
		.kind = VF_RECORD_COMMAND,
		.what = cmd->opcode,
		.status = cmd->status,
		.qualifier = cmd->qualifier,
	};
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
	switch (address->ss_family) {
	case AF_INET:
		return ntohs(((const struct sockaddr_in *)address)->sin_port);
	case AF_INET6:
		return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
	}
	return 0;
}

void vf_recorder_tcp(struct vf_recorder *recorder, int fd, enum vferry_phase phase)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	if (!recorder->ring || fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		return;
	if (!recorder->local_port) {
		struct sockaddr_storage address = { 0 };

		size = sizeof(address);
		if (!getsockname(fd, (struct sockaddr *)&address, &size))
			recorder->local_port = port_of(&address);
		size = sizeof(address);
		if (!getpeername(fd, (struct sockaddr *)&address, &size))
			recorder->peer_port = port_of(&address);
	}
	*vf_recorder_rare(recorder) = (struct vf_record){
		.at = vf_now_ns(),
		.a = info.tcpi_rtt,
		.b = info.tcpi_total_retrans,
		.c = info.tcpi_notsent_bytes,
		.bytes = info.tcpi_unacked,
		.kind = VF_RECORD_TCP,
		.what = (uint16_t)phase,
	};
}
