//! Who the programs inside believe to be.

use std::ffi::c_int;

use rustix::io::Errno;

/// The map between the host's effective user and group and those that the virtual system shows.
///
/// PostgreSQL refuses to run as root, and to use a data directory of somebody else. Files of the host's effective user
/// are therefore shown as the virtual user's; all other owners are shown as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    host_uid: u32,
    host_gid: u32,
    uid: u32,
    gid: u32,
}

impl Identity {
    /// Shows the host's effective user and group as `uid` and `gid`.
    pub fn new(uid: u32, gid: u32) -> Self {
        Self { host_uid: rustix::process::geteuid().as_raw(), host_gid: rustix::process::getegid().as_raw(), uid, gid }
    }

    /// The virtual user.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The virtual group.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Changes the owner in what `fstat` of a kernel descriptor, or [`crate::MemoryHandle::stat`], has given. The
    /// results of [`crate::Namespace::stat`] have been through it already.
    pub fn map_stat(&self, stat: &mut libc::stat) {
        if stat.st_uid == self.host_uid {
            stat.st_uid = self.uid;
        }
        if stat.st_gid == self.host_gid {
            stat.st_gid = self.gid;
        }
    }

    /// The host's ids for a `chown`; `None` leaves one as it is.
    ///
    /// # Errors
    /// `EPERM` unless the ids are the virtual user's own.
    pub fn owner_to_host(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(Option<u32>, Option<u32>), Errno> {
        if uid.is_some_and(|uid| uid != self.uid) || gid.is_some_and(|gid| gid != self.gid) {
            return Err(Errno::PERM);
        }
        Ok((uid.map(|_| self.host_uid), gid.map(|_| self.host_gid)))
    }

    /// The file, by its unmapped status, is the virtual user's own.
    pub fn owns(&self, stat: &libc::stat) -> bool {
        stat.st_uid == self.host_uid
    }

    /// The host's user may do more than the virtual one, so that the kernel's answer to `access` would be too kind.
    pub(crate) fn is_lowered(&self) -> bool {
        self.host_uid == 0 && self.uid != 0
    }

    /// The answer of `access` by the permission bits of an unmapped status.
    pub(crate) fn access(&self, stat: &libc::stat, mode: c_int) -> Result<(), Errno> {
        let mut stat = *stat;
        self.map_stat(&mut stat);
        let bits = stat.st_mode;
        let granted = if self.uid == 0 {
            let runs = bits & libc::S_IFMT == libc::S_IFDIR || bits & 0o111 != 0;
            if runs { 7 } else { 6 }
        } else if stat.st_uid == self.uid {
            bits >> 6 & 7
        } else if stat.st_gid == self.gid {
            bits >> 3 & 7
        } else {
            bits & 7
        };
        if mode as u32 & !granted == 0 { Ok(()) } else { Err(Errno::ACCESS) }
    }
}
