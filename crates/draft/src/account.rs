//! What the catalogs say about a role and a database, asked through a session of a superuser.

use crate::message::{columns, field, messages};

/// A role and a database, as a connection needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) exists: bool,
    pub(crate) verifier: Option<String>,
    pub(crate) may_log_in: bool,
    pub(crate) expired: bool,
    pub(crate) superuser: bool,
    pub(crate) database_exists: bool,
    pub(crate) database_open: bool,
    pub(crate) may_connect: bool,
    /// Settings of roles and databases: sessions that began with others are not the same.
    pub(crate) settings: String,
    /// The database has triggers that run when a session begins.
    pub(crate) has_login_triggers: bool,
}

/// The query: nothing that somebody left in the database can change what its names mean.
pub(crate) fn query(user: &str, database: &str) -> String {
    let (user, database) = (literal(user), literal(database));
    format!(
        "BEGIN READ ONLY; SET LOCAL search_path TO pg_catalog, pg_temp; \
         SELECT r.oid IS NOT NULL, r.rolpassword, r.rolcanlogin, r.rolvaliduntil < now(), r.rolsuper, \
                d.oid IS NOT NULL, d.datallowconn, has_database_privilege(r.oid, d.oid, 'CONNECT'), \
                (SELECT string_agg(concat_ws(' ', setdatabase, setrole, setconfig), ',' ORDER BY setdatabase, setrole) \
                 FROM pg_db_role_setting), d.dathasloginevt \
         FROM (VALUES (1)) one (n) LEFT JOIN pg_authid r ON r.rolname = {user} \
              LEFT JOIN pg_database d ON d.datname = {database}; COMMIT"
    )
}

/// Reads its reply.
///
/// # Errors
/// The session's own words.
pub(crate) fn read(reply: &[u8]) -> Result<Account, String> {
    for (kind, body) in messages(reply) {
        match kind {
            b'E' => return Err(String::from_utf8_lossy(field(body, b'M').unwrap_or_default()).into_owned()),
            b'D' => {
                let text = |value: &&[u8]| String::from_utf8_lossy(value).into_owned();
                let values: Vec<Option<String>> = columns(body).iter().map(|c| c.as_ref().map(text)).collect();
                let value = |at: usize| values.get(at).cloned().flatten();
                let yes = |at: usize| value(at).as_deref() == Some("t");
                return Ok(Account {
                    exists: yes(0),
                    verifier: value(1),
                    may_log_in: yes(2),
                    expired: yes(3),
                    superuser: yes(4),
                    database_exists: yes(5),
                    database_open: yes(6),
                    may_connect: yes(7),
                    settings: value(8).unwrap_or_default(),
                    has_login_triggers: yes(9),
                });
            }
            _ => {}
        }
    }
    Err("the session gave no answer".into())
}

/// A string of SQL, whatever `standard_conforming_strings` is.
pub fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
