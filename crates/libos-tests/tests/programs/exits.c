/*
 * The ways in which a process ends.
 */
#include "support.h"
#include <assert.h>

static void first(void) { say("first\n"); }
static void second(void) { say("second\n"); }
static void third(void) { say("third\n"); }
static void registers(void) { say("registers\n"); atexit(third); }
static void exits(void) { say("exits\n"); exit(9); }

__attribute__((destructor)) static void
destruct(void)
{
	if (getenv("DESTRUCTOR"))
		say("destructor\n");
}

static int command_return(int argc, char **argv) { return atoi(argv[1]); }
static int command_exit(int argc, char **argv) { exit(atoi(argv[1])); }
static int command_order(int argc, char **argv) { atexit(first); atexit(second); return 3; }
static int command_nested(int argc, char **argv) { atexit(first); atexit(registers); return 3; }
static int command_again(int argc, char **argv) { atexit(first); atexit(exits); atexit(second); return 3; }
static int command_flush(int argc, char **argv) { say("buffered"); exit(0); }
static int command_no_flush(int argc, char **argv) { atexit(first); say("buffered"); _exit(4); }
static int command_abort(int argc, char **argv) { atexit(first); say("buffered"); abort(); }
static int command_assert(int argc, char **argv) { assert(argc == 0); return 0; }

static int
command_many(int argc, char **argv)
{
	char		name[100];

	for (int i = 0; i < 60; i++)
	{
		FILE	   *file;

		snprintf(name, sizeof name, "%s/many.%d", argv[1], i);
		file = fopen(name, "w");
		CHECK(file != NULL);
		fprintf(file, "%d", i);
	}
	return 0;
}

/* exit in the middle of deep calls, with a handler that sees the globals as they are. */
static int	depth;
static void show_depth(void) { say("depth %d\n", depth); }

static __attribute__((noinline)) int
dive(int n)
{
	depth = n;
	if (n == 100)
		exit(0);
	return dive(n + 1) + 1;
}

static int command_deep(int argc, char **argv) { atexit(show_depth); return dive(0); }

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"return", command_return}, {"exit", command_exit}, {"order", command_order}, {"nested", command_nested},
		{"again", command_again}, {"flush", command_flush}, {"no_flush", command_no_flush}, {"abort", command_abort},
		{"assert", command_assert}, {"many", command_many}, {"deep", command_deep}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
