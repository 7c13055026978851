/*
 * What the test programs share. They are written so that they also run as ordinary programs, under the real kernel:
 * the tests compare what both print.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* As vfork: between it and execv or _exit only the latter two are called. Under the kernel it is fork. */
extern int fork_process(void);

/* printf, which the library OS leaves to programs. Flushed by exit. */
extern void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes a line to descriptor 1 at once; usable in signal handlers. */
extern void tell(const char *text);

/* Ends the program with status 99 and a message unless the condition holds. */
extern void check_failed(const char *file, int line, const char *what);
#define CHECK(condition) ((condition) ? (void) 0 : check_failed(__FILE__, __LINE__, #condition))

/* Starts the program `name` of the same system; returns its pid. */
extern int start(const char *name, const char *a, const char *b, const char *c);

/* Waits for `pid`; 0 to 255 for an exit status, 1000 + n for signal n. */
extern int finish(int pid);

/* Sleeps. */
extern void milliseconds(int n);

/* Names for errors, which have other texts in other C libraries. */
extern const char *error_name(int e);

/* A subcommand of a test program. */
struct command
{
	const char *name;
	int			(*run) (int argc, char **argv);
};

/* Runs the command that argv[1] names. */
extern int	dispatch(const struct command *commands, int argc, char **argv);

#endif
