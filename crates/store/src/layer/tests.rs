use std::ffi::OsStr;
use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use tar::EntryType;

use super::*;
use crate::disk::Umask;
use crate::limits::Limits;
use crate::testing::Tar;
use crate::{Error, Result};

fn unpack_tar(tar: &[u8]) -> (tempfile::TempDir, Result<Unpacked>) {
    unpack_within(tar, Limits::default())
}

fn unpack_within(tar: &[u8], limits: Limits) -> (tempfile::TempDir, Result<Unpacked>) {
    let dir = tempfile::tempdir().unwrap();
    let done = unpack(Cursor::new(tar), dir.path(), limits, Umask::current().unwrap());
    (dir, done)
}

/// The tar that comes back, and the directory.
fn round_trip(tar: &[u8]) -> (tempfile::TempDir, Unpacked) {
    let (dir, unpacked) = unpack_tar(tar);
    let unpacked = unpacked.unwrap();
    assert!(assembled(dir.path()) == tar, "the tar comes back as it was");
    assert_eq!(unpacked.tar_size, tar.len() as u64);
    (dir, unpacked)
}

fn assembled(dir: &Path) -> Vec<u8> {
    let (writer, mut reader) = crate::load::chunks();
    let mut bytes = Vec::new();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| assemble(dir, writer));
        reader.read_to_end(&mut bytes).unwrap();
        sender.join().unwrap().unwrap();
    });
    bytes
}

fn xattr(path: &Path, key: &str) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(4096);
    rustix::fs::lgetxattr(path, key, rustix::buffer::spare_capacity(&mut value)).ok()?;
    Some(value)
}

