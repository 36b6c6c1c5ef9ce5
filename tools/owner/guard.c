// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "guard.h"
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 8192

/*
 * A signal handler has nothing but globals. A slot is claimed by its base going from 0 to non-zero, and is
 * visible to the handler once its size is not 0. Whatever thread touches the memory (io_uring's never
 * raise the signal), the handler puts anonymous pages over the whole mapping and lets the
 * access go on: the reader sees zeroes, which are as hostile as any other bytes, and the owner of the
 * mapping is told by guard_broken().
 */
static struct {
	uintptr_t base;
	size_t size;
	bool broken;
} slots[SLOTS];
static unsigned int used_slots;
static unsigned int hits;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	unsigned int count = __atomic_load_n(&used_slots, __ATOMIC_ACQUIRE);
	int saved = errno;

	for (unsigned int i = 0; i < count; i++) {
		size_t size = __atomic_load_n(&slots[i].size, __ATOMIC_ACQUIRE);
		uintptr_t base = __atomic_load_n(&slots[i].base, __ATOMIC_ACQUIRE);

		if (!size || at < base || at - base >= size)
			continue;
		if (mmap((void *)base, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			 0) == MAP_FAILED)
			break;
		__atomic_store_n(&slots[i].broken, true, __ATOMIC_RELEASE);
		__atomic_add_fetch(&hits, 1, __ATOMIC_RELEASE);
		errno = saved;
		return;
	}
	/* Not ours: die of it, as if this handler did not exist. */
	signal(SIGBUS, SIG_DFL);
	errno = saved;
}

int guard_install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}

int guard_add(void *base, size_t size)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		uintptr_t none = 0;
		unsigned int count;

		if (!__atomic_compare_exchange_n(&slots[i].base, &none, (uintptr_t)base, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		slots[i].broken = false;
		__atomic_store_n(&slots[i].size, size, __ATOMIC_RELEASE);
		count = __atomic_load_n(&used_slots, __ATOMIC_ACQUIRE);
		while (count <= i &&
		       !__atomic_compare_exchange_n(&used_slots, &count, i + 1, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			;
		return (int)i;
	}
	return -1;
}

void guard_remove(int slot)
{
	__atomic_store_n(&slots[slot].size, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&slots[slot].base, 0, __ATOMIC_RELEASE);
}

bool guard_broken(int slot)
{
	return __atomic_load_n(&slots[slot].broken, __ATOMIC_ACQUIRE);
}

unsigned int guard_hits(void)
{
	return __atomic_load_n(&hits, __ATOMIC_ACQUIRE);
}
