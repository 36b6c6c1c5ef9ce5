// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vfio_kmod NODE [VF]: the kernel module's SQEs by hand, the good ones and the bad ones, as TAP lines. Run in a guest.
 * vfio_kmod NODE late: a device that leaves SIZE_GET without an answer and lies about FIELDS_QUERY's.
 * vfio_kmod NODE parked: a device without RING_RESET that leaves SIZE_GET without an answer.
 * vfio_kmod NODE fuzz SEED COUNT [SECONDS]: random SQEs. vfio_kmod NODE hold: claims VF 1, has commands under way, until it is killed.
 * vfio_kmod NODE away: likewise, until the owner is gone (removed, reset, asleep), which
 * ends all of them; then it waits for SIGTERM.
 * vfio_kmod NODE kills SEED COUNT: processes with commands under way, killed at random moments.
 * vfio_kmod NODE sync MS: one command a system call, which waits for it; prints commands and processor time.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vferry/admin.h>
#include <vferry/uring_cmd.h>

#define BUFFER_BYTES (1U << 20)
#define UNDER_WAY    16

struct answer {
	int32_t res;
	uint64_t word;
};

static struct io_uring ring;
static int fd;
static unsigned int failed;

static void ok(const char *what, int is)
{
	printf("%sok - %s\n", is ? "" : "not ", what);
	failed += !is;
}

static struct io_uring_sqe *prepare(unsigned int op, const void *payload, size_t bytes)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	if (!sqe)
		abort();
	memset((void *)sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->off = op; /* cmd_op, and zeros */
	memcpy((char *)sqe + 48, payload, bytes);
	return sqe;
}

static struct answer reap(void)
{
	struct io_uring_cqe *cqe;
	struct answer answer = { .res = -ETIME };
	struct __kernel_timespec limit = { .tv_sec = 30 };

	if (!io_uring_wait_cqe_timeout(&ring, &cqe, &limit)) {
		answer = (struct answer){ cqe->res, cqe->big_cqe[0] };
		io_uring_cqe_seen(&ring, cqe);
	}
	return answer;
}

static struct answer run(unsigned int op, const void *payload, size_t bytes)
{
	prepare(op, payload, bytes);
	io_uring_submit(&ring);
	return reap();
}

static struct vferry_uring_admin admin(uint16_t opcode, uint64_t member)
{
	return (struct vferry_uring_admin){ .opcode = opcode,
					    .group_type = 1,
					    .member = member,
					    .data_buffer = VFERRY_URING_NONE,
					    .result_buffer = VFERRY_URING_NONE };
}

static int set_up(const char *node)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 };
	int ret;

	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("Bail out! %s: %s\n", node, strerror(errno));
		return -1;
	}
	ret = io_uring_queue_init_params(64, &ring, &params);
	if (ret)
		printf("Bail out! io_uring: %s\n", strerror(-ret));
	return ret;
}

