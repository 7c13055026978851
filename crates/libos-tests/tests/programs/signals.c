/*
 * Signals: handlers, masks, interrupted calls, timers.
 */
#include "support.h"
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/time.h>

static volatile int count;
static volatile int last;
static volatile int depth;
static volatile int deepest;

static void on_signal(int n) { count++; last = n; }

static void
on_nested(int n)
{
	int			round = count++;

	depth++;
	if (depth > deepest)
		deepest = depth;
	if (round < 3)
		raise(n);
	depth--;
}

static void
on_info(int n, siginfo_t *info, void *context)
{
	count++;
	last = info->si_signo;
}

static void
set(int n, void (*handler) (int), int flags, int also)
{
	struct sigaction a;

	memset(&a, 0, sizeof a);
	a.sa_handler = handler;
	a.sa_flags = flags;
	sigemptyset(&a.sa_mask);
	if (also)
		sigaddset(&a.sa_mask, also);
	CHECK(sigaction(n, &a, NULL) == 0);
}

static sigset_t
set_of(int a, int b)
{
	sigset_t	s;

	sigemptyset(&s);
	if (a)
		sigaddset(&s, a);
	if (b)
		sigaddset(&s, b);
	return s;
}

static int
blocked(int n)
{
	sigset_t	s;

	sigprocmask(SIG_SETMASK, NULL, &s);
	return sigismember(&s, n);
}

static int
pending(int n)
{
	sigset_t	s;

	sigpending(&s);
	return sigismember(&s, n);
}

static int
command_dispositions(int argc, char **argv)
{
	struct sigaction a;

	set(SIGUSR1, on_signal, 0, SIGUSR2);
	CHECK(sigaction(SIGUSR1, NULL, &a) == 0);
	say("%d %d %d ", a.sa_handler == on_signal, sigismember(&a.sa_mask, SIGUSR2), sigismember(&a.sa_mask, SIGHUP));
	raise(SIGUSR1);
	say("%d %d ", count, last == SIGUSR1);
	kill(getpid(), SIGUSR1);
	say("%d ", count);
	say("%d ", signal(SIGUSR1, SIG_IGN) == on_signal);
	raise(SIGUSR1);
	say("%d ", count);
	say("%d ", sigaction(SIGKILL, &a, NULL) == -1 && errno == EINVAL);
	say("%d ", sigaction(65, &a, NULL) == -1 && errno == EINVAL);
	say("%d ", kill(getpid(), 100) == -1 && errno == EINVAL);
	/* Their default is to do nothing. */
	raise(SIGCHLD);
	raise(SIGURG);
	raise(SIGWINCH);
	say("on\n");
	return 0;
}

static int
command_masks(int argc, char **argv)
{
	sigset_t	both = set_of(SIGUSR1, SIGUSR2);
	sigset_t	one = set_of(SIGUSR1, 0);
	sigset_t	old;
	int			found = 0;

	set(SIGUSR1, on_signal, 0, 0);
	set(SIGUSR2, on_signal, 0, 0);
	CHECK(sigprocmask(SIG_BLOCK, &both, &old) == 0 && !sigismember(&old, SIGUSR1));
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR2);
	say("%d %d%d%d ", count, pending(SIGUSR1), pending(SIGUSR2), pending(SIGHUP));
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	/* A signal that is pending twice comes once. */
	say("%d %d%d ", count, pending(SIGUSR1), pending(SIGUSR2));
	/* What is ignored is not pending any more. */
	signal(SIGUSR2, SIG_IGN);
	say("%d ", pending(SIGUSR2));
	set(SIGUSR2, on_signal, 0, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	say("%d ", count);
	sigfillset(&both);
	sigprocmask(SIG_SETMASK, &both, NULL);
	say("%d%d%d ", blocked(SIGTERM), blocked(SIGKILL), blocked(SIGSTOP));
	raise(SIGUSR1);
	CHECK(sigwait(&one, &found) == 0);
	say("%d %d ", found == SIGUSR1, pending(SIGUSR1));
	say("%d\n", sigprocmask(99, &one, NULL) == -1 && errno == EINVAL);
	return 0;
}

/* During a handler its signal is blocked, and what sa_mask says; then all is as before. */
static volatile int seen[4];
static void
on_look(int n)
{
	seen[0] = blocked(SIGUSR1);
	seen[1] = blocked(SIGUSR2);
	seen[2] = blocked(SIGHUP);
}

