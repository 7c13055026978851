/*
 * Descriptors, streams, pipes.
 */
#include "support.h"
#include <dirent.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* A path in the folder argv[1] of a command. */
static const char *folder;
static const char *
in(const char *name)
{
	static char paths[4][300];
	static int	next;

	next = (next + 1) % 4;
	snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
	return paths[next];
}

static int
command_standard(int argc, char **argv)
{
	int			pipes[2];
	int			saved = dup(1);
	char		buffer[100];
	ssize_t		n;

	CHECK(saved >= 3 && pipe(pipes) == 0);
	CHECK(dup2(pipes[1], 1) == 1);
	CHECK(write(1, "one ", 4) == 4);
	say("two ");
	fflush(stdout);
	puts("three");
	CHECK(fflush(stdout) == 0);
	CHECK(dup2(saved, 1) == 1);
	n = read(pipes[0], buffer, sizeof buffer);
	CHECK(n == 14 && memcmp(buffer, "one two three\n", 14) == 0);
	/* The end of the pipe comes with the last of its numbers. */
	close(pipes[1]);
	CHECK(read(pipes[0], buffer, sizeof buffer) == 0);
	CHECK(dup2(pipes[0], 0) == 0 && read(0, buffer, 1) == 0);
	CHECK(dup2(99, 0) == -1 && errno == EBADF);
	CHECK(dup2(1, 1) == 1);
	CHECK(close(0) == 0 && close(0) == -1 && errno == EBADF);
	CHECK(read(0, buffer, 1) == -1 && errno == EBADF);
	CHECK(fileno(stdin) == 0 && fileno(stdout) == 1 && fileno(stderr) == 2);
	CHECK(write(77, "x", 1) == -1 && errno == EBADF);
	CHECK(dup(77) == -1 && errno == EBADF);
	say("done\n");
	return 0;
}

