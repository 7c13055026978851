//! A backend without PostgreSQL: it keeps to the protocol, dies where PostgreSQL would, and knows a handful of statements.

use draft::{Backend, Ended, Profile, error, message, messages};
use std::cell::RefCell;
use std::rc::Rc;

/// What a test wants to know, or to say.
#[derive(Default)]
pub(crate) struct World {
    /// Sessions that have begun.
    pub(crate) sessions: Vec<Profile>,
    /// Simple queries, without those that look into the catalogs.
    pub(crate) queries: Vec<String>,
    pub(crate) copied: Vec<u8>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) closed: bool,
    /// Roles: name, verifier, superuser, may log in.
    pub(crate) roles: Vec<(String, Option<String>, bool, bool)>,
    pub(crate) databases: Vec<String>,
    /// What `ALTER ROLE SET` has set.
    pub(crate) role_settings: String,
    /// The databases have triggers for sessions that begin.
    pub(crate) login_triggers: bool,
    pub(crate) deaths: usize,
}

pub(crate) type Shared = Rc<RefCell<World>>;

pub(crate) fn world() -> Shared {
    let roles = vec![
        ("postgres".to_owned(), Some(postgres_protocol::password::md5(b"password", "postgres")), true, true),
        ("alice".to_owned(), Some(postgres_protocol::password::scram_sha_256(b"wonder")), false, true),
        ("nobody".to_owned(), Some(postgres_protocol::password::md5(b"x", "nobody")), false, false),
        ("empty".to_owned(), None, false, true),
    ];
    let databases = vec!["template1".to_owned(), "app".to_owned()];
    Rc::new(RefCell::new(World { roles, databases, ..World::default() }))
}

/// The backend.
pub(crate) struct Fake {
    pub(crate) world: Shared,
    profile: Option<Profile>,
    input: Vec<u8>,
    copying: bool,
    /// An error in a pipeline: all is skipped up to `Sync`.
    skipping: bool,
    transaction: u8,
}

impl Fake {
    pub(crate) fn new(world: &Shared) -> Fake {
        Fake {
            world: world.clone(),
            profile: None,
            input: Vec::new(),
            copying: false,
            skipping: false,
            transaction: b'I',
        }
    }

    fn die(&mut self, output: &mut dyn FnMut(&[u8]), text: &str) -> Result<(), Ended> {
        self.world.borrow_mut().deaths += 1;
        output(&error("FATAL", "08P01", text));
        self.profile = None;
        Err(Ended(String::new()))
    }

    fn ready(&self, output: &mut dyn FnMut(&[u8])) {
        output(&message(b'Z', &[self.transaction]));
    }

    fn simple(&mut self, sql: &str, output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        let tag = |text: &str| message(b'C', format!("{text}\0").as_bytes());
        if sql.contains("pg_authid") {
            output(&self.account(sql));
            self.ready(output);
            return Ok(());
        }
        self.world.borrow_mut().queries.push(sql.to_owned());
        match sql {
            "DIE" => return self.die(output, "killed"),
            "CRASH" => {
                self.profile = None;
                return Err(Ended("it crashed".into()));
            }
            "COPY" => {
                self.copying = true;
                output(&message(b'G', b"\0\0\0"));
                return Ok(());
            }
            "BEGIN" => self.transaction = b'T',
            "ROLLBACK" => self.transaction = b'I',
            "FAIL" => {
                output(&error("ERROR", "22012", "division by zero"));
                if self.transaction == b'T' {
                    self.transaction = b'E';
                }
                self.ready(output);
                return Ok(());
            }
            _ => {
                if let Some(count) = sql.strip_prefix("BIG ") {
                    for _ in 0..count.parse::<usize>().unwrap() {
                        output(&message(b'D', &[b'x'; 1000]));
                    }
                }
            }
        }
        output(&tag(sql));
        self.ready(output);
        Ok(())
    }