static int
command_handlers(int argc, char **argv)
{
	struct sigaction a;

	set(SIGUSR1, on_look, 0, SIGUSR2);
	raise(SIGUSR1);
	say("%d%d%d %d%d ", seen[0], seen[1], seen[2], blocked(SIGUSR1), blocked(SIGUSR2));
	set(SIGUSR1, on_look, SA_NODEFER, 0);
	raise(SIGUSR1);
	say("%d ", seen[0]);
	/* Deferred: one after the other. NODEFER: one inside the other. */
	set(SIGUSR1, on_nested, 0, 0);
	raise(SIGUSR1);
	say("%d %d ", count, deepest);
	count = deepest = 0;
	set(SIGUSR1, on_nested, SA_NODEFER, 0);
	raise(SIGUSR1);
	say("%d %d ", count, deepest);
	set(SIGUSR1, on_signal, SA_RESETHAND, 0);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &a);
	say("%d ", a.sa_handler == SIG_DFL);
	memset(&a, 0, sizeof a);
	a.sa_sigaction = on_info;
	a.sa_flags = SA_SIGINFO;
	CHECK(sigaction(SIGUSR2, &a, NULL) == 0);
	raise(SIGUSR2);
	say("%d\n", last == SIGUSR2);
	return 0;
}

/* The library OS keeps the interrupted code's errno; the kernel leaves it to the handler. */
static void on_errno(int n) { errno = ENOENT; count++; }

static int
command_errno(int argc, char **argv)
{
	struct itimerval soon = {{0, 0}, {0, 20000}};
	volatile unsigned turns = 0;

	signal(SIGALRM, on_errno);
	errno = EBUSY;
	setitimer(ITIMER_REAL, &soon, NULL);
	while (!count)
		turns++;
	say("%s\n", error_name(errno));
	return 0;
}

static void
alarm_in(int ms)
{
	struct itimerval soon = {{0, 0}, {ms / 1000, ms % 1000 * 1000}};

	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

/* Calls that are never restarted. */
static int
command_interrupted(int argc, char **argv)
{
	struct timespec long_time = {100, 0};
	struct timespec left = {0, 0};
	struct timeval long_while = {100, 0};
	struct epoll_event event;
	struct pollfd fd;
	fd_set		reads;
	int			pipes[2];
	int			set_fd = epoll_create1(0);

	CHECK(pipe(pipes) == 0);
	signal(SIGALRM, on_signal);
	alarm_in(20);
	CHECK(nanosleep(&long_time, &left) == -1 && errno == EINTR && left.tv_sec >= 90);
	alarm_in(20);
	CHECK(epoll_wait(set_fd, &event, 1, -1) == -1 && errno == EINTR);
	fd.fd = pipes[0];
	fd.events = POLLIN;
	alarm_in(20);
	CHECK(poll(&fd, 1, -1) == -1 && errno == EINTR);
	alarm_in(20);
	CHECK(ppoll(&fd, 1, NULL, NULL) == -1 && errno == EINTR);
	FD_ZERO(&reads);
	FD_SET(pipes[0], &reads);
	alarm_in(20);
	CHECK(select(pipes[0] + 1, &reads, NULL, NULL, &long_while) == -1 && errno == EINTR);
	alarm_in(20);
	CHECK(usleep(90000000) == -1 && errno == EINTR);
	alarm_in(20);
	CHECK(sleep(100) > 90);
	say("%d\n", count);
	return 0;
}

/* Calls that are restarted: the handler runs meanwhile, and lets them end. */
static sem_t semaphore;
static int	feed = -1;
static void on_feed(int n) { count++; CHECK(write(feed, "x", 1) == 1); }
static void on_post(int n) { count++; sem_post(&semaphore); }

static int
command_restarted(int argc, char **argv)
{
	int			pipes[2];
	char		c = 0;

	CHECK(pipe(pipes) == 0 && sem_init(&semaphore, 0, 0) == 0);
	feed = pipes[1];
	signal(SIGALRM, on_feed);
	alarm_in(20);
	CHECK(read(pipes[0], &c, 1) == 1 && c == 'x');
	signal(SIGALRM, on_post);
	alarm_in(20);
	CHECK(sem_wait(&semaphore) == 0);
	/* As a program without handlers that restart would. */
	{
		FILE	   *file = fdopen(pipes[0], "r");

		signal(SIGALRM, on_feed);
		alarm_in(20);
		CHECK(fgetc(file) == 'x');
	}
	say("%d\n", count);
	return 0;
}

static int
command_timers(int argc, char **argv)
{
	struct itimerval value = {{0, 5000}, {0, 5000}};
	struct itimerval now;
	volatile unsigned turns = 0;

	signal(SIGALRM, on_signal);
	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0);
	while (count < 5)
		turns++;
	while (count < 10)
		milliseconds(1);
	value.it_value.tv_usec = 0;
	value.it_value.tv_sec = 1000;
	CHECK(setitimer(ITIMER_REAL, &value, &now) == 0 && now.it_interval.tv_usec == 5000);
	CHECK(getitimer(ITIMER_REAL, &now) == 0 && now.it_value.tv_sec >= 900);
	say("%d ", alarm(0) >= 900);
	CHECK(getitimer(ITIMER_REAL, &now) == 0 && now.it_value.tv_sec == 0 && now.it_value.tv_usec == 0);
	count = 0;
	alarm_in(10);
	while (count == 0)
		milliseconds(1);
	milliseconds(50);
	say("%d ", count);
	CHECK(getitimer(ITIMER_REAL, &now) == 0 && now.it_value.tv_sec == 0 && now.it_value.tv_usec == 0);
	/* Not inherited. */
	alarm_in(100000);
	say("%d ", finish(start("signals", "has_timer", NULL, NULL)));
	say("%d\n", setitimer(-1, &value, NULL) == -1 && errno == EINVAL);
	return 0;
}

