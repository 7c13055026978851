//! Whom a server runs as.

use std::process::Command;

use anyhow::{Context, Result};

/// An ordinary user, for servers that refuse to run as root.
pub(crate) fn nobody() -> Result<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let found = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            ["nobody", _, uid, gid, ..] => Some((uid.parse().ok()?, gid.parse().ok()?)),
            _ => None,
        }
    });
    found.context("stock servers do not run as root, and there is no user `nobody`: run this as an ordinary user")
}

/// Lets a command run as this user and group, where there is one.
pub(crate) fn run_as(command: &mut Command, user: Option<(u32, u32)>) {
    use std::os::unix::process::CommandExt;
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
}
