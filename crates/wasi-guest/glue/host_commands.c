/*
 * popen and system for initdb, which runs the server: the host runs each command when all of its input is there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Runs a command line with this input; its status as wait() gives it. What it prints is to be fetched with fetch().
 */
__attribute__((import_module("pglite"), import_name("run")))
extern int	host_run(const char *command, size_t length, const char *input, size_t input_length, size_t *output_length);
__attribute__((import_module("pglite"), import_name("fetch")))
extern void host_fetch(char *output);

/* One runs at a time. */
static FILE *writing;
static char *command_line;
static char *input;
static size_t input_length;
static char *output;

static int
run(const char *command, const char *from, size_t length, size_t *output_length)
{
	int			status = host_run(command, strlen(command), from, length, output_length);

	free(output);
	output = malloc(*output_length + 1);
	if (output == NULL)
		return -1;
	host_fetch(output);
	return status;
}

int
system(const char *command)
{
	size_t		length;

	return command == NULL ? 1 : run(command, "", 0, &length);
}

FILE *
popen(const char *command, const char *mode)
{
	size_t		length;

	if (mode[0] == 'w')
	{
		command_line = strdup(command);
		writing = open_memstream(&input, &input_length);
		return writing;
	}
	if (run(command, "", 0, &length) != 0)
		length = 0;
	/* There is no stream of no bytes. */
	output[length] = '\n';
	return fmemopen(output, length + (length == 0), "r");
}

int
pclose(FILE *file)
{
	int			status;
	size_t		length;

	if (file != writing)
		return fclose(file);
	writing = NULL;
	if (fclose(file) != 0)
		return -1;
	status = run(command_line, input, input_length, &length);
	fwrite(output, 1, length, stdout);
	free(command_line);
	free(input);
	return status;
}
