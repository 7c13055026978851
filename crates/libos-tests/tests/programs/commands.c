/*
 * popen and system.
 */
#include "support.h"

#include <sys/stat.h>

static char *
line_for(const char *arguments)
{
	static char text[500];

	snprintf(text, sizeof text, "\"%s/child\" %s", getenv("BIN"), arguments);
	return text;
}

static int
code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Programs of the system itself, both ways. */
static int
command_own(int argc, char **argv)
{
	char		text[100];
	FILE	   *pipe = popen(line_for("echo 'a b' c\\ d \"e f\""), "r");

	CHECK(pipe && fgets(text, sizeof text, pipe) && strcmp(text, "a b c d e f\n") == 0);
	CHECK(fgets(text, sizeof text, pipe) == NULL);
	say("%d ", code(pclose(pipe)));
	fflush(stdout);
	pipe = popen(line_for("capitals"), "w");
	CHECK(pipe && fputs("shout\n", pipe) >= 0);
	say("%d ", code(pclose(pipe)));
	pipe = popen(line_for("exit 3"), "r");
	CHECK(pipe && fgetc(pipe) == EOF);
	say("%d ", code(pclose(pipe)));
	say("%d ", code(system(line_for("exit 5"))));
	/* Two at once, and one that is left alone. */
	{
		FILE	   *a = popen(line_for("echo first"), "r");
		FILE	   *b = popen(line_for("echo second"), "r");

		CHECK(fgets(text, sizeof text, b) && strcmp(text, "second\n") == 0);
		CHECK(fgets(text, sizeof text, a) && strcmp(text, "first\n") == 0);
		say("%d %d ", code(pclose(a)), code(pclose(b)));
		CHECK(popen(line_for("forever"), "r") != NULL);
	}
	CHECK(popen("true", "x") == NULL && errno == EINVAL);
	say("done\n");
	return 0;
}

/* Redirections, to files in the folder argv[1]. */
static int
command_redirect(int argc, char **argv)
{
	char		arguments[300];
	char		path[200];
	char		text[100] = "";
	FILE	   *file;

	snprintf(path, sizeof path, "%s/out", argv[1]);
	snprintf(arguments, sizeof arguments, "echo one > \"%s\"", path);
	CHECK(code(system(line_for(arguments))) == 0);
	snprintf(arguments, sizeof arguments, "echo two >> %s 2>&1", path);
	CHECK(code(system(line_for(arguments))) == 0);
	snprintf(arguments, sizeof arguments, "capitals < '%s'", path);
	CHECK(code(system(line_for(arguments))) == 7);
	file = fopen(path, "r");
	CHECK(file && fread(text, 1, 100, file) == 8 && strcmp(text, "one\ntwo\n") == 0);
	return 0;
}

/* A program of the host. */
static int
command_host(int argc, char **argv)
{
	char		text[100];
	FILE	   *pipe = popen("printf '%s' \"$GIVEN\"; exit 4", "r");

	if (pipe == NULL)
	{
		say("%s ", error_name(errno));
		say("%d ", system("exit 6") == -1 ? errno == EACCES : -1);
		say("%d\n", system(NULL));
		return 0;
	}
	CHECK(fgets(text, sizeof text, pipe));
	say("%s %d ", text, code(pclose(pipe)));
	say("%d ", code(system("exit 6")));
	fflush(stdout);
	pipe = popen("cat", "w");
	CHECK(pipe && fputs("through the shell ", pipe) >= 0);
	say("%d ", code(pclose(pipe)));
	say("%d\n", system(NULL) != 0);
	return 0;
}

/* What a program of the host makes has the mode that a process of ours says. */
static int
command_umask(int argc, char **argv)
{
	umask(027);
	return code(system("umask"));
}

static int
command_answer(int argc, char **argv)
{
	char		text[100];
	FILE	   *pipe = popen("list things", "r");

	CHECK(pipe);
	while (fgets(text, sizeof text, pipe))
		say("%s", text);
	say("%d\n", code(pclose(pipe)));
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"own", command_own}, {"redirect", command_redirect}, {"host", command_host}, {"answer", command_answer},
		{"umask", command_umask},
		{NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
