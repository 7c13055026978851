//! A question to the kernel about System V shared memory, which only the C library can put.

use std::mem::zeroed;

/// Whether segment `id` exists, has this key, and somebody is attached to it.
pub(crate) fn attached(key: i64, id: i64) -> bool {
    let Ok(id) = i32::try_from(id) else { return false };
    // SAFETY: IPC_STAT fills a structure of that type.
    unsafe {
        let mut stat: libc::shmid_ds = zeroed();
        libc::shmctl(id, libc::IPC_STAT, &mut stat) == 0
            && i64::from(stat.shm_perm.__key as u32) == i64::from(key as u32)
            && stat.shm_nattch > 0
    }
}
