use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::Cancel;
use crate::graph::{Copy, MakeDir, MakeFile, Remove};

struct Trees {
    source: TempDir,
    target: TempDir,
}

impl Trees {
    fn new() -> Self {
        Self { source: TempDir::new().unwrap(), target: TempDir::new().unwrap() }
    }

    fn from(&self) -> &Path {
        self.source.path()
    }

    fn to(&self, name: &str) -> std::path::PathBuf {
        self.target.path().join(name)
    }

    fn copy(&self, what: &Copy) -> Result<()> {
        let root = |dir: &TempDir| Root::open_in_root(dir.path()).unwrap();
        let plain: Decompress<'_> = &|input| Ok(input as Box<dyn Read>);
        copy(&root(&self.target), &root(&self.source), what, Some((7, 8)), plain, &Cancel::new())
    }

    fn digest(&self, what: &Copy) -> oci::Digest {
        digest_copy(&Root::open_in_root(self.from()).unwrap(), what, &Cancel::new()).unwrap()
    }
}

fn from(source: &str, target: &str) -> Copy {
    Copy {
        source: source.into(),
        target: target.into(),
        follow_symlinks: true,
        contents_only: true,
        make_parents: true,
        wildcard: true,
        ..Copy::default()
    }
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_file_goes_to_a_name_or_into_a_directory() {
    let trees = Trees::new();
    fs::write(trees.from().join("a"), "A").unwrap();
    fs::set_permissions(trees.from().join("a"), fs::Permissions::from_mode(0o4751)).unwrap();
    trees.copy(&from("a", "/x/b")).unwrap();
    trees.copy(&from("/a", "/x/d/")).unwrap();
    trees.copy(&from("./a", "/x")).unwrap();
    for name in ["x/b", "x/d/a", "x/a"] {
        assert_eq!(read(trees.to(name)), "A");
        let meta = fs::metadata(trees.to(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (7, 8, 0o4751));
    }
    let parent = fs::metadata(trees.to("x/d")).unwrap();
    assert_eq!((parent.uid(), parent.mode() & 0o7777), (7, 0o755));
}

#[test]
fn a_directory_gives_its_contents_with_links_and_names_of_one_file() {
    let trees = Trees::new();
    fs::create_dir_all(trees.from().join("d/e")).unwrap();
    fs::write(trees.from().join("d/e/f"), "F").unwrap();
    fs::hard_link(trees.from().join("d/e/f"), trees.from().join("d/g")).unwrap();
    symlink("/nowhere", trees.from().join("d/l")).unwrap();
    trees.copy(&from("d", "/x/")).unwrap();
    assert_eq!(read(trees.to("x/e/f")), "F");
    assert_eq!(fs::read_link(trees.to("x/l")).unwrap(), Path::new("/nowhere"));
    let inode = |name: &str| fs::metadata(trees.to(name)).unwrap().ino();
    assert_eq!(inode("x/e/f"), inode("x/g"));
    // once more over itself
    trees.copy(&from("d", "/x/")).unwrap();
    assert_eq!(read(trees.to("x/g")), "F");
}

#[test]
fn patterns_excludes_and_parents() {
    let trees = Trees::new();
    fs::create_dir_all(trees.from().join("a/b")).unwrap();
    for name in ["a/b/one.txt", "a/b/two.txt", "a/b/three.log", "a/four.txt"] {
        fs::write(trees.from().join(name), name).unwrap();
    }
    trees.copy(&from("a/*/t*", "/w/")).unwrap();
    assert!(trees.to("w/two.txt").exists() && trees.to("w/three.log").exists());
    assert!(!trees.to("w/one.txt").exists());
    trees.copy(&Copy { exclude: vec!["**/*.txt".into()], ..from("a", "/e/") }).unwrap();
    assert!(trees.to("e/b/three.log").exists());
    assert!(!trees.to("e/b/one.txt").exists() && !trees.to("e/four.txt").exists());
    trees.copy(&Copy { parents: true, ..from("a/b/one.txt", "/p/") }).unwrap();
    trees.copy(&Copy { parents: true, ..from("a/./b/two.txt", "/p/") }).unwrap();
    assert_eq!(read(trees.to("p/a/b/one.txt")), "a/b/one.txt");
    assert_eq!(read(trees.to("p/b/two.txt")), "a/b/two.txt");
    let error = trees.copy(&from("nothing*", "/w/")).unwrap_err().to_string();
    assert_eq!(error, "\"nothing*\": not found");
}

#[test]
fn links_lead_nowhere_outside() {
    let trees = Trees::new();
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("secret"), "no").unwrap();
    symlink(outside.path(), trees.from().join("out")).unwrap();
    symlink("/../../../../../etc", trees.from().join("etc")).unwrap();
    for source in ["out/secret", "etc/passwd", "../../../etc/passwd", "out/*"] {
        assert!(trees.copy(&from(source, "/x/")).is_err(), "{source}");
    }
    fs::write(trees.from().join("a"), "A").unwrap();
    symlink(outside.path(), trees.to("way")).unwrap();
    trees.copy(&from("a", "/way/a")).unwrap();
    trees.copy(&from("a", "/../../way/b/")).unwrap();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    let within = trees.target.path().join(outside.path().strip_prefix("/").unwrap());
    assert_eq!(read(within.join("a")), "A");
}

#[test]
fn what_is_in_the_way_is_replaced_or_refused() {
    let trees = Trees::new();
    fs::create_dir_all(trees.from().join("d/x")).unwrap();
    fs::write(trees.from().join("d/f"), "new").unwrap();
    fs::create_dir_all(trees.to("t")).unwrap();
    fs::write(trees.to("elsewhere"), "old").unwrap();
    symlink("/elsewhere", trees.to("t/f")).unwrap();
    trees.copy(&from("d", "/t/")).unwrap();
    assert_eq!((read(trees.to("t/f")), read(trees.to("elsewhere"))), ("new".into(), "old".into()));
    fs::write(trees.to("plain"), "").unwrap();
    let error = trees.copy(&from("d", "/plain")).unwrap_err().to_string();
    assert!(error.contains("cannot copy to non-directory"), "{error}");
    fs::create_dir_all(trees.to("u/f")).unwrap();
    assert!(trees.copy(&from("d", "/u/")).unwrap_err().to_string().contains("cannot overwrite a directory"));
}

#[test]
fn a_digest_is_of_contents_and_of_no_time() {
    let trees = Trees::new();
    fs::create_dir_all(trees.from().join("d")).unwrap();
    fs::write(trees.from().join("d/f"), "one").unwrap();
    let copy = from("d", "/");
    let first = trees.digest(&copy);
    let file = fs::File::open(trees.from().join("d/f")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(trees.digest(&copy), first);
    fs::set_permissions(trees.from().join("d/f"), fs::Permissions::from_mode(0o600)).unwrap();
    let changed = trees.digest(&copy);
    assert_ne!(changed, first);
    fs::write(trees.from().join("d/f"), "two").unwrap();
    assert_ne!(trees.digest(&copy), changed);
    fs::write(trees.from().join("d/log"), "").unwrap();
    let without = Copy { exclude: vec!["**/log".into()], ..copy.clone() };
    let before = trees.digest(&without);
    fs::write(trees.from().join("d/log"), "more").unwrap();
    assert_eq!(trees.digest(&without), before);
}

#[test]
fn an_archive_is_unpacked_and_something_else_copied() {
    let trees = Trees::new();
    let mut tar = tarball::TarWriter::new(Vec::new());
    tar.directory("in/").unwrap();
    tar.file("in/f", 0o600, b"F").unwrap();
    fs::write(trees.from().join("a.tar"), tar.finish().unwrap()).unwrap();
    trees.copy(&Copy { unpack: true, ..from("a.tar", "/x/") }).unwrap();
    assert_eq!(read(trees.to("x/in/f")), "F");
    trees.copy(&from("a.tar", "/y/")).unwrap();
    assert!(trees.to("y/a.tar").exists());
    fs::write(trees.from().join("plain"), "P").unwrap();
    trees.copy(&Copy { unpack: true, ..from("plain", "/x/") }).unwrap();
    assert_eq!(read(trees.to("x/plain")), "P");
}

#[test]
fn files_directories_and_removals() {
    let trees = Trees::new();
    let root = Root::open_in_root(trees.target.path()).unwrap();
    let make = MakeDir { path: "/a/b/c".into(), mode: 0o750, make_parents: true, ..MakeDir::default() };
    make_dir(&root, &make, Some((3, 4))).unwrap();
    make_dir(&root, &make, None).unwrap();
    let meta = fs::metadata(trees.to("a/b/c")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (3, 4, 0o750));
    let file = MakeFile { path: "a/f".into(), mode: 0o640, data: b"x".to_vec(), ..MakeFile::default() };
    make_file(&root, &file, None).unwrap();
    make_file(&root, &MakeFile { data: b"y".to_vec(), ..file.clone() }, None).unwrap();
    assert_eq!(read(trees.to("a/f")), "y");
    remove(&root, &Remove { path: "/a/*".into(), wildcard: true, ..Remove::default() }).unwrap();
    assert_eq!(fs::read_dir(trees.to("a")).unwrap().count(), 0);
    assert!(remove(&root, &Remove { path: "/a/x".into(), ..Remove::default() }).is_err());
    remove(&root, &Remove { path: "/a/x".into(), allow_not_found: true, ..Remove::default() }).unwrap();
}