static void good(void *memory)
{
	struct vferry_uring_info info = { 0 };
	struct vferry_uring_query query = { .address = (uintptr_t)&info, .length = sizeof(info) };
	struct vferry_uring_register reg = { .address = (uintptr_t)memory, .length = BUFFER_BYTES };
	struct vferry_uring_claim claim = { .first = 1, .count = 2 };
	struct vferry_uring_admin cmd = admin(VFERRY_CMD_LIST_QUERY, 0);
	struct answer answer;
	uint64_t *list = memory;
	int buffer;

	answer = run(VFERRY_URING_QUERY, &query, sizeof(query));
	ok("query", answer.res == sizeof(info) && info.version == VFERRY_URING_VERSION);
	printf("# flags %x queues %u depth %u vfs %u of %u list %llx used %llx features %llx\n",
	       info.flags, info.queues, info.depth, info.num_vfs, info.total_vfs,
	       (unsigned long long)info.list, (unsigned long long)info.list_used,
	       (unsigned long long)info.features);
	buffer = run(VFERRY_URING_REGISTER, &reg, sizeof(reg)).res;
	ok("register", buffer >= 0);
	cmd.result_buffer = (uint32_t)buffer;
	cmd.result_length = 64;
	answer = run(VFERRY_URING_ADMIN, &cmd, sizeof(cmd));
	ok("list_query: the device wrote into our buffer",
	   answer.res >= 16 && !(answer.word & 0xffffffff) && *list == info.list && *list);
	cmd = admin(VFERRY_CMD_DEV_MODE_GET, 1);
	cmd.result_buffer = (uint32_t)buffer;
	cmd.result_length = 8;
	ok("a VF that is not claimed: EACCES",
	   run(VFERRY_URING_ADMIN, &cmd, sizeof(cmd)).res == -EACCES);
	ok("claim", run(VFERRY_URING_CLAIM, &claim, sizeof(claim)).res == 0);
	ok("claimed twice: EBUSY", run(VFERRY_URING_CLAIM, &claim, sizeof(claim)).res == -EBUSY);
	answer = run(VFERRY_URING_ADMIN, &cmd, sizeof(cmd));
	ok("mode_get", answer.res >= 9 && !(answer.word & 0xffffffff));
	for (int i = 0; i < 32; i++)
		prepare(VFERRY_URING_ADMIN, &cmd, sizeof(cmd));
	io_uring_submit(&ring);
	for (int i = 0; i < 32; i++)
		failed += reap().res < 9;
	ok("32 in flight", !failed);
	cmd.data_buffer = cmd.result_buffer;
	cmd.data_length = 7;
	ok("data of 7 bytes: EINVAL", run(VFERRY_URING_ADMIN, &cmd, sizeof(cmd)).res == -EINVAL);
	cmd = admin(VFERRY_CMD_DEV_MODE_GET, 1);
	cmd.result_buffer = (uint32_t)buffer;
	cmd.result_offset = BUFFER_BYTES - 4;
	cmd.result_length = 8;
	ok("beyond the buffer: EINVAL", run(VFERRY_URING_ADMIN, &cmd, sizeof(cmd)).res == -EINVAL);
	cmd.result_offset = 0;
	cmd.result_buffer = 63;
	ok("no such buffer: ENOENT", run(VFERRY_URING_ADMIN, &cmd, sizeof(cmd)).res == -ENOENT);
	cmd = admin(0x30, 1);
	ok("an opcode that is not in use: EOPNOTSUPP",
	   run(VFERRY_URING_ADMIN, &cmd, sizeof(cmd)).res == -EOPNOTSUPP);
	cmd = admin(VFERRY_CMD_LIST_QUERY, 0);
	cmd.reserved2 = 1;
	ok("reserved bits: EINVAL", run(VFERRY_URING_ADMIN, &cmd, sizeof(cmd)).res == -EINVAL);
	ok("no such command: EOPNOTSUPP", run(0x12345, &cmd, sizeof(cmd)).res == -EOPNOTSUPP);
	ok("release", run(VFERRY_URING_RELEASE, &claim, sizeof(claim)).res == 0);
	ok("unregister", run(VFERRY_URING_UNREGISTER,
			     &(struct vferry_uring_unregister){ .buffer = (uint32_t)buffer },
			     sizeof(struct vferry_uring_unregister))
					 .res == 0);
	reg.address += 8;
	ok("not at a page: EINVAL", run(VFERRY_URING_REGISTER, &reg, sizeof(reg)).res == -EINVAL);
	reg.address = 0x10000;
	ok("nothing there: EFAULT", run(VFERRY_URING_REGISTER, &reg, sizeof(reg)).res == -EFAULT);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Memory of the process changes under the module: registered, given back, mapped again. */
static void shake(void *memory)
{
	char *at = (char *)memory + 4096UL * ((unsigned long)random() % 250);
	size_t bytes = 4096UL * (1 + (unsigned long)random() % 6);

	if (random() % 2)
		madvise(at, bytes, MADV_DONTNEED);
	else
		mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
		     0);
}

