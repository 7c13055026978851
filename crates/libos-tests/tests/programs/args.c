/*
 * Arguments, options, environment.
 */
#include "support.h"
#include <getopt.h>

extern char **environ;

static int
command_plain(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		say("[%s]", argv[i]);
	say(" %s\n", argv[argc] == NULL ? "end" : "?");
	return argc;
}

static int
command_getopt(int argc, char **argv)
{
	int			c;

	opterr = 0;
	while ((c = getopt(argc - 1, argv + 1, argv[1])) != -1)
	{
		say("%c", c);
		if (c == '?' || c == ':')
			say(" bad %c", optopt);
		else
			say(" %s", optarg ? optarg : "-");
		say("\n");
	}
	say("rest %d\n", optind);
	return 0;
}

static int
command_long(int argc, char **argv)
{
	static int	flag;
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},
		{"file", required_argument, NULL, 'f'},
		{"color", optional_argument, NULL, 1},
		{"set-flag", no_argument, &flag, 5},
		{"file-name", required_argument, NULL, 2},
		{NULL, 0, NULL, 0}
	};
	int			c;
	int			index = -1;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "af:vo::", options, &index)) != -1)
	{
		say("%d", c);
		say(" %s\n", optarg && c != '?' ? optarg : "-");
	}
	say("flag %d", flag);
	for (int i = optind; i < argc; i++)
		say(" [%s]", argv[i]);
	say("\n");
	return 0;
}

/* Twice the same, as a program does that parses a line of a file: optind begins anew. */
static int
command_again(int argc, char **argv)
{
	for (int round = 0; round < 2; round++)
	{
		int			c;

		optind = 1;
		while ((c = getopt(argc, argv, "xy:")) != -1)
			say("%c%s ", c, optarg ? optarg : "");
		say("%d\n", optind);
	}
	return 0;
}

/* The message for a wrong option goes to stderr. */
static int
command_complain(int argc, char **argv)
{
	while (getopt(argc, argv, "a:") != -1)
		;
	return 0;
}

static int
command_environment(int argc, char **argv)
{
	char		own[] = "PUT=1";
	int			count = 0;

	say("%s %s\n", getenv("GIVEN"), getenv("NOT_GIVEN") ? "?" : "none");
	say("%d", setenv("GIVEN", "other", 0));
	say(" %s\n", getenv("GIVEN"));
	say("%d", setenv("GIVEN", "other", 1));
	say(" %s\n", getenv("GIVEN"));
	say("%d %s\n", setenv("A=B", "x", 1), error_name(errno));
	CHECK(putenv(own) == 0);
	own[4] = '2';
	say("%s\n", getenv("PUT"));
	CHECK(setenv("EMPTY", "", 1) == 0 && getenv("EMPTY") && !*getenv("EMPTY"));
	CHECK(unsetenv("PUT") == 0 && !getenv("PUT"));
	for (int i = 0; i < 200; i++)
	{
		char		name[20];

		snprintf(name, sizeof name, "N%d", i);
		CHECK(setenv(name, "v", 1) == 0);
	}
	for (char **e = environ; *e; e++)
		count += (*e)[0] == 'N' && (*e)[1] >= '0' && (*e)[1] <= '9';
	say("%d\n", count);
	environ[0] = NULL;
	say("%s\n", getenv("GIVEN") ? "?" : "emptied");
	CHECK(setenv("AFTER", "1", 1) == 0);
	say("%s %s\n", getenv("AFTER"), environ[1] ? "?" : "one");
	return 0;
}

/* What a child gets is the environment of the moment. */
static int
command_inherit(int argc, char **argv)
{
	CHECK(setenv("PASSED", "on", 1) == 0 && unsetenv("GIVEN") == 0);
	say("%d\n", finish(start("args", "show", NULL, NULL)));
	return 0;
}

static int
command_show(int argc, char **argv)
{
	say("%s %s\n", getenv("PASSED") ? getenv("PASSED") : "-", getenv("GIVEN") ? getenv("GIVEN") : "-");
	return 5;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"plain", command_plain}, {"getopt", command_getopt}, {"long", command_long}, {"again", command_again},
		{"complain", command_complain}, {"environment", command_environment}, {"inherit", command_inherit},
		{"show", command_show}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
