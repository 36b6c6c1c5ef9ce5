// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Addresses, the links that come of them, and the words when none does. */
#include "stream_ends.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static const struct vf_peer_opts patient = { .timeout_ns = LONG_NS };
static char folder[] = "/tmp/vferry-peers-XXXXXX";

static const char *in_folder(const char *format)
{
	static char text[4][200];
	static unsigned int turn_of;
	char *out = text[turn_of++ % 4];

	snprintf(out, 200, format, folder);
	return out;
}

static struct vf_peer *parsed(const char *address)
{
	struct vferry_error err = { 0 };
	struct vf_peer *peer;

	if (vf_peer_parse(&peer, address, &err))
		fail_msg("%s", err.text);
	return peer;
}

static void has_words(int ret, int want, const struct vferry_error *err, const char *words)
{
	if (ret != want)
		fail_msg("%d where %d is due: %s", ret, want, err->text);
	assert_int_equal(err->code, want);
	if (!strstr(err->text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, err->text);
}

static void refused(const char *address, int want, const char *words)
{
	struct vferry_error err = { 0 };
	struct vf_peer *peer = NULL;

	has_words(vf_peer_parse(&peer, address, &err), want, &err, words);
	assert_null(peer);
}

static void addresses_that_are_none(void **state)
{
	char path[300] = "unix:/";

	memset(path + 6, 'x', 200);
	refused("", -EINVAL, "\"\" is no peer: tcp:HOST:PORT, unix:PATH");
	refused("http://host", -EINVAL, "is no peer");
	refused("-x", -EINVAL, "is no peer");
	refused("tcp:host", -EINVAL, "there is no port");
	refused("tcp:host:", -EINVAL, "the port is no number");
	refused("tcp:host:ssh", -EINVAL, "the port is no number");
	refused("tcp:host:-1", -EINVAL, "the port is no number");
	refused("tcp:host:65536", -EINVAL, "the port is no number");
	refused("tcp:host:99999999999999999999999", -EINVAL, "the port is no number");
	refused("tcp:::1:99", -EINVAL, "more than one colon");
	refused("tcp:[::1:99", -EINVAL, "the bracket is not closed");
	refused("unix:", -EINVAL, "the path is missing");
	refused(path, -ENAMETOOLONG, "the path has 201 bytes, a socket's may have 107");
	refused("exec:", -EINVAL, "the command is missing");
	refused("exec:  \t", -EINVAL, "the command is missing");
	refused("fd:", -EINVAL, "takes the number");
	refused("fd:x", -EINVAL, "takes the number");
	refused("fd:3x", -EINVAL, "takes the number");
	refused("fd:-3", -EINVAL, "takes the number");
	refused("file:", -EINVAL, "the path is missing");
}

/* One frame each way, to see that a link works. */
static void talk(struct vf_link *one, struct vf_link *two)
{
	struct end a = { .link = *one }, b = { .link = *two };
	struct sent ask, answer;
	struct vf_ring *ring;

	assert_int_equal(vf_ring_new(&ring, 8, NULL), 0);
	end_open(&a, ring);
	end_open(&b, ring);
	sent_make(&ask, 1, 1000, 1);
	sent_make(&answer, 2, 2000, 1);
	vf_stream_send(a.stream, &ask.tx);
	while (b.frames < 1)
		turn(ring);
	vf_stream_send(b.stream, &answer.tx);
	while (a.frames < 1 || !ask.done || !answer.done)
		turn(ring);
	end_close(&a);
	end_close(&b);
	free(ask.bytes);
	free(answer.bytes);
	vf_ring_free(ring);
}

static void listen_and_connect(const char *address, const char *connect_to)
{
	struct vf_peer *listener = parsed(address), *peer;
	struct vferry_error err = { 0 };
	struct vf_link a, b;
	int fd, accepted;

	assert_true(vf_peer_listens(listener));
	fd = vf_peer_listen(listener, &patient, &err);
	if (fd < 0)
		fail_msg("%s", err.text);
	peer = parsed(connect_to ? connect_to : vf_peer_name(listener));
	if (vf_peer_connect(peer, &patient, &a, &err))
		fail_msg("%s", err.text);
	accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	vf_peer_accept_link(listener, accepted, &b);
	assert_true(a.socket && b.socket && !a.one_way && !b.one_way);
	close(fd);
	talk(&a, &b);
	vf_peer_free(listener);
	vf_peer_free(peer);
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool ok = fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address));

	if (fd >= 0)
		close(fd);
	return ok;
}

