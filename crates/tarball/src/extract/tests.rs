use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::*;
use crate::header::{Header, flag};
use crate::{Packer, Xattrs};

/// Entries one after another, and the end.
fn tar(entries: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, flag, text) in entries {
        let (link, content): (&[u8], &[u8]) = match *flag {
            flag::SYMLINK | flag::HARD_LINK => (text.as_bytes(), b""),
            _ => (b"", text.as_bytes()),
        };
        let size = content.len() as u64;
        let header =
            Header { name: name.as_bytes(), flag: *flag, mode: 0o640, size, link, ..Header::default() };
        header.write(&mut out);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn into(dir: &Path, through: Through<'_>, keep_kinds: bool, tar: &[u8]) -> Result<()> {
    let options =
        Extract { shown: "/to", through, owner: Owner::Caller, keep_kinds, ids: None, renames: &[] };
    extract(fs::File::open(dir).unwrap().into(), tar, &options)
}

#[test]
fn what_is_there_is_replaced_or_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("d/sub")).unwrap();
    fs::write(dir.path().join("f"), "old").unwrap();
    let refused = |tar: &[u8]| into(dir.path(), Through::Refused, true, tar).unwrap_err().to_string();
    assert_eq!(
        refused(&tar(&[("d", flag::REGULAR, "x")])),
        "cannot overwrite directory \"/to/d\" with non-directory \"/to\""
    );
    assert_eq!(
        refused(&tar(&[("f/", flag::DIRECTORY, "")])),
        "cannot overwrite non-directory \"/to/f\" with directory \"/to\""
    );
    into(
        dir.path(),
        Through::Refused,
        false,
        &tar(&[("d", flag::REGULAR, "x"), ("f/", flag::DIRECTORY, "")]),
    )
    .unwrap();
    assert_eq!(fs::read(dir.path().join("d")).unwrap(), b"x");
    assert!(dir.path().join("f").is_dir());
}

#[test]
fn nothing_gets_out() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let away = outside.path().to_str().unwrap();
    fs::write(outside.path().join("file"), "untouched").unwrap();
    symlink(away, dir.path().join("there")).unwrap();
    symlink(outside.path().join("file"), dir.path().join("to-file")).unwrap();
    let file = format!("{away}/file");
    for entries in [
        &[("../x", flag::REGULAR, "x")][..],
        &[("there/x", flag::REGULAR, "x")],
        &[("made", flag::SYMLINK, away), ("made/x", flag::REGULAR, "x")],
        &[("h", flag::HARD_LINK, "there/file"), ("h", flag::REGULAR, "x")],
        &[("h", flag::HARD_LINK, "../file")],
        &[("h", flag::HARD_LINK, &file)],
    ] {
        assert!(into(dir.path(), Through::Refused, false, &tar(entries)).is_err(), "{entries:?}");
    }
    // the link is replaced, not written through
    into(dir.path(), Through::Refused, false, &tar(&[("to-file", flag::REGULAR, "x")])).unwrap();
    let names: Vec<_> =
        fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file"]);
    assert_eq!(fs::read(outside.path().join("file")).unwrap(), b"untouched");
}

#[test]
fn links_lead_where_they_do_within_the_root() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("to")).unwrap();
    fs::create_dir_all(root.path().join("run")).unwrap();
    symlink("/run", root.path().join("to/run")).unwrap();
    let inside = Root::open_in_root(root.path()).unwrap();
    let through = Through::Root(&inside, Path::new("/to"));
    into(&root.path().join("to"), through, false, &tar(&[("run/x", flag::REGULAR, "x")])).unwrap();
    assert!(root.path().join("run/x").exists());
}

use sys::path::Root;

#[test]
fn a_tree_comes_back() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(from.path().join("a/b")).unwrap();
    fs::write(from.path().join("a/f"), vec![7; 300_000]).unwrap();
    fs::hard_link(from.path().join("a/f"), from.path().join("a/hard")).unwrap();
    symlink("f", from.path().join("a/soft")).unwrap();
    let mut packer = Packer::new(Vec::new(), Xattrs::Capability);
    let root: OwnedFd = fs::File::open(from.path()).unwrap().into();
    packer.contents(&root).unwrap();
    let bytes = packer.finish().unwrap();
    let renames = [(b"a".to_vec(), b"new".to_vec())];
    let options = Extract {
        shown: "to",
        through: Through::Refused,
        owner: Owner::Caller,
        keep_kinds: true,
        ids: None,
        renames: &renames,
    };
    extract(fs::File::open(to.path()).unwrap().into(), &bytes[..], &options).unwrap();
    let file = |name: &str| fs::symlink_metadata(to.path().join(name)).unwrap();
    assert_eq!(fs::read(to.path().join("new/hard")).unwrap(), vec![7; 300_000]);
    assert_eq!(file("new/f").ino(), file("new/hard").ino());
    assert_eq!(fs::read_link(to.path().join("new/soft")).unwrap(), Path::new("f"));
    let seconds = |meta: fs::Metadata| meta.mtime();
    assert_eq!(seconds(file("new")), seconds(fs::metadata(from.path().join("a")).unwrap()));
    assert!(file("new/b").is_dir());
}

#[test]
fn texts_are_replaced_once() {
    assert_eq!(replaced(b"a/a", b"a", b"b"), b"b/a");
    assert_eq!(replaced(b"/x", b"", b"n"), b"n/x");
    assert_eq!(replaced(b"x", b"y", b"n"), b"x");
}
