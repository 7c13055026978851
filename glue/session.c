/*
 * Who a standalone session is, and the settings that it begins with: what a start-up packet tells a server.
 *
 * They are in the environment: PGLITE_USER, and PGLITE_SETTING_1, PGLITE_SETTING_2 and so on, each NAME=VALUE. Without a user
 * the session is the superuser that initdb made, as --single has it.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_db_role_setting.h"
#include "libos.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

extern void __real_InitializeSessionUserIdStandalone(void);
extern void __wrap_InitializeSessionUserIdStandalone(void);
extern void __real_InitializeSearchPath(void);
extern void __wrap_InitializeSearchPath(void);

static bool
is_standalone_session(void)
{
	return !IsUnderPostmaster && libos_is_coroutine();
}

/*
 * The role is the authenticated one as well: SET SESSION AUTHORIZATION must not lead back to a superuser.
 */
void
__wrap_InitializeSessionUserIdStandalone(void)
{
	const char *user = is_standalone_session() ? getenv("PGLITE_USER") : NULL;

	if (user == NULL)
		__real_InitializeSessionUserIdStandalone();
	else
		InitializeSessionUserId(user, InvalidOid, false);
}

/*
 * The settings of the role and the database: --single leaves them out (process_settings), a server has them.
 */
static void
apply_stored_settings(void)
{
	Relation	settings = table_open(DbRoleSettingRelationId, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetCatalogSnapshot(DbRoleSettingRelationId));
	Oid			role = GetSessionUserId();

	ApplySetting(snapshot, MyDatabaseId, role, settings, PGC_S_DATABASE_USER);
	ApplySetting(snapshot, InvalidOid, role, settings, PGC_S_USER);
	ApplySetting(snapshot, MyDatabaseId, InvalidOid, settings, PGC_S_DATABASE);
	ApplySetting(snapshot, InvalidOid, InvalidOid, settings, PGC_S_GLOBAL);
	UnregisterSnapshot(snapshot);
	table_close(settings, AccessShareLock);
}

/*
 * Called where a server has just applied the stored settings, which those of the client outrank.
 */
void
__wrap_InitializeSearchPath(void)
{
	GucContext	context;

	if (is_standalone_session())
	{
		if (getenv("PGLITE_USER") != NULL)
			apply_stored_settings();
		context = superuser() ? PGC_SU_BACKEND : PGC_BACKEND;
		for (int number = 1;; number++)
		{
			const char *setting = getenv(psprintf("PGLITE_SETTING_%d", number));
			const char *value = setting ? strchr(setting, '=') : NULL;

			if (value == NULL)
				break;
			SetConfigOption(pnstrdup(setting, value - setting), value + 1, context, PGC_S_CLIENT);
		}
	}
	__real_InitializeSearchPath();
}
