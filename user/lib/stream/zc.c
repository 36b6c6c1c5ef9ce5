// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether a send goes by SEND_ZC. The kernel reports after each one if it had to copy after all (loopback, a packet
 * tap, a NIC without scatter-gather); then the plain send is cheaper, and another trial comes much later.
 */
#include <errno.h>
#include <sys/socket.h>
#include "stream/inner.h"

#define WORTH_IT	(16u << 10) /* bytes; below, pinning pages costs more than copying them */
#define FIRST_TRIAL	4
#define TRIAL		64
#define FIRST_PAUSE	256 /* sends */
#define LONGEST_PAUSE	65536
#define NO_MEMORY_PAUSE 1024

void vf_zc_init(struct vf_zc *zc, const struct vf_link *link)
{
	int domain = 0;
	socklen_t size = sizeof(domain);

	*zc = (struct vf_zc){ .possible = false };
	if (!link->socket || link->out < 0)
		return;
	if (getsockopt(link->out, SOL_SOCKET, SO_DOMAIN, &domain, &size))
		return;
	zc->possible = domain == AF_INET || domain == AF_INET6;
}

bool vf_zc_wanted(struct vf_zc *zc, uint64_t bytes)
{
	if (!zc->possible || bytes < WORTH_IT)
		return false;
	if (zc->wait) {
		zc->wait--;
		return false;
	}
	return true;
}

void vf_zc_report(struct vf_zc *zc, bool copied)
{
	zc->sends++;
	zc->copied += copied;
	if (zc->sends >= FIRST_TRIAL && zc->copied * 2 >= zc->sends) {
		zc->pause = zc->pause ? zc->pause * 2 : FIRST_PAUSE;
		if (zc->pause > LONGEST_PAUSE)
			zc->pause = LONGEST_PAUSE;
		zc->wait = zc->pause;
		zc->sends = 0;
		zc->copied = 0;
	} else if (zc->sends >= TRIAL) {
		zc->pause = 0;
		zc->sends = 0;
		zc->copied = 0;
	}
}

bool vf_zc_failed(struct vf_zc *zc, int error)
{
	switch (error) {
	case -EOPNOTSUPP:
	case -EINVAL: /* a kernel without it, or without reports: what cannot be seen is not used */
		zc->possible = false;
		return true;
	case -ENOBUFS:
	case -ENOMEM: /* RLIMIT_MEMLOCK is used up */
		zc->wait = NO_MEMORY_PAUSE;
		return true;
	}
	return false;
}