static void tcp_and_unix(void **state)
{
	struct stat st;

	listen_and_connect("tcp:127.0.0.1:0", NULL);
	listen_and_connect("tcp:localhost:0", NULL);
	listen_and_connect("tcp::0", NULL);
	if (has_ipv6())
		listen_and_connect("tcp:[::1]:0", NULL);
	listen_and_connect(in_folder("unix:%s/sock"), NULL);
	/* its name is gone with the listener */
	assert_int_equal(stat(in_folder("%s/sock"), &st), -1);
}

static void listens_on_loopback_only(void **state)
{
	static const char *const open_to_all[] = { "tcp:0.0.0.0:0", "tcp:[::]:0" };
	struct vf_peer_opts insecure = { .insecure = true, .timeout_ns = LONG_NS };

	for (int i = 0; i < 1 + has_ipv6(); i++) {
		struct vf_peer *peer = parsed(open_to_all[i]);
		struct vferry_error err = { 0 };
		int fd;

		has_words(vf_peer_listen(peer, &patient, &err), -EPERM, &err,
			  "is not a loopback address");
		assert_non_null(strstr(err.text, "--insecure"));
		fd = vf_peer_listen(peer, &insecure, &err);
		assert_true(fd >= 0);
		close(fd);
		vf_peer_free(peer);
	}
}

static void nobody_there(void **state)
{
	struct vf_peer *listener = parsed("tcp:127.0.0.1:0");
	int fd = vf_peer_listen(listener, &patient, NULL);
	struct vf_peer *second = parsed(vf_peer_name(listener));
	struct vferry_error err = { 0 };
	struct vf_link link;

	has_words(vf_peer_listen(second, &patient, &err), -EADDRINUSE, &err, "someone else does");
	close(fd);
	has_words(vf_peer_connect(second, &patient, &link, &err), -ECONNREFUSED, &err,
		  "is 'vferry recv' listening there?");
	vf_peer_free(second);
	vf_peer_free(listener);

	second = parsed(in_folder("unix:%s/nothing"));
	has_words(vf_peer_connect(second, &patient, &link, &err), -ENOENT, &err,
		  "is 'vferry recv' listening there?");
	vf_peer_free(second);
	second = parsed("tcp:no-such-host.invalid:1");
	has_words(vf_peer_connect(second, &patient, &link, &err), -EHOSTUNREACH, &err,
		  "cannot look up the name no-such-host.invalid");
	vf_peer_free(second);
}

/* A listener whose queue is full answers nothing: the connecting side has its deadline. */
static void a_deadline_for_connecting(void **state)
{
	struct vf_peer_opts hasty = { .timeout_ns = 50000000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct vf_peer *peer = parsed(in_folder("unix:%s/full"));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), held[8], count = 0, ret;
	struct vferry_error err = { 0 };
	struct vf_link link;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/full", folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 0), 0);
	do {
		assert_true(count < 8);
		ret = vf_peer_connect(peer, &hasty, &link, &err);
		held[count++] = link.in;
	} while (!ret);
	has_words(ret, -ETIMEDOUT, &err, "Connection timed out");
	for (int i = 0; i < count - 1; i++)
		close(held[i]);
	close(fd);
	vf_peer_free(peer);
}

