/* libpq and libpglite in one program: neither takes the other's symbols. */
#include <pglite.h>
#include <stdio.h>
#include <string.h>

typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;
PGconn	   *PQconnectdb(const char *);
int			PQstatus(const PGconn *);
char	   *PQerrorMessage(const PGconn *);
PGresult   *PQexec(PGconn *, const char *);
char	   *PQgetvalue(const PGresult *, int, int);
void		PQclear(PGresult *);
void		PQfinish(PGconn *);

int
main(int argc, char **argv)
{
	pglite_options options = PGLITE_OPTIONS_INIT;
	pglite_database *database;
	pglite_error *error = NULL;

	(void) argc;
	options.socket_folder = argv[2];
	if (pglite_open(argv[1], &options, &database, &error) != PGLITE_OK)
	{
		fprintf(stderr, "%s\n", pglite_error_message(error));
		return 1;
	}

	PGconn	   *connection = PQconnectdb(pglite_uri(database));

	if (PQstatus(connection) != 0)
	{
		fprintf(stderr, "%s\n", PQerrorMessage(connection));
		return 1;
	}

	PGresult   *result = PQexec(connection, "SELECT 'from ' || current_setting('server_version')");

	printf("%s\n", PQgetvalue(result, 0, 0));
	PQclear(result);
	PQfinish(connection);
	return pglite_close(database, NULL) == PGLITE_OK ? 0 : 1;
}