static void fuzz(unsigned int seed, unsigned long count, unsigned long seconds, void *memory)
{
	static const unsigned int ops[] = { VFERRY_URING_ADMIN,	     VFERRY_URING_REGISTER,
					    VFERRY_URING_UNREGISTER, VFERRY_URING_CLAIM,
					    VFERRY_URING_RELEASE,    VFERRY_URING_QUERY };
	struct vferry_uring_claim claim = { .first = 1, .count = 2 };
	struct vferry_uring_register reg = { .address = (uintptr_t)memory, .length = BUFFER_BYTES };
	unsigned long answers[3] = { 0 };

	uint64_t end = now_us() + seconds * 1000000;

	srandom(seed);
	run(VFERRY_URING_CLAIM, &claim, sizeof(claim));
	run(VFERRY_URING_REGISTER, &reg, sizeof(reg));
	for (unsigned long i = 0; i < count && (!seconds || now_us() < end); i++) {
		unsigned int batch = 1 + (unsigned int)random() % 8;

		for (unsigned int n = 0; n < batch; n++) {
			unsigned int kind = (unsigned int)random() % 10;
			unsigned int op = ops[kind < 6 ? kind : 0];
			union {
				unsigned char bytes[80];
				struct vferry_uring_admin admin;
				struct vferry_uring_register reg;
			} payload = { 0 };

			if (op == VFERRY_URING_ADMIN) {
				payload.admin =
					admin((uint16_t)(random() % 15), (uint64_t)(random() % 4));
				payload.admin.result_buffer =
					random() % 8 ? (uint32_t)(random() % 3) : VFERRY_URING_NONE;
				payload.admin.result_length = (uint32_t)(8 * (random() % 600));
				payload.admin.result_offset = (uint64_t)(random() % BUFFER_BYTES);
				payload.admin.inline_length = (uint16_t)(8 * (random() % 3));
				payload.admin.timeout_ms = (uint32_t)(random() % 4 ? 2000 : 1);
				payload.admin.inline_data[0] = (uint8_t)(random() % 3);
			} else if (op == VFERRY_URING_REGISTER) {
				payload.reg.address = (uintptr_t)memory +
						      4096UL * ((unsigned long)random() % 300);
				payload.reg.length = 4096UL * ((unsigned long)random() % 64);
			} else if (op == VFERRY_URING_QUERY) {
				uint64_t at = (uintptr_t)memory;

				memcpy(payload.bytes, &at, 8);
				payload.bytes[8] = (unsigned char)random();
			} else {
				payload.bytes[0] = (unsigned char)(random() % 5);
				payload.bytes[4] = (unsigned char)(random() % 3);
			}
			/* Some bits of noise in one of two. */
			if (random() % 2)
				payload.bytes[(unsigned int)random() % 80] ^=
					(unsigned char)(1 << random() % 8);
			prepare(op, payload.bytes, 80);
		}
		io_uring_submit(&ring);
		if (!(random() % 32))
			shake(memory);
		for (unsigned int n = 0; n < batch; n++) {
			struct answer answer = reap();

			answers[answer.res >= 0 ? 0 : answer.res == -ETIME ? 2 : 1]++;
		}
	}
	printf("# answered %lu, refused %lu, lost %lu\n", answers[0], answers[1], answers[2]);
	ok("every random SQE has its CQE", !answers[2]);
}

static int unregister(int buffer)
{
	struct vferry_uring_unregister unreg = { .buffer = (uint32_t)buffer };

	return run(VFERRY_URING_UNREGISTER, &unreg, sizeof(unreg)).res;
}

