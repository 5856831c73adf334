//! Every regular file of a tree, whose name may be of interest; links are not followed.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};
use sys::path::Root;

/// Most entries that are looked at.
const MAX_ENTRIES: usize = 4_000_000;
/// Deepest directory.
const MAX_DEPTH: usize = 128;

/// What the kernel shows, and no image holds.
const LEFT_OUT: &[&str] = &["proc", "sys", "dev"];

/// Calls `file` with the path and the name of each file.
///
/// # Errors
/// The root can't be read.
pub(crate) fn files(
    root: &Root,
    cancelled: &dyn Fn() -> bool,
    file: &mut dyn FnMut(&str, &str),
) -> io::Result<()> {
    let top = root.open_dir("/").map_err(io::Error::from)?;
    let mut left = MAX_ENTRIES;
    below(&top, "", 0, &mut left, cancelled, file)
}

fn below(
    dir: &OwnedFd,
    prefix: &str,
    depth: usize,
    left: &mut usize,
    cancelled: &dyn Fn() -> bool,
    file: &mut dyn FnMut(&str, &str),
) -> io::Result<()> {
    if depth > MAX_DEPTH || cancelled() {
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        // a name that is no text is none that a package manager gives
        if let Ok(name) = entry.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            entries.push((name.to_owned(), entry.file_type()));
        }
    }
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (name, kind) in entries {
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        let path = format!("{prefix}{name}");
        match kind {
            FileType::RegularFile => file(&path, &name),
            FileType::Directory if depth > 0 || !LEFT_OUT.contains(&name.as_str()) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                // one that can't be opened holds nothing that can be read
                if let Ok(opened) = rustix::fs::openat(dir, &name, flags, Mode::empty()) {
                    below(&opened, &format!("{path}/"), depth + 1, left, cancelled, file)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
