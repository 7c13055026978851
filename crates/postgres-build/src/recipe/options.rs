//! How PostgreSQL is configured, compiled, and optimised: the one place for options.

/// Where PostgreSQL believes that it is installed; a path in the library OS's virtual root.
pub const PREFIX: &str = "/pglite";

/// Libraries that are not used. To turn one on, add its source to `libraries.rs`, and what it needs of the C library to the
/// library OS's list of names; the programs are linked with it because the makefiles say so. Off without a switch: OpenSSL.
const WITHOUT: [&str; 1] = ["--without-icu"];

/// `EXEC_BACKEND` makes a new process start from `main`, as a copy of the template does, instead of
/// from a fork's copied memory.
pub const CPPFLAGS: &str = "-DEXEC_BACKEND";

/// `-g1` has the lines and inlining that backtraces need, at a tenth of the size of `-g`.
pub const CFLAGS: &str = "-O2 -fPIC -g1 -flto";

/// The arguments of `configure` that say what is built; those that say where tools and libraries are come on
/// top.
pub fn configure_arguments() -> Vec<String> {
    let mut arguments = vec![format!("--prefix={PREFIX}"), "--disable-rpath".into()];
    arguments.extend(WITHOUT.map(str::to_owned));
    arguments.extend([format!("CPPFLAGS={CPPFLAGS}"), format!("CFLAGS={CFLAGS}")]);
    arguments
}

/// What clang makes of the profile. By default it would take two megabytes more of code into its callers, for what queries hardly
/// notice. What takes no part in 99.99 % of all work is optimised for size. A function with large variables stays by itself: an
/// expression's interpreter that had taken one in would need 30 kB of stack at each level of a recursive query.
pub const PROFILE_ARGUMENTS: [&str; 3] =
    ["-hot-callsite-threshold=600", "-profile-summary-cutoff-cold=999900", "-inline-max-stacksize=1024"];

/// How lld makes one object of a unit's bitcode: whole-program optimisation is done there, code
/// generation on two processors. Across files less is taken into callers than within one: that is half a megabyte.
pub const LINK_ARGUMENTS: [&str; 9] = [
    "-r",
    "--lto-O2",
    "--lto-partitions=2",
    "-mllvm",
    "-hot-callsite-threshold=225",
    "-mllvm",
    "-profile-summary-cutoff-cold=999000",
    "-mllvm",
    "-inline-max-stacksize=1024",
];

/// Code that no query spends its time in: it is optimised for size.
pub const SMALL: [&str; 45] = [
    "/contrib/",
    "/src/backend/access/rmgrdesc/",
    "/src/backend/backup/",
    "/src/backend/bootstrap/",
    "/src/backend/catalog/dependency",
    "/src/backend/catalog/heap",
    "/src/backend/catalog/index.",
    "/src/backend/catalog/objectaddress",
    "/src/backend/catalog/pg_",
    "/src/backend/commands/aggregate",
    "/src/backend/commands/alter",
    "/src/backend/commands/cluster",
    "/src/backend/commands/collation",
    "/src/backend/commands/create",
    "/src/backend/commands/dbcommands",
    "/src/backend/commands/explain",
    "/src/backend/commands/ext",
    "/src/backend/commands/foreign",
    "/src/backend/commands/function",
    "/src/backend/commands/index",
    "/src/backend/commands/matview",
    "/src/backend/commands/op",
    "/src/backend/commands/policy",
    "/src/backend/commands/publication",
    "/src/backend/commands/stat",
    "/src/backend/commands/subscription",
    "/src/backend/commands/table",
    "/src/backend/commands/ts",
    "/src/backend/commands/type",
    "/src/backend/commands/user",
    "/src/backend/libpq/auth",
    "/src/backend/libpq/hba",
    "/src/backend/nodes/outfuncs",
    "/src/backend/nodes/readfuncs",
    "/src/backend/postmaster/",
    "/src/backend/replication/",
    "/src/backend/rewrite/rewriteDefine",
    "/src/backend/snowball/",
    "/src/backend/statistics/",
    "/src/backend/tsearch/",
    "/src/backend/utils/adt/ruleutils",
    "/src/backend/utils/misc/guc",
    "/src/bin/",
    "/src/fe_utils/",
    "/src/interfaces/",
];

/// Inner loops that have an argument which is a constant in each caller. gcc clones such a function for it, clang does not: a
/// line of COPY takes twice as long to find.
pub const INLINED: [&str; 1] = ["CopyReadLine"];

/// The symbols of a unit's object that the final link sees: the programs' descriptors, and the base
/// pointer that all units share.
pub const GLOBAL_SYMBOLS: [&str; 2] = ["privatized_program_*", "privatized_base"];

/// The server.
pub const SERVER: &str = "postgres";

/// What makes clusters: part of the server's library.
pub const INITDB: &str = "initdb";

/// The client programs: a library of their own, for those who want it. They share one unit, and so their common code.
pub const CLIENTS: [&str; 30] = [
    "psql",
    "pg_dump",
    "pg_dumpall",
    "pg_restore",
    "pgbench",
    "pg_basebackup",
    "pg_receivewal",
    "pg_recvlogical",
    "createdb",
    "dropdb",
    "createuser",
    "dropuser",
    "vacuumdb",
    "reindexdb",
    "clusterdb",
    "pg_isready",
    "pg_amcheck",
    "pg_checksums",
    "pg_controldata",
    "pg_resetwal",
    "pg_waldump",
    "pg_walsummary",
    "pg_rewind",
    "pg_verifybackup",
    "pg_combinebackup",
    "pg_archivecleanup",
    "pg_test_fsync",
    "pg_test_timing",
    "oid2name",
    "vacuumlo",
];

/// The function that starts a process. The library OS's, as `vfork` does, returns in the child
/// first and then in the parent.
pub const FORK: (&str, &str) = ("fork_process", "libos_vfork");
