/*
 * Non-local jumps, with and without the signal mask.
 */
#include "support.h"
#include <setjmp.h>
#include <sys/time.h>

static sigjmp_buf place;
static volatile int count;

static void on_jump(int n) { count++; siglongjmp(place, 7); }

static int
blocked(int n)
{
	sigset_t	s;

	sigprocmask(SIG_SETMASK, NULL, &s);
	return sigismember(&s, n);
}

/* Out of a handler again and again: each time the signal must be deliverable again. */
static int
command_out_of_handler(int argc, char **argv)
{
	volatile int rounds = 0;
	int			value;

	signal(SIGUSR1, on_jump);
	value = sigsetjmp(place, 1);
	if (value != 0 && (value != 7 || blocked(SIGUSR1)))
		return 1;
	if (rounds++ < 1000)
	{
		raise(SIGUSR1);
		return 2;
	}
	say("%d\n", count);
	return 0;
}

/* Asynchronously, out of whatever the program was doing. */
static volatile int armed;
static void
on_timer(int n)
{
	if (armed)
	{
		armed = 0;
		count++;
		siglongjmp(place, 1);
	}
}

static int
command_asynchronous(int argc, char **argv)
{
	struct itimerval often = {{0, 500}, {0, 500}};
	struct itimerval never = {{0, 0}, {0, 0}};
	volatile unsigned turns = 0;
	char		text[100];

	signal(SIGALRM, on_timer);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	if (sigsetjmp(place, 1) != 0)
		CHECK(!blocked(SIGALRM));
	while (count < 200)
	{
		void	   *p;

		armed = 1;
		turns++;
		p = malloc(turns % 1000);
		snprintf(text, sizeof text, "%d %d", turns, getpid());
		free(p);
		armed = 0;
	}
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	say("%d\n", count);
	return 0;
}

/* Where the mask was not saved, the jump leaves it as the handler had it. */
static int
command_unsaved(int argc, char **argv)
{
	signal(SIGUSR1, on_jump);
	if (sigsetjmp(place, 0) == 0)
		raise(SIGUSR1);
	say("%d\n", blocked(SIGUSR1));
	return 0;
}

/* What was blocked at the first return is blocked again, and what was not is not. */
static int
command_restores(int argc, char **argv)
{
	sigset_t	one,
				two;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	sigemptyset(&two);
	sigaddset(&two, SIGUSR2);
	sigprocmask(SIG_SETMASK, &one, NULL);
	if (sigsetjmp(place, 1) == 0)
	{
		sigprocmask(SIG_SETMASK, &two, NULL);
		siglongjmp(place, 1);
	}
	say("%d%d\n", blocked(SIGUSR1), blocked(SIGUSR2));
	return 0;
}

/* A signal that waits is delivered when the jump unblocks it. */
static volatile int late;
static void on_late(int n) { late++; }

static int
command_delivers(int argc, char **argv)
{
	sigset_t	one;

	signal(SIGUSR1, on_late);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	if (sigsetjmp(place, 1) == 0)
	{
		sigprocmask(SIG_BLOCK, &one, NULL);
		raise(SIGUSR1);
		CHECK(late == 0);
		siglongjmp(place, 1);
	}
	say("%d\n", late);
	return 0;
}

/* Plain setjmp through many frames, with values that live across it. */
static jmp_buf plain;
static __attribute__((noinline)) void
down(int n)
{
	volatile char room[100];

	room[0] = n;
	if (n == 0)
		longjmp(plain, 3);
	down(n - 1);
	room[1] = 1;
}

static int
command_plain(int argc, char **argv)
{
	volatile int total = 0;

	for (int i = 0; i < 100; i++)
	{
		int			value = setjmp(plain);

		if (value == 0)
			down(i);
		total += value;
	}
	say("%d\n", total);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"out_of_handler", command_out_of_handler}, {"asynchronous", command_asynchronous},
		{"unsaved", command_unsaved}, {"restores", command_restores}, {"delivers", command_delivers},
		{"plain", command_plain}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
