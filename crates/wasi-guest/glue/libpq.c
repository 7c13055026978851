/*
 * libpq in the server's module, for subscriptions: what it expects of its own copy of PostgreSQL's common code, and the server has under other
 * names. It parses connection strings; there is no network, so it never gets to where the server's copy of that code would differ.
 */
#include <stdbool.h>

int			pg_char_to_encoding_private(const char *name);
const char *pg_encoding_to_char_private(int encoding);
bool		pgl_libpq_canary(void);
int			pg_char_to_encoding(const char *name);
const char *pg_encoding_to_char(int encoding);

int
pg_char_to_encoding(const char *name)
{
	return pg_char_to_encoding_private(name);
}

const char *
pg_encoding_to_char(int encoding)
{
	return pg_encoding_to_char_private(encoding);
}

bool
pgl_libpq_canary(void)
{
	return true;
}
