/*
 * Which calls go on after a handler, and which end with EINTR: by the handler's flags and by the call.
 */
#include "support.h"
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

static volatile int count;
static int	ends[2];			/* a pipe */
static int	pair[2];			/* a socket pair */
static sem_t semaphore;
static int	child;

/* Each first handler lets the call wait on; the next one gives it what it waits for. */
static int	(*help) (void);
static void
on_alarm(int n)
{
	if (++count == 2)
		help();
}

static void
every_20_ms(int on)
{
	struct itimerval value = {{0, on ? 20000 : 0}, {0, on ? 20000 : 0}};

	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0);
}

static int help_none(void) { return 0; }
static int help_pipe(void) { return write(ends[1], "x", 1); }
static int help_drain(void) { char b[70000]; return read(ends[0], b, sizeof b); }
static int help_pair(void) { return write(pair[1], "x", 1); }
static int help_pair_drain(void) { char b[1 << 20]; return recv(pair[1], b, sizeof b, 0); }
static int help_semaphore(void) { return sem_post(&semaphore); }
static int help_child(void) { return kill(child, SIGTERM); }

static char big[1 << 20];

static ssize_t call_read(void) { char c; return read(ends[0], &c, 1); }
static ssize_t call_readv(void) { char c; struct iovec v = {&c, 1}; return readv(ends[0], &v, 1); }
static ssize_t call_fgetc(void) { static FILE *f; if (!f) f = fdopen(dup(ends[0]), "r"); clearerr(f); return fgetc(f); }
static ssize_t call_recv(void) { char c; return recv(pair[0], &c, 1, 0); }
static ssize_t call_recvmsg(void)
{
	char		c;
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

	return recvmsg(pair[0], &m, 0);
}
static ssize_t call_sem_wait(void) { return sem_wait(&semaphore); }
static ssize_t call_waitpid(void) { int s; return waitpid(child, &s, 0) == child ? 1 : -1; }
static ssize_t call_sem_timedwait(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 100;
	return sem_timedwait(&semaphore, &t);
}
static ssize_t call_nanosleep(void) { struct timespec t = {100, 0}; return nanosleep(&t, NULL); }
static ssize_t call_usleep(void) { return usleep(90000000); }
static ssize_t call_poll(void) { struct pollfd f = {ends[0], POLLIN, 0}; return poll(&f, 1, 100000); }
static ssize_t call_ppoll(void)
{
	struct pollfd f = {ends[0], POLLIN, 0};
	sigset_t	mask;

	sigemptyset(&mask);
	return ppoll(&f, 1, NULL, &mask);
}
static ssize_t call_select(void)
{
	fd_set		set;
	struct timeval t = {100, 0};

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	return select(ends[0] + 1, &set, NULL, NULL, &t);
}
static ssize_t call_epoll(void)
{
	static int	set = -1;
	struct epoll_event event = {.events = EPOLLIN};

	if (set < 0)
	{
		set = epoll_create1(0);
		CHECK(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event) == 0);
	}
	return epoll_wait(set, &event, 1, 100000);
}
static ssize_t call_pause(void) { return pause(); }
static ssize_t call_sigsuspend(void) { sigset_t none; sigemptyset(&none); return sigsuspend(&none); }

/* These are full before they begin. */
static void
fill(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, big, sizeof big) > 0 || write(fd, big, 1) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}
static ssize_t call_write(void) { fill(ends[1]); return write(ends[1], "x", 1); }
static ssize_t call_send(void) { fill(pair[0]); return send(pair[0], "x", 1, 0); }

static void
with(const char *name, int flags, ssize_t (*call) (void), int (*helper) (void))
{
	struct sigaction a;
	ssize_t		n;
	int			e;
	char		rest[70000];

	memset(&a, 0, sizeof a);
	a.sa_handler = on_alarm;
	a.sa_flags = flags;
	CHECK(sigaction(SIGALRM, &a, NULL) == 0);
	help = helper;
	count = 0;
	if (helper == help_child)
		child = start("child", "forever", NULL, NULL);
	every_20_ms(1);
	errno = 0;
	n = call();
	e = errno;
	every_20_ms(0);
	say("%s %s %s\n", name, n < 0 ? "fails" : "goes on", n < 0 ? error_name(e) : "");
	if (helper == help_child && n < 0)
	{
		kill(child, SIGKILL);
		finish(child);
	}
	/* Empty again. */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	while (read(ends[0], rest, sizeof rest) > 0)
		;
	fcntl(ends[0], F_SETFL, 0);
	for (int i = 0; i < 2; i++)
		while (recv(pair[i], rest, sizeof rest, MSG_DONTWAIT) > 0)
			;
	while (sem_trywait(&semaphore) == 0)
		;
}

