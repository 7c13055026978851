/*
 * Sockets inside the system, and outside where that is allowed.
 */
#include "support.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#ifdef LIBOS
#include <libos.h>
#else
#define libos_socket_is_internal(fd) 0
#endif

static struct sockaddr_un
address_of(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	return a;
}

static int
listener(const char *path)
{
	struct sockaddr_un a = address_of(path);
	int			fd = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(fd > 2 && bind(fd, (struct sockaddr *) &a, sizeof a) == 0 && listen(fd, 10) == 0);
	return fd;
}

static int
connected(const char *path)
{
	struct sockaddr_un a = address_of(path);
	int			fd = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(fd > 2);
	if (connect(fd, (struct sockaddr *) &a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Serves connections until one says "end": answers each with what it says, and who it is. */
static int
command_serve(int argc, char **argv)
{
	int			fd = listener(argv[1]);
	struct stat st;

	CHECK(stat(argv[1], &st) == 0 && S_ISSOCK(st.st_mode));
	tell("ready");
	for (;;)
	{
		struct sockaddr_un peer;
		socklen_t	length = sizeof peer;
		int			client = accept(fd, (struct sockaddr *) &peer, &length);
		char		text[100];
		ssize_t		n;

		CHECK(client > 2 && peer.sun_family == AF_UNIX);
		while ((n = recv(client, text, sizeof text - 1, 0)) > 0)
		{
			char		answer[200];

			text[n] = 0;
			snprintf(answer, sizeof answer, "%s %s", libos_socket_is_internal(client) ? "own" : "other", text);
			CHECK(send(client, answer, strlen(answer), 0) == (ssize_t) strlen(answer));
			if (strcmp(text, "end") == 0)
				return unlink(argv[1]);
		}
		CHECK(n == 0 && close(client) == 0);
	}
}

/* The same by epoll, without blocking: as servers do. */
static int
command_epoll(int argc, char **argv)
{
	int			fd = listener(argv[1]);
	int			set = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	int			served = 0;

	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK(accept(fd, NULL, NULL) == -1 && errno == EAGAIN);
	CHECK(epoll_wait(set, &event, 1, 0) == 0);
	tell("ready");
	while (served < atoi(argv[2]))
	{
		int			client;

		CHECK(epoll_wait(set, &event, 1, -1) == 1);
		while ((client = accept(fd, NULL, NULL)) >= 0)
		{
			CHECK(send(client, "hello", 5, 0) == 5 && close(client) == 0);
			served++;
		}
		CHECK(errno == EAGAIN);
	}
	return 0;
}

static int
command_listen(int argc, char **argv)
{
	listener(argv[1]);
	tell("ready");
	for (;;)
		milliseconds(1000);
}

static int
command_client(int argc, char **argv)
{
	int			fd = connected(argv[1]);
	char		answer[200];
	ssize_t		n;

	if (fd < 0)
	{
		say("%s\n", error_name(errno));
		return 1;
	}
	CHECK(send(fd, argv[2], strlen(argv[2]), 0) == (ssize_t) strlen(argv[2]));
	n = recv(fd, answer, sizeof answer - 1, 0);
	CHECK(n > 0);
	answer[n] = 0;
	say("%s\n", answer);
	return 0;
}

static int
command_errors(int argc, char **argv)
{
	struct sockaddr_un a = address_of(argv[1]);
	char		path[100];
	int			fd = listener(argv[1]);
	int			other = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(bind(other, (struct sockaddr *) &a, sizeof a) == -1 && errno == EADDRINUSE);
	CHECK(connected("/tmp/none.sock") == -1 && errno == ENOENT);
	close(fd);
	/* The name is left, but nobody listens. */
	CHECK(connected(argv[1]) == -1 && errno == ECONNREFUSED);
	CHECK(unlink(argv[1]) == 0 && connected(argv[1]) == -1 && errno == ENOENT);
	snprintf(path, sizeof path, "%s.file", argv[1]);
	CHECK(open(path, O_CREAT | O_WRONLY, 0600) >= 0);
	CHECK(connected(path) == -1 && errno == ECONNREFUSED && unlink(path) == 0);
	CHECK(send(0, "x", 1, 0) == -1 && errno == ENOTSOCK);
	CHECK(listen(0, 1) == -1 && errno == ENOTSOCK);
	{
		socklen_t	n = sizeof a;

		CHECK(getsockname(0, (struct sockaddr *) &a, &n) == -1 && errno == ENOTSOCK);
	}
	say("done\n");
	return 0;
}

static int
command_pair(int argc, char **argv)
{
	int			pair[2];
	char		text[20] = "";
	struct iovec part = {text, sizeof text};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int			on = 1;
	socklen_t	size = sizeof on;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(send(pair[0], "there", 5, 0) == 5 && recv(pair[1], text, 20, 0) == 5);
	CHECK(write(pair[1], "back", 4) == 4 && recvmsg(pair[0], &message, 0) == 4 && memcmp(text, "back", 4) == 0);
	CHECK(recv(pair[0], text, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	CHECK(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &on, &size) == 0 && on == SOCK_STREAM);
	CHECK(shutdown(pair[1], SHUT_WR) == 0 && recv(pair[0], text, 1, 0) == 0);
	close(pair[1]);
	CHECK(send(pair[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	tell("alive");
	send(pair[0], "x", 1, 0);
	tell("not reached");
	return 0;
}

static int
command_network(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int			fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0libos-test"};
	int			local = socket(AF_UNIX, SOCK_STREAM, 0);

	say("%s ", fd >= 0 ? "made" : error_name(errno));
	say("%s ", socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT ? "made" : error_name(errno));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0)
		CHECK(bind(fd, (struct sockaddr *) &a, sizeof a) == 0 && listen(fd, 1) == 0);
	snprintf(abstract.sun_path + 1, 50, "libos-test-%d", getpid());
	say("%s\n", bind(local, (struct sockaddr *) &abstract, sizeof abstract) == 0 ? "bound" : error_name(errno));
	say("%s\n", connect(local, (struct sockaddr *) &abstract, sizeof abstract) == 0 ? "connected" :
		errno == EACCES ? "EACCES" : "refused");
	return 0;
}

static int
command_numbers(int argc, char **argv)
{
	int			pair[2];
	int			fd = listener("/tmp/numbers.sock");
	int			client = connected("/tmp/numbers.sock");
	int			server = accept(fd, NULL, NULL);

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pair[0] > 2 && pair[1] > 2);
	CHECK(fd > 2 && client > 2 && server > 2);
	return unlink("/tmp/numbers.sock");
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"serve", command_serve}, {"epoll", command_epoll}, {"listen", command_listen}, {"client", command_client},
		{"errors", command_errors}, {"pair", command_pair}, {"network", command_network}, {"numbers", command_numbers},
		{NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
