/* What libedit calls, and the library OS has not. */
#define _GNU_SOURCE
#include <pwd.h>
#include <stddef.h>
#include <unistd.h>

/* The names of users, to complete `~name` with: there are none. */
void
setpwent(void)
{
}

void
endpwent(void)
{
}

struct passwd *
getpwent(void)
{
	return NULL;
}

/* As libedit calls it, for an editor of one argument; env finds it. */
int
execlp(const char *file, const char *name, ...)
{
	const char *argument;
	__builtin_va_list arguments;

	(void) name;
	__builtin_va_start(arguments, name);
	argument = __builtin_va_arg(arguments, const char *);
	__builtin_va_end(arguments);
	return execv("/usr/bin/env", (char *const[]) {"env", (char *) file, (char *) argument, NULL});
}
