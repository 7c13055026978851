/*
 * Parents and children: fork, exec, wait, process groups.
 */
#include "support.h"

static volatile int children_ended;
static void on_child(int signal) { children_ended++; }

static char *
decimal(int n)
{
	static char text[4][20];
	static int	next;

	next = (next + 1) % 4;
	snprintf(text[next], sizeof text[next], "%d", n);
	return text[next];
}

static int
command_statuses(int argc, char **argv)
{
	say("%d %d ", finish(start("child", "exit", "0", NULL)), finish(start("child", "exit", "42", NULL)));
	say("%d ", finish(start("child", "exit", "300", NULL)));
	say("%d ", finish(start("child", "crash", NULL, NULL)) == 1000 + SIGSEGV);
	say("%d ", finish(start("child", "raise", decimal(SIGTERM), NULL)) == 1000 + SIGTERM);
	say("%d\n", finish(start("child", "ids", decimal(getpid()), NULL)));
	return 0;
}

static int
command_exec_fails(int argc, char **argv)
{
	int			before = getpid();
	volatile int seen = 0;
	int			pid = fork_process();

	if (pid == 0)
	{
		char	   *arguments[] = {"nothing", NULL};

		seen = getpid() != before && getppid() == before;
		execv("/does/not/exist", arguments);
		_exit(errno == ENOENT ? 20 + seen : 1);
	}
	say("%d %d\n", finish(pid), getpid() == before);
	return 0;
}

/* The child of a child that failed gets no exit handlers and no flush: they are the parent's. */
static int
command_exit_in_child(int argc, char **argv)
{
	int			pid;

	fflush(stdout);
	pid = fork_process();
	if (pid == 0)
		_exit(30);
	say("%d\n", finish(pid));
	return 0;
}

static int
command_descriptors(int argc, char **argv)
{
	int			pipes[2];
	int			kept,
				closed;
	char		buffer[20];

	CHECK(pipe(pipes) == 0);
	kept = dup(pipes[1]);
	closed = dup(pipes[1]);
	CHECK(fcntl(closed, F_SETFD, FD_CLOEXEC) == 0);
	CHECK(fcntl(closed, F_GETFD) == FD_CLOEXEC && fcntl(kept, F_GETFD) == 0);
	say("%d %d ", finish(start("child", "open", decimal(kept), NULL)),
		finish(start("child", "open", decimal(closed), NULL)));
	CHECK(finish(start("child", "write", decimal(kept), "hello")) == 0);
	CHECK(read(pipes[0], buffer, sizeof buffer) == 5);
	/* The end of the pipe comes when the last owner is gone, and not before. */
	{
		int			pid = start("child", "sleep", "50", NULL);

		close(kept);
		close(closed);
		close(pipes[1]);
		CHECK(read(pipes[0], buffer, sizeof buffer) == 0);
		say("%d ", finish(pid));
	}
	{
		int			fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		CHECK(fd >= 0);
		say("%d ", finish(start("child", "open", decimal(fd), NULL)));
		CHECK(fcntl(fd, F_SETFD, 0) == 0);
		say("%d\n", finish(start("child", "open", decimal(fd), NULL)));
	}
	return 0;
}

