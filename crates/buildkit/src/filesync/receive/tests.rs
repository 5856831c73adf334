use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::Ordering;

use super::*;
use crate::filesync::{Pipe, Send, Verdict, send};

fn open(path: &Path) -> OwnedFd {
    File::open(path).unwrap().into()
}

const DIR: u32 = 1 << 31 | 0o755;

fn stat(path: &str, mode: u32, size: i64) -> Packet {
    let stat = Stat { path: path.into(), mode, size, ..Stat::default() };
    Packet { stat: Some(stat), ..of(PacketType::PacketStat) }
}

fn data(id: u32, data: &[u8]) -> Packet {
    Packet { id, data: data.to_vec(), ..of(PacketType::PacketData) }
}

/// Both ends joined, without a network between.
fn sync(from: &Path, to: &Path, filter: crate::filesync::Filter<'_>) -> (Result<()>, Result<()>, Progress) {
    let ((left, left_pipe), (right, right_pipe)) = (Ends::new(), Ends::new());
    let progress = Progress::default();
    let join = |(come, _): &Pipe, mut go: tokio::sync::mpsc::Receiver<Vec<Packet>>| {
        let come = come.clone();
        move || {
            while let Some(packets) = go.blocking_recv() {
                if come.blocking_send(Ok(packets)).is_err() {
                    return;
                }
            }
        }
    };
    let forth = join(&right_pipe, left_pipe.1);
    let back = join(&(left_pipe.0, tokio::sync::mpsc::channel(1).1), right_pipe.1);
    drop(right_pipe.0);
    let (sent, received) = std::thread::scope(|scope| {
        scope.spawn(forth);
        scope.spawn(back);
        let options = Send { filter, reset_owner: false };
        let sending = scope.spawn(move || send(open(from), left, options));
        let receive_options = Receive { merge: false, owner: Owner::Caller, progress: &progress };
        let received = receive(open(to), right, receive_options);
        (sending.join().unwrap(), received)
    });
    (sent, received, progress)
}

fn everything(_: &str, _: bool) -> Verdict {
    Verdict::Send
}

/// What a receiver says to packets that no sender of ours would send, and whether it asked for anything.
fn hear(to: &Path, packets: Vec<Packet>) -> Result<()> {
    let (ends, (come, mut go)) = Ends::new();
    let progress = Progress::default();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for packet in packets {
                if come.blocking_send(Ok(vec![packet])).is_err() {
                    break;
                }
            }
        });
        scope.spawn(move || while go.blocking_recv().is_some() {});
        receive(open(to), ends, Receive { merge: false, owner: Owner::Caller, progress: &progress })
    })
}

