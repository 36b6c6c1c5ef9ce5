// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hostile ADDRESS COMMANDS MODES: a process that fires vferry's probes with garbage: commands of any opcode and VF with impossible times, records at
 * addresses that are not mapped (one in four), and mode changes of the owner ADDRESS, which is not its own. It names itself in escape sequences, and
 * stays until its input ends, so that its name can be looked at. With COMMANDS 0 it fires one mode change after the other until then, by which one
 * sees who is attached to its file.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vferry/probes.h>

static uint64_t any(void)
{
	return (uint64_t)random() << 62 ^ (uint64_t)random() << 31 ^ (uint64_t)random();
}

static void mode(uint64_t owner, uint64_t vf)
{
	VFERRY_PROBE6(mode, owner, vf, (uint32_t)any(), random() % 3 ? (uint32_t)any() : 2U, any(),
		      any());
}

static void command(const void *at)
{
	const struct vferry_probe_command *record = at;

	VFERRY_PROBE12(admin_complete, 0ULL, 0U, 0ULL, 0U, 0, 0ULL, 0ULL, 0ULL, 0ULL, 0U, 0U,
		       record);
}

int main(int argc, char **argv)
{
	unsigned int commands, modes, unreadable = 0;
	struct pollfd input = { .events = POLLIN };
	uint64_t owner;

	if (argc != 4)
		return 2;
	owner = vferry_probe_hash(argv[1]);
	commands = (unsigned int)atoi(argv[2]);
	modes = (unsigned int)atoi(argv[3]);
	if (!getuid() && setuid(65534))
		return 1;
	prctl(PR_SET_NAME, "\033[31m\nbad\377");
	while (!commands && !poll(&input, 1, 20))
		mode(any(), 1);
	for (unsigned int i = 0; i < commands; i++) {
		struct vferry_probe_command record = {
			.owner = owner,
			.member = any(),
			.submit_ns = any(),
			.issue_ns = any(),
			.wake_ns = any(),
			.done_ns = any(),
			.what = (uint32_t)any(),
			.answer = (uint32_t)any(),
			.error = (int32_t)any(),
			.bytes = (uint32_t)any(),
			.retries = (uint32_t)any(),
		};
		uint64_t wild = any();

		if (i % 4 == 3) {
			command((const void *)(uintptr_t)(wild | 1ULL << 63)); /* never a user's */
			unreadable++;
		} else {
			command(&record);
		}
	}
	for (unsigned int i = 0; i < modes; i++)
		mode(i % 2 ? owner : any(), i % 2 ? 1 + i % 4 : any());
	printf("{\"pid\":%d,\"readable\":%u,\"unreadable\":%u,\"modes\":%u}\n", getpid(),
	       commands - unreadable, unreadable, modes);
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
