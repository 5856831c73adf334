use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn root() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open_in_root(dir.path()).unwrap();
    (dir, root)
}

#[test]
fn absolute_links_stay_inside() {
    let (dir, root) = root();
    fs::create_dir(dir.path().join("run")).unwrap();
    fs::create_dir(dir.path().join("var")).unwrap();
    symlink("/run", dir.path().join("var/run")).unwrap();
    symlink("../../../../etc", dir.path().join("up")).unwrap();
    fs::write(dir.path().join("run/pid"), "7").unwrap();
    assert_eq!(root.read_bounded("/var/run/pid", 10).unwrap(), b"7");
    assert_eq!(root.read_bounded("../../var/run/../run/pid", 10).unwrap(), b"7");
    assert_eq!(root.read_bounded("up/passwd", 1 << 20).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(root.read_link("var/run").unwrap(), Path::new("/run"));
}

#[test]
fn beneath_and_strict_refuse() {
    let (dir, _) = root();
    symlink("/etc", dir.path().join("etc")).unwrap();
    symlink("file", dir.path().join("link")).unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let beneath = Root::open_beneath(dir.path()).unwrap();
    assert_eq!(beneath.handle("etc/passwd").unwrap_err(), Errno::XDEV);
    assert_eq!(beneath.handle("/etc/passwd").unwrap_err(), Errno::XDEV);
    assert_eq!(beneath.handle("../x").unwrap_err(), Errno::XDEV);
    assert_eq!(beneath.read_bounded("link", 4).unwrap(), b"x");
    let strict = Root::open_strict(dir.path()).unwrap();
    assert_eq!(strict.handle("link").unwrap_err(), Errno::LOOP);
}

#[test]
fn magic_links_are_refused() {
    let root = Root::open_in_root("/proc").unwrap();
    assert_eq!(root.handle("self/root/etc").unwrap_err(), Errno::LOOP);
    assert_eq!(root.handle("self/fd/0").unwrap_err(), Errno::LOOP);
}

#[test]
fn mkdir_all_makes_what_dangling_links_name() {
    let (dir, root) = root();
    symlink("/a/b", dir.path().join("link")).unwrap();
    symlink("../../x", dir.path().join("out")).unwrap();
    root.mkdir_all("link/c/d", 0o755).unwrap();
    root.mkdir_all("out/y", 0o755).unwrap();
    assert!(dir.path().join("a/b/c/d").is_dir());
    assert!(dir.path().join("x/y").is_dir());
    fs::write(dir.path().join("file"), "").unwrap();
    assert_eq!(root.mkdir_all("file/x", 0o755).unwrap_err(), Errno::NOTDIR);
    symlink("loop", dir.path().join("loop")).unwrap();
    assert_eq!(root.mkdir_all("loop/x", 0o755).unwrap_err(), Errno::LOOP);
}

#[test]
fn reads_are_bounded_and_of_regular_files_only() {
    let (dir, root) = root();
    fs::write(dir.path().join("big"), vec![0; 100]).unwrap();
    assert_eq!(root.read_bounded("big", 99).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(root.read_bounded("big", 100).unwrap().len(), 100);
    rustix::fs::mknodat(&root, "fifo", FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert_eq!(root.open_regular("fifo").unwrap_err(), Errno::INVAL);
    assert_eq!(root.open_regular(".").unwrap_err(), Errno::ISDIR);
}

#[test]
fn remove_all_does_not_follow_links() {
    let (dir, root) = root();
    let (other, _) = self::root();
    fs::write(other.path().join("keep"), "").unwrap();
    fs::create_dir_all(dir.path().join("tree/a/b/c")).unwrap();
    fs::write(dir.path().join("tree/a/f"), "").unwrap();
    symlink(other.path(), dir.path().join("tree/a/link")).unwrap();
    symlink(other.path(), dir.path().join("top")).unwrap();
    root.remove_all("tree").unwrap();
    root.remove_all("top").unwrap();
    root.remove_all("nothing/there").unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(other.path().join("keep").exists());
}

#[test]
fn create_does_not_write_through_a_link() {
    let (dir, root) = root();
    symlink("/tmp/elsewhere", dir.path().join("x")).unwrap();
    assert_eq!(root.create_file("x", 0o600).unwrap_err(), Errno::EXIST);
    root.symlink("t", "y").unwrap();
    root.rename("y", "z").unwrap();
    assert_eq!(root.read_link("z").unwrap(), Path::new("t"));
}
