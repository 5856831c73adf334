//! Session keyrings (`keyrings(7)`).

use std::ffi::CString;

use crate::{Errno, Result, raw};

/// Gives the calling process a new session keyring called `name` and lets its owner search it.
///
/// # Errors
/// `ENOSYS` without keyrings, `EDQUOT` when the user has too many, `EINVAL` when `name` holds a NUL.
pub fn join_new_session(name: &str) -> Result<()> {
    let name = CString::new(name).or(Err(Errno::INVAL))?;
    let key = raw::misc::join_session_keyring(Some(&name))?;
    allow_owner_search(key)
}

/// Gives the calling process a new session keyring without a name.
///
/// # Errors
/// As [`join_new_session`].
pub fn join_anonymous() -> Result<()> {
    raw::misc::join_session_keyring(None).map(drop)
}

/// The owner of a session keyring does not possess it after a change of user: the search bit lets it be found.
fn allow_owner_search(key: i32) -> Result<()> {
    const OWNER_SEARCH: u32 = 0x0008_0000;
    let mut text = [0u8; 512];
    let length = raw::misc::keyring_describe(key, &mut text)?;
    let text = String::from_utf8_lossy(text.get(..length).unwrap_or(&text)).into_owned();
    // "type;uid;gid;permissions;description"
    let field = text.split(';').nth(3).unwrap_or("");
    let current = u32::from_str_radix(field.trim_end_matches('\0'), 16).or(Err(Errno::INVAL))?;
    raw::misc::keyring_set_permissions(key, current | OWNER_SEARCH)
}