/* Neither a cancellation nor a linked timeout reaches a driver: io_uring asks it only when the ring or its task ends. */
static void cancelled(struct vferry_uring_admin silent)
{
	struct __kernel_timespec soon = { .tv_nsec = 100000000 };
	struct io_uring_sqe *sqe;
	int32_t asked = 1, timer = 1, command = 1;

	silent.timeout_ms = 1000;
	sqe = prepare(VFERRY_URING_ADMIN, &silent, sizeof(silent));
	sqe->user_data = 1;
	sqe->flags = IOSQE_IO_LINK;
	sqe = io_uring_get_sqe(&ring);
	memset((void *)sqe, 0, 2 * sizeof(*sqe));
	io_uring_prep_link_timeout(sqe, &soon, 0);
	sqe->user_data = 2;
	sqe = io_uring_get_sqe(&ring);
	memset((void *)sqe, 0, 2 * sizeof(*sqe));
	io_uring_prep_cancel64(sqe, 1, 0);
	sqe->user_data = 3;
	io_uring_submit(&ring);
	for (int i = 0; i < 3; i++) {
		struct __kernel_timespec limit = { .tv_sec = 60 };
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe_timeout(&ring, &cqe, &limit))
			break;
		*(cqe->user_data == 1	? &command
		  : cqe->user_data == 2 ? &timer
					: &asked) = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	}
	printf("# command %d, linked timeout %d, cancel %d\n", command, timer, asked);
	ok("neither cancel nor a linked timeout takes a command: its own timeout does",
	   command == -ETIMEDOUT && timer <= 0 && asked < 0);
}

static void late(void *memory)
{
	struct vferry_uring_claim claim = { .first = 1, .count = 2 };
	struct vferry_uring_register reg = { .address = (uintptr_t)memory, .length = BUFFER_BYTES };
	struct vferry_uring_admin size = admin(VFERRY_CMD_DEV_CTX_SIZE_GET, 1);
	struct vferry_uring_admin mode = admin(VFERRY_CMD_DEV_MODE_GET, 1);
	struct vferry_uring_admin fields = admin(VFERRY_CMD_DEV_CTX_FIELDS_QUERY, 1);
	int buffer, other, ret;

	run(VFERRY_URING_CLAIM, &claim, sizeof(claim));
	buffer = run(VFERRY_URING_REGISTER, &reg, sizeof(reg)).res;
	other = run(VFERRY_URING_REGISTER, &reg, sizeof(reg)).res;
	size.inline_length = 8;
	size.result_buffer = (uint32_t)buffer;
	size.result_length = 8;
	size.timeout_ms = 500;
	mode.result_buffer = fields.result_buffer = (uint32_t)other;
	mode.result_length = 8;
	fields.result_length = 4096;
	cancelled(size);
	ok("no answer: ETIMEDOUT", run(VFERRY_URING_ADMIN, &size, sizeof(size)).res == -ETIMEDOUT);
	ok("its buffer is the device's", unregister(buffer) == -EBUSY);
	for (int i = 0; i < 200; i++) {
		ret = unregister(buffer);
		if (ret != -EBUSY)
			break;
		usleep(100000);
	}
	ok("until the queue was reset", ret == 0);
	for (int i = 0; i < 20; i++) {
		ret = run(VFERRY_URING_ADMIN, &mode, sizeof(mode)).res;
		if (ret != -EIO)
			break;
		usleep(100000);
	}
	ok("then the queue works again", ret >= 9);
	ret = run(VFERRY_URING_ADMIN, &fields, sizeof(fields)).res;
	printf("# a used length that lies: %d\n", ret);
	ok("a lie is EPROTO", ret == -EPROTO);
	ok("and the queue goes on", run(VFERRY_URING_ADMIN, &mode, sizeof(mode)).res >= 9);
	ok("the other buffer is free", unregister(other) == 0);
}

