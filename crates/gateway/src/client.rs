//! One client: its first packets, its turn, its end.

use crate::gateway::{Current, Shared};
use crate::listener::Stream;
use draft::{Packet, error, packet_length, read_packet};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a client may take for its first packet, and for its password: PostgreSQL's `authentication_timeout`.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a client that has vanished is looked for.
const LOOK: Duration = Duration::from_millis(100);
/// Output is sent when there is so much of it, in bytes.
const BATCH: usize = 64 << 10;

/// Serves a client to its end.
pub(crate) fn serve(shared: &Shared, stream: &Stream) {
    if stream.set_read_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    // What can be answered without the session is answered before the turn.
    let Some(first) = greet(shared, stream) else { return };
    let Some(_turn) = shared.queue.turn() else { return };
    take_turn(shared, stream, &first);
    stream.shutdown(Shutdown::Both);
}

/// Reads up to the packet that asks for a session, and answers all others; that packet.
fn greet(shared: &Shared, mut stream: &Stream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match packet_length(&bytes) {
            Ok(None) => match stream.read(&mut buffer) {
                Ok(n) if n > 0 => bytes.extend_from_slice(&buffer[..n]),
                _ => return None,
            },
            Ok(Some(length)) => match read_packet(&bytes[..length]) {
                Packet::Encryption => {
                    // What came with it was not meant to be read in the clear.
                    if bytes.len() > length {
                        return None;
                    }
                    bytes.clear();
                    stream.write_all(b"N").ok()?;
                }
                Packet::Cancel { pid, key } => {
                    shared.cancel(pid, &key);
                    return None;
                }
                Packet::Refused(sqlstate, text) => {
                    // It may have gone.
                    let _ = stream.write_all(&error("FATAL", sqlstate, &text));
                    return None;
                }
                Packet::Session(_) => return Some(bytes),
            },
            Err(text) => {
                let _ = stream.write_all(&error("FATAL", "08P01", &text));
                return None;
            }
        }
    }
}

fn take_turn(shared: &Shared, mut stream: &Stream, first: &[u8]) {
    let mut connection = shared.connection();
    connection.begin(shared.trust);
    let busy = AtomicBool::new(false);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = std::thread::Builder::new().name("pglite-watch".into());
        let watching = watcher.spawn_scoped(scope, || watch(shared, stream, &busy, &done));
        let mut outgoing = Vec::new();
        let mut incoming = vec![0; BATCH];
        let mut input = first.to_vec();
        let mut patient = true;
        loop {
            let mut reachable = true;
            busy.store(true, Ordering::SeqCst);
            connection.receive(&input, &mut |bytes| {
                outgoing.extend_from_slice(bytes);
                if outgoing.len() >= BATCH && reachable {
                    reachable = stream.write_all(&outgoing).is_ok();
                    outgoing.clear();
                    if !reachable {
                        shared.cancel_running();
                    }
                } else if !reachable {
                    outgoing.clear();
                }
            });
            busy.store(false, Ordering::SeqCst);
            shared.set_current(connection.is_open().then(|| Current::new(connection.key())));
            reachable &= stream.write_all(&outgoing).is_ok();
            outgoing.clear();
            if shared.is_stopping() {
                let text = "terminating connection due to administrator command";
                let _ = stream.write_all(&error("FATAL", "57P01", text));
                break;
            }
            if connection.is_over() || !reachable {
                break;
            }
            if patient && connection.is_open() {
                patient = false;
                let _ = stream.set_read_timeout(None);
            }
            if shared.handover && connection.is_idle() && must_yield(shared, stream) {
                let text = "terminating connection: another client waits for the session, and this one was idle";
                let _ = stream.write_all(&error("FATAL", "57P05", text));
                break;
            }
            match stream.read(&mut incoming) {
                Ok(n) if n > 0 => {
                    input.clear();
                    input.extend_from_slice(&incoming[..n]);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => input.clear(),
                _ if shared.is_stopping() => input.clear(),
                _ => break,
            }
        }
        shared.set_current(None);
        done.store(true, Ordering::SeqCst);
        stream.shutdown(Shutdown::Both);
        // It looks at the socket, which is closed now.
        drop(watching);
    });
    // After the watcher: it must not cancel this, or what the next one does.
    connection.end();
}

/// Waits for something to read; whether somebody else has waited longer.
fn must_yield(shared: &Shared, stream: &Stream) -> bool {
    while !stream.wait_for_input(LOOK) {
        if shared.queue.has_waiting() {
            return true;
        }
    }
    false
}

/// Cancels what a client has asked for that is not there any more.
fn watch(shared: &Shared, stream: &Stream, busy: &AtomicBool, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        if !stream.wait_for_hangup(Duration::from_secs(3600)) {
            continue;
        }
        if busy.load(Ordering::SeqCst) {
            shared.cancel_running();
        }
        std::thread::sleep(LOOK);
    }
}
