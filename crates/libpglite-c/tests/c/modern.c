/* Functions of pglite.h in and out of order, on a server and on a standalone session. */
#include <pglite.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define CHECK(condition) \
	do { if (!(condition)) { fprintf(stderr, "line %d: %s\n", __LINE__, #condition); abort(); } } while (0)

static atomic_int log_lines;

static void
on_log(void *context, pglite_severity severity, int pid, const char *text)
{
	CHECK(context == &log_lines && pid > 0 && severity <= PGLITE_FATAL && text[0]);
	log_lines++;
}

static int
count_rows(void *context, const pglite_row *row)
{
	CHECK(row->size == sizeof(*row) && row->columns == 2);
	CHECK(strcmp(row->names[1], "n") == 0 && row->types[0] == 23 && row->values[1] == NULL && row->lengths[1] == 0);
	CHECK(strlen(row->values[0]) == row->lengths[0]);
	++*(int *) context;
	return 0;
}

static int
stop_at_first(void *context, const pglite_row *row)
{
	(void) row;
	++*(int *) context;
	return 1;
}

static pglite_status reentered;

static int
reenter(void *context, const pglite_row *row)
{
	(void) row;
	reentered = pglite_session_exec(context, "SELECT 1", NULL, NULL, NULL);
	return 0;
}

static void
expect(pglite_session *session, const char *sql, const char *state)
{
	pglite_error *error = NULL;

	CHECK(pglite_session_exec(session, sql, NULL, NULL, &error) == PGLITE_SQL);
	CHECK(strcmp(pglite_error_sqlstate(error), state) == 0);
	CHECK(strcmp(pglite_error_severity(error), "ERROR") == 0);
	CHECK(pglite_error_status(error) == PGLITE_SQL);
	pglite_error_free(error);
}

static void
run(pglite_session *session, const char *sql)
{
	pglite_error *error = NULL;

	if (pglite_session_exec(session, sql, NULL, NULL, &error) != PGLITE_OK)
	{
		fprintf(stderr, "%s: %s\n", sql, pglite_error_message(error));
		abort();
	}
	CHECK(error == NULL);
}

static void
on_notice(void *context, const pglite_error *notice)
{
	CHECK(strcmp(pglite_error_severity(notice), "NOTICE") == 0);
	CHECK(strcmp(pglite_error_detail(notice), "more") == 0);
	++*(int *) context;
}

static size_t
query(unsigned char *to, const char *sql)
{
	size_t		length = strlen(sql) + 5;

	to[0] = 'Q';
	for (int i = 0; i < 4; i++)
		to[1 + i] = (unsigned char) (length >> (24 - 8 * i));
	memcpy(to + 5, sql, length - 4);
	return length + 1;
}

/* Receives until ReadyForQuery; how many bytes that were. */
static size_t
receive_all(pglite_session *session, int blocking)
{
	unsigned char buffer[70000],
				last[6] = {0};
	size_t		total = 0,
				n;

	for (;;)
	{
		pglite_status status = pglite_session_recv(session, buffer, sizeof(buffer), &n, NULL);

		if (status == PGLITE_AGAIN)
		{
			struct pollfd fd = {pglite_session_fd(session), POLLIN, 0};

			CHECK(!blocking && fd.fd >= 0 && poll(&fd, 1, 60000) == 1);
			continue;
		}
		CHECK(status == PGLITE_OK && n > 0);
		for (size_t i = n > 6 ? n - 6 : 0; i < n; i++)
		{
			memmove(last, last + 1, 5);
			last[5] = buffer[i];
		}
		total += n;
		if (memcmp(last, "Z\0\0\0\5I", 6) == 0)
			return total;
	}
}

static pglite_session *target;

static void
on_alarm(int signal)
{
	(void) signal;
	pglite_cancel(target);
}

static void *
cancel_soon(void *session)
{
	usleep(200000);
	pglite_cancel(session);
	return NULL;
}

static void
statements(pglite_session *session)
{
	pglite_error *error = NULL;
	int			count = 0;
	unsigned char message[1000];
	size_t		length,
				sent;

	CHECK(pglite_session_exec(session, "SELECT 12 AS a, NULL::text AS n FROM generate_series(1, 1000)", count_rows, &count,
							  &error) == PGLITE_OK);
	CHECK(count == 1000 && strcmp(pglite_session_tag(session), "SELECT 1000") == 0);
	run(session, "");
	run(session, "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1), (2)");
	CHECK(strcmp(pglite_session_tag(session), "INSERT 0 2") == 0);
	expect(session, "SELECT 1/0", "22012");
	expect(session, "COPY t FROM STDIN", "57014");
	CHECK(pglite_session_exec(session, "SELECT x FROM t", NULL, NULL, &error) == PGLITE_SQL);
	CHECK(pglite_error_position(error) == 8 && pglite_error_hint(error) == NULL);
	pglite_error_free(error);
	error = NULL;

	count = 0;
	CHECK(pglite_session_exec(session, "SELECT generate_series(1, 1000)", stop_at_first, &count, &error) == PGLITE_STOPPED);
	CHECK(count == 1);
	pglite_error_free(error);
	CHECK(pglite_session_exec(session, "SELECT 1", reenter, session, NULL) == PGLITE_OK && reentered == PGLITE_BUSY);

	count = 0;
	CHECK(pglite_session_set_notice(session, on_notice, &count) == PGLITE_OK);
	run(session, "DO $$ BEGIN RAISE NOTICE 'hello' USING DETAIL = 'more'; END $$");
	CHECK(count == 1 && pglite_session_set_notice(session, NULL, NULL) == PGLITE_OK);

	/* By another thread, and by a signal handler. */
	pthread_t	thread;

	CHECK(pthread_create(&thread, NULL, cancel_soon, session) == 0);
	expect(session, "SELECT pg_sleep(3600)", "57014");
	pthread_join(thread, NULL);
	target = session;
	signal(SIGALRM, on_alarm);

	struct itimerval timer = {{0, 50000}, {0, 200000}};

	setitimer(ITIMER_REAL, &timer, NULL);
	expect(session, "SELECT pg_sleep(3600)", "57014");
	timer = (struct itimerval) {{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &timer, NULL);
	usleep(100000);
	pglite_session_exec(session, "SELECT 1", NULL, NULL, NULL);

	/* Bytes. */
	length = query(message, "SELECT repeat('x', 1000) FROM generate_series(1, 1000)");
	CHECK(pglite_session_send(session, message, 7, &sent, NULL) == PGLITE_OK && sent == 7);
	CHECK(pglite_session_send(session, message + 7, length - 7, &sent, NULL) == PGLITE_OK && sent == length - 7);
}

static void
bytes(pglite_session *session, int blocking)
{
	unsigned char message[1000];
	size_t		length = query(message, "SELECT repeat('x', 1000) FROM generate_series(1, 1000)"),
				sent;

	CHECK(pglite_session_set_blocking(session, blocking) == PGLITE_OK);
	CHECK(pglite_session_send(session, message, length, &sent, NULL) == PGLITE_OK && sent == length);
	CHECK(receive_all(session, blocking) > 1000000);
	CHECK(pglite_session_set_blocking(session, 1) == PGLITE_OK);
}

static void *
one_of_many(void *database)
{
	pglite_session *session;

	CHECK(pglite_session_open(database, NULL, &session, NULL) == PGLITE_OK);
	for (int i = 0; i < 50; i++)
		run(session, "SELECT count(*) FROM pg_class");
	CHECK(pglite_session_close(session, NULL) == PGLITE_OK);
	return NULL;
}

static void
misuse(void)
{
	pglite_database *database = (void *) 1;
	pglite_session *session = (void *) 1;
	pglite_error *error = NULL;
	pglite_options options = PGLITE_OPTIONS_INIT;
	struct { pglite_options known; long unknown; } newer = {.known = PGLITE_OPTIONS_INIT, .unknown = 1};
	const char *wrong[] = {"work_mem", NULL};

	CHECK(pglite_open(NULL, NULL, &database, &error) == PGLITE_USAGE && database == NULL);
	CHECK(strstr(pglite_error_message(error), "null pointer"));
	pglite_error_free(error);
	CHECK(pglite_open(":memory:", NULL, NULL, NULL) == PGLITE_USAGE);
	CHECK(pglite_open("\xff\xfe", NULL, &database, NULL) == PGLITE_USAGE);
	CHECK(pglite_open("/dev/null", NULL, &database, NULL) == PGLITE_NOT_A_DATABASE);
	options.size = 0;
	CHECK(pglite_open(":memory:", &options, &database, NULL) == PGLITE_USAGE);
	newer.known.size = sizeof(newer);
	CHECK(pglite_open(":memory:", &newer.known, &database, NULL) == PGLITE_USAGE);
	options.size = sizeof(options);
	options.settings = wrong;
	CHECK(pglite_open(":memory:", &options, &database, NULL) == PGLITE_USAGE);
	wrong[0] = "no_such=1";
	CHECK(pglite_open(":memory:", &options, &database, NULL) == PGLITE_SETTING);
	CHECK(pglite_session_open(NULL, NULL, &session, NULL) == PGLITE_USAGE && session == NULL);
	CHECK(pglite_session_exec(NULL, "SELECT 1", NULL, NULL, NULL) == PGLITE_USAGE);
	CHECK(pglite_session_fd(NULL) == -1 && pglite_session_tag(NULL) == NULL && pglite_path(NULL) == NULL);
	CHECK(pglite_close(NULL, NULL) == PGLITE_OK && pglite_session_close(NULL, NULL) == PGLITE_OK);
	pglite_cancel(NULL);
	pglite_error_free(NULL);
	CHECK(pglite_error_status(NULL) == PGLITE_OK && pglite_error_message(NULL) == NULL);
}

int
main(int argc, char **argv)
{
	int			standalone = argc > 2;
	const char *settings[] = {"log_min_messages=debug1", NULL};
	const char *start[] = {"search_path=a,b", NULL};
	pglite_options options = PGLITE_OPTIONS_INIT;
	pglite_session_options who = PGLITE_SESSION_OPTIONS_INIT;
	pglite_database *database;
	pglite_session *session,
			   *other;
	pglite_error *error = NULL;
	size_t		length = 0;

	CHECK(pglite_abi_version() == PGLITE_ABI_VERSION && strncmp(pglite_postgres_version(), "18", 2) == 0);
	misuse();
	options.settings = settings;
	options.standalone = standalone;
	options.log = on_log;
	options.log_context = &log_lines;
	if (pglite_open(argv[1], &options, &database, &error) != PGLITE_OK)
	{
		fprintf(stderr, "%s\n", pglite_error_message(error));
		abort();
	}
	CHECK(pglite_path(database)[0] == '/' && pglite_uri(database) == NULL);
	CHECK(pglite_session_open(database, NULL, &session, NULL) == PGLITE_OK);
	CHECK(pglite_session_greeting(session, &length) != NULL && length > 100);
	statements(session);
	receive_all(session, 1);
	bytes(session, 1);
	bytes(session, 0);

	/* It is in use. */
	CHECK(pglite_close(database, &error) == PGLITE_BUSY);
	pglite_error_free(error);
	error = NULL;
	CHECK(pglite_session_open(database, NULL, &other, NULL) == (standalone ? PGLITE_BUSY : PGLITE_OK));
	if (!standalone)
	{
		pthread_t	threads[8];
		int			fd = pglite_connect_fd(database);

		CHECK(fd >= 0 && close(fd) == 0);
		for (int i = 0; i < 8; i++)
			CHECK(pthread_create(&threads[i], NULL, one_of_many, database) == 0);
		for (int i = 0; i < 8; i++)
			pthread_join(threads[i], NULL);
		run(session, "CREATE TABLE shared (a int); INSERT INTO shared VALUES (1)");
		run(other, "SELECT a FROM shared");
		CHECK(pglite_session_close(other, NULL) == PGLITE_OK);
	}
	else
		CHECK(pglite_connect_fd(database) == -1);

	/* Somebody else. */
	run(session, "CREATE ROLE alice LOGIN");
	run(session, "CREATE DATABASE app");
	CHECK(pglite_session_close(session, NULL) == PGLITE_OK);
	who.user = "alice";
	who.database = "app";
	who.settings = start;
	CHECK(pglite_session_open(database, &who, &session, NULL) == PGLITE_OK);
	run(session, "DO $$ BEGIN ASSERT concat(current_user, current_database(), current_setting('search_path')) "
		"= 'aliceappa,b'; END $$");
	expect(session, "SELECT * FROM pg_authid", "42501");
	CHECK(pglite_session_close(session, NULL) == PGLITE_OK);
	who.user = "ghost";
	CHECK(pglite_session_open(database, &who, &session, &error) != PGLITE_OK && session == NULL);
	CHECK(strstr(pglite_error_message(error), "ghost"));
	pglite_error_free(error);
	error = NULL;

	/* A session that ends itself says so, and another one can be opened. */
	CHECK(pglite_session_open(database, NULL, &session, NULL) == PGLITE_OK);
	CHECK(pglite_session_exec(session, "SELECT pg_terminate_backend(pg_backend_pid())", NULL, NULL, &error) == PGLITE_ENDED);
	CHECK(strcmp(pglite_error_sqlstate(error), "57P01") == 0);
	pglite_error_free(error);
	error = NULL;
	CHECK(pglite_session_close(session, NULL) == PGLITE_OK);
	CHECK(pglite_session_open(database, NULL, &session, NULL) == PGLITE_OK);
	run(session, "SELECT 1");
	CHECK(pglite_session_close(session, NULL) == PGLITE_OK);
	if (pglite_close(database, &error) != PGLITE_OK)
	{
		fprintf(stderr, "%s\n", pglite_error_message(error));
		abort();
	}
	CHECK(log_lines > 0);
	printf("all is well\n");
	return 0;
}