static void parked(const char *node, void *memory)
{
	struct vferry_uring_claim claim = { .first = 1, .count = 2 };
	struct vferry_uring_register reg = { .address = (uintptr_t)memory, .length = BUFFER_BYTES };
	struct vferry_uring_admin size = admin(VFERRY_CMD_DEV_CTX_SIZE_GET, 1);
	struct vferry_uring_admin mode = admin(VFERRY_CMD_DEV_MODE_GET, 1);
	struct vferry_uring_info info = { 0 };
	struct vferry_uring_query query = { .address = (uintptr_t)&info, .length = sizeof(info) };
	struct vferry_uring_admin list = admin(VFERRY_CMD_LIST_QUERY, 0);
	int buffer, ret = 0, first = fd;

	run(VFERRY_URING_CLAIM, &claim, sizeof(claim));
	buffer = run(VFERRY_URING_REGISTER, &reg, sizeof(reg)).res;
	size.inline_length = 8;
	size.result_buffer = mode.result_buffer = (uint32_t)buffer;
	size.result_length = mode.result_length = 8;
	size.timeout_ms = 500;
	run(VFERRY_URING_QUERY, &query, sizeof(query));
	ok("no RING_RESET", !(info.flags & (VFERRY_URING_INFO_RESET | VFERRY_URING_INFO_PARKED)));
	ok("no answer: ETIMEDOUT", run(VFERRY_URING_ADMIN, &size, sizeof(size)).res == -ETIMEDOUT);
	for (int i = 0; i < 600 && ret != -EIO; i++) {
		ret = run(VFERRY_URING_ADMIN, &mode, sizeof(mode)).res;
		usleep(50000);
	}
	ok("then the queue is parked: EIO for new commands", ret == -EIO);
	run(VFERRY_URING_QUERY, &query, sizeof(query));
	ok("and says so", info.flags & VFERRY_URING_INFO_PARKED);
	ok("the device keeps the buffer", unregister(buffer) == -EBUSY);
	fd = open(node, O_RDWR | O_CLOEXEC);
	list.result_buffer = (uint32_t)run(VFERRY_URING_REGISTER, &reg, sizeof(reg)).res;
	list.result_length = 64;
	ok("another file, on another queue, works",
	   info.queues == 1 || run(VFERRY_URING_ADMIN, &list, sizeof(list)).res >= 16);
	close(fd);
	fd = first;
	ok("the parked one does not", run(VFERRY_URING_ADMIN, &mode, sizeof(mode)).res == -EIO);
}

static struct vferry_uring_admin reading(void *memory)
{
	struct vferry_uring_claim claim = { .first = 1, .count = 1 };
	struct vferry_uring_register reg = { .address = (uintptr_t)memory, .length = BUFFER_BYTES };
	struct vferry_uring_admin cmd = admin(VFERRY_CMD_DEV_CTX_READ, 1);

	run(VFERRY_URING_CLAIM, &claim, sizeof(claim));
	cmd.result_buffer = (uint32_t)run(VFERRY_URING_REGISTER, &reg, sizeof(reg)).res;
	cmd.result_length = 65536;
	return cmd;
}

static void hold(void *memory, volatile unsigned int *stage)
{
	struct vferry_uring_admin cmd = reading(memory);

	*stage = 2;
	printf("holding\n");
	fflush(stdout);
	for (;;) {
		for (int i = 0; i < UNDER_WAY; i++)
			prepare(VFERRY_URING_ADMIN, &cmd, sizeof(cmd));
		io_uring_submit(&ring);
		*stage = 3;
		for (int i = 0; i < UNDER_WAY; i++)
			reap();
	}
}

static void away(void *memory)
{
	struct vferry_uring_admin cmd = reading(memory);
	unsigned long answers = 0, gone = 0, lost = 0;
	sigset_t end;
	int sig;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	printf("holding\n");
	fflush(stdout);
	while (!gone && !lost) {
		for (int i = 0; i < UNDER_WAY; i++)
			prepare(VFERRY_URING_ADMIN, &cmd, sizeof(cmd));
		io_uring_submit(&ring);
		for (int i = 0; i < UNDER_WAY; i++) {
			int ret = reap().res;

			*(ret == -ENODEV ? &gone : ret == -ETIME ? &lost : &answers) += 1;
		}
	}
	printf("# %lu answers, then %lu times ENODEV\n", answers, gone);
	ok("every command ended, the last with ENODEV", gone && !lost && answers);
	ok("and no new one gets in", run(VFERRY_URING_ADMIN, &cmd, sizeof(cmd)).res == -ENODEV);
	fflush(stdout);
	/* A process that exits while tasks freeze may wait for a worker of io_uring that is frozen already. */
	sigwait(&end, &sig);
}

