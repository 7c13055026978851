/*
 * Processes that signal each other while they end.
 */
#include "support.h"
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/time.h>

static volatile int count;
static void on_signal(int n) { count++; }

/* Ends by itself after a moment that differs; who sends it signals may be late, early or in the middle. */
static int
command_short(int argc, char **argv)
{
	volatile unsigned turns = 0;
	unsigned	end = strtoul(argv[1], NULL, 10) * 7919 % 40000;

	signal(SIGUSR1, on_signal);
	while (turns < end)
		turns++;
	return 0;
}

/* Starts short-lived children and sends them signals until they are gone. */
static int
command_kill(int argc, char **argv)
{
	int			rounds = atoi(argv[1]);
	long		sent = 0;

	for (int i = 0; i < rounds; i++)
	{
		char		text[20];
		int			status = 0;
		int			pid;

		snprintf(text, sizeof text, "%d", i);
		pid = start("storm", "short", text, NULL);
		while (waitpid(pid, &status, WNOHANG) == 0)
		{
			CHECK(kill(pid, SIGUSR1) == 0 || errno == ESRCH);
			sent++;
		}
		if (status != 0 && status != SIGUSR1)
			fprintf(stderr, "child %d: status %x\n", i, status);
		CHECK(status == 0 || status == SIGUSR1);
		CHECK(kill(pid, SIGUSR1) == -1 && errno == ESRCH);
	}
	say("%d\n", sent > 0);
	return 0;
}

/* Two that answer each signal with one, as long as they live. */
static int
command_ping(int argc, char **argv)
{
	int			other = atoi(argv[1]);
	int			most = atoi(argv[2]);
	sigset_t	set;
	int			n;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	tell("ready");
	while (count < most)
	{
		CHECK(sigwait(&set, &n) == 0);
		count++;
		if (kill(other ? other : getppid(), SIGUSR1) < 0)
			break;
	}
	return 0;
}

/* Asynchronously, in both directions, while both compute and allocate. */
static int
command_cross(int argc, char **argv)
{
	int			other = argc > 1 ? atoi(argv[1]) : 0;
	char		me[20];

	sigset_t	set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR1, on_signal);
	if (!other)
	{
		snprintf(me, sizeof me, "%d", getpid());
		other = start("storm", "cross", me, NULL);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	for (int i = 0; i < 20000; i++)
	{
		char		text[50];

		snprintf(text, sizeof text, "%d", i);
		free(strdup(text));
		kill(other, SIGUSR1);
	}
	if (argc <= 1)
	{
		CHECK(finish(other) == 0);
		say("done\n");
	}
	return 0;
}

/* Listens by signalfd and ends at once: who signals it must not write into the file that gets the descriptor's number next. */
static int
command_listen(int argc, char **argv)
{
	sigset_t	set;

	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK(signalfd(-1, &set, SFD_NONBLOCK) >= 0);
	return 0;
}

static int
command_signalfd(int argc, char **argv)
{
	int			rounds = atoi(argv[1]);

	for (int i = 0; i < rounds; i++)
	{
		int			pid = start("storm", "listen", NULL, NULL);
		int			status;

		while (waitpid(pid, &status, WNOHANG) == 0)
			kill(pid, SIGURG);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	return 0;
}

/* The number of a signalfd that was closed is soon another file's, in the same process too. */
static int
command_reuse(int argc, char **argv)
{
	sigset_t	set;
	char		buffer[100];
	char		path[200];

	snprintf(path, sizeof path, "%s/reuse.%d", argv[1], getpid());
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < atoi(argv[2]); i++)
	{
		int			fd = signalfd(-1, &set, SFD_NONBLOCK);

		CHECK(fd >= 0 && close(fd) == 0);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		CHECK(fd >= 0 && write(fd, "mine", 4) == 4);
		CHECK(pread(fd, buffer, sizeof buffer, 0) == 4 && memcmp(buffer, "mine", 4) == 0);
		CHECK(close(fd) == 0);
	}
	return 0;
}

