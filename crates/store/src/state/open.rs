//! Reading what is on disk, and removing what an interrupted operation left.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use oci::{Digest, Image, Reference};

use super::{EMPTY_CHAIN, ImageEntry, ImageRecord, LayerEntry, State, prune};
use crate::disk::{Trash, read_json, write_durable};
use crate::error::Context;
use crate::image::KeptManifest;
use crate::layer::blobs;
use crate::layout::{DIR_MODE, Layout, VERSION, layer, snapshot};
use crate::{Error, Result};

/// Prepares the directory and reads all records. The caller holds the lock file.
pub(crate) fn open(layout: &Layout, trash: &Trash, boot: &str, kept: &[Vec<Digest>]) -> Result<State> {
    check_version(layout)?;
    trash.collect_leftovers()?;
    let mut state = State::default();
    read_layers(layout, trash, boot, &mut state)?;
    read_chains(layout, trash, &mut state)?;
    read_images(layout, trash, &mut state)?;
    read_refs(layout, &mut state)?;
    read_snapshots(layout, &mut state)?;
    crate::pull::read(layout, trash, boot, &mut state)?;
    for stack in kept {
        *state.held.entry(super::chain_name(stack)).or_default() += 1;
    }
    prune(&mut state, layout, trash)?;
    Ok(state)
}

/// Makes the directories that aren't there, closed to everyone else.
pub(crate) fn make_directories(layout: &Layout) -> Result<()> {
    for dir in layout.directories() {
        DirBuilder::new().mode(DIR_MODE).recursive(true).create(&dir).at("make", &dir)?;
        // Also takes away a set-group-id bit that it may have inherited: it would spread into the layers.
        fs::set_permissions(&dir, fs::Permissions::from_mode(DIR_MODE)).at("set mode of", &dir)?;
    }
    // Where layers are unpacked, and where builds write the files of theirs.
    [layout.tmp(), layout.snapshots()].iter().try_for_each(|dir| spread(dir))
}

/// Asks the file system to put each directory made in `dir`, and all that will lie in it, into a part of the disk
/// that is little used (ext4's attribute `T`, chattr(1)). Layers have nothing to do with each other. Beside the
/// usual reason there is one of removed ones: ext4 without a journal doesn't use an inode again for a minute, and
/// whoever makes a file where thousands were removed walks past all of them each time (27,000 files: 7 s instead
/// of 0.6 s of system time).
fn spread(dir: &Path) -> Result<()> {
    let handle = fs::File::open(dir).at("open", dir)?;
    let spread = rustix::fs::ioctl_getflags(&handle)
        .and_then(|flags| rustix::fs::ioctl_setflags(&handle, flags | rustix::fs::IFlags::TOPDIR));
    // A hint that few file systems know.
    spread.or_else(|error| {
        tracing::debug!(path = %dir.display(), %error, "what is made in it is not spread over the disk");
        Ok(())
    })
}

fn check_version(layout: &Layout) -> Result<()> {
    let path = layout.version();
    match fs::read_to_string(&path) {
        Ok(text) if text.trim() == VERSION.to_string() => Ok(()),
        Ok(text) => Err(Error::Version {
            path: layout.dir().display().to_string(),
            found: text.trim().to_owned(),
            known: VERSION,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_durable(layout, &path, format!("{VERSION}\n").as_bytes())
        }
        Err(error) => Err(Error::io(format!("read {}", path.display()), error)),
    }
}

/// File names of a directory, with the suffix taken away; others are none of ours and stay.
fn names(dir: &Path, suffix: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).at("read", dir)? {
        let name = entry.at("read", dir)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(suffix)).map(str::to_owned));
    }
    Ok(names)
}

fn read_layers(layout: &Layout, trash: &Trash, boot: &str, state: &mut State) -> Result<()> {
    for key in names(&layout.layers(), "")? {
        let dir = layout.layer(&key);
        let unsynced = match fs::read_to_string(dir.join(layer::UNSYNCED)) {
            Ok(run) if run == boot => true,
            Ok(_) => {
                discard(
                    trash,
                    &dir,
                    &Error::Damaged("the machine stopped before it was synchronised".into()),
                )?;
                continue;
            }
            Err(_) => false,
        };
        match read_json(&dir.join(layer::RECORD)) {
            Ok(record) => {
                trash.discard_others(&dir.join(layer::OWNED), boot)?;
                let blobs = blobs::read(&dir).unwrap_or_else(|error| {
                    // They only spare work.
                    tracing::warn!(%error, "the compressed forms of a layer are forgotten");
                    Vec::new()
                });
                let record = Arc::new(record);
                state.layers.insert(key, LayerEntry { record, blobs, leases: 0, inherited: 0, unsynced });
            }
            Err(error) => discard(trash, &dir, &error)?,
        }
    }
    Ok(())
}

