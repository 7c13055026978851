/*
 * What the library refers to and only the server has, for programs that are not the server: initdb, and what configure tries.
 */
#include <stddef.h>

int			InterruptPending;
int			pgl_countdown;
const struct
{
	const char *module,
			   *name;
	void	   *address;
}			pgl_module_symbols[1];
const struct
{
	const char *module;
	char	   *start,
			   *end;
}			pgl_module_tables[1];
