//! Every path of the engine's own, drawn once. (`store`, `network` and `shim` draw theirs.)
//!
//! ```text
//! <data>/engine-id                       this data root's own id
//! <data>/containers/<id>/container.json  the record
//! <data>/containers/<id>/exit.json       written by the shim
//! <data>/containers/<id>/<id>-json.log   written by the shim, as are its rotated files (`.1`, `.2.gz`, …)
//! <data>/containers/<id>/container-cached.log  the same, beside a driver that keeps nothing to be read
//! <data>/containers/<id>/{hostname,hosts,resolv.conf}
//! <data>/containers/<id>/checkpoints/<name>/  CRIU's images and `berth.json` (of the shim)
//! <data>/containers/<id>/checkpoints/.new-*, .gone-*  half-made and half-removed ones
//! <data>/volumes/<name>/_data            a volume's files
//! <data>/volumes/<name>/volume.json      its record
//! <data>/volumes/.new-*, .gone-*          half-made and half-removed ones
//! <data>/signatures/<hex>.json           what lay beside an image where it was pulled from
//! <data>/build/cache/                    the build cache's index (of build)
//! <data>/build/sources/<name>/            a client's directory or a commit's files, with what it is (`contexts.rs`)
//! <data>/build/files/                    files of web servers (`build/source/http.rs`)
//! <data>/build/history/                  builds that were (of daemon)
//! <data>/store, <data>/network, <data>/cluster  of those crates
//! <exec>/shim/<id>/                      a shim's socket
//! <exec>/shm/<id>/                       /dev/shm that may be shared
//! ```

use std::path::{Path, PathBuf};

/// The engine's tree.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    data: PathBuf,
    exec: PathBuf,
}

/// The record's name in a container's directory.
pub(crate) const RECORD: &str = "container.json";
/// The exit record's name in a container's directory.
pub(crate) const EXIT: &str = "exit.json";
/// The folder of checkpoints in a container's directory.
const CHECKPOINTS: &str = "checkpoints";
/// What a directory that becomes a checkpoint is called, before its name.
pub(crate) const CHECKPOINT_NEW: &str = ".new-";
/// What a directory that was a checkpoint is called, before its name.
pub(crate) const CHECKPOINT_GONE: &str = ".gone-";
/// The generated files that containers see, in a container's directory.
const GENERATED: [&str; 3] = ["hostname", "hosts", "resolv.conf"];

/// Whether a file of a container's directory is ours, and not a log of the container's.
pub(crate) fn is_record(name: &std::ffi::OsStr) -> bool {
    [RECORD, EXIT].iter().chain(&GENERATED).any(|known| name == *known)
}

/// A volume's record.
pub(crate) const VOLUME_RECORD: &str = "volume.json";
/// A volume's files in its directory.
pub(crate) const VOLUME_DATA: &str = "_data";
/// What a directory that becomes a volume is called: no volume's name begins with a dot.
pub(crate) const VOLUME_NEW: &str = ".new-";
/// What a directory that was a volume is called.
pub(crate) const VOLUME_GONE: &str = ".gone-";

impl Layout {
    pub(crate) fn new(data: &Path, exec: &Path) -> Self {
        Self { data: data.to_owned(), exec: exec.to_owned() }
    }

    pub(crate) fn engine_id(&self) -> PathBuf {
        self.data.join("engine-id")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.data.join("containers")
    }

    pub(crate) fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    pub(crate) fn checkpoints(&self, id: &str) -> PathBuf {
        self.container(id).join(CHECKPOINTS)
    }

    pub(crate) fn log(&self, id: &str) -> PathBuf {
        self.container(id).join(format!("{id}-json.log"))
    }

    pub(crate) fn cached_log(&self, id: &str) -> PathBuf {
        self.container(id).join("container-cached.log")
    }

    pub(crate) fn hostname(&self, id: &str) -> PathBuf {
        self.container(id).join(GENERATED[0])
    }

    pub(crate) fn hosts(&self, id: &str) -> PathBuf {
        self.container(id).join(GENERATED[1])
    }

    pub(crate) fn resolv_conf(&self, id: &str) -> PathBuf {
        self.container(id).join(GENERATED[2])
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }

    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }

    pub(crate) fn volume_data(&self, name: &str) -> PathBuf {
        self.volume(name).join(VOLUME_DATA)
    }

    pub(crate) fn all_signatures(&self) -> PathBuf {
        self.data.join("signatures")
    }

    pub(crate) fn signatures(&self, image: &oci::Digest) -> PathBuf {
        self.all_signatures().join(format!("{}.json", image.hex()))
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.data.join("store")
    }

    pub(crate) fn build_cache(&self) -> PathBuf {
        self.data.join("build/cache")
    }

    pub(crate) fn build_sources(&self) -> PathBuf {
        self.data.join("build/sources")
    }

    pub(crate) fn build_history(&self) -> PathBuf {
        self.data.join("build/history")
    }

    /// What was in the place of [`Self::build_sources`] before; it is removed.
    pub(crate) fn former_build_sources(&self) -> [PathBuf; 2] {
        ["build/contexts", "build/files"].map(|former| self.data.join(former))
    }

    pub(crate) fn network(&self) -> PathBuf {
        self.data.join("network")
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.data.join("cluster")
    }

    pub(crate) fn shims(&self) -> PathBuf {
        self.exec.join("shim")
    }

    pub(crate) fn shim(&self, id: &str) -> PathBuf {
        self.shims().join(id)
    }

    pub(crate) fn runtimes(&self) -> PathBuf {
        self.exec.join("runtime")
    }

    pub(crate) fn shms(&self) -> PathBuf {
        self.exec.join("shm")
    }

    pub(crate) fn shm(&self, id: &str) -> PathBuf {
        self.shms().join(id)
    }

    /// Directories that exist as long as the engine runs, all 0700.
    pub(crate) fn roots(&self) -> [PathBuf; 8] {
        [
            self.data.clone(),
            self.exec.clone(),
            self.containers(),
            self.volumes(),
            self.all_signatures(),
            self.shims(),
            self.shms(),
            self.runtimes(),
        ]
    }
}