/* Descriptors of a file: shared offset after dup, own offset after open. */
static int
command_offsets(int argc, char **argv)
{
	char		buffer[20] = "";
	int			a,
				b,
				c;
	struct iovec parts[2] = {{"xx", 2}, {"yyy", 3}};
	struct stat st;

	folder = argv[1];
	a = open(in("offsets"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(a >= 0 && write(a, "0123456789", 10) == 10);
	b = dup(a);
	c = open(in("offsets"), O_RDONLY);
	CHECK(lseek(a, 2, SEEK_SET) == 2 && read(b, buffer, 1) == 1 && buffer[0] == '2');
	CHECK(lseek(a, 0, SEEK_CUR) == 3 && read(c, buffer, 1) == 1 && buffer[0] == '0');
	CHECK(pread(a, buffer, 2, 8) == 2 && memcmp(buffer, "89", 2) == 0 && lseek(a, 0, SEEK_CUR) == 3);
	CHECK(pwrite(a, "AB", 2, 0) == 2 && writev(a, parts, 2) == 5);
	CHECK(pread(c, buffer, 20, 0) == 10 && memcmp(buffer, "AB2xxyyy89", 10) == 0);
	CHECK(write(c, "x", 1) == -1 && errno == EBADF);
	CHECK(ftruncate(a, 4) == 0 && fstat(c, &st) == 0 && st.st_size == 4);
	CHECK(fcntl(a, F_GETFL) >= 0 && (fcntl(c, F_GETFL) & O_ACCMODE) == O_RDONLY);
	CHECK(fsync(a) == 0 && fdatasync(a) == 0);
	close(a);
	CHECK(lseek(b, 0, SEEK_END) == 4);
	CHECK(unlink(in("offsets")) == 0 && write(b, "z", 1) == 1 && pread(c, buffer, 1, 4) == 1);
	CHECK(open(in("offsets"), O_RDONLY) == -1 && errno == ENOENT);
	{
		int			d = fcntl(c, F_DUPFD_CLOEXEC, 0);

		CHECK(d >= 0 && fcntl(d, F_GETFD) == FD_CLOEXEC);
	}
	say("done\n");
	return 0;
}

static int
command_streams(int argc, char **argv)
{
	FILE	   *file;
	char		line[100];
	int			n;
	char		word[20];

	folder = argv[1];
	CHECK(fopen(in("none"), "r") == NULL && errno == ENOENT);
	CHECK(fopen(in("none"), "q") == NULL && errno == EINVAL);
	file = fopen(in("stream"), "w+");
	CHECK(file != NULL && fprintf(file, "%d %s\nsecond\n", 42, "word") == 15);
	rewind(file);
	CHECK(fscanf(file, "%d %19s", &n, word) == 2 && n == 42 && strcmp(word, "word") == 0);
	CHECK(fgetc(file) == '\n' && ungetc('#', file) == '#');
	CHECK(fgets(line, sizeof line, file) && strcmp(line, "#second\n") == 0);
	CHECK(fgets(line, sizeof line, file) == NULL && feof(file) && !ferror(file));
	CHECK(fseek(file, 3, SEEK_SET) == 0 && fread(line, 1, 4, file) == 4 && memcmp(line, "word", 4) == 0);
	CHECK(ftell(file) == 7);
	CHECK(fclose(file) == 0);
	file = fopen(in("stream"), "a");
	CHECK(fputs("third\n", file) >= 0 && fclose(file) == 0);
	file = fopen(in("stream"), "r");
	CHECK(fseek(file, 0, SEEK_END) == 0 && ftell(file) == 21);
	/* Reading only: the write does not reach the file, at the latest when it is flushed. */
	CHECK(fputs("x", file) < 0 || fflush(file) != 0);
	fclose(file);
	CHECK(fopen(in("stream"), "wx") == NULL && errno == EEXIST);
	/* Unbuffered, and by line. */
	file = fopen(in("buffers"), "w");
	setvbuf(file, NULL, _IOLBF, 1000);
	fputs("line\nhalf", file);
	{
		FILE	   *look = fopen(in("buffers"), "r");

		CHECK(fread(line, 1, 100, look) == 5);
		fclose(look);
	}
	CHECK(fflush(NULL) == 0);
	{
		FILE	   *look = fopen(in("buffers"), "r");

		CHECK(fread(line, 1, 100, look) == 9);
		fclose(look);
	}
	fclose(file);
	file = tmpfile();
	CHECK(file && fputs("temporary", file) >= 0 && fseek(file, 0, SEEK_SET) == 0);
	CHECK(fread(line, 1, 100, file) == 9 && fclose(file) == 0);
	file = fdopen(open(in("stream"), O_RDONLY), "r");
	CHECK(file && fgets(line, sizeof line, file) && strcmp(line, "42 word\n") == 0 && fclose(file) == 0);
	CHECK(fdopen(88, "r") == NULL && errno == EBADF);
	say("done\n");
	return 0;
}

static int
command_reopen(int argc, char **argv)
{
	FILE	   *file;
	char		line[100];

	folder = argv[1];
	file = fopen(in("first"), "w");
	fputs("to the first", file);
	file = freopen(in("second"), "w", file);
	CHECK(file != NULL);
	fputs("to the second", file);
	fclose(file);
	file = fopen(in("first"), "r");
	CHECK(fgets(line, sizeof line, file) && strcmp(line, "to the first") == 0);
	file = freopen(in("second"), "r", file);
	CHECK(file && fgets(line, sizeof line, file) && strcmp(line, "to the second") == 0);
	fclose(file);
	/* As programs do that log to a file. */
	CHECK(freopen(in("log"), "a", stdout) == stdout);
	say("logged\n");
	puts("put");
	fflush(stdout);
	CHECK(freopen(in("log"), "r", stdin) == stdin);
	CHECK(fgets(line, sizeof line, stdin) && strcmp(line, "logged\n") == 0);
	CHECK(fgets(line, sizeof line, stdin) && strcmp(line, "put\n") == 0);
	CHECK(freopen(in("none/none"), "r", stdin) == NULL);
	return 0;
}

static int
command_errors(int argc, char **argv)
{
	errno = ENOENT;
	perror("prefix");
	errno = EACCES;
	perror("");
	errno = EBUSY;
	perror(NULL);
	return 0;
}

static int
command_waiting(int argc, char **argv)
{
	int			pipes[2];
	int			set = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 17};
	struct pollfd fds[3];
	struct timeval now = {0, 0};
	fd_set		reads,
				writes;

	CHECK(pipe2(pipes, O_NONBLOCK | O_CLOEXEC) == 0 && set >= 0);
	CHECK(read(pipes[0], fds, 1) == -1 && errno == EAGAIN);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, pipes[0], &event) == 0);
	CHECK(epoll_wait(set, &event, 1, 0) == 0);
	fds[0] = (struct pollfd) {pipes[0], POLLIN, 0};
	fds[1] = (struct pollfd) {pipes[1], POLLOUT, 0};
	fds[2] = (struct pollfd) {-1, POLLIN, 9};
	CHECK(poll(fds, 3, 0) == 1 && fds[0].revents == 0 && fds[1].revents == POLLOUT && fds[2].revents == 0);
	CHECK(write(pipes[1], "x", 1) == 1);
	CHECK(epoll_wait(set, &event, 1, -1) == 1 && event.data.u32 == 17);
	CHECK(poll(fds, 3, -1) == 2 && fds[0].revents == POLLIN);
	FD_ZERO(&reads);
	FD_ZERO(&writes);
	FD_SET(pipes[0], &reads);
	FD_SET(pipes[1], &writes);
	CHECK(select(pipes[1] + 1, &reads, &writes, NULL, &now) == 2 && FD_ISSET(pipes[0], &reads));
	/* Number 0, which is a pipe by then. */
	CHECK(dup2(pipes[0], 0) == 0);
	fds[0].fd = 0;
	CHECK(poll(fds, 1, 0) == 1 && fds[0].revents == POLLIN);
	FD_ZERO(&reads);
	FD_SET(0, &reads);
	CHECK(select(1, &reads, NULL, NULL, &now) == 1 && FD_ISSET(0, &reads));
	say("done\n");
	return 0;
}

