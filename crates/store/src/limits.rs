//! The most that the store takes from an archive, each limit with a name.

/// Bounds on what an archive may make the store do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of one layer's tar, unpacked.
    pub(crate) layer_bytes: u64,
    /// Entries of one tar.
    pub(crate) entries: u64,
    /// Bytes of one extended header (PAX records, GNU long name).
    pub(crate) extension_bytes: u64,
    /// Pieces of one sparse file.
    pub(crate) sparse_pieces: usize,
    /// Bytes of directories' attributes that are kept until the end of a layer.
    pub(crate) pending_bytes: usize,
    /// Bytes of all JSON documents of one archive together.
    pub(crate) document_bytes: u64,
    /// Images of one archive.
    pub(crate) images: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layer_bytes: 1 << 40,
            entries: 8 << 20,
            extension_bytes: 1 << 20,
            sparse_pieces: 1 << 20,
            pending_bytes: 256 << 20,
            document_bytes: 64 << 20,
            images: 4096,
        }
    }
}

/// Bytes of a path, as the kernel counts them.
pub(crate) const MAX_PATH: usize = 4095;
