//! The host's own files, which containers' files start from.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::resolv;

/// Largest host file that is read. Beyond it the rest is left out: nobody writes such a file by hand.
const MAX_LEN: u64 = 1 << 20;

/// The host's `/etc/hosts`; empty when there is none.
///
/// # Errors
/// Any failure to read other than its absence.
pub fn hosts() -> io::Result<String> {
    read(Path::new("/etc/hosts"))
}

/// The host's name servers: `/etc/resolv.conf`, or what systemd-resolved knows when that file only
/// points at its local stub, which no container can reach. Empty when there is none.
///
/// # Errors
/// Any failure to read other than its absence.
pub fn resolv_conf() -> io::Result<String> {
    let text = read(Path::new("/etc/resolv.conf"))?;
    if resolv::only_resolved_stub(&text) {
        let behind = read(Path::new("/run/systemd/resolve/resolv.conf"))?;
        if !behind.is_empty() {
            return Ok(behind);
        }
    }
    Ok(text)
}

fn read(path: &Path) -> io::Result<String> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_LEN).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
