//! The most that the store takes from an archive, each limit with a name.

/// Bounds on what an archive may make the store do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of each tar.
    pub(crate) tar: tarball::Limits,
    /// Bytes of all JSON documents of one archive together.
    pub(crate) document_bytes: u64,
    /// Images of one archive.
    pub(crate) images: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tar: tarball::Limits::default(), document_bytes: 64 << 20, images: 4096 }
    }
}
