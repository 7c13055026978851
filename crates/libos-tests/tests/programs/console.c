/*
 * Programs for coroutines: they read and write the console, and suspend themselves where they wait.
 */
#include "support.h"
#include <setjmp.h>
#include <libos.h>
#include <sys/time.h>

static char line[1 << 16];
static volatile int alarms;
static void on_alarm(int n) { alarms++; }

static void
put(const char *text)
{
	CHECK(libos_console_write(text, strlen(text)) == (ssize_t) strlen(text));
}

/* The next line, or null at the end. */
static char *
get(void)
{
	size_t		n = 0;

	for (;;)
	{
		ssize_t		got = libos_console_read(line + n, 1);

		if (got < 0)
			return NULL;
		if (got == 0)
		{
			libos_suspend();
			continue;
		}
		if (line[n++] == '\n')
			break;
	}
	line[n] = 0;
	return line;
}

static int
command_echo(int argc, char **argv)
{
	char	   *text;
	int			lines = 0;

	CHECK(libos_is_coroutine() == 1);
	while ((text = get()) != NULL)
	{
		lines++;
		put(text);
	}
	return lines;
}

/* On a thread of its own, suspending does nothing. */
static int
command_thread(int argc, char **argv)
{
	CHECK(libos_is_coroutine() == 0);
	libos_suspend();
	libos_notify("name", "value");
	say("%d\n", (int) libos_console_read(line, 10));
	return 0;
}

/* State that must survive a move to another thread: globals, locale, memory, descriptors, errno is not one of them. */
static int	global = 5;
static __thread int own = 6;
static int
command_move(int argc, char **argv)
{
	char	   *text;
	int			fd = open("/dev/null", O_RDONLY);
	char	   *memory = strdup("kept");
	int			local = 7;
	int			pid = getpid();

	CHECK(fd >= 0);
	while ((text = get()) != NULL)
	{
		char		answer[200];

		CHECK(getpid() == pid);
		snprintf(answer, sizeof answer, "%d %d %d %s %d %.1f\n", global++, own++, local++, memory,
				 fcntl(fd, F_GETFD) >= 0, 1.5);
		put(answer);
	}
	free(memory);
	return 0;
}

/* Jumps out of a call of the C library, and uses its stream again, perhaps in another thread. */
static sigjmp_buf place;
static void on_jump(int n) { siglongjmp(place, 1); }

static int
command_jump(int argc, char **argv)
{
	struct itimerval soon = {{0, 0}, {0, 10000}};
	int			ends[2];
	FILE	   *file;
	char		answer[20];

	CHECK(pipe(ends) == 0 && (file = fdopen(ends[0], "r")) != NULL);
	signal(SIGALRM, on_jump);
	if (sigsetjmp(place, 1) == 0)
	{
		setitimer(ITIMER_REAL, &soon, NULL);
		fgetc(file);
		return 1;
	}
	libos_suspend();
	CHECK(write(ends[1], "x", 1) == 1);
	snprintf(answer, sizeof answer, "%c\n", fgetc(file));
	put(answer);
	return fclose(file);
}

/* Says how many alarms have come since the last line. */
static int
command_timer(int argc, char **argv)
{
	struct itimerval value = {{0, 0}, {0, atoi(argv[1]) * 1000}};
	char		answer[50];

	value.it_interval.tv_usec = atoi(argv[2]) * 1000;
	signal(SIGALRM, on_alarm);
	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0);
	while (get() != NULL)
	{
		snprintf(answer, sizeof answer, "%d\n", alarms);
		put(answer);
	}
	return 0;
}

static volatile int asked;
static void on_term(int n) { asked = 1; }

/* A signal while it is suspended is handled when it goes on. */
static int
command_signals(int argc, char **argv)
{
	signal(SIGTERM, on_term);
	put("ready\n");
	while (!asked)
		libos_suspend();
	put("asked\n");
	exit(11);
}

/* Holds many things, for ever. */
static int
command_hold(int argc, char **argv)
{
	FILE	   *file = tmpfile();
	char	   *memory = malloc(200000);

	CHECK(file && memory && open("/dev/null", O_RDONLY) >= 0);
	memset(memory, 1, 200000);
	fprintf(file, "unwritten");
	put("holding\n");
	for (;;)
		libos_suspend();
}

/* Writes much: it is suspended when that is not taken. */
static int
command_flood(int argc, char **argv)
{
	memset(line, 'x', sizeof line);
	for (int i = 0; i < 100; i++)
		CHECK(libos_console_write(line, sizeof line) == sizeof line);
	return 0;
}

static int
command_spin(int argc, char **argv)
{
	volatile unsigned turns = 0;

	tell("ready");
	for (;;)
		turns++;
}

static __attribute__((noinline)) int
recurse(volatile int *n)
{
	volatile int here[50];

	here[0] = ++*n;
	return recurse(n) + here[0];
}

static int
command_overflow(int argc, char **argv)
{
	volatile int n = 0;

	return recurse(&n);
}

static int
command_null(int argc, char **argv)
{
	put("before\n");
	libos_suspend();
	*(volatile int *) (intptr_t) (argc - 1) = 1;
	return 0;
}

/* Nobody reads what it writes. */
static int
command_pipe(int argc, char **argv)
{
	int			pipes[2];

	CHECK(pipe(pipes) == 0);
	close(pipes[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK(write(pipes[1], "x", 1) == -1 && errno == EPIPE);
	signal(SIGPIPE, SIG_DFL);
	(void) !write(pipes[1], "x", 1);
	return 0;
}

/* Starts a thread's process, and waits for it. */
static int
command_child(int argc, char **argv)
{
	return finish(start("child", "exit", "23", NULL));
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"jump", command_jump}, {"echo", command_echo}, {"thread", command_thread}, {"move", command_move}, {"timer", command_timer},
		{"signals", command_signals}, {"hold", command_hold}, {"flood", command_flood}, {"spin", command_spin},
		{"overflow", command_overflow}, {"null", command_null}, {"pipe", command_pipe}, {"child", command_child},
		{NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