/* Signals such a one as long as it lives. */
static int
command_pester(int argc, char **argv)
{
	int			pid = start("storm", "reuse", argv[1], argv[2]);
	int			status;

	while (waitpid(pid, &status, WNOHANG) == 0)
		kill(pid, SIGURG);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Opens files all the time, writes little and reads all: nobody else's bytes may be there. */
static int
command_files(int argc, char **argv)
{
	int			rounds = atoi(argv[2]);
	char		path[200];

	snprintf(path, sizeof path, "%s/files.%d", argv[1], getpid());
	for (int i = 0; i < rounds; i++)
	{
		char		buffer[100];
		int			fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		int			pipes[2];

		CHECK(fd >= 0 && write(fd, "mine", 4) == 4 && pipe2(pipes, O_NONBLOCK) == 0);
		CHECK(pread(fd, buffer, sizeof buffer, 0) == 4 && memcmp(buffer, "mine", 4) == 0);
		CHECK(read(pipes[0], buffer, sizeof buffer) == -1 && errno == EAGAIN);
		CHECK(close(fd) == 0 && close(pipes[0]) == 0 && close(pipes[1]) == 0);
	}
	return 0;
}

/* Calls that look and do not wait. */
static void
no_wait(void)
{
	static int	set = -1;
	struct epoll_event event;
	struct timespec now = {0, 0};
	struct timeval at_once = {0, 0};
	fd_set		none;

	if (set < 0)
		set = epoll_create1(0);
	FD_ZERO(&none);
	CHECK(poll(NULL, 0, 0) == 0 || errno == EINTR);
	CHECK(ppoll(NULL, 0, &now, NULL) == 0 || errno == EINTR);
	CHECK(epoll_wait(set, &event, 1, 0) == 0 || errno == EINTR);
	CHECK(select(0, &none, NULL, NULL, &at_once) == 0 || errno == EINTR);
	CHECK(nanosleep(&now, NULL) == 0 || errno == EINTR);
}

/* Is signalled all the time, in all it does, and does it right. */
static int
command_busy(int argc, char **argv)
{
	struct itimerval often = {{0, 300}, {0, 300}};
	char		path[200];
	FILE	   *file;
	int			sum = 0;

	signal(SIGALRM, on_signal);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (int i = 0; i < 2000; i++)
	{
		int			value;
		char		name[20];

		snprintf(path, sizeof path, "%s/busy.%d.%d", argv[1], getpid(), i);
		snprintf(name, sizeof name, "N%d", i % 10);
		file = fopen(path, "w+");
		CHECK(file && fprintf(file, "%d\n", i) > 0 && fseek(file, 0, SEEK_SET) == 0);
		CHECK(fscanf(file, "%d", &value) == 1 && value == i && fclose(file) == 0 && unlink(path) == 0);
		CHECK(setenv(name, path, 1) == 0 && strcmp(getenv(name), path) == 0);
		sum += value;
		for (int k = 0; k < 20; k++)
			free(malloc(i * k % 5000));
		no_wait();
	}
	CHECK(sum == 1999000 && count > 0);
	return 0;
}

/*
 * Inside the C library most of the time, which has memory and locks in its hands there. A handler that never comes back must not
 * be called then: the locks are those of the whole host.
 */
static int compare(const void *a, const void *b) { return *(const int *) a - *(const int *) b; }

static void
sort_some(void)
{
	int			numbers[600];
	char		text[3000];

	for (int i = 0; i < 600; i++)
		numbers[i] = (int) (i * 2654435761u) >> 1;
	qsort(numbers, 600, sizeof(int), compare);
	snprintf(text, sizeof text, "%2900d", numbers[3]);
	__asm__ volatile("" : : "r" (text) : "memory");
}

static sigjmp_buf place;
static volatile int jumps;
static void on_jump(int n) { jumps++; siglongjmp(place, 1); }
static void on_leave(int n) { _exit(5); }

static int
command_jump(int argc, char **argv)
{
	struct itimerval often = {{0, 200}, {0, 200}};

	signal(SIGALRM, on_jump);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	sigsetjmp(place, 1);
	while (jumps < atoi(argv[1]))
		sort_some();
	/* No more jumps out of what follows. */
	signal(SIGALRM, SIG_IGN);
	return 0;
}

static int
command_leave(int argc, char **argv)
{
	signal(SIGUSR1, on_leave);
	tell("ready");
	for (;;)
		sort_some();
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"short", command_short}, {"kill", command_kill}, {"ping", command_ping}, {"cross", command_cross},
		{"listen", command_listen}, {"signalfd", command_signalfd}, {"files", command_files}, {"busy", command_busy},
		{"reuse", command_reuse}, {"pester", command_pester}, {"jump", command_jump}, {"leave", command_leave},
		{NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
