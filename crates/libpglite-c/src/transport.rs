//! The bytes of a session: over a socket pair to a server, or straight into a standalone session.

use crate::error::{Failure, pglite_error};
use crate::status::pglite_status;
use draft::Connection;
use gateway::Local;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

/// How much is read at once, in bytes.
const PIECE: usize = 64 << 10;
/// Capacity that is kept between replies, in bytes.
const KEPT: usize = 1 << 20;

pub(crate) enum Channel {
    Server(UnixStream),
    Local(Box<Connection<Local>>),
}

/// A channel, and what came from it and was not asked for yet.
pub(crate) struct Transport {
    channel: Channel,
    inbox: Vec<u8>,
    /// What of the inbox was taken already.
    taken: usize,
    pub(crate) blocking: bool,
}

fn ended() -> Failure {
    pglite_error::new(pglite_status::PGLITE_ENDED, "the session has ended")
}

fn again() -> Failure {
    pglite_error::new(pglite_status::PGLITE_AGAIN, "nothing can be sent or received just now")
}

impl Transport {
    pub(crate) fn new(channel: Channel) -> Transport {
        Transport { channel, inbox: Vec::new(), taken: 0, blocking: true }
    }

    pub(crate) fn into_channel(self) -> Channel {
        self.channel
    }

    /// The descriptor that becomes readable when there is something to receive; a standalone session never makes anybody wait.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        match &self.channel {
            Channel::Server(stream) => Some(stream.as_raw_fd()),
            Channel::Local(_) => None,
        }
    }

    /// Whether bytes are there that were received already.
    pub(crate) fn has_input(&self) -> bool {
        self.taken < self.inbox.len()
    }

    /// Sends: everything where it may block, else as much as can be sent.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        self.tidy();
        let stream = match &mut self.channel {
            Channel::Local(connection) => {
                let inbox = &mut self.inbox;
                connection.receive(bytes, &mut |reply| inbox.extend_from_slice(reply));
                return Ok(bytes.len());
            }
            Channel::Server(stream) => stream,
        };
        let mut sent = 0;
        while sent < bytes.len() {
            match send(&*stream, &bytes[sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => sent += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) if !self.blocking && sent > 0 => break,
                Err(rustix::io::Errno::AGAIN) if !self.blocking => return Err(again()),
                Err(rustix::io::Errno::AGAIN) => {
                    // The server may wait until somebody reads what it says.
                    let mut fds = [PollFd::new(&*stream, PollFlags::IN | PollFlags::OUT)];
                    let _ = poll(&mut fds, None);
                    if fds[0].revents().contains(PollFlags::IN) {
                        fill(stream, &mut self.inbox)?;
                    }
                }
                // What it said before it ended can still be received.
                Err(_) => return Err(ended()),
            }
        }
        Ok(sent)
    }

    /// Receives at least one byte, where it may block; 0 bytes: the session has ended.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        if !self.has_input() && !buffer.is_empty() {
            self.wait()?;
        }
        let input = &self.inbox[self.taken..];
        let n = input.len().min(buffer.len());
        buffer[..n].copy_from_slice(&input[..n]);
        self.taken += n;
        Ok(n)
    }

    /// The next whole message: type and body. Blocks in any case.
    pub(crate) fn message(&mut self) -> Result<(u8, &[u8]), Failure> {
        loop {
            let input = &self.inbox[self.taken..];
            if let Some(length) = input.get(1..5) {
                let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
                if input.len() > length {
                    let at = self.taken;
                    self.taken += length + 1;
                    return Ok((self.inbox[at], &self.inbox[at + 5..at + 1 + length]));
                }
            }
            let before = self.inbox.len();
            let was_blocking = std::mem::replace(&mut self.blocking, true);
            let result = self.wait();
            self.blocking = was_blocking;
            result?;
            if self.inbox.len() == before && self.taken == 0 {
                return Err(ended());
            }
            if !self.has_input() {
                return Err(ended());
            }
        }
    }

    /// Waits for input.
    fn wait(&mut self) -> Result<(), Failure> {
        self.tidy();
        match &mut self.channel {
            // All that it has to say came when it was sent something.
            Channel::Local(_) => Err(again()),
            Channel::Server(stream) => loop {
                if fill(stream, &mut self.inbox)? {
                    return Ok(());
                }
                if !self.blocking {
                    return Err(again());
                }
                let mut fds = [PollFd::new(&*stream, PollFlags::IN)];
                let _ = poll(&mut fds, None);
            },
        }
    }

    /// Forgets what was taken.
    fn tidy(&mut self) {
        self.inbox.drain(..self.taken);
        self.taken = 0;
        if self.inbox.is_empty() {
            self.inbox.shrink_to(KEPT);
        }
    }
}

/// Reads what is there; whether that was an answer, be it the end.
fn fill(stream: &UnixStream, inbox: &mut Vec<u8>) -> Result<bool, Failure> {
    let before = inbox.len();
    inbox.resize(before + PIECE, 0);
    let result = recv(stream, &mut inbox[before..], RecvFlags::DONTWAIT);
    let read = result.as_ref().map_or(0, |(n, _)| *n);
    inbox.truncate(before + read);
    match result {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(false),
        Err(rustix::io::Errno::CONNRESET) => Ok(true),
        Err(e) => Err(std::io::Error::from(e).into()),
    }
}
