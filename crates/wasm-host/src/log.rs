//! What a module prints to its error stream: the server's log. The last of it is kept, for errors.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// How much is kept, in bytes.
const KEPT: usize = 16 << 10;

/// Where lines go.
pub(crate) type Sink = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct Text {
    last: Vec<u8>,
    /// A line that is not complete.
    line: Vec<u8>,
}

/// The error stream.
#[derive(Clone)]
pub(crate) struct Log {
    text: Arc<Mutex<Text>>,
    sink: Option<Sink>,
}

impl Log {
    pub(crate) fn new(sink: Option<Sink>) -> Log {
        Log { text: Arc::default(), sink }
    }

    /// The last of it.
    pub(crate) fn last(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text.last).trim_end().to_owned()
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Log {
    async fn ready(&mut self) {}
}

impl OutputStream for Log {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.last.extend_from_slice(&bytes);
        let excess = text.last.len().saturating_sub(KEPT);
        text.last.drain(..excess);
        if let Some(sink) = &self.sink {
            text.line.extend_from_slice(&bytes);
            while let Some(end) = text.line.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.line.drain(..=end).collect();
                sink(String::from_utf8_lossy(&line[..end]).as_ref());
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}
