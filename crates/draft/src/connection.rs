//! A backend with a client: start-up, authentication, whole messages, and a clean end.
//!
//! The backend sees only messages that it can take in its state: what else a client sends ends that client's connection, and
//! never the backend.

use crate::account::Account;
use crate::auth::{Authentication, Outcome};
use crate::backend::{Backend, Ended, Profile};
use crate::message::{self, Follow, Malformed};
use crate::startup::{self, Packet, Startup};

mod session;

/// Where output goes, in pieces.
pub type Output<'a> = &'a mut dyn FnMut(&[u8]);

/// Capacity for an incomplete message that is kept between calls, in bytes.
const KEPT: usize = 1 << 20;

/// Who may talk without a start-up packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The bytes come from the process itself: it is trusted. A start-up packet makes it a client like any other.
    Host,
    /// The bytes come from somebody else, who begins with a start-up packet and a password.
    Stranger,
    /// As a stranger, without a password: everybody is who they say they are. For sockets that only the owner can reach.
    Guest,
}

enum Phase {
    /// Nobody is there, or the trusted host.
    Host,
    /// A stranger is to send a start-up packet.
    Startup,
    Authentication(Box<Pending>),
    /// A client has proved who it is.
    Client,
    /// A stranger's connection is over.
    Over,
}

struct Pending {
    startup: Startup,
    account: Account,
    authentication: Authentication,
}

/// The session that runs.
struct Running {
    profile: Profile,
    greeting: Vec<u8>,
    superuser: bool,
    /// What [`Account::settings`] was when it began, where that is known.
    settings: Option<String>,
    /// It is the one that the backend is when no client says otherwise.
    at_home: bool,
    /// Nobody has used it since it began, or was cleaned.
    clean: bool,
}

/// A backend and the one connection that it has at a time.
pub struct Connection<B> {
    backend: B,
    /// Who the backend is when no client says otherwise.
    home: Profile,
    home_is_superuser: bool,
    running: Option<Running>,
    phase: Phase,
    trust: Trust,
    pending: Vec<u8>,
    follow: Follow,
    key: (u32, [u8; 4]),
    /// Whether a session that was cleaned is good enough for the next client.
    reuse: bool,
}

