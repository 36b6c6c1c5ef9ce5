/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The vfio-user side of a function: its socket, its connections, its messages. */
#ifndef OWNER_SERVER_H
#define OWNER_SERVER_H

#include "fn.h"

/* A connection that has not said VERSION yet gets this long, and so many of them wait at a function at a time. */
#define SERVER_GREETING_NS  10000000000ULL
#define SERVER_STRANGERS    4U
#define SERVER_BACKLOG	    16
#define VERSION_MESSAGE_MAX 16384U

/* --- message.c, version.c: one message, without sockets --- */

/** struct message - a whole message from a client; numbers in host order */
struct message {
	uint16_t id;
	uint16_t command;
	uint32_t flags;
	const uint8_t *body; /* 8-byte aligned */
	size_t count;
	int *fds; /* those that the device keeps become -1 */
	unsigned int fd_count;
	unsigned int max_fds; /* what the client takes in one message */
};

/** struct reply - the body of an answer */
struct reply {
	uint8_t *data;
	size_t count;
	size_t room;
	int fds[VFIO_USER_MAX_FDS]; /* to send along, borrowed */
	unsigned int fd_count;
	char words[160]; /* why a message was refused, for --verbose */
};

struct version_caps {
	unsigned int max_fds;
	bool write_multiple;
};

/** message_version() - the first message. 0 or -errno; the answer goes into @reply either way. */
int message_version(const struct message *message, struct version_caps *caps, struct reply *reply);

enum message_reach { MESSAGE_PLAIN, MESSAGE_QUIETS_FUNCTION, MESSAGE_QUIETS_ALL };

/** message_reach() - must block requests be out of this function, or of all, before the message is handled? */
enum message_reach message_reach(const struct function *fn, const struct message *message);

/** message_handle() - any later message. 0, or -errno for the error reply. */
int message_handle(struct function *fn, struct message *message, struct reply *reply);

/** message_take() - copy the body's fixed part out. False when it is shorter. */
bool message_take(const struct message *message, void *to, size_t bytes);
/** reply_refuse() - words for a refusal. Return: @code. */
__attribute__((format(printf, 3, 4))) int reply_refuse(struct reply *reply, int code,
						       const char *format, ...);
/** reply_room() - an answer of @bytes, zeroed. NULL without memory. */
uint8_t *reply_room(struct reply *reply, size_t bytes);
void reply_free(struct reply *reply);

/* --- conn.c: one connection --- */

struct server;

struct conn {
	struct vf_op poll;
	struct server *server;
	struct conn *next;
	struct quiesce quiesce;
	struct vf_timer timer; /* greeting, or "go on in the next turn" */
	int fd;
	bool negotiated;
	bool waiting;  /* for quiet: the message in hand is handled then */
	bool claiming; /* for the last client to be gone */
	bool dead;
	bool last;   /* close when the answer has gone out */
	bool paused; /* what comes waits in the socket */
	struct version_caps caps;

	union {
		struct vfio_user_hdr hdr;
		uint8_t bytes[sizeof(struct vfio_user_hdr)];
	} head;
	size_t have; /* of head and body together */
	uint8_t *body;
	size_t room;
	int fds[VFIO_USER_MAX_FDS];
	unsigned int fd_count;

	uint8_t *out;
	size_t out_count, out_done;
	int out_fds[VFIO_USER_MAX_FDS];
	unsigned int out_fd_count;
	struct reply reply;
};

/** conn_new() - takes @fd over. NULL without memory: @fd is closed. */
struct conn *conn_new(struct server *server, int fd);
/** conn_close() - end it now; freed when the last operation is over. */
void conn_close(struct conn *conn);
/** conn_resume() - what it waited for has come. */
void conn_resume(struct conn *conn);
/** conn_peer_gone() - has the client hung up, though that was not yet seen? */
bool conn_peer_gone(const struct conn *conn);

/** conn_pause() - read no further. False: a message is half read, in hand or half answered; ask again. */
bool conn_pause(struct conn *conn);
void conn_go_on(struct conn *conn);
/** conn_give() - it is paused, and another process has its socket: forget it, and let the client not notice. */
void conn_give(struct conn *conn);

/* --- server.c: one socket --- */

struct server {
	struct function *fn;
	struct vf_op accept;
	struct vf_timer retry;
	struct conn *conns;  /* newest first */
	struct conn *client; /* whose function this is now */
	struct quiesce quiesce;
	bool leaving; /* the last client's reset waits for quiet */
	bool stale;   /* --retain: the last client's memory is still mapped */
	int listener;
	bool ending;
	char path[108];
};

int server_new(struct function *fn, const char *path, struct vferry_error *err);
/** server_end() - no more clients; without a reset. */
void server_end(struct function *fn);
void server_free(struct function *fn);
/** server_claim() - @conn has said VERSION. 0; -EBUSY, -ENODEV; -EAGAIN: the last client's reset goes on, ask again. */
int server_claim(struct server *server, struct conn *conn);
/** server_adopt() - a client that another process has had; @fd is taken over. The function has no client. 0 or -ENOMEM. */
int server_adopt(struct server *server, int fd, const struct version_caps *caps);
/** server_lost() - @conn is closed. */
void server_lost(struct server *server, struct conn *conn);
/** server_drop_client() - the function vanished. NULL is none. */
void server_drop_client(struct server *server);

#endif
