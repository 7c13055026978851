//! A standalone session of this process as a backend.

use draft::{Backend, Ended, Profile};
use libpglite::{Canceller, Identity, Result, Standalone};
use std::sync::{Arc, Mutex, PoisonError};

/// A standalone session.
pub struct Local {
    session: Standalone,
    settings: Vec<(String, String)>,
    cancel: Cancel,
}

/// Cancels what a [`Local`] does, from any thread, also after it began another session.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<Option<Canceller>>>);

impl Cancel {
    /// Cancels the statement that runs; nothing happens where none does.
    pub fn cancel(&self) {
        if let Some(canceller) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            canceller.cancel();
        }
    }

    fn follow(&self, session: &Standalone) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = session.canceller().ok();
    }
}

impl Local {
    /// Takes an open session.
    pub fn new(session: Standalone) -> Local {
        let cancel = Cancel::default();
        cancel.follow(&session);
        Local { session, settings: Vec::new(), cancel }
    }

    /// A handle that cancels statements.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// The session.
    pub fn session(&self) -> &Standalone {
        &self.session
    }

    /// Ends the session and closes the cluster.
    ///
    /// # Errors
    /// As [`Standalone::close`].
    pub fn close(self) -> Result<()> {
        self.session.close()
    }
}

impl Backend for Local {
    fn exchange(&mut self, input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        self.session.exchange(input, output).map_err(|error| Ended(error.to_string()))
    }

    fn restart(&mut self, profile: &Profile, output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        let identity = Identity {
            user: profile.user.clone(),
            database: profile.database.clone(),
            settings: profile.parameters.clone(),
        };
        let result = self.session.restart(&identity, &self.settings);
        self.cancel.follow(&self.session);
        output(self.session.greeting());
        result.map_err(|error| Ended(error.to_string()))
    }

    fn configure(&mut self, settings: &[(String, String)]) {
        self.settings = settings.to_vec();
    }

    fn close(self) -> Result<(), String> {
        Local::close(self).map_err(|error| error.to_string())
    }
}
