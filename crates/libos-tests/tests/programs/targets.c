/*
 * Processes that are to be ended while they do something that does not end by itself. Each first says that it is ready, on its stdout.
 */
#include "support.h"
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>

static char buffer[1 << 20];
static char copy[1 << 20];
static void ready(void) { tell("ready"); }

static int
command_spin(int argc, char **argv)
{
	volatile unsigned turns = 0;

	ready();
	for (;;)
		turns++;
}

/* Nearly always inside the C library, with memory of its own. */
static int
command_memory(int argc, char **argv)
{
	ready();
	for (;;)
	{
		memcpy(copy, buffer, sizeof copy);
		/* The compiler must think that somebody looks at it. */
		__asm__ volatile("" : : "r" (copy) : "memory");
	}
}

/* In one call of the C library for long, and between two for no time at all. Counts them in a file, argv[1]. */
static int
command_search(int argc, char **argv)
{
	size_t		size = 64 << 20;
	char	   *zeros = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int			fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	volatile int *calls;

	CHECK(zeros != MAP_FAILED && fd >= 0 && ftruncate(fd, 4096) == 0);
	calls = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(calls != MAP_FAILED);
	ready();
	for (;;)
	{
		if (memchr(zeros, 1, size) != NULL)
			return 1;
		(*calls)++;
	}
}

static int
command_format(int argc, char **argv)
{
	char		text[400];
	double		x = 1;

	ready();
	for (;;)
		snprintf(text, sizeof text, "%.17g %s %d", x /= 3, "text", 5);
}

static int compare(const void *a, const void *b) { return *(const int *) a - *(const int *) b; }

static int
command_sort(int argc, char **argv)
{
	ready();
	for (;;)
	{
		for (unsigned i = 0; i < sizeof buffer / sizeof(int); i++)
			((int *) buffer)[i] = (int) (i * 2654435761u) >> 1;
		qsort(buffer, sizeof buffer / sizeof(int), sizeof(int), compare);
	}
}

/* Nearly always inside the library OS. */
static int
command_heap(int argc, char **argv)
{
	ready();
	for (;;)
		free(malloc(1000));
}

static int
command_system_calls(int argc, char **argv)
{
	ready();
	for (;;)
		getppid();
}

static int
command_files(int argc, char **argv)
{
	ready();
	for (;;)
		close(open("/dev/null", O_RDONLY));
}

static int
command_read(int argc, char **argv)
{
	int			pipes[2];

	CHECK(pipe(pipes) == 0);
	ready();
	for (;;)
		read(pipes[0], buffer, 1);
}

static int
command_fgetc(int argc, char **argv)
{
	int			pipes[2];
	FILE	   *file;

	CHECK(pipe(pipes) == 0);
	file = fdopen(pipes[0], "r");
	ready();
	for (;;)
		fgetc(file);
}

static int
command_write(int argc, char **argv)
{
	int			pipes[2];

	CHECK(pipe(pipes) == 0);
	ready();
	for (;;)
		write(pipes[1], buffer, sizeof buffer);
}

static int
command_semaphore(int argc, char **argv)
{
	sem_t		semaphore;

	CHECK(sem_init(&semaphore, 1, 0) == 0);
	ready();
	for (;;)
		sem_wait(&semaphore);
}

static int
command_epoll(int argc, char **argv)
{
	struct epoll_event event;
	int			fd = epoll_create1(0);

	ready();
	for (;;)
		epoll_wait(fd, &event, 1, -1);
}

static int
command_poll(int argc, char **argv)
{
	ready();
	for (;;)
		poll(NULL, 0, -1);
}

static int
command_select(int argc, char **argv)
{
	ready();
	for (;;)
		select(0, NULL, NULL, NULL, NULL);
}

static int
command_nanosleep(int argc, char **argv)
{
	struct timespec t = {1000, 0};

	ready();
	for (;;)
		nanosleep(&t, NULL);
}

static int
command_accept(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s/blocked.sock", argc > 1 ? argv[1] : "/tmp");
	CHECK(bind(fd, (struct sockaddr *) &address, sizeof address) == 0 && listen(fd, 5) == 0);
	ready();
	for (;;)
		accept(fd, NULL, NULL);
}

static int
command_receive(int argc, char **argv)
{
	int			pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	ready();
	for (;;)
		recv(pair[0], buffer, 1, 0);
}

static int
command_send(int argc, char **argv)
{
	int			pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	ready();
	for (;;)
		send(pair[0], buffer, sizeof buffer, 0);
}

static int
command_wait(int argc, char **argv)
{
	start("child", "sleep", "1000000", NULL);
	ready();
	for (;;)
		wait(NULL);
}

static int
command_sigwait(int argc, char **argv)
{
	sigset_t	set;
	int			n;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ready();
	for (;;)
		sigwait(&set, &n);
}

static int
command_sigsuspend(int argc, char **argv)
{
	sigset_t	set;

	sigemptyset(&set);
	ready();
	for (;;)
		sigsuspend(&set);
}

/* Everything is blocked, as far as it can be. */
static int
command_blocked(int argc, char **argv)
{
	sigset_t	set;

	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return command_spin(argc, argv);
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"spin", command_spin}, {"memory", command_memory}, {"search", command_search}, {"format", command_format}, {"sort", command_sort},
		{"heap", command_heap}, {"system_calls", command_system_calls}, {"files", command_files},
		{"read", command_read}, {"fgetc", command_fgetc}, {"write", command_write}, {"semaphore", command_semaphore},
		{"epoll", command_epoll}, {"poll", command_poll}, {"select", command_select},
		{"nanosleep", command_nanosleep}, {"accept", command_accept}, {"receive", command_receive},
		{"send", command_send}, {"wait", command_wait}, {"sigwait", command_sigwait},
		{"sigsuspend", command_sigsuspend}, {"blocked", command_blocked}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
