//! Archives on their way to a file or to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, reason};

/// Refuses a target that can't be written, before the daemon is asked for anything.
pub(crate) fn check_target(output: &str) -> Result<(), String> {
    if output.is_empty() {
        return Ok(());
    }
    let path = Path::new(output);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if parent.is_some_and(|parent| !parent.is_dir()) {
        let dir = parent.unwrap_or(path).display();
        return Err(format!("invalid output path: directory \"{dir}\" does not exist"));
    }
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            Err(format!("invalid output path: \"{output}\" must be a regular file"))
        }
        Ok(found) if found.file_type().is_block_device() || found.file_type().is_socket() => {
            Err(format!("got a device: \"{output}\""))
        }
        _ => Ok(()),
    }
}

/// Copies `source` to the file `output`, or to standard output when that is empty. A file appears
/// only when it is complete.
pub(crate) fn write(mut source: impl Read, output: &str) -> Result<()> {
    if output.is_empty() || output == "-" {
        return copy(&mut source, &mut io::stdout().lock(), "standard output");
    }
    let path = Path::new(output);
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        let mut device = OpenOptions::new().write(true).open(path).map_err(Error::io(output))?;
        return copy(&mut source, &mut device, output);
    }
    let (mut file, temporary) = create_beside(path).map_err(Error::io(output))?;
    let result = copy(&mut source, &mut file, output)
        .and_then(|()| std::fs::rename(&temporary, path).map_err(Error::io(output)));
    if result.is_err() {
        drop(std::fs::remove_file(&temporary));
    }
    result
}

fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    Ok((file, temporary))
}

fn copy(source: &mut impl Read, target: &mut impl Write, name: &str) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = source
            .read(&mut buffer)
            .map_err(|error| Error::Transport(format!("the archive broke off: {}", reason(&error))))?;
        if count == 0 {
            return target.flush().map_err(Error::io(format!("write {name}")));
        }
        target.write_all(&buffer[..count]).map_err(Error::io(format!("write {name}")))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_only_when_complete() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.tar");
        let target = target.to_str().unwrap();
        assert!(write(b"x".as_slice().chain(Broken), target).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        write(b"x".as_slice(), target).unwrap();
        assert_eq!(std::fs::read(target).unwrap(), b"x");
        assert!(check_target("/nonexistent/x").unwrap_err().contains("does not exist"));
        assert!(check_target("/tmp").unwrap_err().contains("must be a regular file"));
    }
}
