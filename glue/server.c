/*
 * What a server inside a program needs to know that only PostgreSQL can tell.
 */
#include "postgres.h"

#include "libos.h"
#include "libpq/hba.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/pidfile.h"

extern void __real_AddToDataDirLockFile(int target_line, const char *str);
extern void __wrap_AddToDataDirLockFile(int target_line, const char *str);
extern void __real_hba_getauthmethod(Port *port);
extern void __wrap_hba_getauthmethod(Port *port);

/*
 * The postmaster writes its state to the lock file for pg_ctl to poll; whoever opened the database is told at once.
 */
void
__wrap_AddToDataDirLockFile(int target_line, const char *str)
{
	__real_AddToDataDirLockFile(target_line, str);
	if (target_line == LOCK_FILE_LINE_PM_STATUS)
		libos_notify("postmaster-status", str);
}

/*
 * A session of the program with its own database is the program itself: nobody to identify. All others go by pg_hba.conf.
 */
void
__wrap_hba_getauthmethod(Port *port)
{
	HbaLine    *line;

	if (!libos_socket_is_internal(port->sock))
	{
		__real_hba_getauthmethod(port);
		return;
	}
	line = MemoryContextAllocZero(TopMemoryContext, sizeof(HbaLine));
	line->sourcefile = "(internal)";
	line->rawline = "local all all trust";
	line->conntype = ctLocal;
	line->auth_method = uaTrust;
	port->hba = line;
}