fn read_chains(layout: &Layout, trash: &Trash, state: &mut State) -> Result<()> {
    for name in names(&layout.chains(), ".json")? {
        let path = layout.chain(&name);
        let keys = read_json::<Vec<String>>(&path).and_then(|keys| {
            match keys.iter().find(|key| !state.layers.contains_key(*key)) {
                Some(key) => Err(Error::Damaged(format!("{}: layer {key} is missing", path.display()))),
                None => Ok(keys),
            }
        });
        match keys {
            Ok(keys) => {
                state.chains.insert(name, Arc::new(keys));
            }
            Err(error) => discard(trash, &path, &error)?,
        }
    }
    state.chains.insert(EMPTY_CHAIN.into(), Arc::default());
    Ok(())
}

fn read_images(layout: &Layout, trash: &Trash, state: &mut State) -> Result<()> {
    for hex in names(&layout.images(), ".json")? {
        let path = layout.images().join(format!("{hex}.json"));
        match read_image(layout, &path, &hex, state) {
            Ok(entry) => {
                state.images.insert(entry.image.id().clone(), entry);
            }
            Err(error) => discard(trash, &path, &error)?,
        }
    }
    let there: HashSet<String> = names(&layout.blobs(), "")?.into_iter().collect();
    for entry in state.images.values_mut() {
        // An earlier version of this program knew no manifests, and removed them.
        entry.record.manifests.retain(|kept| kept.documents().all(|digest| there.contains(digest.hex())));
    }
    let documents =
        state.images.values().flat_map(|entry| &entry.record.manifests).flat_map(KeptManifest::documents);
    let known: HashSet<&str> = state.images.keys().chain(documents).map(Digest::hex).collect();
    for hex in there.iter().filter(|hex| !known.contains(hex.as_str())) {
        trash.discard(&layout.blobs().join(hex))?;
    }
    Ok(())
}

fn read_image(layout: &Layout, path: &Path, hex: &str, state: &State) -> Result<ImageEntry> {
    let damaged = |reason: String| Error::Damaged(format!("image {hex}: {reason}"));
    let id = Digest::from_sha256_hex(hex).map_err(|error| damaged(error.to_string()))?;
    let record: ImageRecord = read_json(path)?;
    let blob = layout.blob(&id);
    let image =
        Image::parse(fs::read(&blob).at("read", &blob)?).map_err(|error| damaged(error.to_string()))?;
    if *image.id() != id {
        return Err(damaged(format!("its config has digest {}", image.id())));
    }
    if state.chain_of(&image).is_none() {
        return Err(damaged("its layers are missing".into()));
    }
    Ok(ImageEntry { image: Arc::new(image), record })
}

fn read_refs(layout: &Layout, state: &mut State) -> Result<()> {
    let path = layout.refs();
    if !path.exists() {
        return Ok(());
    }
    for (name, id) in read_json::<BTreeMap<String, Digest>>(&path)? {
        let name = Reference::parse(&name).map_err(|error| Error::Damaged(format!("{name:?}: {error}")))?;
        if state.images.contains_key(&id) {
            state.refs.insert(name, id);
        }
    }
    Ok(())
}

fn read_snapshots(layout: &Layout, state: &mut State) -> Result<()> {
    for container in names(&layout.snapshots(), "")? {
        let base = layout.snapshot(&container).join(snapshot::BASE);
        let chain = fs::read_link(&base).ok().and_then(|chain| chain.to_str().map(str::to_owned));
        let owners = fs::read_link(layout.snapshot(&container).join(snapshot::OWNERS));
        state.owners.extend(owners.ok().map(|text| (container.clone(), text.to_string_lossy().into_owned())));
        // One without a base is no image's: it stays until its container is known to be gone.
        state.snapshots.insert(container, chain.unwrap_or_else(|| EMPTY_CHAIN.into()));
    }
    Ok(())
}

fn discard(trash: &Trash, path: &Path, error: &Error) -> Result<()> {
    tracing::warn!(path = %path.display(), %error, "removed: it can't be used");
    trash.discard(path).map(drop)
}
