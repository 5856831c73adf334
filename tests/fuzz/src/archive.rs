//! Archives that are unpacked: nothing is made outside of the directory, whatever they say.

use std::fs;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tarball::{Extract, Limits, NoTap, Owner, Packer, TarStream, Through, Xattrs};

/// What nobody may touch, and where a seed of ours would write by an absolute path.
const CANARY: &str = "untouched";
const ELSEWHERE: &str = "/tmp/berth-fuzz-outside";
/// Bytes that are taken of what unpacks to much.
const MOST: u64 = 32 << 20;

/// A directory to unpack into, with a file beside it that must stay as it is.
struct Cage {
    dir: tempfile::TempDir,
    canary: fs::Metadata,
}

impl Cage {
    fn new() -> Self {
        let dir = crate::scratch();
        let canary = dir.path().join("canary");
        let made = fs::write(&canary, CANARY).and_then(|()| fs::create_dir(dir.path().join("in")));
        assert!(made.is_ok(), "cannot make a cage: {made:?}");
        let canary = fs::symlink_metadata(canary).unwrap_or_else(|error| unreachable!("{error}"));
        Self { dir, canary }
    }

    fn inside(&self) -> PathBuf {
        self.dir.path().join("in")
    }

    fn check(self) {
        let mut names: Vec<_> = fs::read_dir(self.dir.path())
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["canary", "in"], "something was made outside");
        let canary = self.dir.path().join("canary");
        assert_eq!(
            fs::read(&canary).ok().as_deref(),
            Some(CANARY.as_bytes()),
            "a file outside was written to"
        );
        let now = fs::symlink_metadata(&canary).unwrap_or_else(|error| unreachable!("{error}"));
        let told =
            |of: &fs::Metadata| (of.ino(), of.mode(), of.uid(), of.gid(), of.nlink(), of.mtime(), of.ctime());
        assert_eq!(told(&now), told(&self.canary), "a file outside was changed");
        assert!(!Path::new(ELSEWHERE).exists(), "{ELSEWHERE} was made");
    }
}

fn open(dir: &Path) -> Option<OwnedFd> {
    fs::File::open(dir).ok().map(OwnedFd::from)
}

fn unpack(dir: &Path, tar: &[u8]) -> tarball::Result<()> {
    let Some(opened) = open(dir) else { unreachable!("{dir:?} can't be opened") };
    let options = Extract {
        shown: "/to",
        through: Through::Refused,
        owner: Owner::Caller,
        keep_kinds: false,
        ids: None,
        renames: &[],
    };
    tarball::extract(opened, tar, &options)
}

fn pack(dir: &Path) -> Option<Vec<u8>> {
    let mut packer = Packer::new(Vec::new(), Xattrs::Capability);
    packer.contents(&open(dir)?).ok()?;
    packer.finish().ok()
}

/// Headers are read as they come, and all of it is unpacked as `cp` does. What was unpacked packs to an archive which
/// gives the same tree.
pub(crate) fn tar(data: &[u8]) {
    let limits = Limits { bytes: MOST, entries: 1000, ..Limits::default() };
    let mut stream = TarStream::new(data, NoTap, limits, "the archive");
    let (mut entries, mut rest) = (0, [0; 4096]);
    while let Ok(Some(entry)) = stream.next() {
        entries += 1;
        assert!(entries <= data.len() / tarball::BLOCK, "more entries than blocks");
        if let Ok(name) = tarball::clean(&entry.name) {
            assert!(
                !name.split(|byte| *byte == b'/').any(|part| part == b".."),
                "{:?} is not clean",
                entry.name
            );
        }
        while stream.read_payload(&mut rest).is_ok_and(|read| read > 0) {}
    }
    let cage = Cage::new();
    let whole = unpack(&cage.inside(), data).is_ok();
    if whole && let Some(packed) = pack(&cage.inside()).filter(|packed| packed.len() < 1 << 20) {
        let second = Cage::new();
        let again = unpack(&second.inside(), &packed);
        assert!(again.is_ok(), "what was packed can't be unpacked: {again:?}");
        assert!(
            pack(&second.inside()).is_some_and(|second| second == packed),
            "packed twice, and not the same"
        );
        second.check();
    }
    cage.check();
}

/// An image's layer, compressed or not.
pub(crate) fn layer(data: &[u8]) {
    let cage = Cage::new();
    let _ = store::fuzzing::layer(data, &cage.inside(), MOST);
    cage.check();
}

/// Decoders give no more than is taken, need no more memory than a named limit, and give back what was encoded.
pub(crate) fn decoder(data: &[u8]) {
    let read = |bytes: &[u8]| -> Option<Vec<u8>> {
        let mut out = Vec::new();
        store::decompressed(bytes).ok()?.take(MOST).read_to_end(&mut out).ok()?;
        Some(out)
    };
    let _ = read(data);
    let gzip = || {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, data)?;
        encoder.finish()
    };
    let gzip = gzip().unwrap_or_default();
    assert!(read(&gzip).as_deref() == Some(data), "gzip does not come back");
    // Several members are one stream, and a cut one is none.
    let twice = read(&[&gzip[..], &gzip[..]].concat());
    assert!(
        twice.is_some_and(|twice| twice == [data, data].concat()),
        "two members of gzip do not come back"
    );
    assert!(read(&gzip[..gzip.len() - 1]).is_none(), "gzip without its end is taken for whole");
    let zstd = zstd::encode_all(data, 1).unwrap_or_default();
    assert!(read(&zstd).as_deref() == Some(data), "zstd does not come back");
    assert!(read(&zstd[..zstd.len() - 1]).is_none(), "zstd without its end is taken for whole");
}
