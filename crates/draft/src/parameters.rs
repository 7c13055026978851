//! What the environment says.

use std::path::PathBuf;

/// How the superuser's password is stored in a new cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// As clients of the draft expect it.
    Md5,
    /// SCRAM-SHA-256.
    Scram,
}

/// All that the draft takes from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// `PREFIX`: where everything is.
    pub prefix: PathBuf,
    /// `PGDATA`: the data directory.
    pub data: PathBuf,
    /// `PGSYSCONFDIR`: where `postgresql.conf` is.
    pub configuration: PathBuf,
    /// `PGUSER`.
    pub user: String,
    /// `PGDATABASE`.
    pub database: String,
    /// `PGCLIENTENCODING`.
    pub encoding: String,
    /// `PGTZ`.
    pub time_zone: String,
    /// `PG_COLOR` is `always`: errors of the REPL have a colour.
    pub color: bool,
    /// `PGL_CMA_MB`: size of the memory area in bytes.
    pub cma: usize,
    /// `PGL_PASSWORD`: the superuser's password in a new cluster.
    pub password: String,
    /// `PGL_PASSWORD_ENCRYPTION`: `md5` or `scram-sha-256`.
    pub encryption: Encryption,
}

impl Parameters {
    /// The superuser that initdb makes.
    pub const SUPERUSER: &str = "postgres";

    /// Those of this process.
    ///
    /// # Errors
    /// As [`Parameters::from`].
    pub fn from_environment() -> Result<Parameters, String> {
        Parameters::from(|name| std::env::var(name).ok())
    }

    /// Those that `variable` gives.
    ///
    /// # Errors
    /// Which variable has which impossible value.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Parameters, String> {
        let get = |name: &str, default: &str| {
            variable(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        let prefix = PathBuf::from(get("PREFIX", "/tmp/pglite"));
        let path = |name: &str, default: PathBuf| match variable(name) {
            Some(value) if !value.is_empty() => PathBuf::from(value),
            _ => default,
        };
        let megabytes = get("PGL_CMA_MB", "12");
        let cma = megabytes.parse().ok().filter(|mb| (1..=2047).contains(mb)).map(|mb: usize| mb << 20);
        let encryption = match get("PGL_PASSWORD_ENCRYPTION", "md5").as_str() {
            "md5" => Encryption::Md5,
            "scram-sha-256" => Encryption::Scram,
            other => return Err(format!("PGL_PASSWORD_ENCRYPTION is {other}: it can be md5 or scram-sha-256")),
        };
        Ok(Parameters {
            data: path("PGDATA", prefix.join("base")),
            configuration: path("PGSYSCONFDIR", prefix.clone()).join("postgresql.conf"),
            prefix,
            user: get("PGUSER", Parameters::SUPERUSER),
            database: get("PGDATABASE", "template1"),
            encoding: get("PGCLIENTENCODING", "UTF8"),
            time_zone: get("PGTZ", "UTC"),
            color: get("PG_COLOR", "auto") == "always",
            cma: cma.ok_or_else(|| format!("PGL_CMA_MB is {megabytes}: it can be 1 to 2047"))?,
            password: get("PGL_PASSWORD", "password"),
            encryption,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Parameters, String> {
        Parameters::from(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn defaults_are_those_of_the_draft() {
        let p = read(&[]).unwrap();
        assert_eq!(p.data, PathBuf::from("/tmp/pglite/base"));
        assert_eq!(p.configuration, PathBuf::from("/tmp/pglite/postgresql.conf"));
        assert_eq!((p.user.as_str(), p.database.as_str(), p.password.as_str()), ("postgres", "template1", "password"));
        assert_eq!((p.cma, p.encryption), (12 << 20, Encryption::Md5));
        assert_eq!(read(&[("PGUSER", "")]).unwrap().user, "postgres");
    }

    #[test]
    fn places_can_be_changed_one_by_one() {
        let p = read(&[("PREFIX", "/a")]).unwrap();
        assert_eq!((p.data, p.configuration), ("/a/base".into(), "/a/postgresql.conf".into()));
        let p = read(&[("PREFIX", "/a"), ("PGDATA", "/b"), ("PGSYSCONFDIR", "/c")]).unwrap();
        assert_eq!((p.data, p.configuration), ("/b".into(), "/c/postgresql.conf".into()));
        for wrong in
            [("PGL_CMA_MB", "0"), ("PGL_CMA_MB", "4096"), ("PGL_CMA_MB", "x"), ("PGL_PASSWORD_ENCRYPTION", "no")]
        {
            assert!(read(&[wrong]).unwrap_err().contains(wrong.0));
        }
    }
}