/* Leaves everything open. */
static int
command_litter(int argc, char **argv)
{
	folder = argv[1];
	for (int i = 0; i < 20; i++)
	{
		int			pipes[2];
		FILE	   *file = fopen(in("litter"), "w");

		CHECK(file && fputs("unwritten", file) >= 0 && pipe(pipes) == 0);
		CHECK(opendir(folder) != NULL && tmpfile() != NULL && epoll_create1(0) >= 0);
		CHECK(mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	}
	if (argc > 2)
		abort();
	_exit(0);
}

/* Writes until the pipe is full, then until it is closed. */
static int
command_copy(int argc, char **argv)
{
	int			c;

	while ((c = fgetc(stdin)) != EOF)
		putc(c, stdout);
	return ferror(stdin) || fflush(stdout) != 0;
}

static int
command_numbers(int argc, char **argv)
{
	/* No file of ours may get a number of the standard streams, not even when these are closed. */
	int			pipes[2];

	folder = argv[1];
	CHECK(pipe(pipes) == 0 && pipes[0] > 2 && pipes[1] > 2);
	CHECK(open(in("x"), O_RDWR | O_CREAT, 0600) > 2);
	CHECK(open("/dev/null", O_RDONLY) > 2);
	CHECK(fileno(tmpfile()) > 2);
	CHECK(epoll_create1(0) > 2);
	CHECK(shm_open("/s", O_CREAT | O_RDWR, 0600) > 2);
	CHECK(dup(pipes[0]) > 2);
	return 0;
}

/* What can be done to a file by a descriptor that is only open for reading: argv[1] is the file, argv[2] its directory. */
static void
change(int fd)
{
	struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
	long		flags = 0;
	int			e;

	say("%s ", fchmod(fd, 0750) == 0 ? "done" : error_name(errno));
	say("%s ", fchown(fd, getuid(), -1) == 0 ? "done" : error_name(errno));
	say("%s ", futimens(fd, times) == 0 ? "done" : error_name(errno));
	say("%s ", ftruncate(fd, 0) == 0 ? "done" : error_name(errno));
	e = ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0 ? 0 : errno;
	say("%s\n", e == ENOTTY ? "ENOTTY" : "another");
}

static int
command_change(int argc, char **argv)
{
	int			fd = open(argv[1], O_RDONLY);
	int			directory = open(argv[2], O_RDONLY | O_DIRECTORY);

	CHECK(fd >= 0 && directory >= 0);
	change(fd);
	change(directory);
	change(dup(fd));
	CHECK(dup2(fd, 0) == 0);
	change(0);
	fflush(stdout);
	CHECK(finish(start("files", "change_stdin", NULL, NULL)) == 0);
	CHECK(fchown(fd, getuid() + 1, -1) == -1);
	say("%s\n", error_name(errno));
	CHECK(fchmod(77, 0600) == -1 && errno == EBADF && futimens(77, NULL) == -1 && errno == EBADF);
	return 0;
}

static int command_change_stdin(int argc, char **argv) { change(0); return 0; }

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"standard", command_standard}, {"offsets", command_offsets}, {"streams", command_streams},
		{"reopen", command_reopen}, {"errors", command_errors}, {"waiting", command_waiting},
		{"litter", command_litter}, {"copy", command_copy}, {"numbers", command_numbers}, {"change", command_change},
		{"change_stdin", command_change_stdin}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
