/*
 * pglite.h: a database, two sessions, errors, notices, a cancel.
 *
 *   cc modern.c $(pkg-config --cflags --libs pglite) -o modern && ./modern my-data
 */
#include <pglite.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
fail(const char *what, pglite_error *error)
{
	const char *state = pglite_error_sqlstate(error);

	fprintf(stderr, "%s: %s %s\n", what, state ? state : "", pglite_error_message(error));
	exit(1);
}

static int
print_row(void *context, const pglite_row *row)
{
	(void) context;
	for (int i = 0; i < row->columns; i++)
		printf("%s%s=%s", i ? " " : "", row->names[i], row->values[i] ? row->values[i] : "NULL");
	printf("\n");
	return 0;
}

static void
print_notice(void *context, const pglite_error *notice)
{
	(void) context;
	printf("%s: %s\n", pglite_error_severity(notice), pglite_error_message(notice));
}

static void
run(pglite_session *session, const char *sql)
{
	pglite_error *error = NULL;

	if (pglite_session_exec(session, sql, print_row, NULL, &error) != PGLITE_OK)
		fail(sql, error);
	printf("%s\n", pglite_session_tag(session));
}

int
main(int argc, char **argv)
{
	const char *settings[] = {"work_mem=8MB", NULL};
	pglite_options options = PGLITE_OPTIONS_INIT;
	pglite_database *database;
	pglite_session *session,
			   *other;
	pglite_error *error = NULL;

	options.settings = settings;
	options.standalone = argc > 2 && strcmp(argv[2], "--standalone") == 0;
	if (pglite_open(argc > 1 ? argv[1] : ":memory:", &options, &database, &error) != PGLITE_OK)
		fail("open", error);
	if (pglite_session_open(database, NULL, &session, &error) != PGLITE_OK)
		fail("session", error);
	pglite_session_set_notice(session, print_notice, NULL);

	run(session, "CREATE TABLE IF NOT EXISTS note (id int GENERATED ALWAYS AS IDENTITY, text text)");
	run(session, "INSERT INTO note (text) VALUES ('hello'), (NULL)");
	run(session, "SELECT text, current_setting('work_mem') AS work_mem FROM note ORDER BY id LIMIT 2");
	run(session, "DO $$ BEGIN RAISE NOTICE 'from PL/pgSQL'; END $$");

	/* An error is an object; the session goes on. */
	if (pglite_session_exec(session, "SELECT 1/0", NULL, NULL, &error) != PGLITE_SQL)
		return 1;
	printf("%s: %s\n", pglite_error_sqlstate(error), pglite_error_message(error));
	pglite_error_free(error);
	error = NULL;

	/* A server has many sessions, a standalone database one. */
	if (pglite_session_open(database, NULL, &other, &error) == PGLITE_OK)
	{
		run(other, "SELECT count(*) > 1 AS both_see_it FROM note");
		pglite_session_close(other, NULL);
	}
	else
	{
		printf("%s\n", pglite_error_message(error));
		pglite_error_free(error);
	}
	pglite_session_close(session, NULL);
	if (pglite_close(database, &error) != PGLITE_OK)
		fail("close", error);
	printf("closed\n");
	return 0;
}
