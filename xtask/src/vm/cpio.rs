//! An archive that the kernel unpacks as its first root file system: "newc", as the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst describes it.

use std::fmt::Write;

/// Builds an archive in memory.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory.
    pub(super) fn directory(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    /// Adds a file that may be executed.
    pub(super) fn program(&mut self, name: &str, contents: &[u8]) {
        self.entry(name, 0o100_755, contents);
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let mut header = String::from("070701");
        let size = contents.len() as u32;
        // inode, mode, owner, group, links, time, size, four device numbers, length of the name, checksum
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        for field in fields {
            let _ = write!(header, "{field:08x}");
        }
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn entries_are_aligned_and_the_end_is_marked() {
        let mut archive = Archive::default();
        archive.directory("dev");
        archive.program("init", b"#!/bin/sh");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        let names: Vec<usize> =
            bytes.windows(6).enumerate().filter(|(_, at)| at == b"070701").map(|(at, _)| at).collect();
        assert_eq!(names.len(), 3);
        assert!(names.iter().all(|at| at % 4 == 0));
        assert!(bytes.windows(10).any(|at| at == b"TRAILER!!!"));
    }
}
