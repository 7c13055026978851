#include "support.h"

void
say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stdout, format, arguments);
	va_end(arguments);
}

void
tell(const char *text)
{
	char		line[200];
	size_t		n = strlen(text);

	memcpy(line, text, n);
	line[n++] = '\n';
	if (write(1, line, n) != (ssize_t) n)
		_exit(98);
}

void
check_failed(const char *file, int line, const char *what)
{
	int			e = errno;

	fprintf(stderr, "%s:%d: %s (errno %s)\n", file, line, what, error_name(e));
	fflush(stderr);
	_exit(99);
}

/* What `start` hands on: fork_process leaves every signal blocked in the new program, until it has set its handlers. */
static void
save_mask(void)
{
	sigset_t	mask;
	char		text[20];

	sigprocmask(SIG_SETMASK, NULL, &mask);
	snprintf(text, sizeof text, "%lx", *(unsigned long *) &mask);
	setenv("MASK", text, 1);
}

static void
restore_mask(void)
{
	sigset_t	mask;

	if (getenv("MASK"))
	{
		sigemptyset(&mask);
		*(unsigned long *) &mask = strtoul(getenv("MASK"), NULL, 16);
		sigprocmask(SIG_SETMASK, &mask, NULL);
	}
}

int
start(const char *name, const char *a, const char *b, const char *c)
{
	char		path[400];
	char	   *argv[5];
	int			pid;

	snprintf(path, sizeof path, "%s/%s", getenv("BIN"), name);
	argv[0] = path;
	argv[1] = (char *) a;
	argv[2] = (char *) b;
	argv[3] = (char *) c;
	argv[4] = NULL;
	fflush(stdout);
	save_mask();
	pid = fork_process();
	if (pid == 0)
	{
		execv(path, argv);
		_exit(97);
	}
	CHECK(pid > 0);
	return pid;
}

int
finish(int pid)
{
	int			status;
	int			found;

	do
		found = waitpid(pid, &status, 0);
	while (found < 0 && errno == EINTR);
	CHECK(found == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void
milliseconds(int n)
{
	struct timespec left = {n / 1000, n % 1000 * 1000000L};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

const char *
error_name(int e)
{
	switch (e)
	{
		case 0:
			return "none";
#define NAME(e) case e: return #e;
		NAME(EACCES) NAME(EAGAIN) NAME(EBADF) NAME(EBUSY) NAME(ECHILD) NAME(ECONNREFUSED) NAME(EEXIST) NAME(EINTR)
		NAME(EINVAL) NAME(EISDIR) NAME(ENOENT) NAME(ENOMEM) NAME(ENOSYS) NAME(ENOTDIR) NAME(ENOTEMPTY) NAME(ENOTSOCK)
		NAME(EPERM) NAME(EPIPE) NAME(ERANGE) NAME(EROFS) NAME(ESPIPE) NAME(ESRCH) NAME(EXDEV) NAME(ELOOP) NAME(ENOTTY)
#undef NAME
		default:
			return "another";
	}
}

int
dispatch(const struct command *commands, int argc, char **argv)
{
	restore_mask();
	for (; commands->name; commands++)
		if (argc > 1 && strcmp(commands->name, argv[1]) == 0)
			return commands->run(argc - 1, argv + 1);
	fprintf(stderr, "no command %s\n", argc > 1 ? argv[1] : "(none)");
	return 96;
}
