//! The most that is taken from an archive, each limit with a name.

/// Bounds on what an archive may make its reader do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one tar, unpacked.
    pub bytes: u64,
    /// Entries of one tar.
    pub entries: u64,
    /// Bytes of one extended header (PAX records, GNU long name).
    pub extension_bytes: u64,
    /// Pieces of one sparse file.
    pub sparse_pieces: usize,
    /// Bytes of directories' attributes that are kept until the end.
    pub pending_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 40,
            entries: 8 << 20,
            extension_bytes: 1 << 20,
            sparse_pieces: 1 << 20,
            pending_bytes: 256 << 20,
        }
    }
}

/// Bytes of a path, as the kernel counts them.
pub const MAX_PATH: usize = 4095;
/// Directories within directories: a path has no room for more.
pub const MAX_DEPTH: usize = 2048;