static int
command_has_timer(int argc, char **argv)
{
	struct itimerval now;

	CHECK(getitimer(ITIMER_REAL, &now) == 0);
	return now.it_value.tv_sec != 0 || now.it_value.tv_usec != 0;
}

static int
command_signalfd(int argc, char **argv)
{
	sigset_t	both = set_of(SIGURG, SIGUSR2);
	sigset_t	urgent = set_of(SIGURG, 0);
	struct epoll_event event = {.events = EPOLLIN};
	char		buffer[1024];
	int			fd,
				wait_set;

	sigprocmask(SIG_BLOCK, &both, NULL);
	fd = signalfd(-1, &urgent, SFD_NONBLOCK | SFD_CLOEXEC);
	wait_set = epoll_create1(EPOLL_CLOEXEC);
	CHECK(fd >= 0 && epoll_ctl(wait_set, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK(epoll_wait(wait_set, &event, 1, 0) == 0);
	raise(SIGUSR2);
	CHECK(epoll_wait(wait_set, &event, 1, 20) == 0);
	raise(SIGURG);
	say("%d ", epoll_wait(wait_set, &event, 1, 10000));
	CHECK(read(fd, buffer, sizeof buffer) > 0);
	say("%d ", epoll_wait(wait_set, &event, 1, 0));
	say("%d ", pending(SIGUSR2));
	say("%d\n", read(fd, buffer, sizeof buffer) == -1 && errno == EAGAIN);
	return 0;
}

/* sigsuspend lets in what was pending, and what comes. */
static int
command_suspend(int argc, char **argv)
{
	sigset_t	both = set_of(SIGUSR1, SIGALRM);
	sigset_t	none = set_of(0, 0);
	sigset_t	other = set_of(SIGUSR2, 0);

	set(SIGUSR1, on_signal, 0, 0);
	set(SIGUSR2, on_signal, 0, 0);
	set(SIGALRM, on_signal, 0, 0);
	sigprocmask(SIG_BLOCK, &both, NULL);
	raise(SIGUSR1);
	CHECK(sigsuspend(&none) == -1 && errno == EINTR && last == SIGUSR1 && blocked(SIGUSR1));
	alarm_in(20);
	CHECK(sigsuspend(&none) == -1 && errno == EINTR && last == SIGALRM);
	/* What the temporary mask blocked, and the old one does not, comes at the end. */
	set(SIGALRM, on_signal, 0, 0);
	count = 0;
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);
	alarm_in(20);
	sigaddset(&other, SIGUSR1);
	{
		/* Our child sends SIGUSR2 before the alarm comes, most likely; both orders are right. */
		CHECK(sigsuspend(&other) == -1 && errno == EINTR);
	}
	say("%d %d\n", count, pending(SIGUSR1));
	return 0;
}

static volatile int other_came;
static void on_other(int n) { other_came = 1; }
static void on_alarm_send(int n) { kill(getpid(), SIGUSR2); }

static int
command_suspend_end(int argc, char **argv)
{
	sigset_t	alarm_only = set_of(SIGALRM, 0);
	sigset_t	usr2 = set_of(SIGUSR2, 0);

	set(SIGUSR2, on_other, 0, 0);
	set(SIGALRM, on_alarm_send, 0, 0);
	sigprocmask(SIG_BLOCK, &alarm_only, NULL);
	alarm_in(20);
	CHECK(sigsuspend(&usr2) == -1 && errno == EINTR);
	say("%d\n", other_came);
	return 0;
}

static int
command_default(int argc, char **argv)
{
	say("before");
	fflush(stdout);
	if (strcmp(argv[1], "abrt") == 0)
		raise(SIGABRT);
	raise(atoi(argv[1]));
	say(" after");
	return 0;
}

static int
command_pipe(int argc, char **argv)
{
	int			pipes[2];

	CHECK(pipe(pipes) == 0);
	close(pipes[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK(write(pipes[1], "x", 1) == -1 && errno == EPIPE);
	signal(SIGPIPE, on_signal);
	CHECK(write(pipes[1], "x", 1) == -1 && errno == EPIPE && count == 1);
	tell("still here");
	signal(SIGPIPE, SIG_DFL);
	CHECK(write(pipes[1], "x", 1) == -1);
	tell("not reached");
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"dispositions", command_dispositions}, {"masks", command_masks}, {"handlers", command_handlers},
		{"errno", command_errno}, {"interrupted", command_interrupted}, {"restarted", command_restarted},
		{"timers", command_timers}, {"has_timer", command_has_timer}, {"signalfd", command_signalfd},
		{"suspend", command_suspend}, {"suspend_end", command_suspend_end}, {"default", command_default},
		{"pipe", command_pipe}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
