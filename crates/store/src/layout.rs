//! The whole tree on disk, drawn once. No other file spells a path below the store's directory.
//!
//! ```text
//! <dir>/                         0700
//! ├── version                    format version, "1\n"
//! ├── lock                       held (flock) by the process that has the store open
//! ├── refs.json                  names → image ids
//! ├── blobs/sha256/<hex>         image configs, manifests and indexes, exact bytes
//! ├── images/<hex>.json          what is known of an image beside its config
//! ├── chains/<hex>.json          a stack of layers: the keys of its layers, lowest first
//! ├── layers/<key>/              key = diffID, or chainID when the layer depends on what lies below
//! │   ├── layer.json             digest, sizes
//! │   ├── blobs.json             its compressed forms: digests, sizes, where they were seen (replaced as a whole)
//! │   ├── compressed/<hex>       the blob as it came, if such are kept
//! │   ├── unsynced               text = the run of the machine: a build's layer that counts only until it stops
//! │   ├── diff/                  the unpacked diff, in overlayfs's form
//! │   ├── owned/<boot>/<hash>/   copies of diff/ with other owners; not synchronised, so they count only until the
//! │   │                          machine stops
//! │   ├── shadow/<n>             contents of entry n that a later entry of the same tar replaced
//! │   └── tar.zst                what gives back the exact tar: headers, order, padding
//! ├── snapshots/<container>/     a container's root file system
//! │   ├── base                   symbolic link whose text is the chain's name (durable with the directory)
//! │   ├── owners                 symbolic link whose text is a mapping: owners on the disk are others than the image's
//! │   ├── upper/ work/           overlay
//! │   └── root/                  vfs
//! ├── cache-mounts/<random>/     a directory that stays between a build's processes
//! │   ├── cache.json             what it is for, when it was used
//! │   └── files/                 what lies in it
//! ├── empty/                     the lowest layer of an image without layers
//! ├── ingest/<hex>               a layer's compressed bytes on their way in, sparse; an interrupted pull leaves it
//! ├── pulled/<boot>/<diffID>/    a layer that a pull has unpacked and no image has yet: unpacked.json for layer.json;
//! │                              not synchronised, so it counts only until the machine stops
//! ├── tmp/<random>/              work in progress: removed at open
//! └── trash/<random>             renamed out of the way, being removed: removed at open
//! ```

use std::path::{Path, PathBuf};

use oci::Digest;

/// The format version that this program reads and writes.
pub(crate) const VERSION: u32 = 1;

/// Mode of every directory of the store itself.
pub(crate) const DIR_MODE: u32 = 0o700;

/// Names within a layer's directory.
pub(crate) mod layer {
    pub(crate) const RECORD: &str = "layer.json";
    pub(crate) const BLOBS: &str = "blobs.json";
    pub(crate) const COMPRESSED: &str = "compressed";
    pub(crate) const UNPACKED: &str = "unpacked.json";
    pub(crate) const UNSYNCED: &str = "unsynced";
    pub(crate) const DIFF: &str = "diff";
    pub(crate) const OWNED: &str = "owned";
    pub(crate) const SHADOW: &str = "shadow";
    pub(crate) const RECIPE: &str = "tar.zst";
}

/// Names within a cache mount's directory.
pub(crate) mod cache_mount {
    pub(crate) const RECORD: &str = "cache.json";
    pub(crate) const FILES: &str = "files";
}

/// Names within a snapshot's directory.
pub(crate) mod snapshot {
    pub(crate) const BASE: &str = "base";
    pub(crate) const OWNERS: &str = "owners";
    pub(crate) const UPPER: &str = "upper";
    pub(crate) const WORK: &str = "work";
    pub(crate) const ROOT: &str = "root";
}

/// Spells the paths of one store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn version(&self) -> PathBuf {
        self.dir.join("version")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    pub(crate) fn refs(&self) -> PathBuf {
        self.dir.join("refs.json")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.dir.join("blobs/sha256")
    }

    pub(crate) fn blob(&self, id: &Digest) -> PathBuf {
        self.blobs().join(id.hex())
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.dir.join("images")
    }

    pub(crate) fn image(&self, id: &Digest) -> PathBuf {
        self.images().join(format!("{}.json", id.hex()))
    }

    pub(crate) fn chains(&self) -> PathBuf {
        self.dir.join("chains")
    }

    pub(crate) fn chain(&self, id: &str) -> PathBuf {
        self.chains().join(format!("{id}.json"))
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.dir.join("layers")
    }

    pub(crate) fn layer(&self, key: &str) -> PathBuf {
        self.layers().join(key)
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.dir.join("snapshots")
    }

    pub(crate) fn snapshot(&self, container: &str) -> PathBuf {
        self.snapshots().join(container)
    }

    pub(crate) fn cache_mounts(&self) -> PathBuf {
        self.dir.join("cache-mounts")
    }

    pub(crate) fn cache_mount(&self, id: &str) -> PathBuf {
        self.cache_mounts().join(id)
    }

    pub(crate) fn empty(&self) -> PathBuf {
        self.dir.join("empty")
    }

    pub(crate) fn ingests(&self) -> PathBuf {
        self.dir.join("ingest")
    }

    pub(crate) fn ingest(&self, blob: &Digest) -> PathBuf {
        self.ingests().join(blob.hex())
    }

    /// Layers that pulls have unpacked, by the run of the machine.
    pub(crate) fn pulled(&self) -> PathBuf {
        self.dir.join("pulled")
    }

    pub(crate) fn pulled_layer(&self, boot: &str, diff_id: &Digest) -> PathBuf {
        self.pulled().join(boot).join(diff_id.hex())
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.dir.join("trash")
    }

    /// Every directory that `open` makes.
    pub(crate) fn directories(&self) -> [PathBuf; 12] {
        [
            self.dir.clone(),
            self.blobs(),
            self.images(),
            self.chains(),
            self.layers(),
            self.snapshots(),
            self.cache_mounts(),
            self.empty(),
            self.ingests(),
            self.pulled(),
            self.tmp(),
            self.trash(),
        ]
    }
}
