/*
 * What programs do most often: nanoseconds each, for `examples/hot_paths.rs`.
 */
#include "support.h"
#include <sys/time.h>

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static sigset_t some;
static sigset_t none;
static int	file;
static char page[8192];

static void do_malloc(void) { void *volatile p = malloc(100); free(p); }
static void do_malloc_large(void) { void *volatile p = malloc(100000); free(p); }
static void do_mask(void) { sigprocmask(SIG_SETMASK, &some, NULL); sigprocmask(SIG_SETMASK, &none, NULL); }
static void do_getpid(void) { volatile int pid = getpid(); (void) pid; }
static void do_gettimeofday(void) { struct timeval t; gettimeofday(&t, NULL); }
static void do_lseek(void) { lseek(file, 0, SEEK_END); }
static void do_pread(void) { (void) !pread(file, page, 1, 0); }
static void do_pread_page(void) { (void) !pread(file, page, sizeof page, 0); }
static void do_pwrite_page(void) { (void) !pwrite(file, page, sizeof page, 0); }
static void do_kill(void) { kill(getpid(), 0); }
static void do_getenv(void) { char *volatile v = getenv("BIN"); (void) v; }
static void do_open(void) { close(open("/dev/null", O_RDONLY)); }

static const struct
{
	const char *name;
	void		(*call) (void);
	int			rounds;
}			all[] = {
	{"malloc(100), free", do_malloc, 2000000}, {"malloc(100000), free", do_malloc_large, 1000000},
	{"sigprocmask twice", do_mask, 2000000}, {"getpid", do_getpid, 5000000},
	{"gettimeofday", do_gettimeofday, 2000000}, {"lseek", do_lseek, 1000000}, {"pread 1", do_pread, 1000000},
	{"pread 8192", do_pread_page, 300000}, {"pwrite 8192", do_pwrite_page, 200000}, {"kill(0)", do_kill, 1000000},
	{"getenv", do_getenv, 1000000}, {"open, close", do_open, 200000}, {NULL}
};

int
main(int argc, char **argv)
{
	file = open(argv[1], O_RDWR | O_CREAT, 0600);
	CHECK(file >= 0 && pwrite(file, page, sizeof page, 0) == sizeof page);
	sigfillset(&some);
	sigemptyset(&none);
	for (int i = 0; all[i].name; i++)
	{
		double		best = 1e18;

		if (argc > 2 && strcmp(argv[2], all[i].name) != 0)
			continue;
		for (int turn = 0; turn < 5; turn++)
		{
			double		start = now();

			for (int k = 0; k < all[i].rounds; k++)
				all[i].call();
			start = (now() - start) / all[i].rounds;
			best = start < best ? start : best;
		}
		say("%-22s %8.1f\n", all[i].name, best);
	}
	return 0;
}
