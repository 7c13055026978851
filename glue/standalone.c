/*
 * One session without a postmaster (postgres --single) that speaks the wire protocol with the owner of its coroutine.
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "access/transam.h"
#include "libos.h"
#include "libpq/libpq-be.h"
#include "libpq/libpq.h"
#include "libpq/pqcomm.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"

extern void __real_InitProcess(void);
extern void __wrap_InitProcess(void);
extern ssize_t __real_secure_read(Port *port, void *ptr, size_t len);
extern ssize_t __wrap_secure_read(Port *port, void *ptr, size_t len);
extern ssize_t __real_secure_write(Port *port, const void *ptr, size_t len);
extern ssize_t __wrap_secure_write(Port *port, const void *ptr, size_t len);

static bool standalone = false;

/*
 * The last step of --single before PostgresMain: puts a client in the place of the terminal.
 */
void
__wrap_InitProcess(void)
{
	int			alive[2];
	int			ends[2];
	ClientSocket client;
	MemoryContext old;

	__real_InitProcess();
	if (IsUnderPostmaster || !libos_is_coroutine())
		return;

	/* pq_init waits for the postmaster's death and for a socket: neither ever becomes ready. */
	if (pipe(alive) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		ereport(FATAL, errmsg("could not create the session's descriptors: %m"));
	postmaster_alive_fds[POSTMASTER_FD_WATCH] = alive[0];
	postmaster_alive_fds[POSTMASTER_FD_OWN] = alive[1];

	memset(&client, 0, sizeof(client));
	client.sock = ends[0];
	client.raddr.addr.ss_family = AF_UNIX;
	client.raddr.salen = sizeof(sa_family_t);
	old = MemoryContextSwitchTo(TopMemoryContext);
	MyProcPort = pq_init(&client);
	MemoryContextSwitchTo(old);

	FrontendProtocol = PG_PROTOCOL(3, 0);
	whereToSendOutput = DestRemote;
	standalone = true;
}

/*
 * What standalone mode keeps from users, for it is made for repairs.
 */
static void
begin_session(void)
{
	/* LISTEN is for backends. */
	MyBackendType = B_BACKEND;

	/*
	 * Without a postmaster PostgreSQL takes all objects for its own as long as OIDs last that are reserved for them: pg_dump would
	 * leave out extensions and casts that a user made.
	 */
	LWLockAcquire(OidGenLock, LW_EXCLUSIVE);
	if (TransamVariables->nextOid < FirstNormalObjectId)
	{
		TransamVariables->nextOid = FirstNormalObjectId;
		TransamVariables->oidCount = 0;
	}
	LWLockRelease(OidGenLock);
}

ssize_t
__wrap_secure_read(Port *port, void *ptr, size_t len)
{
	static bool begun = false;

	if (!standalone)
		return __real_secure_read(port, ptr, len);
	if (!begun)
	{
		begun = true;
		begin_session();
	}

	for (;;)
	{
		ssize_t		n = libos_console_read(ptr, len);

		if (n != 0)
			return Max(n, 0);
		libos_suspend();
		ProcessClientReadInterrupt(true);
	}
}

ssize_t
__wrap_secure_write(Port *port, const void *ptr, size_t len)
{
	if (!standalone)
		return __real_secure_write(port, ptr, len);
	return libos_console_write(ptr, len);
}