    fn account(&self, sql: &str) -> Vec<u8> {
        let name = |after: &str| sql.split(after).nth(1).unwrap().split('\'').nth(1).unwrap().to_owned();
        let world = self.world.borrow();
        let superuser =
            |p: &Profile| p.user.as_ref().is_none_or(|user| world.roles.iter().any(|r| r.0 == *user && r.2));
        if !self.profile.as_ref().is_some_and(superuser) {
            return error("ERROR", "42501", "permission denied for table pg_authid");
        }
        let role = world.roles.iter().find(|role| role.0 == name("rolname ="));
        let database = world.databases.contains(&name("datname ="));
        let flag = |on: bool| Some(if on { "t".to_owned() } else { "f".to_owned() });
        let values = [
            flag(role.is_some()),
            role.and_then(|r| r.1.clone()),
            flag(role.is_some_and(|r| r.3)),
            flag(false),
            flag(role.is_some_and(|r| r.2)),
            flag(database),
            flag(database),
            flag(database),
            Some(world.role_settings.clone()),
            flag(world.login_triggers),
        ];
        let mut row = (values.len() as u16).to_be_bytes().to_vec();
        for value in values {
            match value {
                None => row.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(value) => {
                    row.extend_from_slice(&(value.len() as u32).to_be_bytes());
                    row.extend_from_slice(value.as_bytes());
                }
            }
        }
        message(b'D', &row)
    }

    fn take(&mut self, kind: u8, body: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        if self.copying {
            match kind {
                b'd' => self.world.borrow_mut().copied.extend_from_slice(body),
                b'H' | b'S' => {}
                b'c' => {
                    self.copying = false;
                    output(&message(b'C', b"COPY\0"));
                    self.ready(output);
                }
                b'f' => {
                    self.copying = false;
                    self.world.borrow_mut().copied.clear();
                    output(&error("ERROR", "57014", "COPY failed"));
                    self.ready(output);
                }
                _ => return self.die(output, "protocol synchronization was lost"),
            }
            return Ok(());
        }
        if self.skipping && kind != b'S' {
            return Ok(());
        }
        match kind {
            b'Q' => {
                let sql = String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body)).into_owned();
                return self.simple(&sql, output);
            }
            b'P' if body == b"bad" => {
                self.skipping = true;
                output(&error("ERROR", "42601", "syntax error"));
            }
            b'P' => output(&message(b'1', b"")),
            b'B' => output(&message(b'2', b"")),
            b'E' if body == b"copy" => {
                self.copying = true;
                output(&message(b'G', b"\0\0\0"));
            }
            b'E' => output(&message(b'C', b"EXECUTE\0")),
            b'D' => output(&message(b'n', b"")),
            b'S' => {
                self.skipping = false;
                self.ready(output);
            }
            b'C' => output(&message(b'3', b"")),
            b'F' => {
                output(&message(b'V', b"\0\0\0\0"));
                self.ready(output);
            }
            b'd' | b'c' | b'f' | b'H' => {}
            _ => return self.die(output, "invalid frontend message type"),
        }
        Ok(())
    }
}

impl Backend for Fake {
    fn exchange(&mut self, input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        assert!(self.profile.is_some(), "nobody is there to talk to");
        self.input.extend_from_slice(input);
        let input = std::mem::take(&mut self.input);
        let mut used = 0;
        for (kind, body) in messages(&input) {
            used += body.len() + 5;
            self.take(kind, body, output)?;
        }
        assert_eq!(used, input.len(), "the backend is given whole messages");
        Ok(())
    }

    fn restart(&mut self, profile: &Profile, output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        self.world.borrow_mut().sessions.push(profile.clone());
        (self.copying, self.skipping, self.transaction) = (false, false, b'I');
        self.profile = None;
        if profile.parameters.iter().any(|(name, _)| name == "no_such") {
            output(&error("FATAL", "42704", "unrecognized configuration parameter \"no_such\""));
            return Err(Ended(String::new()));
        }
        let world = self.world.borrow();
        let superuser = match &profile.user {
            None => true,
            Some(user) => match world.roles.iter().find(|role| role.0 == *user) {
                Some(role) => role.2,
                None => {
                    output(&error("FATAL", "28000", &format!("role \"{user}\" does not exist")));
                    return Err(Ended(String::new()));
                }
            },
        };
        let is_superuser = if superuser { "on" } else { "off" };
        output(&message(b'S', format!("is_superuser\0{is_superuser}\0").as_bytes()));
        output(&message(b'K', b"\0\0\0\x2a\0\0\0\x01"));
        output(&message(b'Z', b"I"));
        drop(world);
        self.profile = Some(profile.clone());
        Ok(())
    }

    fn configure(&mut self, settings: &[(String, String)]) {
        self.world.borrow_mut().settings = settings.to_vec();
    }

    fn close(self) -> Result<(), String> {
        self.world.borrow_mut().closed = true;
        Ok(())
    }
}