static void
all(int flags)
{
	with("read", flags, call_read, help_pipe);
	with("readv", flags, call_readv, help_pipe);
	with("fgetc", flags, call_fgetc, help_pipe);
	with("write", flags, call_write, help_drain);
	with("recv", flags, call_recv, help_pair);
	with("recvmsg", flags, call_recvmsg, help_pair);
	with("send", flags, call_send, help_pair_drain);
	with("sem_wait", flags, call_sem_wait, help_semaphore);
	with("waitpid", flags, call_waitpid, help_child);
	with("sem_timedwait", flags, call_sem_timedwait, help_semaphore);
	with("nanosleep", flags, call_nanosleep, help_none);
	with("usleep", flags, call_usleep, help_none);
	with("poll", flags, call_poll, help_pipe);
	with("ppoll", flags, call_ppoll, help_pipe);
	with("select", flags, call_select, help_pipe);
	with("epoll_wait", flags, call_epoll, help_pipe);
	with("pause", flags, call_pause, help_none);
	with("sigsuspend", flags, call_sigsuspend, help_none);
}

static int
command_calls(int argc, char **argv)
{
	CHECK(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && sem_init(&semaphore, 0, 0) == 0);
	all(strcmp(argv[1], "restart") == 0 ? SA_RESTART : 0);
	return 0;
}

/* The timer is armed with one disposition, and expires with another. */
static int
command_changed(int argc, char **argv)
{
	struct sigaction a;
	char		c;

	CHECK(pipe(ends) == 0);
	help = help_pipe;
	memset(&a, 0, sizeof a);
	a.sa_handler = on_alarm;
	a.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &a, NULL);
	every_20_ms(1);
	a.sa_flags = 0;
	sigaction(SIGALRM, &a, NULL);
	say("%zd %s ", read(ends[0], &c, 1), error_name(errno));
	a.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &a, NULL);
	say("%zd\n", read(ends[0], &c, 1));
	return 0;
}

static int
command_accept(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sigaction a;
	int			fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s/s", argv[1]);
	CHECK(bind(fd, (struct sockaddr *) &address, sizeof address) == 0 && listen(fd, 1) == 0);
	memset(&a, 0, sizeof a);
	a.sa_handler = on_alarm;
	help = help_none;
	sigaction(SIGALRM, &a, NULL);
	every_20_ms(1);
	say("%d %s\n", accept(fd, NULL, NULL), error_name(errno));
	return 0;
}

/* What is ignored, or blocked, interrupts nothing. */
static int
command_nothing(int argc, char **argv)
{
	struct pollfd fd = {-1, 0, 0};
	struct timespec left = {0, 150000000};
	sigset_t	alarm_only;
	int			other = start("restarts", "signal_me", NULL, NULL);

	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm_only, NULL);
	every_20_ms(1);
	say("%d ", poll(&fd, 1, 150));
	say("%d ", nanosleep(&left, NULL));
	say("%d ", usleep(100000));
	every_20_ms(0);
	kill(other, SIGTERM);
	say("%d\n", finish(other));
	return 0;
}

static int
command_signal_me(int argc, char **argv)
{
	for (;;)
	{
		/* Their default is to do nothing. */
		kill(getppid(), SIGCHLD);
		kill(getppid(), SIGURG);
		kill(getppid(), SIGWINCH);
		milliseconds(2);
	}
}

/* ppoll lets in what its mask does, and nothing else. */
static void on_count(int n) { count++; }

static int
command_masked(int argc, char **argv)
{
	struct pollfd fd = {-1, 0, 0};
	struct timespec soon = {0, 30000000};
	sigset_t	both;
	sigset_t	none;
	sigset_t	one;

	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);
	sigemptyset(&none);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	signal(SIGUSR1, on_count);
	signal(SIGUSR2, on_count);
	sigprocmask(SIG_BLOCK, &both, NULL);
	raise(SIGUSR1);
	say("%d %d ", ppoll(&fd, 1, &soon, &one), count);
	say("%d %s %d ", ppoll(&fd, 1, NULL, &none), error_name(errno), count);
	raise(SIGUSR2);
	say("%d ", ppoll(&fd, 1, &soon, &both));
	sigprocmask(SIG_SETMASK, NULL, &none);
	say("%d %d ", sigismember(&none, SIGUSR1), sigismember(&none, SIGUSR2));
	say("%d\n", ppoll(&fd, 0, &soon, NULL));
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"calls", command_calls}, {"changed", command_changed}, {"accept", command_accept},
		{"nothing", command_nothing}, {"signal_me", command_signal_me}, {"masked", command_masked}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
