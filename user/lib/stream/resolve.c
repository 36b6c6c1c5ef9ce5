// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A name lookup that ends in time: getaddrinfo() has no deadline of its own, so it runs in a thread that may be left behind. */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "stream/peer.h"

struct lookup {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char *host;
	char *port;
	struct addrinfo hints;
	struct addrinfo *list;
	int ret;
	bool finished;
	bool abandoned; /* the thread frees it */
};

static void lookup_free(struct lookup *lookup)
{
	if (lookup->list)
		freeaddrinfo(lookup->list);
	pthread_cond_destroy(&lookup->changed);
	pthread_mutex_destroy(&lookup->lock);
	free(lookup->host);
	free(lookup->port);
	free(lookup);
}

static void *lookup_run(void *arg)
{
	struct lookup *lookup = arg;
	struct addrinfo *list = NULL;
	int ret = getaddrinfo(lookup->host, lookup->port, &lookup->hints, &list);
	bool abandoned;

	pthread_mutex_lock(&lookup->lock);
	lookup->ret = ret;
	lookup->list = ret ? NULL : list;
	lookup->finished = true;
	abandoned = lookup->abandoned;
	pthread_cond_signal(&lookup->changed);
	pthread_mutex_unlock(&lookup->lock);
	if (abandoned)
		lookup_free(lookup);
	return NULL;
}

static struct lookup *lookup_new(const char *host, const char *port, const struct addrinfo *hints)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	pthread_condattr_t attr;

	if (!lookup)
		return NULL;
	lookup->hints = *hints;
	pthread_mutex_init(&lookup->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&lookup->changed, &attr);
	pthread_condattr_destroy(&attr);
	lookup->host = strdup(host);
	lookup->port = strdup(port);
	if (!lookup->host || !lookup->port) {
		lookup_free(lookup);
		return NULL;
	}
	return lookup;
}

/* Return: as getaddrinfo(); EAI_AGAIN when the deadline came first. */
static int lookup_wait(struct lookup *lookup, uint64_t deadline_ns, struct addrinfo **list)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline_ns / 1000000000ULL),
		.tv_nsec = (long)(deadline_ns % 1000000000ULL),
	};
	int ret = EAI_AGAIN;

	pthread_mutex_lock(&lookup->lock);
	while (!lookup->finished)
		if (pthread_cond_timedwait(&lookup->changed, &lookup->lock, &until) == ETIMEDOUT)
			break;
	if (lookup->finished) {
		ret = lookup->ret;
		*list = lookup->list;
		lookup->list = NULL;
	} else {
		lookup->abandoned = true;
	}
	pthread_mutex_unlock(&lookup->lock);
	return ret;
}

int vf_resolve(const char *host, const char *port, bool passive, uint64_t deadline_ns,
	       struct addrinfo **list, struct vferry_error *err)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | (passive ? AI_PASSIVE : 0),
	};
	struct lookup *lookup;
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	if (!getaddrinfo(host, port, &hints, list))
		return 0;
	hints.ai_flags &= ~AI_NUMERICHOST;
	lookup = lookup_new(host, port, &hints);
	if (!lookup)
		return vferry_fail(err, -ENOMEM, "no memory to look up %s", host);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&thread, &attr, lookup_run, lookup);
	pthread_attr_destroy(&attr);
	if (ret) {
		lookup_free(lookup);
		return vferry_fail(err, -ret, "cannot start a thread to look up %s: %s", host,
				   strerror(ret));
	}
	ret = lookup_wait(lookup, deadline_ns, list);
	if (ret == EAI_AGAIN && vf_now_ns() >= deadline_ns)
		return vferry_fail(err, -ETIMEDOUT, "looking up the name %s took too long", host);
	lookup_free(lookup);
	if (ret)
		return vferry_fail(err, -EHOSTUNREACH, "cannot look up the name %s: %s", host,
				   gai_strerror(ret));
	return 0;
}
