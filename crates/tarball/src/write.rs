//! Writing tar, the same bytes for the same content.

use std::io::{self, Write};

use tar::{EntryType, Header};

use crate::{BLOCK, padding};

/// Where the check sum lies in a header.
const CHECK_SUM: std::ops::Range<usize> = 148..156;

/// Writes entries with owner 0:0 and time 0, then the end.
#[derive(Debug)]
pub struct TarWriter<W> {
    output: W,
}

impl<W: Write> TarWriter<W> {
    /// Writes to `output`.
    pub fn new(output: W) -> Self {
        Self { output }
    }

    /// A directory; its name ends with a slash.
    ///
    /// # Errors
    /// The output's.
    pub fn directory(&mut self, name: &str) -> io::Result<()> {
        self.header(name, EntryType::Directory, 0o755, 0)
    }

    /// A directory that is its owner's alone; the name is written as it is, without a slash, as Docker's contexts have it.
    ///
    /// # Errors
    /// The output's.
    pub fn private_directory(&mut self, name: &str) -> io::Result<()> {
        self.header(name, EntryType::Directory, 0o700, 0)
    }

    /// A file whose content is at hand.
    ///
    /// # Errors
    /// The output's.
    pub fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.begin_file(name, mode, content.len() as u64)?;
        self.output.write_all(content)?;
        self.end_file(content.len() as u64)
    }

    /// The header of a file; `size` bytes and [`Self::end_file`] follow.
    ///
    /// # Errors
    /// The output's.
    pub fn begin_file(&mut self, name: &str, mode: u32, size: u64) -> io::Result<()> {
        self.header(name, EntryType::Regular, mode, size)
    }

    /// Content of the file begun.
    ///
    /// # Errors
    /// The output's.
    pub fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)
    }

    /// The padding after `size` bytes of content.
    ///
    /// # Errors
    /// The output's.
    pub fn end_file(&mut self, size: u64) -> io::Result<()> {
        self.output.write_all(&[0; BLOCK][..padding(size) as usize])
    }

    /// The end of the tar.
    ///
    /// # Errors
    /// The output's.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.write_all(&[0; 2 * BLOCK])?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn header(&mut self, name: &str, kind: EntryType, mode: u32, size: u64) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_device_major(0)?;
        header.set_device_minor(0)?;
        header.set_cksum();
        // Six digits, NUL and space: the form that Go (and so Docker) writes, which makes saved archives equal.
        let sum = header.cksum()?;
        header.as_mut_bytes()[CHECK_SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.output.write_all(header.as_bytes())
    }
}
