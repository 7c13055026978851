//! Where the reply to one input goes.

use crate::cma::Cma;
use crate::files::{Files, Spool};
use crate::message;

/// A reply on its way to the host.
pub(crate) enum Reply<'a> {
    /// To the memory area, and from there to a file where it does not fit.
    Memory { place: &'a mut [u8], used: usize, files: &'a mut Files, spilled: Option<(i32, Spool)> },
    /// To a file.
    File(Spool),
}

impl<'a> Reply<'a> {
    pub(crate) fn memory(place: &'a mut [u8], files: &'a mut Files) -> Reply<'a> {
        Reply::Memory { place, used: 0, files, spilled: None }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        match self {
            Reply::File(spool) => spool.write(bytes),
            Reply::Memory { spilled: Some((_, spool)), .. } => spool.write(bytes),
            Reply::Memory { place, used, files, spilled } => match place.get_mut(*used..*used + bytes.len()) {
                Some(free) => {
                    free.copy_from_slice(bytes);
                    *used += bytes.len();
                }
                None => {
                    let (_, spool) = spilled.insert(files.overflow());
                    spool.write(&place[..*used]);
                    spool.write(bytes);
                }
            },
        }
    }

    /// Ends it. What `interactive_read` says then: the size in the memory area, or minus the number of the file.
    pub(crate) fn finish(self) -> i32 {
        match self {
            Reply::File(spool) => {
                if let Err(e) = spool.finish() {
                    eprintln!("pglite: the reply could not be written: {e}");
                }
                0
            }
            Reply::Memory { used, spilled: None, .. } => i32::try_from(used).unwrap_or(i32::MAX),
            Reply::Memory { place, spilled: Some((number, spool)), .. } => match spool.finish() {
                Ok(()) => -number,
                // Half a reply would be worse than none.
                Err(e) => put(
                    place,
                    &[
                        message::error("ERROR", "58030", &format!("the reply could not be written to a file: {e}")),
                        message::message(b'Z', b"I"),
                    ]
                    .concat(),
                ),
            },
        }
    }
}

/// Writes a short reply, if there is room at all.
fn put(place: &mut [u8], bytes: &[u8]) -> i32 {
    match place.get_mut(..bytes.len()) {
        Some(place) => {
            place.copy_from_slice(bytes);
            i32::try_from(bytes.len()).unwrap_or(0)
        }
        None => {
            eprintln!("pglite: the memory area has no room for an error message");
            0
        }
    }
}

/// Where the reply to a query of this length begins, at the latest so that an error message still fits.
pub(crate) fn offset(length: usize) -> i32 {
    i32::try_from(Cma::reply_offset(length)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_goes_whole_to_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(folder.path());
        let mut place = [0; 8];
        let mut reply = Reply::memory(&mut place, &mut files);
        reply.write(b"1234");
        reply.write(b"5678");
        assert_eq!(reply.finish(), 8);
        let mut reply = Reply::memory(&mut place, &mut files);
        for piece in [b"abc".as_slice(), b"def", b"ghi", b"", b"j"] {
            reply.write(piece);
        }
        assert_eq!(reply.finish(), -1);
        assert_eq!(std::fs::read(folder.path().join(".s.PGSQL.5432.out.1")).unwrap(), b"abcdefghij");
        assert_eq!(Reply::memory(&mut [], &mut files).finish(), 0);
    }

    #[test]
    fn a_full_disk_is_told() {
        let mut files = Files::new(std::path::Path::new("/nowhere"));
        let mut place = [0; 200];
        let mut reply = Reply::memory(&mut place, &mut files);
        reply.write(&[7; 1000]);
        let size = reply.finish();
        assert!(size > 0 && place[0] == b'E', "{size}");
    }
}
