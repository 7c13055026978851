//! The real `initdb`, in-process, for clusters that the template is not right for.

use crate::error::{Error, Result};
use crate::machine::{self, Machine};
use crate::options::Options;
use libos::Status;
use std::path::Path;

/// What the template is made with as well.
pub(crate) const TEMPLATE_ARGUMENTS: &[&str] = &["--wal-segsize=1", "--auth=scram-sha-256", "--auth-local=scram-sha-256"];

/// Makes a cluster in the machine's data directory.
pub(crate) fn run(machine: &Machine, options: &Options, shown: &Path, sync: bool) -> Result<()> {
    let creation = &options.creation;
    let mut arguments: Vec<String> = vec!["--pgdata".into(), machine.data().into(), "--username".into(), options.user.clone()];
    arguments.extend(TEMPLATE_ARGUMENTS.iter().map(|s| (*s).to_owned()));
    arguments.extend(["--encoding".into(), creation.encoding.clone().unwrap_or_else(|| "UTF8".into())]);
    match (&creation.locale, &creation.locale_provider) {
        (None, None) => arguments.extend(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"].map(String::from)),
        (locale, provider) => {
            arguments.extend(locale.iter().map(|l| format!("--locale={l}")));
            arguments.extend(provider.iter().map(|p| format!("--locale-provider={p}")));
        }
    }
    if !sync {
        arguments.push("--no-sync".into());
    }
    arguments.extend(creation.initdb.iter().cloned());
    // `initdb` insists on a password where the methods ask for one; the real one is set later, in memory.
    let secret = machine::write_secret(machine, options.password.as_deref().unwrap_or("-"))?;
    arguments.push(format!("--pwfile={secret}"));
    let status = machine.run("initdb", arguments, &[])?;
    machine::remove_secret(machine, &secret);
    match status {
        Status::Exited(0) => Ok(()),
        _ => Err(Error::Initdb { path: shown.into(), log: machine.reasons() }),
    }
}
