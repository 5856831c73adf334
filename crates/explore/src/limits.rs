//! The most that is taken from an archive, each limit with a name.

/// Bounds on what an archive may make its reader do. With the default ones no archive makes the analysis take
/// more than about 1.3 GB; an image of 100,000 files takes 65 MB.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one JSON document.
    pub document: u64,
    /// Bytes of all documents.
    pub documents: u64,
    /// Entries of all layers together, and places in the tree that they make.
    pub entries: u64,
    /// Changes that the layers make at these places: directories on the way to a file count, too.
    pub changes: u64,
    /// Looks at places that a layer may hide.
    pub steps: u64,
    /// Bytes of the names in all layers together.
    pub names: u64,
    /// Entries of the archive itself.
    pub members: u64,
    /// Bytes of one layer, not compressed.
    pub layer: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document: oci::manifest::MAX_DOCUMENT,
            documents: 64 << 20,
            entries: 2 << 20,
            changes: 4 << 20,
            steps: 256 << 20,
            names: 256 << 20,
            members: 64 << 10,
            layer: 1 << 40,
        }
    }
}

/// Indexes within indexes.
pub(crate) const MAX_NESTING: usize = 4;
/// Manifests and indexes that an index leads to.
pub(crate) const MAX_MANIFESTS: u64 = 16 << 10;