/* The parent closes what its child was started with; the child goes on to use it. */
static int
command_handover(int argc, char **argv)
{
	int			go[2],
				data[2];
	int			pid;

	CHECK(pipe(go) == 0 && pipe(data) == 0);
	CHECK(write(data[1], "through the child", 17) == 17);
	close(data[1]);
	CHECK(fcntl(go[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(go[1], F_SETFD, FD_CLOEXEC) == 0);
	pid = start("child", "read", decimal(data[0]), NULL);
	close(data[0]);
	/* Whatever is opened now must not take the number's place under the child. */
	for (int i = 0; i < 20; i++)
		CHECK(open("/dev/null", O_RDONLY) >= 0);
	say(" %d\n", finish(pid));
	return 0;
}

static int
command_wait(int argc, char **argv)
{
	int			slow = start("child", "sleep", "100", NULL);
	int			fast = start("child", "exit", "2", NULL);
	int			status;

	CHECK(waitpid(slow, &status, WNOHANG) == 0);
	CHECK(waitpid(fast, &status, 0) == fast && WEXITSTATUS(status) == 2);
	CHECK(waitpid(fast, &status, 0) == -1 && errno == ECHILD);
	CHECK(waitpid(-1, &status, 0) == slow);
	CHECK(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
	CHECK(wait(&status) == -1 && errno == ECHILD);
	CHECK(waitpid(getpid(), NULL, 0) == -1 && errno == ECHILD);
	/* A zombie waits for its parent, however long. */
	fast = start("child", "exit", "3", NULL);
	milliseconds(50);
	CHECK(kill(fast, 0) == 0 && kill(fast, SIGTERM) == 0);
	say("%d", finish(fast));
	CHECK(kill(fast, 0) == -1 && errno == ESRCH);
	/* A null status is allowed. */
	CHECK(waitpid(start("child", "exit", "1", NULL), NULL, 0) > 0);
	say(" done\n");
	return 0;
}

static int
command_sigchld(int argc, char **argv)
{
	sigset_t	child;
	int			pid;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	signal(SIGCHLD, on_child);
	sigprocmask(SIG_BLOCK, &child, NULL);
	pid = start("child", "exit", "0", NULL);
	CHECK(finish(pid) == 0 && children_ended == 0);
	milliseconds(20);
	sigprocmask(SIG_UNBLOCK, &child, NULL);
	say("%d ", children_ended);
	pid = start("child", "exit", "0", NULL);
	while (children_ended < 2)
		milliseconds(1);
	say("%d %d\n", children_ended, finish(pid));
	return 0;
}

static int
command_orphans(int argc, char **argv)
{
	int			pipes[2];
	char		text[10] = "";

	CHECK(pipe(pipes) == 0);
	CHECK(finish(start("child", "orphan", decimal(pipes[1]), NULL)) == 0);
	close(pipes[1]);
	CHECK(read(pipes[0], text, 6) == 6);
	/* The orphan is not our child. */
	CHECK(wait(NULL) == -1 && errno == ECHILD);
	CHECK(read(pipes[0], text, 1) == 0);
	say("%s\n", text);
	return 0;
}

static int
command_mourning(int argc, char **argv)
{
	int			pipes[2];
	char		c;

	/* The mourner, our grandchild, keeps the pipe open until its parent's death ends it too. */
	CHECK(pipe(pipes) == 0);
	CHECK(finish(start("child", "mourned", NULL, NULL)) == 0);
	close(pipes[1]);
	say("%d\n", (int) read(pipes[0], &c, 1));
	return 0;
}

static int
command_groups(int argc, char **argv)
{
	int			pipes[2];
	int			leader,
				mates[2];
	char		c;

	CHECK(pipe(pipes) == 0);
	CHECK(setpgid(0, 0) == 0 || getpgrp() == getpid());
	leader = start("child", "group", decimal(pipes[1]), NULL);
	CHECK(read(pipes[0], &c, 1) == 1);
	for (int i = 0; i < 2; i++)
		mates[i] = start("child", "member", decimal(pipes[1]), NULL);
	for (int i = 0; i < 2; i++)
		CHECK(read(pipes[0], &c, 1) == 1);
	/* A group that is not ours. */
	CHECK(kill(-leader, 0) == 0 && kill(-leader, SIGTERM) == 0);
	CHECK(waitpid(-leader, NULL, 0) == leader);
	CHECK(waitpid(-leader, NULL, 0) == -1 && errno == ECHILD);
	CHECK(kill(-leader, 0) == -1 && errno == ESRCH);
	/* Our own: the mates end, we ignore it. */
	signal(SIGTERM, SIG_IGN);
	CHECK(kill(0, SIGTERM) == 0);
	say("%d ", waitpid(0, NULL, 0) == mates[0] || 1);
	CHECK(wait(NULL) > 0);
	CHECK(wait(NULL) == -1);
	CHECK(setsid() == -1 || getsid(0) == getpid());
	say("%d\n", getpgid(0) == getpgrp());
	return 0;
}

static int
command_state(int argc, char **argv)
{
	sigset_t	set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, on_child);
	return finish(start("child", "state", NULL, NULL));
}

/* A signal for the parent that comes in the child's half is the parent's: its handler must not find itself in the child. */
static volatile int handled_in;
static void on_usr1(int n) { handled_in = getpid(); }

static int
command_child_half(int argc, char **argv)
{
	char		path[400];
	char	   *arguments[] = {path, "exit", "3", NULL};
	int			pid;

	snprintf(path, sizeof path, "%s/child", getenv("BIN"));
	signal(SIGUSR1, on_usr1);
	pid = fork_process();
	if (pid == 0)
	{
		kill(getppid(), SIGUSR1);
		execv(path, arguments);
		_exit(97);
	}
	say("%d ", finish(pid));
	while (!handled_in)
		milliseconds(1);
	say("%d\n", handled_in == getpid());
	return 0;
}

/* fork_process leaves every signal blocked in the new program. */
static int
command_blocked(int argc, char **argv)
{
	char		path[400];
	char	   *arguments[] = {path, "is_blocked", NULL};
	int			pid;

	snprintf(path, sizeof path, "%s/child", getenv("BIN"));
	unsetenv("MASK");
	pid = fork_process();
	if (pid == 0)
	{
		execv(path, arguments);
		_exit(97);
	}
	return finish(pid);
}

/* Many children at once; each is seen once. */
static int
command_many(int argc, char **argv)
{
	int			n = atoi(argv[1]);
	int			sum = 0;

	for (int i = 0; i < n; i++)
		start("child", "exit", decimal(i % 200), NULL);
	for (int i = 0; i < n; i++)
	{
		int			status;

		CHECK(wait(&status) > 0 && WIFEXITED(status));
		sum += WEXITSTATUS(status);
	}
	CHECK(wait(NULL) == -1 && errno == ECHILD);
	say("%d\n", sum);
	return 0;
}

/* Leaves children of all kinds behind. */
static int
command_abandon(int argc, char **argv)
{
	start("child", "forever", NULL, NULL);
	start("child", "exit", "1", NULL);
	start("child", "sleep", "30", NULL);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"statuses", command_statuses}, {"exec_fails", command_exec_fails}, {"exit_in_child", command_exit_in_child},
		{"descriptors", command_descriptors}, {"handover", command_handover}, {"wait", command_wait},
		{"sigchld", command_sigchld}, {"orphans", command_orphans}, {"mourning", command_mourning},
		{"groups", command_groups}, {"state", command_state}, {"many", command_many}, {"child_half", command_child_half}, {"blocked", command_blocked},
		{"abandon", command_abandon},
		{NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