#[test]
fn a_tree_arrives_and_only_changes_travel() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (from.path(), to.path());
    fs::create_dir_all(a.join("dir/sub")).unwrap();
    fs::write(a.join("dir/sub/file"), vec![7; 100_000]).unwrap();
    fs::write(a.join("dir-x"), "x").unwrap();
    fs::write(a.join("empty"), "").unwrap();
    fs::hard_link(a.join("dir-x"), a.join("linked")).unwrap();
    symlink("../../etc/passwd", a.join("dir/away")).unwrap();
    fs::set_permissions(a.join("dir-x"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(b.join("old"), "old").unwrap();

    let (sent, received, progress) = sync(a, b, &everything);
    sent.unwrap();
    received.unwrap();
    assert_eq!(progress.bytes.load(Ordering::Relaxed), 100_001);
    assert_eq!(fs::read(b.join("dir/sub/file")).unwrap(), vec![7; 100_000]);
    assert_eq!(fs::read_link(b.join("dir/away")).unwrap(), Path::new("../../etc/passwd"));
    assert_eq!(fs::metadata(b.join("dir-x")).unwrap().permissions().mode() & 0o7777, 0o750);
    assert_eq!(fs::metadata(b.join("dir-x")).unwrap().ino(), fs::metadata(b.join("linked")).unwrap().ino());
    assert_eq!(fs::metadata(b.join("dir")).unwrap().mtime(), fs::metadata(a.join("dir")).unwrap().mtime());
    assert!(!b.join("old").exists());

    fs::write(a.join("dir/sub/new"), "new!").unwrap();
    fs::remove_file(a.join("empty")).unwrap();
    let (sent, received, progress) = sync(a, b, &everything);
    sent.unwrap();
    received.unwrap();
    assert_eq!(progress.bytes.load(Ordering::Relaxed), 4, "only what is new travels");
    assert!(!b.join("empty").exists());
}

#[test]
fn a_filter_takes_only_what_it_wants_and_the_directories_above() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for path in ["a/b/c", "a/b/d", "a/e/f", "g"] {
        fs::create_dir_all(from.path().join(path).parent().unwrap()).unwrap();
        fs::write(from.path().join(path), path).unwrap();
    }
    let filter = |path: &str, is_dir: bool| match path {
        "a/b/d" => Verdict::Send,
        "g" => Verdict::Skip,
        _ if is_dir => Verdict::Look,
        _ => Verdict::Skip,
    };
    let (sent, received, _) = sync(from.path(), to.path(), &filter);
    sent.unwrap();
    received.unwrap();
    assert!(to.path().join("a/b/d").exists());
    assert!(
        !to.path().join("a/b/c").exists() && !to.path().join("a/e").exists() && !to.path().join("g").exists()
    );
}

#[test]
fn nothing_leaves_the_root() {
    let to = tempfile::tempdir().unwrap();
    let outside = to.path().join("outside");
    let root = to.path().join("root");
    fs::create_dir(&root).unwrap();
    let link = || {
        let stat = Stat {
            path: "link".into(),
            mode: 1 << 27 | 0o777,
            linkname: "../outside".into(),
            ..Stat::default()
        };
        Packet { stat: Some(stat), ..of(PacketType::PacketStat) }
    };
    for (packets, why) in [
        (vec![stat("../outside", DIR, 0)], "has a part that is empty, \".\" or \"..\""),
        (vec![stat("/outside", DIR, 0)], "is absolute"),
        (vec![link(), stat("link/x", DIR, 0)], "comes without the directory that it lies in"),
        (vec![stat("b", DIR, 0), stat("a", DIR, 0)], "out of order"),
        (vec![stat("a", DIR, 0), stat("a", DIR, 0)], "out of order"),
        (vec![stat("a", 1 << 24, 0)], "of a kind that can't be sent"),
    ] {
        let error = hear(&root, packets).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(!outside.exists());
}

#[test]
fn sizes_are_held_to_and_unasked_contents_refused() {
    let to = tempfile::tempdir().unwrap();
    let list = || vec![stat("f", 0o644, 3), of(PacketType::PacketStat)];
    for (packets, why) in [
        (
            [list(), vec![data(0, b"four")]].concat(),
            "\"f\" changed while it was sent: 3 bytes were announced, 4 came",
        ),
        ([list(), vec![data(0, b"no"), data(0, b"")]].concat(), "3 bytes were announced, 2 came"),
        ([list(), vec![data(1, b"x")]].concat(), "contents of file 1, which was not asked for"),
        (vec![stat("f", 0o644, -1)], "negative size"),
        (list(), "the connection broke off"),
        (vec![of(PacketType::PacketReq)], "unexpected PACKET_REQ"),
        (vec![Packet { data: b"can't".to_vec(), ..of(PacketType::PacketErr) }], "can't"),
    ] {
        let error = hear(to.path(), packets).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_half_received_file_is_asked_for_again() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = File::create(from.path().join("f")).unwrap();
    Write::write_all(&mut &file, b"whole").unwrap();
    // the kernel's clock may not have moved on between the two
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_007)).unwrap();
    fs::write(to.path().join("f"), "whol!").unwrap();
    let (sent, received, _) = sync(from.path(), to.path(), &everything);
    sent.unwrap();
    received.unwrap();
    assert_eq!(fs::read(to.path().join("f")).unwrap(), b"whole");
}
