/*
 * Streams that the host, or the process's end, could get in the way of.
 */
#include "support.h"
#include <sys/stat.h>

static void
await(const char *text)
{
	char		line[100];

	CHECK(fgets(line, sizeof line, stdin) && strncmp(line, text, strlen(text)) == 0);
}

/* Writes in two halves; in between the host does what it wants. */
static int
command_halves(int argc, char **argv)
{
	FILE	   *file = fopen(argv[1], "w");

	CHECK(file != NULL);
	fputs("first ", file);
	say("out ");
	tell("ready");
	await("go");
	fputs("second", file);
	CHECK(fclose(file) == 0);
	say("twice");
	return 0;
}

/* Numbers, without an end. Whoever reads them sees none twice, and none missing. */
static int
command_numbers(int argc, char **argv)
{
	FILE	   *file = fopen(argv[1], "w+");
	int			most = atoi(argv[2]);

	CHECK(file != NULL);
	tell("ready");
	for (int i = 0; i < most; i++)
		CHECK(fprintf(file, "%d\n", i) > 0);
	rewind(file);
	for (int i = 0; i < most; i++)
	{
		int			n;

		CHECK(fscanf(file, "%d", &n) == 1 && n == i);
	}
	CHECK(fclose(file) == 0);
	return 0;
}

/* What a stream needs it has from the start: the C library takes nothing of the host's when the program uses it. */
static int
command_buffers(int argc, char **argv)
{
	FILE	   *file = fopen(argv[1], "w+");
	char	   *near = malloc(100);
	char	   *buffer;

	CHECK(file != NULL);
#ifdef LIBOS
	buffer = file->_IO_buf_base;
	CHECK(buffer != NULL && file->_IO_buf_end - buffer >= 4096);
	/* From the same arena: pages of one mapping. */
	CHECK(labs(buffer - near) < 1 << 20);
#endif
	for (int i = 0; i < 100000; i++)
		fputc('x', file);
	CHECK(setvbuf(file, NULL, _IOLBF, 0) == 0 && fputs("line\n", file) >= 0);
	CHECK(setvbuf(file, NULL, _IONBF, 0) == 0 && fputs("bytes", file) >= 0);
#ifdef LIBOS
	CHECK(file->_IO_buf_end - file->_IO_buf_base <= 1);
#endif
	CHECK(fclose(file) == 0);
	return 0;
}

/* Leaves streams in all states, and memory and a lock that the C library may have taken in the middle of a call. */
static int
command_flood(int argc, char **argv)
{
	FILE	   *file = fopen(argv[1], "w");

	CHECK(file != NULL);
	fputs("lost", file);
	tell("ready");
	for (;;)
		printf("%5000d%s%f", 1, "text", 1.5);
}

static void on_leave(int n) { _exit(7); }

static int
command_leave(int argc, char **argv)
{
	signal(SIGALRM, on_leave);
	alarm(1);
	return command_flood(argc, argv);
}

/* Closes a stream whose bytes nobody takes. */
static int
command_close(int argc, char **argv)
{
	int			ends[2];
	FILE	   *file;
	char		text[4096];

	memset(text, 'x', sizeof text);
	CHECK(pipe(ends) == 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	while (write(ends[1], text, sizeof text) > 0)
		;
	fcntl(ends[1], F_SETFL, 0);
	file = fdopen(ends[1], "w");
	fputs("more", file);
	tell("ready");
	fclose(file);
	return 1;
}

static void on_nothing(int n) { }

/* The same, interrupted: the stream is closed, and its bytes are lost. */
static int
command_close_interrupted(int argc, char **argv)
{
	struct sigaction a;
	int			ends[2];
	FILE	   *file;
	char		text[4096];

	memset(&a, 0, sizeof a);
	a.sa_handler = on_nothing;
	sigaction(SIGALRM, &a, NULL);
	memset(text, 'x', sizeof text);
	CHECK(pipe(ends) == 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	while (write(ends[1], text, sizeof text) > 0)
		;
	fcntl(ends[1], F_SETFL, 0);
	file = fdopen(ends[1], "w");
	fputs("more", file);
	alarm(1);
	say("%d %s ", fclose(file), error_name(errno));
	say("%d\n", fcntl(ends[1], F_GETFD) == -1 && errno == EBADF);
	return 0;
}

/* Opens streams, uses them, and leaves them open. */
static int
command_many(int argc, char **argv)
{
	for (int i = 0; i < 500; i++)
	{
		FILE	   *file = fopen(argv[1], "a");

		CHECK(file != NULL && fputs("lost", file) >= 0);
	}
	_exit(0);
}

/* Opens a pipe in the file tree that nobody writes to. */
static int
command_fifo(int argc, char **argv)
{
	tell("ready");
	return open(argv[1], O_RDONLY) < 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"halves", command_halves}, {"numbers", command_numbers}, {"buffers", command_buffers}, {"flood", command_flood},
		{"leave", command_leave}, {"close", command_close}, {"close_interrupted", command_close_interrupted},
		{"fifo", command_fifo}, {"many", command_many}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
