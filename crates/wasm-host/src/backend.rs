//! A session as the draft's interface and the gateway want it.

use crate::session::Session;
use draft::{Backend, Ended, Profile};

/// A session in its sandbox.
#[derive(Debug)]
pub struct Sandboxed {
    session: Session,
    settings: Vec<(String, String)>,
}

impl Sandboxed {
    /// Takes an open session.
    pub fn new(session: Session) -> Sandboxed {
        Sandboxed { session, settings: Vec::new() }
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl Backend for Sandboxed {
    fn exchange(&mut self, input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        self.session.exchange(input, output).map_err(|error| Ended(error.to_string()))
    }

    fn restart(&mut self, profile: &Profile, output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        let result =
            self.session.restart(profile.user.as_deref(), &profile.database, &profile.parameters, &self.settings);
        output(self.session.greeting());
        result.map_err(|error| Ended(error.to_string()))
    }

    fn configure(&mut self, settings: &[(String, String)]) {
        self.settings = settings.to_vec();
    }

    fn close(self) -> Result<(), String> {
        self.session.close().map_err(|error| error.to_string())
    }
}
