// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * uring_cmds COUNT REFUSED: a program that knows nothing of vferry, with exactly COUNT + REFUSED times IORING_OP_URING_CMD on a socket: SIOCINQ, and a
 * command that there is not. Prints its pid and what came of them; exit status 77 where the kernel's sockets have no such commands (before 6.7).
 */
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define URING_CMD  46
#define SIOCINQ_OP 0
#define REFUSED_OP 0x7777
#define AT_ONCE	   16

static void one(struct io_uring *ring, int fd, unsigned int op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		abort();
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = URING_CMD;
	sqe->fd = fd;
	sqe->off = op; /* cmd_op */
}

int main(int argc, char **argv)
{
	unsigned int wanted, refused, ok = 0, bad = 0;
	struct io_uring ring;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 3)
		return 2;
	wanted = (unsigned int)atoi(argv[1]);
	refused = (unsigned int)atoi(argv[2]);
	if (fd < 0 || io_uring_queue_init(AT_ONCE, &ring, 0)) {
		perror("uring_cmds");
		return 1;
	}
	for (unsigned int i = 0; i < wanted + refused;) {
		struct io_uring_cqe *cqe;
		unsigned int n = 0;

		for (; n < AT_ONCE && i < wanted + refused; n++, i++)
			one(&ring, fd, i < wanted ? SIOCINQ_OP : REFUSED_OP);
		io_uring_submit(&ring);
		while (n--) {
			if (io_uring_wait_cqe(&ring, &cqe))
				return 1;
			ok += cqe->res >= 0;
			bad += cqe->res < 0;
			io_uring_cqe_seen(&ring, cqe);
		}
	}
	printf("{\"pid\":%d,\"ok\":%u,\"refused\":%u}\n", getpid(), ok, bad);
	return ok == wanted && bad == refused ? 0 : 77;
}