#[test]
fn attributes() {
    let tar = Tar::new()
        .entry("./", EntryType::Directory, b"", |h| h.set_mode(0o1777))
        .entry("dir/", EntryType::Directory, b"", |h| {
            h.set_mode(0o2750);
            h.set_uid(7);
            h.set_gid(8);
        })
        .entry("dir/suid", EntryType::Regular, b"x", |h| {
            h.set_mode(0o4755);
            h.set_uid(1000);
            h.set_gid(70000);
        })
        .pax(&[
            ("mtime", b"1234.000000567"),
            ("SCHILY.xattr.user.name", b"a\nb\0c"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.security.capability", &CAPABILITY),
        ])
        .file("dir/caps", b"")
        .link("dir/link", EntryType::Symlink, "/etc/passwd")
        .link("dir/hard", EntryType::Link, "dir/suid")
        .link("dir/hard-to-link", EntryType::Link, "dir/link")
        .entry("fifo", EntryType::Fifo, b"", |_| ())
        .device("null", EntryType::Char, 1, 3)
        .device("disk", EntryType::Block, 8, 300)
        .end();
    let (dir, unpacked) = round_trip(&tar);
    let diff = dir.path().join("diff");
    let meta = |name: &str| fs::symlink_metadata(diff.join(name)).unwrap();
    assert_eq!(meta("").mode() & 0o7777, 0o1777);
    assert_eq!((meta("dir").mode() & 0o7777, meta("dir").uid(), meta("dir").gid()), (0o2750, 7, 8));
    assert_eq!(meta("dir").mtime(), 1_700_000_000);
    let suid = meta("dir/suid");
    assert_eq!((suid.mode() & 0o7777, suid.uid(), suid.gid(), suid.nlink()), (0o4755, 1000, 70000, 2));
    assert_eq!((meta("dir/caps").mtime(), meta("dir/caps").mtime_nsec()), (1234, 567));
    assert_eq!(xattr(&diff.join("dir/caps"), "user.name").unwrap(), b"a\nb\0c");
    assert_eq!(xattr(&diff.join("dir/caps"), "security.capability").unwrap(), CAPABILITY);
    assert_eq!(xattr(&diff.join("dir/caps"), "trusted.overlay.redirect"), None);
    assert_eq!(fs::read_link(diff.join("dir/link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(meta("dir/hard").ino(), suid.ino());
    assert!(meta("dir/hard-to-link").is_symlink());
    assert!(meta("fifo").file_type().is_fifo());
    assert_eq!(meta("null").rdev(), rustix::fs::makedev(1, 3));
    assert!(meta("disk").file_type().is_block_device());
    assert_eq!(meta("disk").rdev(), rustix::fs::makedev(8, 300));
    assert!(unpacked.implied.is_empty());
    assert_eq!(unpacked.root.unwrap().mode, 0o1777);
}

/// `cap_net_raw=ep`, version 2.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn long_names() {
    let long = format!("d/{}", "n".repeat(200));
    let tar = Tar::new()
        .dir("d", 0o755)
        .entry("././@LongLink", EntryType::GNULongName, format!("{long}\0").as_bytes(), |_| ())
        .file("d/nnn", b"gnu")
        .entry("././@LongLink", EntryType::GNULongLink, format!("{long}\0").as_bytes(), |_| ())
        .link("d/s", EntryType::Symlink, "short")
        .pax(&[("path", format!("{long}2").as_bytes()), ("uid", b"2000000")])
        .file("d/x", b"pax")
        .end();
    let (dir, _) = round_trip(&tar);
    let diff = dir.path().join("diff");
    assert_eq!(fs::read(diff.join(&long)).unwrap(), b"gnu");
    assert_eq!(fs::read_link(diff.join("d/s")).unwrap(), Path::new(&long));
    assert_eq!(fs::read(diff.join(format!("{long}2"))).unwrap(), b"pax");
    assert_eq!(fs::metadata(diff.join(format!("{long}2"))).unwrap().uid(), 2_000_000);
}

#[test]
fn sparse_files() {
    let old_gnu = |h: &mut tar::Header| {
        let gnu = h.as_gnu_mut().unwrap();
        gnu.set_real_size(1 << 30);
        gnu.sparse[0].set_offset(4096);
        gnu.sparse[0].set_length(512);
        gnu.sparse[1].set_offset(1 << 29);
        gnu.sparse[1].set_length(3);
        gnu.sparse[2].set_offset(1 << 30);
        gnu.sparse[2].set_length(0);
    };
    let data = [&[b'a'; 512][..], b"xyz"].concat();
    let mut in_payload = b"2\n0\n3\n100000\n2\n".to_vec();
    in_payload.resize(512, 0);
    in_payload.extend_from_slice(b"abcde");
    let tar = Tar::new()
        .entry("old", EntryType::GNUSparse, &data, old_gnu)
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"new"),
            ("GNU.sparse.realsize", b"200000"),
        ])
        .file("GNUSparseFile.0/new", &in_payload)
        .pax(&[("GNU.sparse.size", b"1000"), ("GNU.sparse.map", b"10,2,500,3")])
        .file("map", b"vwxyz")
        .pax(&[
            ("GNU.sparse.size", b"1000"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.offset", b"10"),
            ("GNU.sparse.numbytes", b"2"),
            ("GNU.sparse.offset", b"500"),
            ("GNU.sparse.numbytes", b"3"),
        ])
        .file("pairs", b"vwxyz")
        .end();
    let (dir, unpacked) = round_trip(&tar);
    let diff = dir.path().join("diff");
    let old = fs::metadata(diff.join("old")).unwrap();
    assert_eq!(old.len(), 1 << 30);
    assert!(old.blocks() < 100);
    let new = fs::read(diff.join("new")).unwrap();
    assert_eq!((new.len(), &new[..3], &new[100_000..100_002]), (200_000, &b"abc"[..], &b"de"[..]));
    assert_eq!(fs::read(diff.join("map")).unwrap(), fs::read(diff.join("pairs")).unwrap());
    assert_eq!(unpacked.size, (1 << 30) + 200_000 + 2000);
}

#[test]
fn whiteouts() {
    let tar = Tar::new()
        .dir("a", 0o755)
        .file("a/.wh.gone", b"")
        .dir("b", 0o755)
        .file("b/.wh..wh..opq", b"")
        .file("b/new", b"")
        .dir("c", 0o755)
        .file(".wh.c", b"")
        .file(".wh.d", b"")
        .dir("d", 0o755)
        .file(".wh.e", b"")
        .file("e", b"shown")
        .file("f", b"shown")
        .file(".wh.f", b"")
        .file(".wh..wh.aufs", b"meta")
        .end();
    let (dir, _) = round_trip(&tar);
    let diff = dir.path().join("diff");
    let gone = fs::symlink_metadata(diff.join("a/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    for (name, opaque) in
        [("a", None), ("b", Some(b"y".to_vec())), ("c", Some(b"y".to_vec())), ("d", Some(b"y".to_vec()))]
    {
        assert_eq!(xattr(&diff.join(name), super::opaque()), opaque, "{name}");
    }
    assert_eq!(fs::read(diff.join("e")).unwrap(), b"shown");
    assert_eq!(fs::read(diff.join("f")).unwrap(), b"shown");
    assert_eq!(fs::read_dir(&diff).unwrap().count(), 6);
}

#[test]
fn odd_tars_come_back_exactly() {
    let replaced = Tar::new()
        .dir("d", 0o755)
        .file("d/a", b"first")
        .link("d/h", EntryType::Link, "d/a")
        .file("d/a", b"second")
        .file("d/a", b"third")
        .file("d/sub", b"below")
        .file("d", b"now a file")
        .link("l", EntryType::Symlink, "x")
        .dir("l", 0o755)
        .file("l/y", b"through what was a link")
        .link("h", EntryType::Link, "h2")
        .end();
    let (dir, error) = unpack_tar(&replaced);
    assert!(matches!(error, Err(Error::Entry { .. })), "a hard link to nothing: {error:?}");
    drop(dir);
    let through_link = Tar::new()
        .dir("usr", 0o755)
        .dir("usr/lib", 0o755)
        .link("lib", EntryType::Symlink, "/usr/lib")
        .file("lib/so", b"one")
        .file("usr/lib/so", b"two")
        .file("lib/other/deep", b"three")
        .end();
    let (dir, unpacked) = round_trip(&through_link);
    assert_eq!(fs::read(dir.path().join("diff/usr/lib/so")).unwrap(), b"two");
    assert_eq!(unpacked.implied, [b"usr/lib/other".to_vec()]);
    for tar in [
        Tar::new().file("d/a", b"1").file("d/a", b"").file("d/a", b"3").file("d", b"4").dir("d", 0o700).end(),
        Tar::new().file("a", b"1").raw(&[0; 512]).unended(),
        Tar::new().file("a", b"1").unended(),
        Tar::new().file("a", b"1").raw(&[0; 20 * 512]).raw(b"garbage at the end").unended(),
        // Padding that isn't zeros, and a size on what has no payload.
        Tar::new()
            .file("a", &[b'x'; 512])
            .entry("l", EntryType::Symlink, b"", |h| {
                h.set_size(77);
                h.set_link_name_literal("a").unwrap();
            })
            .end(),
        Tar::new().entry("a", EntryType::Regular, b"", |h| h.set_size(3)).raw(b"abc").raw(&[7; 509]).end(),
        Vec::new(),
        vec![0; 1024],
    ] {
        round_trip(&tar);
    }
}

#[test]
fn hostile_names() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, b"untouched").unwrap();
    let victim_text = victim.to_str().unwrap();
    let up = format!("{}{}", "../".repeat(12), victim_text.trim_start_matches('/'));
    for tar in [
        Tar::new().file("../x", b"").end(),
        Tar::new().file("a/../../x", b"").end(),
        Tar::new().link("h", EntryType::Link, &up).end(),
        Tar::new().link("h", EntryType::Link, victim_text).end(),
        Tar::new()
            .link("s", EntryType::Symlink, outside.path().to_str().unwrap())
            .link("h", EntryType::Link, "s/victim")
            .end(),
        Tar::new().file(".wh...", b"").end(),
        Tar::new().file(".wh..", b"").end(),
        Tar::new().file(".wh.", b"").end(),
        Tar::new().file("../.wh.x", b"").end(),
        Tar::new().file("f", b"").file("f/x", b"").end(),
        Tar::new().link("s", EntryType::Symlink, "s").file("s/x", b"").end(),
        Tar::new().link("s", EntryType::Symlink, "nowhere").file("s/x", b"").end(),
        Tar::new().link("./", EntryType::Symlink, "/").end(),
        Tar::new().link("d", EntryType::Link, "/").end(),
        Tar::new().dir("d", 0o755).link("h", EntryType::Link, "d").end(),
        Tar::new().pax(&[("path", b"a\0b")]).file("x", b"").end(),
        Tar::new().pax(&[("path", &[b'x'; 300])]).file("x", b"").end(),
    ] {
        let (_dir, done) = unpack_tar(&tar);
        assert!(done.is_err());
    }
    // A link in the middle leads within the layer, wherever it points.
    let tar = Tar::new()
        .link("s", EntryType::Symlink, outside.path().to_str().unwrap())
        .dir(outside.path().to_str().unwrap(), 0o755)
        .file("s/victim", b"overwritten")
        .file(victim_text, b"again")
        .link("t", EntryType::Symlink, "../../../../../../")
        .file("t/victim", b"x")
        .end();
    let (dir, done) = unpack_tar(&tar);
    done.unwrap();
    let inside = dir.path().join("diff").join(victim_text.trim_start_matches('/'));
    assert_eq!(fs::read(inside).unwrap(), b"again");
    assert_eq!(fs::read(dir.path().join("diff/victim")).unwrap(), b"x");
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn hostile_values() {
    let set = |change: fn(&mut tar::Header)| Tar::new().entry("x", EntryType::Regular, b"", change).end();
    for tar in [
        Tar::new().pax(&[("uid", b"4294967295")]).file("x", b"").end(),
        Tar::new().pax(&[("gid", b"4294967296")]).file("x", b"").end(),
        Tar::new().pax(&[("uid", b"-1")]).file("x", b"").end(),
        Tar::new().pax(&[("size", b"18446744073709551615")]).file("x", b"").end(),
        Tar::new().pax(&[("mtime", b"x")]).file("x", b"").end(),
        set(|h| h.set_uid(u64::MAX)),
        set(|h| h.set_entry_type(EntryType::new(b'?'))),
        set(|h| h.as_old_mut().size = *b"99999999999\0"),
        set(|h| h.as_old_mut().size = *b"77777777777\0"),
        Tar::new().device("d", EntryType::Char, 1 << 12, 0).end(),
        Tar::new().device("d", EntryType::Block, 0, 1 << 20).end(),
        Tar::new()
            .entry("s", EntryType::GNUSparse, b"x", |h| h.as_gnu_mut().unwrap().set_real_size(1 << 40))
            .end(),
        Tar::new()
            .pax(&[("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"5,2,4,3")])
            .file("m", b"vwxyz")
            .end(),
        Tar::new().pax(&[("GNU.sparse.size", b"3"), ("GNU.sparse.map", b"0,5")]).file("m", b"vwxyz").end(),
        Tar::new().pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"9")]).file("m", b"1\n").end(),
        Tar::new().raw(&[b'x'; 512]).end(),
        Tar::new().file("a", b"1").raw(&[0; 512]).file("b", b"2").end(),
        Tar::new().pax(&[("path", b"x")]).unended(),
    ] {
        let (_dir, done) = unpack_tar(&tar);
        assert!(done.is_err());
    }
    let whole = Tar::new().dir("d", 0o755).file("d/f", &[b'x'; 5000]).unended();
    for length in (1..whole.len()).step_by(97) {
        if length % 512 == 0 && (length == 512 || length == whole.len()) {
            continue;
        }
        let (_dir, done) = unpack_tar(&whole[..length]);
        assert!(matches!(done, Err(Error::Truncated(_))), "{length}: {done:?}");
    }
}

#[test]
fn limits() {
    let tar = tarball::Limits {
        bytes: 8 << 10,
        entries: 5,
        extension_bytes: 1024,
        sparse_pieces: 3,
        pending_bytes: 500,
    };
    let small = Limits { tar, ..Limits::default() };
    let limit = |tar: &[u8]| matches!(unpack_within(tar, small).1, Err(Error::Limit { .. }));
    assert!(limit(&Tar::new().file("a", &[0; 9 << 10]).end()));
    assert!(limit(&Tar::new().file("a", &[0; 5 << 10]).file("b", &[0; 5 << 10]).end()));
    assert!(limit(&(0..6).fold(Tar::new(), |tar, n| tar.file(&format!("f{n}"), b"")).end()));
    assert!(limit(&Tar::new().pax(&[("comment", &[b'x'; 2000])]).file("x", b"").end()));
    assert!(limit(
        &Tar::new()
            .pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,1,1,1,2,1,3,1")])
            .file("m", b"abcd")
            .end()
    ));
    assert!(limit(&Tar::new().pax(&[("SCHILY.xattr.user.a", &[b'x'; 600])]).dir("d", 0o755).end()));
    // 16 exbibytes of extension blocks would be 16 EiB of input; the count of pieces stops them.
    let (_dir, done) = unpack_within(&Tar::new().file("a", b"x").end(), small);
    assert!(done.is_ok());
}

#[test]
fn settles_implied_directories() {
    let (lower, done) = unpack_tar(
        &Tar::new()
            .dir("usr", 0o711)
            .entry("usr/bin", EntryType::Directory, b"", |h| {
                h.set_mode(0o2755);
                h.set_uid(5);
            })
            .dir("gone", 0o700)
            .end(),
    );
    done.unwrap();
    let (middle, done) = unpack_tar(&Tar::new().file(".wh.gone", b"").end());
    done.unwrap();
    let (top, done) =
        unpack_tar(&Tar::new().file("usr/bin/tool", b"").file("gone/x", b"").file("new/x", b"").end());
    let implied = done.unwrap().implied;
    assert_eq!(implied.len(), 4);
    settle(top.path(), &implied, &[middle.path().join("diff"), lower.path().join("diff")]).unwrap();
    let mode = |name: &str| {
        let meta = fs::metadata(top.path().join("diff").join(OsStr::from_bytes(name.as_bytes()))).unwrap();
        (meta.mode() & 0o7777, meta.uid())
    };
    assert_eq!(mode("usr"), (0o711, 0));
    assert_eq!(mode("usr/bin"), (0o2755, 5));
    assert_eq!(mode("gone"), (0o755, 0));
    assert_eq!(mode("new"), (0o755, 0));
}

/// A tar with every kind of entry, to be damaged.
fn varied() -> Vec<u8> {
    Tar::new()
        .dir("d", 0o755)
        .file("d/a", &[b'a'; 700])
        .link("d/s", EntryType::Symlink, "a")
        .link("d/h", EntryType::Link, "d/a")
        .pax(&[("path", b"d/pax"), ("SCHILY.xattr.user.k", b"v"), ("mtime", b"1.5")])
        .file("x", b"content")
        .pax(&[("GNU.sparse.size", b"1000"), ("GNU.sparse.map", b"10,2,500,3")])
        .file("map", b"vwxyz")
        .file("d/.wh.gone", b"")
        .file("d/a", b"again")
        .file("implied/x", b"1")
        .end()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(150))]

    /// Whatever the bytes: no panic, and what is accepted comes back exactly.
    #[test]
    fn damaged_tars(changes in proptest::collection::vec((0..8192_usize, proptest::prelude::any::<u8>()), 1..6), fix in proptest::prelude::any::<bool>()) {
        let mut tar = varied();
        for (at, byte) in changes {
            let at = at % tar.len();
            tar[at] = byte;
            let start = at - at % 512;
            if fix && let Some(block) = tar.get_mut(start..start + 512) {
                let mut header = tar::Header::from_byte_slice(block).clone();
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        let tar_limits = tarball::Limits { bytes: 1 << 20, ..tarball::Limits::default() };
        let small = Limits { tar: tar_limits, ..Limits::default() };
        let (dir, done) = unpack_within(&tar, small);
        if done.is_ok() {
            proptest::prop_assert!(assembled(dir.path()) == tar);
        }
    }
}
