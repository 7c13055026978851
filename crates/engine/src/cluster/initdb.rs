//! The real `initdb`, in-process, for clusters that the template is not right for.

use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::options::Options;
use libos::Status;
use std::path::Path;

/// Makes a cluster in the machine's data directory, or in the folder `within` it. It is not synced.
pub(crate) fn run(machine: &Machine, options: &Options, shown: &Path, within: Option<&str>) -> Result<()> {
    let creation = &options.creation;
    let place = |name: &str| within.map_or_else(|| name.to_owned(), |folder| format!("{folder}/{name}"));
    let directory = format!("{}/{}", machine.data(), place(""));
    let mut arguments: Vec<String> =
        ["--pgdata", &directory, "--username", &options.user, "--no-sync"].map(String::from).into();
    // No password is known here; `require_passwords` closes the door that this leaves open.
    arguments.extend(["--wal-segsize=1".into(), "--auth=trust".into()]);
    arguments.extend(["--encoding".into(), creation.encoding.clone().unwrap_or_else(|| "UTF8".into())]);
    match (&creation.locale, &creation.locale_provider) {
        (None, None) => {
            arguments.extend(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"].map(String::from))
        }
        (locale, provider) => {
            arguments.extend(locale.iter().map(|l| format!("--locale={l}")));
            arguments.extend(provider.iter().map(|p| format!("--locale-provider={p}")));
        }
    }
    arguments.extend(creation.initdb.iter().cloned());
    let status = machine.run("initdb", arguments, &[])?;
    match status {
        Status::Exited(0) => machine.edit(&place("pg_hba.conf"), require_passwords),
        _ => Err(Error::Initdb { path: shown.into(), log: machine.reasons() }),
    }
}

/// `pg_hba.conf` with SCRAM in the place of trust.
fn require_passwords(text: String) -> String {
    let lines =
        text.lines().filter(|line| !line.starts_with("# CAUTION")).map(|line| match line.strip_suffix("trust") {
            Some(rule) if !rule.starts_with('#') => format!("{rule}scram-sha-256\n"),
            _ => format!("{line}\n"),
        });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_trusted() {
        let text = "# trust\nlocal all all     trust\nhost all all ::1/128 trust\n".to_owned();
        assert_eq!(
            require_passwords(text),
            "# trust\nlocal all all     scram-sha-256\nhost all all ::1/128 scram-sha-256\n"
        );
    }
}