static void a_socket_file_left_behind(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct vf_peer *peer = parsed(in_folder("unix:%s/left"));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), again;
	struct vferry_error err = { 0 };
	struct stat st;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/left", folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	/* served: not ours to take */
	has_words(vf_peer_listen(peer, &patient, &err), -EADDRINUSE, &err, "someone listens there");
	close(fd);
	again = vf_peer_listen(peer, &patient, &err);
	assert_true(again >= 0);
	assert_int_equal(stat(address.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close(again);
	vf_peer_free(peer);

	/* a file of another kind is never removed */
	peer = parsed(in_folder("unix:%s/file"));
	close(open(in_folder("%s/file"), O_CREAT | O_WRONLY, 0600));
	has_words(vf_peer_listen(peer, &patient, &err), -EADDRINUSE, &err, "another file");
	assert_int_equal(stat(in_folder("%s/file"), &st), 0);
	vf_peer_free(peer);
	unlink(in_folder("%s/file"));
}

static void commands(void **state)
{
	struct vferry_error err = { 0 };
	struct vf_peer *peer = parsed("exec:cat");
	struct end a = { 0 };
	struct sent sent;
	struct vf_ring *ring;

	/* cat sends the frame back */
	assert_int_equal(vf_ring_new(&ring, 8, NULL), 0);
	assert_int_equal(vf_peer_connect(peer, &patient, &a.link, NULL), 0);
	assert_true(a.link.child > 0 && !a.link.one_way);
	end_open(&a, ring);
	sent_make(&sent, 1, 100000, 1);
	vf_stream_send(a.stream, &sent.tx);
	while (!a.frames || !sent.done)
		turn(ring);
	vf_stream_free(a.stream);
	assert_int_equal(vf_link_close(&a.link, LONG_NS), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	free(a.room);
	free(sent.bytes);
	vf_peer_free(peer);

	/* a command that fails: its status is in the words */
	a = (struct end){ 0 };
	peer = parsed("exec:exit 41");
	assert_int_equal(vf_peer_open_in(peer, &patient, &a.link, NULL), 0);
	end_open(&a, ring);
	while (!a.broken)
		turn(ring);
	err = a.why;
	vf_link_explain(&a.link, &err);
	assert_non_null(strstr(err.text, "exec:exit 41 ended with exit status 41"));
	vf_stream_free(a.stream);
	assert_int_equal(vf_link_close(&a.link, LONG_NS), 41);
	vf_peer_free(peer);

	/* one that is not to be found */
	peer = parsed("exec:/nowhere/at/all 2>/dev/null");
	assert_int_equal(vf_peer_connect(peer, &patient, &a.link, NULL), 0);
	assert_int_equal(vf_link_close(&a.link, LONG_NS), 127);
	vf_peer_free(peer);

	/* one that does not end by itself is ended */
	peer = parsed("exec:exec sleep 1000");
	assert_int_equal(vf_peer_connect(peer, &patient, &a.link, NULL), 0);
	assert_int_equal(vf_link_close(&a.link, 1000000), -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	vf_peer_free(peer);
	vf_ring_free(ring);
}

static int open_fd(int fd, bool out, struct vf_link *link, struct vferry_error *err)
{
	char address[32];
	struct vf_peer *peer;
	int ret;

	snprintf(address, sizeof(address), "fd:%d", fd);
	peer = parsed(address);
	*err = (struct vferry_error){ 0 };
	ret = (out ? vf_peer_connect : vf_peer_open_in)(peer, &patient, link, err);
	vf_peer_free(peer);
	return ret;
}

static void descriptors(void **state)
{
	struct vferry_error err;
	struct vf_link link, other;
	int fds[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(open_fd(fds[0], true, &link, &err), 0);
	assert_int_equal(open_fd(fds[1], false, &other, &err), 0);
	assert_true(link.socket && other.socket && !link.one_way && !other.one_way);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	talk(&link, &other);

	assert_int_equal(pipe(fds), 0);
	has_words(open_fd(fds[0], true, &link, &err), -EBADF, &err, "cannot be written to");
	has_words(open_fd(fds[1], false, &link, &err), -EBADF, &err, "cannot be read from");
	assert_int_equal(open_fd(fds[1], true, &link, &err), 0);
	assert_true(!link.socket && link.one_way && link.in == -1);
	assert_int_equal(open_fd(fds[0], false, &other, &err), 0);
	vf_link_close(&link, 0);
	vf_link_close(&other, 0);

	has_words(open_fd(fds[0], false, &link, &err), -EBADF, &err, "is not open");
	has_words(open_fd(1000000, false, &link, &err), -EBADF, &err, "is not open");

	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	has_words(open_fd(fd, true, &link, &err), -EINVAL, &err, "none of a stream");
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	has_words(open_fd(fd, true, &link, &err), -EINVAL, &err, "not connected");
	close(fd);
	fd = open("/tmp", O_RDONLY);
	has_words(open_fd(fd, false, &link, &err), -EINVAL, &err, "is a directory");
	close(fd);
	fd = open("/dev/zero", O_RDONLY);
	has_words(open_fd(fd, false, &link, &err), -EINVAL, &err, "is a device");
	close(fd);
	fd = posix_openpt(O_RDWR | O_NOCTTY);
	if (fd >= 0) {
		has_words(open_fd(fd, true, &link, &err), -EINVAL, &err, "this is a terminal");
		close(fd);
	}
}

static void files(void **state)
{
	struct vf_peer *peer = parsed(in_folder("file:%s/saved"));
	struct vf_peer *again = parsed(in_folder("file:%s/saved"));
	struct vferry_error err = { 0 };
	struct vf_link link;
	struct stat st;

	has_words(vf_peer_open_in(peer, &patient, &link, &err), -ENOENT, &err, "cannot open");
	assert_int_equal(vf_peer_connect(peer, &patient, &link, &err), 0);
	assert_true(link.one_way && link.in == -1);
	assert_int_equal(fstat(link.out, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(vf_link_sync(&link, &err), 0);
	vf_link_close(&link, 0);
	has_words(vf_peer_connect(again, &patient, &link, &err), -EEXIST, &err,
		  "a saved stream is never overwritten");
	/* only who made it removes it */
	vf_peer_discard(again);
	assert_int_equal(vf_peer_open_in(again, &patient, &link, &err), 0);
	vf_link_close(&link, 0);
	vf_peer_discard(peer);
	assert_int_equal(vf_peer_open_in(again, &patient, &link, &err), -ENOENT);
	vf_peer_free(peer);
	vf_peer_free(again);

	peer = parsed("file:/tmp");
	has_words(vf_peer_open_in(peer, &patient, &link, &err), -EINVAL, &err, "is a directory");
	vf_peer_free(peer);
	/* a FIFO without a writer does not hold anyone up */
	assert_int_equal(mkfifo(in_folder("%s/fifo"), 0600), 0);
	peer = parsed(in_folder("file:%s/fifo"));
	has_words(vf_peer_open_in(peer, &patient, &link, &err), -EINVAL, &err, "no regular file");
	vf_peer_free(peer);
	unlink(in_folder("%s/fifo"));
}

/* In a child, because it changes descriptors 0 and 1. The exit status says what became of it. */
static int with_stdio(int in, int out, bool connect)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct vferry_error err = { 0 };
		struct vf_peer *peer;
		struct vf_link link;
		int ret;

		dup2(in, 0);
		dup2(out, 1);
		if (vf_peer_parse(&peer, "-", &err))
			_exit(99);
		ret = (connect ? vf_peer_connect : vf_peer_open_in)(peer, &patient, &link, &err);
		if (ret)
			_exit(strstr(err.text, "terminal") ? 98 : 97);
		if (connect && write(1, "x", 1) != 1) /* lands in /dev/null */
			_exit(96);
		_exit((link.in >= 0) | (link.out >= 0) << 1 | link.socket << 2 | link.one_way << 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void standard_input_and_output(void **state)
{
	enum { HAS_IN = 1, HAS_OUT = 2, IS_SOCKET = 4, ONE_WAY = 8, TERMINAL = 98 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int pair[2], one[2], two[2], pty;
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(one, O_CLOEXEC), 0);
	assert_int_equal(pipe2(two, O_CLOEXEC), 0);
	assert_int_equal(with_stdio(pair[0], pair[0], true), HAS_IN | HAS_OUT | IS_SOCKET);
	assert_int_equal(with_stdio(pair[0], pair[0], false), HAS_IN | HAS_OUT | IS_SOCKET);
	assert_int_equal(with_stdio(one[0], two[1], true), HAS_IN | HAS_OUT);
	assert_int_equal(with_stdio(one[0], two[1], false), HAS_IN | HAS_OUT);
	assert_int_equal(with_stdio(null, two[1], true), HAS_OUT | ONE_WAY);
	assert_int_equal(with_stdio(one[0], null, false), HAS_IN | ONE_WAY);
	/* nothing printed went into the stream */
	fcntl(two[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(read(two[0], &byte, 1), -1);
	pty = posix_openpt(O_RDWR | O_NOCTTY);
	if (pty >= 0) {
		assert_int_equal(with_stdio(null, pty, true), TERMINAL);
		assert_int_equal(with_stdio(pty, null, false), TERMINAL);
		close(pty);
	}
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(one[i]);
		close(two[i]);
	}
	close(null);
}

static int make_folder(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	unlink(in_folder("%s/full"));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_that_are_none),
		cmocka_unit_test(tcp_and_unix),
		cmocka_unit_test(listens_on_loopback_only),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(a_deadline_for_connecting),
		cmocka_unit_test(a_socket_file_left_behind),
		cmocka_unit_test(commands),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(files),
		cmocka_unit_test(standard_input_and_output),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