type Fatal = (&'static str, String);

impl<B: Backend> Connection<B> {
    /// Begins a session as `home`. Clients can be other users where it is a superuser.
    ///
    /// # Errors
    /// When no such session can be.
    pub fn new(backend: B, home: Profile) -> Result<Connection<B>, String> {
        Connection::open(backend, home).map_err(|(_, _, text)| text)
    }

    /// As [`Connection::new`], for who wants to go on with the backend where it fails.
    ///
    /// # Errors
    /// The backend, what it said, and the reason.
    pub fn open(backend: B, home: Profile) -> Result<Connection<B>, (B, Vec<u8>, String)> {
        let mut connection = Connection {
            backend,
            home,
            home_is_superuser: false,
            running: None,
            phase: Phase::Host,
            trust: Trust::Host,
            pending: Vec::new(),
            follow: Follow::default(),
            key: (0, [0; 4]),
            reuse: true,
        };
        if let Err((reply, text)) = connection.restart(connection.home.clone()) {
            return Err((connection.backend, reply, text));
        }
        connection.home_is_superuser = connection.running.as_ref().is_some_and(|running| running.superuser);
        Ok(connection)
    }

    /// Whether a client may get the session of the one before it, cleaned by `DISCARD ALL`, where it asks for the same; it may by default. A new
    /// session takes longer, and differs in little: `temp_buffers` can be set, statistics count it.
    pub fn set_reuse(&mut self, reuse: bool) {
        self.reuse = reuse;
    }

    /// Begins a connection. What the one before left is gone.
    pub fn begin(&mut self, trust: Trust) {
        self.end();
        self.trust = trust;
        self.phase = if trust == Trust::Host { Phase::Host } else { Phase::Startup };
        // Keys that cannot be had from the system would be no secret.
        let mut key = [0; 4];
        if getrandom::fill(&mut key).is_ok() {
            self.key.1 = key;
        }
    }

    /// Ends the connection, wherever it is: in a message, in `COPY`, in a transaction.
    pub fn end(&mut self) {
        self.pending = Vec::new();
        self.phase = if self.trust == Trust::Host { Phase::Host } else { Phase::Over };
        self.clean();
    }

    /// What the session said when it began.
    pub fn greeting(&self) -> &[u8] {
        self.running.as_ref().map_or(b"", |running| &running.greeting)
    }

    /// Process id and key by which the connection can be cancelled, as its client was told.
    pub fn key(&self) -> (u32, [u8; 4]) {
        self.key
    }

    /// Whether a client is there: it has sent a start-up packet, and its connection is not over.
    pub fn has_client(&self) -> bool {
        matches!(self.phase, Phase::Authentication(_) | Phase::Client)
    }

    /// Whether a stranger's connection is over: what was said last is the last.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether the client has proved who it is, or need not.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Client | Phase::Host)
    }

    /// Whether a client is there that has nothing to do: it was answered, and is in no transaction.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Client) && self.pending.is_empty() && self.follow.idle()
    }

    /// The backend.
    pub fn backend(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Gives the backend back; the connection is over.
    pub fn into_backend(self) -> B {
        self.backend
    }

    /// Forgets an incomplete message, ends a `COPY`, and rolls a failed transaction back. Nothing else changes.
    pub fn clear_error(&mut self) {
        self.pending.clear();
        let mut reply = Vec::new();
        if self.running.is_none() || !self.is_open() {
            return;
        }
        if self.follow.copying() {
            let fail = message::message(b'f', b"clear_error\0");
            // What it says is about what the host has given up.
            if self.exchange(&fail, &mut |bytes| reply.extend_from_slice(bytes)).is_err() {
                return;
            }
        }
        let sync = message::message(b'S', b"");
        reply.clear();
        if self.exchange(&sync, &mut |bytes| reply.extend_from_slice(bytes)).is_ok()
            && message::messages(&reply).any(|m| m == (b'Z', b"E"))
        {
            let _ = self.exchange(&message::query("ROLLBACK"), &mut |_| ());
        }
    }

    /// Gives up the connection and closes the cluster.
    ///
    /// # Errors
    /// As [`Backend::close`].
    pub fn close(self) -> Result<(), String> {
        self.backend.close()
    }

    /// Takes any part of what the client sends; answers all messages that are whole, and keeps the rest until more comes.
    pub fn receive(&mut self, input: &[u8], output: Output<'_>) {
        if self.pending.is_empty() {
            let used = self.process(input, output);
            self.pending.extend_from_slice(&input[used..]);
        } else {
            self.pending.extend_from_slice(input);
            let bytes = std::mem::take(&mut self.pending);
            let used = self.process(&bytes, output);
            // The connection may have ended: then nothing of it is kept.
            if used < bytes.len() {
                self.pending = bytes;
                self.pending.drain(..used);
            } else if bytes.capacity() <= KEPT {
                self.pending = bytes;
                self.pending.clear();
            }
        }
    }

    /// Sends one simple query as the trusted host; the whole reply.
    pub fn query(&mut self, sql: &str) -> Vec<u8> {
        let mut reply = Vec::new();
        if sql.contains('\0') {
            return message::error("ERROR", "22021", "a query cannot contain a zero byte");
        }
        self.receive(&message::query(sql), &mut |bytes| reply.extend_from_slice(bytes));
        reply
    }

    /// Answers all whole messages of `bytes`; how many bytes they were.
    fn process(&mut self, bytes: &[u8], output: Output<'_>) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let result = match self.phase {
                Phase::Over => return bytes.len(),
                Phase::Startup => self.packet(rest, output),
                Phase::Host | Phase::Client if rest[0] == 0 && self.trust == Trust::Host => self.packet(rest, output),
                Phase::Authentication(_) => self.password(rest, output),
                Phase::Host | Phase::Client => self.forward(rest, output),
            };
            match result {
                Ok(0) => break,
                Ok(used) => at += used,
                Err((sqlstate, text)) => {
                    output(&message::error("FATAL", sqlstate, &text));
                    self.end();
                    // Where its next message would begin, nobody knows.
                    return bytes.len();
                }
            }
        }
        at
    }

    fn packet(&mut self, bytes: &[u8], output: Output<'_>) -> Result<usize, Fatal> {
        let length = match startup::packet_length(bytes) {
            Ok(None) => return Ok(0),
            Ok(Some(length)) => length,
            Err(text) => return Err(("08P01", text)),
        };
        match startup::read(&bytes[..length]) {
            // What a client sends without waiting for the answer is not for us; least of all is it the host's.
            Packet::Encryption => {
                output(b"N");
                return Ok(bytes.len());
            }
            Packet::Cancel { .. } => {
                // Nothing runs that could be cancelled: the caller is here.
                if self.trust != Trust::Host {
                    self.end();
                }
                return Ok(bytes.len());
            }
            Packet::Refused(sqlstate, text) => return Err((sqlstate, text)),
            Packet::Session(startup) => {
                self.clean();
                self.authenticate(startup, output)?;
            }
        }
        Ok(length)
    }

    fn authenticate(&mut self, startup: Startup, output: Output<'_>) -> Result<(), Fatal> {
        let mut account = self.ask(&startup.user, &startup.profile.database).map_err(|text| ("58000", text))?;
        if self.trust == Trust::Guest {
            if !account.exists {
                return Err(("28000", format!("role \"{}\" does not exist", startup.user)));
            }
            // It is the password that expires.
            account.expired = false;
            if self.admit(startup, account, b"", output)? {
                self.phase = Phase::Client;
            }
            return Ok(());
        }
        // Roles that are not there are asked for a password in the same way.
        let prefer_md5 = account.verifier.as_ref().is_some_and(|v| v.starts_with("md5"));
        let (authentication, request) = Authentication::begin(account.verifier.as_deref(), prefer_md5)
            .map_err(|e| ("58000", format!("no random numbers: {e}")))?;
        output(&request);
        self.phase = Phase::Authentication(Box::new(Pending { startup, account, authentication }));
        Ok(())
    }

    fn password(&mut self, bytes: &[u8], output: Output<'_>) -> Result<usize, Fatal> {
        if bytes[0] == 0 {
            // A new connection of a host that has given this one up.
            if self.trust == Trust::Host {
                self.phase = Phase::Host;
                return self.packet(bytes, output);
            }
        }
        if bytes[0] == b'X' {
            let length = message::frame(bytes).map_err(|error| ("08P01", error.to_string()))?;
            return Ok(length.map_or(0, |_| self.leave(bytes)));
        }
        let length = match message::password_frame(bytes) {
            Ok(None) => return Ok(0),
            Ok(Some(length)) => length,
            Err(Malformed::Type(kind)) => {
                return Err(("08P01", format!("expected password response, got message type {kind}")));
            }
            Err(error) => return Err(("08P01", error.to_string())),
        };
        let Phase::Authentication(mut pending) = std::mem::replace(&mut self.phase, Phase::Host) else {
            unreachable!("the caller has looked")
        };
        match pending.authentication.answer(&bytes[5..length]) {
            Outcome::Continue(request) => {
                output(&request);
                self.phase = Phase::Authentication(pending);
            }
            Outcome::Accepted(last) => {
                let Pending { startup, account, .. } = *pending;
                if self.admit(startup, account, &last, output)? {
                    self.phase = Phase::Client;
                }
            }
            Outcome::Rejected => {
                return Err(("28P01", format!("password authentication failed for user \"{}\"", pending.startup.user)));
            }
            Outcome::Violation(text) => return Err(("08P01", text.into())),
        }
        Ok(length)
    }

    /// Gives a client that has proved who it is its session; not, where the backend itself tells it that there is none.
    fn admit(&mut self, startup: Startup, account: Account, proof: &[u8], output: Output<'_>) -> Result<bool, Fatal> {
        let user = &startup.user;
        if account.expired {
            return Err(("28P01", format!("password authentication failed for user \"{user}\"")));
        }
        if !account.may_log_in {
            return Err(("28000", format!("role \"{user}\" is not permitted to log in")));
        }
        if !self.home_is_superuser && Some(user) != self.home.user.as_ref() {
            let home = self.home.user.as_deref().unwrap_or_default();
            return Err(("28000", format!("the backend belongs to role \"{home}\": restart it as \"{user}\"")));
        }
        let database = &startup.profile.database;
        if !account.database_exists {
            return Err(("3D000", format!("database \"{database}\" does not exist")));
        }
        if !account.database_open {
            return Err(("55000", format!("database \"{database}\" is not currently accepting connections")));
        }
        if !account.may_connect {
            return Err(("42501", format!("permission denied for database \"{database}\"")));
        }
        let may_reuse = self.reuse && !account.has_login_triggers;
        let same = self.running.as_ref().is_some_and(|running| {
            may_reuse
                && running.clean
                && running.profile == startup.profile
                && running.settings.as_ref() == Some(&account.settings)
        });
        if !same && let Err((reply, text)) = self.restart(startup.profile) {
            if reply.is_empty() {
                return Err(("58000", text));
            }
            output(&reply);
            self.end();
            return Ok(false);
        }
        let Some(running) = self.running.as_mut() else { return Err(("58000", "the session has ended".into())) };
        running.settings = Some(account.settings);
        let (pid, key) = self.key;
        output(&startup.negotiation.unwrap_or_default());
        output(proof);
        output(&message::authentication(0, b""));
        for (kind, body) in message::messages(&running.greeting) {
            match kind {
                b'K' => {}
                b'Z' => {
                    output(&message::message(b'K', &[&pid.to_be_bytes()[..], &key].concat()));
                    output(&message::message(kind, body));
                }
                _ => output(&message::message(kind, body)),
            }
        }
        Ok(true)
    }

    /// Gives the backend as many messages as it can take at once.
    fn forward(&mut self, bytes: &[u8], output: Output<'_>) -> Result<usize, Fatal> {
        let mut end = 0;
        let mut may_copy = false;
        let mut wrong = None;
        let mut terminate = None;
        while end < bytes.len() {
            let kind = bytes[end];
            // A start-up packet: the next round sees to it.
            if kind == 0 && self.trust == Trust::Host {
                break;
            }
            let length = match message::frame(&bytes[end..]) {
                Ok(None) => break,
                Ok(Some(length)) => length,
                Err(error) => {
                    wrong = Some(error.to_string());
                    break;
                }
            };
            if kind == b'X' {
                terminate = Some(length);
                break;
            }
            if !message::belongs_to_copy(kind) {
                if may_copy {
                    break;
                }
                if self.follow.copying() {
                    wrong = Some(format!("unexpected message type 0x{kind:02X} during COPY from stdin"));
                    break;
                }
            }
            may_copy |= message::may_begin_copy(kind);
            end += length;
        }
        if end > 0 {
            let client = self.has_client();
            self.exchange(&bytes[..end], output)?;
            return Ok(if client && !self.has_client() { bytes.len() } else { end });
        }
        if let Some(text) = wrong {
            return Err(("08P01", text));
        }
        match terminate {
            None => Ok(0),
            Some(length) if matches!(self.phase, Phase::Host) => {
                self.end();
                Ok(length)
            }
            Some(_) => Ok(self.leave(bytes)),
        }
    }

    /// A client says good-bye. What it sends behind that must not pass for the trusted host's; how much that is.
    fn leave(&mut self, rest: &[u8]) -> usize {
        self.end();
        rest.len()
    }

    fn exchange(&mut self, input: &[u8], output: Output<'_>) -> Result<(), Fatal> {
        if matches!(self.phase, Phase::Host) && self.running.as_ref().is_none_or(|running| !running.at_home) {
            self.go_home().map_err(|text| ("58000", text))?;
        }
        let Some(running) = self.running.as_mut() else {
            return Err(("57P01", "the session has ended".into()));
        };
        running.clean = false;
        let follow = &mut self.follow;
        let result = self.backend.exchange(input, &mut |bytes| {
            follow.see(bytes);
            output(bytes);
        });
        let Err(Ended(reason)) = result else { return Ok(()) };
        let told = self.follow.last() == b'E' && self.follow.at_end();
        self.running = None;
        self.follow = Follow::default();
        self.end();
        if !told {
            let reason = if reason.is_empty() { "the session has ended".into() } else { reason };
            output(&message::error("FATAL", "57P02", &reason));
        }
        Ok(())
    }
}
