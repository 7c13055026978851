//! Another session on a cluster that stays open.

use super::{Standalone, begin};
use crate::error::{Error, Result};

/// Who a standalone session is, and what it begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The role; `None` is the superuser that the cluster was made with. It is the authenticated role, which
    /// `SET SESSION AUTHORIZATION` cannot leave.
    pub user: Option<String>,
    /// The database.
    pub database: String,
    /// Settings that the role may make, as a client's start-up packet has them: `RESET` goes back to these.
    pub settings: Vec<(String, String)>,
}

impl Identity {
    /// The superuser in this database.
    pub(crate) fn superuser(database: &str) -> Identity {
        Identity { database: database.into(), ..Identity::default() }
    }

    /// Checks that PostgreSQL can be told all of it.
    ///
    /// # Errors
    /// [`Error::Option`] where something has a zero byte in it.
    pub fn check(&self) -> Result<()> {
        let zero = |text: &str| text.contains('\0');
        if self.user.as_deref().is_some_and(zero)
            || zero(&self.database)
            || self.settings.iter().any(|(name, value)| zero(name) || zero(value))
        {
            return Err(Error::Option("a role, database or setting has a zero byte in it".into()));
        }
        Ok(())
    }

    /// What `glue/session.c` reads.
    pub(crate) fn environment(&self) -> Vec<String> {
        let user = self.user.iter().map(|user| format!("PGLITE_USER={user}"));
        let settings = self.settings.iter().enumerate();
        user.chain(settings.map(|(i, (name, value))| format!("PGLITE_SETTING_{}={name}={value}", i + 1))).collect()
    }
}

impl Standalone {
    /// Ends the session, with a checkpoint, and begins another one on the same cluster. `server` are settings that win over
    /// those that it was opened with. [`Standalone::greeting`] is what the new session said, also where it refused to begin.
    ///
    /// # Errors
    /// As [`Standalone::start`]; there is no session then, and another may be begun.
    pub fn restart(&mut self, identity: &Identity, server: &[(String, String)]) -> Result<()> {
        self.machine.check_fork()?;
        // How the old one ended matters to nobody any more: the new one recovers what is to be recovered.
        self.stop();
        identity.check()?;
        let mut options = self.options.clone();
        options.settings.extend(server.iter().cloned());
        self.greeting.clear();
        self.process = Some(begin(&self.machine, &options, identity, &self.path, &mut self.greeting)?);
        Ok(())
    }
}
