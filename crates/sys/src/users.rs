//! `passwd(5)` and `group(5)` by our own bounded parser, and what Docker means by `user[:group]`.
//!
//! No NSS, and nothing is loaded from a container: the caller hands in the files' bytes.

pub mod idmap;
pub mod owner;
mod parse;
#[cfg(test)]
mod tests;

/// Most bytes of a passwd or group file that are worth reading.
pub const MAX_FILE: usize = 4 << 20;
/// The greatest id that may be asked for.
pub const MAX_ID: u32 = i32::MAX as u32;

/// Who a process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Groups that the user's name is listed in (only without an explicit group), as the files list them.
    pub groups: Vec<u32>,
    /// Home directory; `/` when the files don't know the user.
    pub home: String,
}

/// Why a user string means nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The name isn't in the passwd file.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// The name isn't in the group file.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    /// A number above [`MAX_ID`] or below 0.
    #[error("uids and gids must be in range 0-{MAX_ID}")]
    Range,
}

/// Resolves `user`, `user:group`, `uid`, `uid:gid` or nothing (root) with the bytes of the container's files.
/// A number is never looked up as a name.
///
/// # Errors
/// [`UserError`].
pub fn resolve(spec: &str, passwd: &[u8], group: &[u8]) -> Result<Identity, UserError> {
    let (user_text, group_text) = spec.split_once(':').unwrap_or((spec, ""));
    let wanted = if user_text.is_empty() { Some(0) } else { id(user_text)? };
    let entry = parse::passwd(passwd).find(|u| match wanted {
        Some(uid) => u.uid == uid,
        None => u.name == user_text.as_bytes(),
    });
    let mut who = Identity { uid: 0, gid: 0, groups: Vec::new(), home: "/".to_owned() };
    match (&entry, wanted) {
        (Some(user), _) => {
            (who.uid, who.gid) = (in_range(user.uid)?, in_range(user.gid)?);
            who.home = String::from_utf8_lossy(user.home).into_owned();
        }
        (None, Some(uid)) => who.uid = uid,
        (None, None) => return Err(UserError::NoUser(user_text.to_owned())),
    }
    if !group_text.is_empty() {
        who.gid = find_group(group_text, group)?;
    } else if let Some(user) = entry {
        let member = |g: &parse::Group<'_>| g.has_member(user.name);
        who.groups = parse::group(group).filter(member).map(|g| g.gid).collect();
    }
    Ok(who)
}

/// The first name of a user, by the bytes of a passwd file.
#[must_use]
pub fn user_name(uid: u32, passwd: &[u8]) -> Option<String> {
    let found = parse::passwd(passwd).find(|user| user.uid == uid)?;
    Some(String::from_utf8_lossy(found.name).into_owned())
}

/// The first name of a group, by the bytes of a group file.
#[must_use]
pub fn group_name(gid: u32, group: &[u8]) -> Option<String> {
    let found = parse::group(group).find(|group| group.gid == gid)?;
    Some(String::from_utf8_lossy(found.name).into_owned())
}

/// The ids of additional groups, each a name or a number.
///
/// # Errors
/// [`UserError`] of the first one that means nothing.
pub fn resolve_groups<S: AsRef<str>>(names: &[S], group: &[u8]) -> Result<Vec<u32>, UserError> {
    names.iter().map(|name| find_group(name.as_ref(), group)).collect()
}

fn find_group(text: &str, group: &[u8]) -> Result<u32, UserError> {
    if let Some(gid) = id(text)? {
        return Ok(gid);
    }
    let found = parse::group(group).find(|g| g.name == text.as_bytes());
    found.map_or_else(|| Err(UserError::NoGroup(text.to_owned())), |g| in_range(g.gid))
}

/// A number in range, or `None` for a name.
fn id(text: &str) -> Result<Option<u32>, UserError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let number: i64 = text.parse().or(Err(UserError::Range))?;
    let number = u32::try_from(number).or(Err(UserError::Range))?;
    in_range(number).map(Some)
}

fn in_range(id: u32) -> Result<u32, UserError> {
    if id > MAX_ID { Err(UserError::Range) } else { Ok(id) }
}

/// Whether this process lives in the machine's first user namespace, whose number the kernel fixes
/// (`PROC_USER_INIT_INO`). Elsewhere root may set no `trusted` attribute and make no device.
#[must_use]
pub fn in_first_namespace() -> bool {
    const FIRST: u64 = 0xEFFF_FFFD;
    rustix::fs::stat("/proc/self/ns/user").is_ok_and(|stat| stat.st_ino == FIRST)
}
