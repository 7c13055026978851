/*
 * fork: the child goes on by itself.
 */
#include "support.h"
#include <sys/socket.h>
#include <sys/un.h>

static int	number = 1;
static volatile int ended;
static void on_child(int signal) { ended++; }
static void on_term(int signal) { _exit(33); }

static int
command_statuses(int argc, char **argv)
{
	int			pid = fork();

	if (pid == 0)
		exit(41);
	say("%d ", finish(pid));
	pid = fork();
	if (pid == 0)
		raise(SIGTERM);
	say("%d ", finish(pid));
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	CHECK(kill(pid, 0) == 0 && waitpid(pid, NULL, WNOHANG) == 0);
	kill(pid, SIGKILL);
	say("%d ", finish(pid));
	say("%d\n", waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	return 0;
}

/* What either changes is its own; pipes are shared. */
static int
command_memory(int argc, char **argv)
{
	char	   *text = strdup("before");
	int			parent = getpid();
	int			there[2];
	int			back[2];
	char		answer[100] = "";
	int			pid;

	CHECK(pipe(there) == 0 && pipe(back) == 0);
	pid = fork();
	if (pid == 0)
	{
		close(there[1]);
		CHECK(read(there[0], answer, 1) == 1 && getpid() != parent);
		snprintf(answer, sizeof answer, "%s %d", text, number);
		CHECK(write(back[1], answer, strlen(answer)) > 0);
		strcpy(text, "child");
		number = 3;
		free(text);
		exit(waitpid(-1, NULL, 0) == -1 && errno == ECHILD ? 7 : 8);
	}
	strcpy(text, "after");
	number = 2;
	CHECK(write(there[1], "x", 1) == 1 && read(back[0], answer, sizeof answer - 1) > 0);
	say("%s, ", answer);
	say("%d, %s %d %d\n", finish(pid), text, number, getpid() == parent);
	free(text);
	return 0;
}

static int
command_signals(int argc, char **argv)
{
	int			ready[2];
	char		c;
	int			pid;

	CHECK(pipe(ready) == 0);
	signal(SIGCHLD, on_child);
	signal(SIGTERM, on_term);
	pid = fork();
	if (pid == 0)
	{
		CHECK(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	CHECK(read(ready[0], &c, 1) == 1 && ended == 0);
	kill(pid, SIGTERM);
	say("%d ", finish(pid));
	while (ended == 0)
		milliseconds(1);
	say("%d\n", ended);
	return 0;
}

/* The child talks to somebody who listens inside the system. */
static int
command_socket(int argc, char **argv)
{
	int			pid = fork();

	if (pid == 0)
	{
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		char		answer[100];
		int			fd = socket(AF_UNIX, SOCK_STREAM, 0);
		ssize_t		n;

		snprintf(a.sun_path, sizeof a.sun_path, "%s", argv[1]);
		CHECK(connect(fd, (struct sockaddr *) &a, sizeof a) == 0 && send(fd, "end", 3, 0) == 3);
		n = recv(fd, answer, sizeof answer, 0);
		exit(n == 7 && memcmp(answer, "own end", 7) == 0 ? 5 : 6);
	}
	say("%d\n", finish(pid));
	return 0;
}

static int
command_refused(int argc, char **argv)
{
	CHECK(fork() == -1);
	say("%s\n", error_name(errno));
	return 0;
}

/* A child that does not end by itself. */
static int
command_abandon(int argc, char **argv)
{
	int			pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	say("%d\n", pid);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"statuses", command_statuses},
		{"memory", command_memory},
		{"signals", command_signals},
		{"socket", command_socket},
		{"refused", command_refused},
		{"abandon", command_abandon},
		{NULL}
	};

	return dispatch(commands, argc, argv);
}
