/*
 * Programs that do something illegal.
 */
#include "support.h"
#include <math.h>
#include <sys/mman.h>

static int command_null(int argc, char **argv) { *(volatile int *) (intptr_t) (argc - 1) = 1; return 0; }
static int command_library(int argc, char **argv) { return (int) strlen((char *) (intptr_t) (argc - 1)); }
static int command_call(int argc, char **argv) { ((void (*) (void)) (intptr_t) (argc + 100)) (); return 0; }

static int
command_divide(int argc, char **argv)
{
	volatile int zero = argc - 1;
	volatile int some = 100;

	return some / zero;
}

static int
command_illegal(int argc, char **argv)
{
	__builtin_trap();
}

/* A page behind the end of a file. */
static int
command_bus(int argc, char **argv)
{
	int			fd = shm_open("/bus", O_CREAT | O_RDWR, 0600);
	volatile char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(fd >= 0 && p != MAP_FAILED);
	shm_unlink("/bus");
	p[4096] = 1;
	return 0;
}

static int
command_read_only(int argc, char **argv)
{
	char	   *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*(volatile char *) p = 1;
	return 0;
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

/* The overflow is likely to happen inside the library. */
static __attribute__((noinline)) int
recurse_malloc(int n)
{
	volatile char *p = malloc(20);
	int			below;

	p[0] = 1;
	below = recurse_malloc(n + 1);
	free((char *) p);
	return below + 1;
}

static int command_overflow_malloc(int argc, char **argv) { return recurse_malloc(0); }

static __attribute__((noinline)) int
recurse_calls(int n)
{
	char		text[30];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(text, sizeof text, "%d %g", n, n / 3.0);
	getpid();
	access("/nothing", 0);
	return recurse_calls(n + 1) + text[0];
}

static int command_overflow_calls(int argc, char **argv) { return recurse_calls(0); }

/* Nothing needs as much of the stack as a path. */
static __attribute__((noinline)) int
recurse_access(int n)
{
	volatile int	there = access("/tmp/nothing", 0);

	return recurse_access(n + 1) + there;
}

static int command_overflow_access(int argc, char **argv) { return recurse_access(0); }

/* In a handler, and with locks and files in the hands. */
static void on_signal(int n) { *(volatile int *) 16 = 1; }
static int
command_in_handler(int argc, char **argv)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	return 0;
}

static int
command_holding(int argc, char **argv)
{
	FILE	   *file = tmpfile();
	void	   *p = malloc(1 << 20);

	CHECK(file && p);
	memset(p, 1, 1 << 20);
	fprintf(file, "half");
	CHECK(open("/dev/null", O_RDONLY) >= 0);
	CHECK(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	return command_null(1, argv);
}

/* The heap's own records are the first that a program overwrites. */
static int
command_free_wild(int argc, char **argv)
{
	free((void *) (intptr_t) (argc * 0x10000));
	return 0;
}

static int
command_corrupt(int argc, char **argv)
{
	unsigned char *blocks[100];
	unsigned	seed = strtoul(argv[1], NULL, 10);

	for (int i = 0; i < 100; i++)
		blocks[i] = malloc(20 + i * seed % 300);
	for (int i = 0; i < 100; i++)
	{
		unsigned char *p = blocks[(i * 7 + seed) % 100];

		/* The compiler must not see how long it is. */
		__asm__ volatile("" : "+r" (p));
		for (int k = -32; k < 400; k++)
			p[k] = k * seed;
	}
	for (int i = 0; i < 100; i++)
	{
		free(blocks[i]);
		blocks[i] = realloc(malloc(i * 50), 100000);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"null", command_null}, {"library", command_library}, {"call", command_call}, {"divide", command_divide},
		{"illegal", command_illegal}, {"bus", command_bus}, {"read_only", command_read_only},
		{"overflow", command_overflow}, {"overflow_malloc", command_overflow_malloc},
		{"overflow_calls", command_overflow_calls}, {"overflow_access", command_overflow_access}, {"in_handler", command_in_handler}, {"holding", command_holding},
		{"free_wild", command_free_wild}, {"corrupt", command_corrupt},
		{NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
