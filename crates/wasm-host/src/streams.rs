//! The standard streams of a module: buffers that a session's owner fills and empties.

use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

#[derive(Default)]
struct Buffers {
    input: Vec<u8>,
    taken: usize,
    /// No more input will come.
    over: bool,
    /// It has asked for input, and there was none.
    waiting: bool,
    output: Vec<u8>,
}

/// Both streams.
#[derive(Clone, Default)]
pub(crate) struct Console(Arc<Mutex<Buffers>>);

/// Capacity that is kept between calls, in bytes.
const KEPT: usize = 1 << 20;

impl Console {
    fn lock(&self) -> MutexGuard<'_, Buffers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds input.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let mut buffers = self.lock();
        let taken = std::mem::take(&mut buffers.taken);
        buffers.input.drain(..taken);
        buffers.input.extend_from_slice(bytes);
        buffers.waiting = false;
    }

    /// No more input will come.
    pub(crate) fn end_of_input(&self) {
        let mut buffers = self.lock();
        (buffers.over, buffers.waiting) = (true, false);
    }

    /// Whether it waits for input.
    pub(crate) fn is_waiting(&self) -> bool {
        self.lock().waiting
    }

    /// Takes the output out.
    pub(crate) fn drain(&self, output: &mut dyn FnMut(&[u8])) {
        let mut bytes = std::mem::take(&mut self.lock().output);
        if !bytes.is_empty() {
            output(&bytes);
            bytes.clear();
            bytes.shrink_to(KEPT);
            self.lock().output = bytes;
        }
    }
}

impl IsTerminal for Console {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Console {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl StdoutStream for Console {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

/// Ready when there is input; the session's owner polls again when it has given some, so nobody is woken.
struct Readable<'a>(&'a Console);

impl Future for Readable<'_> {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        let mut buffers = self.0.lock();
        if buffers.over || buffers.taken < buffers.input.len() {
            std::task::Poll::Ready(())
        } else {
            buffers.waiting = true;
            std::task::Poll::Pending
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Console {
    async fn ready(&mut self) {
        // Output can always be written; only a reader comes here and waits.
        Readable(self).await;
    }
}

impl InputStream for Console {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut buffers = self.lock();
        let n = (buffers.input.len() - buffers.taken).min(size);
        if n == 0 && buffers.over {
            return Err(StreamError::Closed);
        }
        let bytes = Bytes::copy_from_slice(&buffers.input[buffers.taken..buffers.taken + n]);
        buffers.taken += n;
        Ok(bytes)
    }
}

#[async_trait::async_trait]
impl OutputStream for Console {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.lock().output.extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write(bytes)
    }
}
