/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The USDT probes of provider "vferry", in the engine (libvferry) and in the software owner. Names and argument lists are
 * stable: an argument is only ever added at the end. All times are CLOCK_MONOTONIC in nanoseconds; 0: not known.
 *
 * admin_complete	one a command, when its answer is reaped (or its deadline passed)
 *	1 u64 owner	hash of the owner's address (vferry_probe_hash())
 *	2 u32 what	opcode | group_type << 16
 *	3 u64 member	group_member_id: VF number
 *	4 u32 answer	status | status_qualifier << 16
 *	5 s32 error	0, or -errno when there was no answer
 *	6 u64 submit	handed over by the caller
 *	7 u64 issue	given to the device
 *	8 u64 wake	the loop woke for the interrupt
 *	9 u64 done	reaped
 *	10 u32 bytes	context_len of READ, data bytes of WRITE, else result bytes
 *	11 u32 retries	EAGAIN answers before this one
 *	12 ptr record	all of the above once more, as struct vferry_probe_command: one read instead of eleven
 * admin_submit		a command was given to the device
 *	1 u64 owner, 2 u32 what, 3 u64 member, 4 u32 bytes of data, 5 u64 submit, 6 u64 issue
 * mode			the device said OK to a DEV_MODE_SET
 *	1 u64 owner, 2 u64 member, 3 u32 from (0xff: not known), 4 u32 to, 5 u64 begin (issued), 6 u64 end (answered)
 * phase		a migration entered a phase
 *	1 u64 id (first 8 bytes of the migration id), 2 u64 member, 3 u32 phase (enum vferry_phase), 4 u64 when
 * chunk		a chunk of context was read and sent, or received and written
 *	1 u64 id, 2 u64 member, 3 u32 direction (0 out, 1 in), 4 u32 bytes, 5 u64 begin, 6 u64 end
 * owner_command	the software owner answered a command
 *	1 u64 owner (0), 2 u32 what, 3 u64 member, 4 u32 answer, 5 u64 begin (taken from the queue), 6 u64 end (used entry written)
 * owner_mode		the software owner changed a VF's mode
 *	1 u64 owner (0), 2 u64 member, 3 u32 from, 4 u32 to, 5 u64 begin, 6 u64 end
 */
#ifndef VFERRY_PROBES_H
#define VFERRY_PROBES_H

#include <stdint.h>

#define VFERRY_PROBES(X)  \
	X(admin_complete) \
	X(admin_submit)   \
	X(mode)           \
	X(phase)          \
	X(chunk)          \
	X(owner_command)  \
	X(owner_mode)

#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

/* Raised by the kernel while someone is attached: arguments are computed only then. Defined in ring/probe.c. */
#define X(name) \
	extern unsigned short vferry_##name##_semaphore __attribute__((visibility("hidden")));
VFERRY_PROBES(X)
#undef X

#define VFERRY_PROBE_ON(name) \
	__builtin_expect(*(volatile unsigned short *)&vferry_##name##_semaphore, 0)

#define VFERRY_PROBE4(name, ...)                                \
	do {                                                    \
		if (VFERRY_PROBE_ON(name))                      \
			STAP_PROBE4(vferry, name, __VA_ARGS__); \
	} while (0)
#define VFERRY_PROBE6(name, ...)                                \
	do {                                                    \
		if (VFERRY_PROBE_ON(name))                      \
			STAP_PROBE6(vferry, name, __VA_ARGS__); \
	} while (0)
#define VFERRY_PROBE12(name, ...)                                \
	do {                                                     \
		if (VFERRY_PROBE_ON(name))                       \
			STAP_PROBE12(vferry, name, __VA_ARGS__); \
	} while (0)

/** struct vferry_probe_command - admin_complete's arguments in memory; grows at the end only */
struct vferry_probe_command {
	uint64_t owner;
	uint64_t member;
	uint64_t submit_ns;
	uint64_t issue_ns;
	uint64_t wake_ns;
	uint64_t done_ns;
	uint32_t what;
	uint32_t answer;
	int32_t error;
	uint32_t bytes;
	uint32_t retries;
	uint32_t reserved;
};

/* FNV-1a of an owner's address: what stands for it in events. */
static inline uint64_t vferry_probe_hash(const char *address)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *address; address++)
		hash = (hash ^ (uint8_t)*address) * 0x100000001b3ULL;
	return hash;
}

#endif
