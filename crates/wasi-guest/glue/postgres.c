/*
 * In the place of tcop/postgres.o: the unmodified postgres.c behind two macros, so that PostgresMain can be left when it wants a message
 * that is not there, and entered again when it is.
 *
 * PostgresMain's own state is a few local variables, which begin as they are between two messages, and static ones, which stay. So
 * going on is: enter, jump over the initialisation to the place before its sigsetjmp, and do not say again that one is ready. The build
 * checks that the two names stand where the macros expect them (crates/postgres-build/src/wasm/source.rs).
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "libos.h"
#include "libpq/libpq.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/timeout.h"

static bool resuming = false;

/*
 * At the beginning of PostgresMain, before anything is changed. A client's session is what it is from here on: LISTEN, for one, is refused to
 * others.
 */
#define InitializeTimeouts() \
	if (resuming) goto resume; \
	if (pgl_is_session()) MyBackendType = B_BACKEND; \
	InitializeTimeouts()
/* The last of its initialisation. */
#define EventTriggerOnLogin() EventTriggerOnLogin(); resume: (void) 0

#include PGL_POSTGRES_C

#undef InitializeTimeouts
#undef EventTriggerOnLogin

extern int	postgres_main(int argc, char *argv[]) __asm__("__main_argc_argv");
extern void __real_pq_startmsgread(void);
extern void __wrap_pq_startmsgread(void);
extern void __real_ReadyForQuery(CommandDest dest);
extern void __wrap_ReadyForQuery(CommandDest dest);
pg_noreturn extern void __real_exit(int status);
pg_noreturn extern void __wrap_exit(int status);
pg_noreturn extern void __real_abort(void);
pg_noreturn extern void __wrap_abort(void);
extern int	pgl_begin(int argc, char *argv[]);
extern int	pgl_continue(void);

static bool inside = false;
static bool said_ready = false;
static sigjmp_buf outside;
static int	exit_status;

/* What sigsetjmp returns when PostgreSQL was left, and when it has ended. */
#define LEFT 1
#define ENDED 2

static int
result(int how)
{
	inside = false;
	return how == LEFT ? -1 : exit_status;
}

/* Runs main() until it wants input, -1, or ends: its status. */
int
pgl_begin(int argc, char *argv[])
{
	int			how = sigsetjmp(outside, 0);

	if (how == 0)
	{
		inside = true;
		exit_status = postgres_main(argc, argv);
		how = ENDED;
	}
	return result(how);
}

/* Goes on where it was left; the result as that of pgl_begin. */
int
pgl_continue(void)
{
	int			how = sigsetjmp(outside, 0);

	if (how == 0)
	{
		inside = resuming = said_ready = true;
		PostgresMain("", "");
	}
	return result(how);
}

/* A message is wanted: by the main loop, or by a COPY. */
void
__wrap_pq_startmsgread(void)
{
	if (!inside || pgl_has_message())
	{
		__real_pq_startmsgread();
		return;
	}
	if (!DoingCommandRead)
	{
		pgl_copy_waits();
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("COPY FROM STDIN needs all of its data together with the statement"),
				errhint("This host of the WebAssembly module cannot wait in the middle of a statement."));
	}
	/* SocketBackend has just held them back. */
	RESUME_CANCEL_INTERRUPTS();
	DoingCommandRead = false;
	PG_exception_stack = NULL;
	error_context_stack = NULL;
	siglongjmp(outside, LEFT);
}

void
__wrap_ReadyForQuery(CommandDest dest)
{
	if (said_ready)
		said_ready = false;
	else
		__real_ReadyForQuery(dest);
}

/* The end of the process is the end of the session, not of the module. */
void
__wrap_exit(int status)
{
	if (!inside)
		__real_exit(status);
	exit_status = status;
	siglongjmp(outside, ENDED);
}

void
__wrap_abort(void)
{
	if (!inside)
		__real_abort();
	exit_status = 128 + SIGABRT;
	siglongjmp(outside, ENDED);
}

int			pgl_countdown = PG_INT32_MAX;

/* CHECK_FOR_INTERRUPTS, when there may be some. */
void
pgl_check_for_interrupts(void)
{
	pgl_interrupts();
	if (INTERRUPTS_PENDING_CONDITION())
		ProcessInterrupts();
}