/* While this process has the node open too, or not: then the owner goes down with each of them. */
static void kills(const char *node, unsigned int seed, unsigned long count, void *memory)
{
	volatile unsigned int *stage =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long at[4] = { 0 };
	uint64_t span = 200000;

	if (stage == MAP_FAILED)
		exit(1);
	io_uring_queue_exit(&ring);
	close(fd);
	fd = -1;
	srandom(seed);
	for (unsigned long n = 0; n < count; n++) {
		bool keep = n / 8 % 2;
		int kept = keep ? open(node, O_RDWR | O_CLOEXEC) : -1;
		uint64_t begin = now_us();
		pid_t child;

		*stage = 0;
		child = fork();
		if (!child) {
			dup2(open("/dev/null", O_WRONLY), 1);
			while (set_up(node))
				usleep(1000);
			*stage = 1;
			hold(memory, stage);
		}
		if (n % 16 == 0 || n % 16 == 8) {
			/* How long until commands are under way: the others are killed within twice that. */
			while (*stage < 3 && now_us() - begin < 20000000)
				usleep(500);
			span = 2 * (now_us() - begin);
		} else {
			usleep((unsigned int)((uint64_t)random() % span));
		}
		at[*stage]++;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		if (kept >= 0)
			close(kept);
	}
	printf("# killed: %lu while opening, %lu before memory was registered, %lu before the first command, %lu with "
	       "commands under way\n",
	       at[0], at[1], at[2], at[3]);
	ok("killed at random moments", at[0] + at[1] + at[2] + at[3] == count && at[3]);
	exit(failed != 0);
}

static void sync_path(unsigned long ms, void *memory)
{
	struct vferry_uring_claim claim = { .first = 1, .count = 1 };
	struct vferry_uring_register reg = { .address = (uintptr_t)memory, .length = BUFFER_BYTES };
	struct vferry_uring_admin cmd = admin(VFERRY_CMD_DEV_MODE_GET, 1);
	uint64_t begin, end, cpu;
	struct rusage use;
	unsigned long done = 0;

	run(VFERRY_URING_CLAIM, &claim, sizeof(claim));
	cmd.result_buffer = (uint32_t)run(VFERRY_URING_REGISTER, &reg, sizeof(reg)).res;
	cmd.result_length = 8;
	getrusage(RUSAGE_SELF, &use);
	cpu = (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
	      (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
	begin = now_us();
	end = begin + ms * 1000;
	while (now_us() < end) {
		struct io_uring_cqe *cqe;

		prepare(VFERRY_URING_ADMIN, &cmd, sizeof(cmd));
		if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_peek_cqe(&ring, &cqe) ||
		    cqe->res < 9)
			break;
		io_uring_cqe_seen(&ring, cqe);
		done++;
	}
	end = now_us();
	getrusage(RUSAGE_SELF, &use);
	cpu = (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
	      (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) - cpu;
	printf("{\"commands\": %lu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", done,
	       (double)(end - begin) / 1e6, (double)cpu / 1e6);
}

int main(int argc, char **argv)
{
	void *memory =
		mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *what = argc > 2 ? argv[2] : "good";
	unsigned long first = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	unsigned long second = argc > 4 ? strtoul(argv[4], NULL, 0) : 0;
	unsigned int stage;

	if (argc < 2 || memory == MAP_FAILED || set_up(argv[1]))
		return 1;
	if (!strcmp(what, "fuzz"))
		fuzz((unsigned int)first, second, argc > 5 ? strtoul(argv[5], NULL, 0) : 0, memory);
	else if (!strcmp(what, "late"))
		late(memory);
	else if (!strcmp(what, "parked"))
		parked(argv[1], memory);
	else if (!strcmp(what, "hold"))
		hold(memory, &stage);
	else if (!strcmp(what, "away"))
		away(memory);
	else if (!strcmp(what, "kills"))
		kills(argv[1], (unsigned int)first, second, memory);
	else if (!strcmp(what, "sync"))
		sync_path(first, memory);
	else
		good(memory);
	return failed != 0;
}
