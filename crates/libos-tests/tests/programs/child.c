/*
 * What the other programs start.
 */
#include "support.h"
#include <sys/prctl.h>

static int command_exit(int argc, char **argv) { return atoi(argv[1]); }

static int
command_ids(int argc, char **argv)
{
	say("%d %d\n", getpid() > 1, getppid() == atoi(argv[1]));
	return 0;
}

/* Reads descriptor argv[1] to its end and shows what came, or why it cannot. */
static int
command_read(int argc, char **argv)
{
	char		buffer[1000];
	ssize_t		n;

	while ((n = read(atoi(argv[1]), buffer, sizeof buffer)) > 0)
		CHECK(write(1, buffer, n) == n);
	if (n < 0)
		say("%s\n", error_name(errno));
	return n < 0;
}

/* Whether descriptor argv[1] is open. */
static int
command_open(int argc, char **argv)
{
	return fcntl(atoi(argv[1]), F_GETFD) >= 0;
}

static int
command_write(int argc, char **argv)
{
	CHECK(write(atoi(argv[1]), argv[2], strlen(argv[2])) == (ssize_t) strlen(argv[2]));
	return 0;
}

static int
command_sleep(int argc, char **argv)
{
	milliseconds(atoi(argv[1]));
	return 0;
}

static int
command_forever(int argc, char **argv)
{
	for (;;)
		milliseconds(1000);
}

static int command_crash(int argc, char **argv) { *(volatile int *) 8 = 1; return 0; }
static int command_raise(int argc, char **argv) { raise(atoi(argv[1])); return 0; }

/* The mask and what is ignored are inherited, handlers are not. */
static int
command_state(int argc, char **argv)
{
	sigset_t	mask;
	struct sigaction a;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	say("%d%d", sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2));
	sigaction(SIGHUP, NULL, &a);
	say("%d", a.sa_handler == SIG_IGN);
	sigaction(SIGINT, NULL, &a);
	say("%d ", a.sa_handler == SIG_DFL);
	sigpending(&mask);
	say("%d\n", sigismember(&mask, SIGUSR1));
	return 0;
}

/* Starts a grandchild and ends before it; the grandchild writes when it sees that its parent has changed. */
static int
command_orphan(int argc, char **argv)
{
	char		pid[20];

	snprintf(pid, sizeof pid, "%d", getpid());
	start("child", "orphaned", argv[1], pid);
	return 0;
}

static int
command_orphaned(int argc, char **argv)
{
	while (getppid() == atoi(argv[2]))
		milliseconds(1);
	CHECK(write(atoi(argv[1]), "orphan", 6) == 6);
	return 0;
}

/* Asks for a signal at its parent's end, says so on the descriptor, and waits. */
static int
command_mourn(int argc, char **argv)
{
	CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
	CHECK(write(atoi(argv[1]), "m", 1) == 1);
	return command_forever(argc, argv);
}

/* The parent of a mourner: ends as soon as the mourner is ready. */
static int
command_mourned(int argc, char **argv)
{
	int			ready[2];
	char		c;
	char		number[20];

	CHECK(pipe(ready) == 0);
	snprintf(number, sizeof number, "%d", ready[1]);
	start("child", "mourn", number, NULL);
	CHECK(read(ready[0], &c, 1) == 1);
	return 0;
}

static int
command_group(int argc, char **argv)
{
	CHECK(setpgid(0, 0) == 0 && getpgrp() == getpid());
	CHECK(write(atoi(argv[1]), "g", 1) == 1);
	return command_forever(argc, argv);
}

/* In the group of its parent: says that it is there. */
static int
command_member(int argc, char **argv)
{
	CHECK(write(atoi(argv[1]), "m", 1) == 1);
	return command_forever(argc, argv);
}

/* Copies its input to its output in capitals. */
static int
command_capitals(int argc, char **argv)
{
	int			c;

	while ((c = fgetc(stdin)) != EOF)
		putc(c >= 'a' && c <= 'z' ? c - 32 : c, stdout);
	return 7;
}

static int
command_echo(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		say("%s%s", argv[i], i + 1 < argc ? " " : "\n");
	return 0;
}

/* How many of the signals that can be blocked are. */
static int
command_is_blocked(int argc, char **argv)
{
	sigset_t	set;
	int			blocked = 0;

	sigprocmask(SIG_SETMASK, NULL, &set);
	for (int n = 1; n < 32; n++)
		blocked += sigismember(&set, n);
	return blocked;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"exit", command_exit}, {"ids", command_ids}, {"read", command_read}, {"open", command_open},
		{"write", command_write}, {"sleep", command_sleep}, {"forever", command_forever}, {"crash", command_crash},
		{"raise", command_raise}, {"state", command_state}, {"orphan", command_orphan}, {"orphaned", command_orphaned},
		{"mourn", command_mourn}, {"mourned", command_mourned}, {"group", command_group}, {"member", command_member},
		{"capitals", command_capitals}, {"echo", command_echo}, {"is_blocked", command_is_blocked}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
