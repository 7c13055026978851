//! The session of a connection: begun, cleaned, asked.

use super::{Connection, Running};
use crate::account::{self, Account};
use crate::backend::{Backend, Ended, Profile};
use crate::message::{self, Follow};

impl<B: Backend> Connection<B> {
    /// Undoes what a client left behind.
    pub(super) fn clean(&mut self) {
        let Some(running) = self.running.as_mut() else { return };
        if running.clean {
            return;
        }
        // A `COPY` fails, a pipeline with an error finds its end; where neither is, both mean nothing.
        let leave = [
            message::message(b'f', b"the client is gone\0"),
            message::message(b'S', b""),
            message::query("ROLLBACK"),
            message::query("DISCARD ALL"),
        ]
        .concat();
        let mut reply = Vec::new();
        let result = self.backend.exchange(&leave, &mut |bytes| reply.extend_from_slice(bytes));
        self.follow = Follow::default();
        let discarded = message::messages(&reply).any(|m| m == (b'C', b"DISCARD ALL\0"));
        match result {
            Ok(()) if discarded => running.clean = true,
            // The next one gets a new session.
            _ => self.running = None,
        }
    }

    pub(super) fn go_home(&mut self) -> Result<(), String> {
        self.restart(self.home.clone()).map_err(|(_, text)| text)
    }

    /// Begins a new session; what the backend said instead, and the reason, where there is none.
    pub(super) fn restart(&mut self, profile: Profile) -> Result<(), (Vec<u8>, String)> {
        self.running = None;
        self.follow = Follow::default();
        let mut greeting = Vec::new();
        match self.backend.restart(&profile, &mut |bytes| greeting.extend_from_slice(bytes)) {
            Ok(()) => {
                let mut superuser = false;
                // Before its settings it tells how the database was shut down: that is for nobody.
                let before = message::messages(&greeting).take_while(|(kind, _)| *kind != b'S');
                let length: usize = before.map(|(_, body)| body.len() + 5).sum();
                greeting.drain(..length);
                for message in message::messages(&greeting) {
                    match message {
                        (b'S', b"is_superuser\0on\0") => superuser = true,
                        (b'K', [a, b, c, d, ..]) => self.key.0 = u32::from_be_bytes([*a, *b, *c, *d]),
                        _ => {}
                    }
                }
                self.running = Some(Running {
                    at_home: profile == self.home,
                    profile,
                    greeting,
                    superuser,
                    settings: None,
                    clean: true,
                });
                Ok(())
            }
            Err(Ended(reason)) => {
                let told = message::messages(&greeting)
                    .find(|(kind, _)| *kind == b'E')
                    .and_then(|(_, body)| message::field(body, b'M'))
                    .map(|text| String::from_utf8_lossy(text).into_owned());
                let errors: Vec<u8> = message::messages(&greeting)
                    .filter(|(kind, _)| *kind == b'E')
                    .flat_map(|(kind, body)| message::message(kind, body))
                    .collect();
                Err((errors, told.unwrap_or(reason)))
            }
        }
    }

    /// Asks the catalogs, in a session of a superuser.
    pub(super) fn ask(&mut self, user: &str, database: &str) -> Result<Account, String> {
        if !self.running.as_ref().is_some_and(|r| r.superuser && r.clean) {
            let profile = Profile { database: self.home.database.clone(), ..Profile::default() };
            self.restart(profile).map_err(|(_, text)| text)?;
        }
        let sql = message::query(&account::query(user, database));
        let mut reply = Vec::new();
        let result = self.backend.exchange(&sql, &mut |bytes| reply.extend_from_slice(bytes));
        if let Err(Ended(reason)) = result {
            self.running = None;
            return Err(reason);
        }
        account::read(&reply)
    }
}
