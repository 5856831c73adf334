use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::log::{LogWriter, Stream};

fn request(dir: &Path, driver: &str, max_size: u64, max_file: u32) -> LogRequest {
    let path = dir.join("c.log");
    LogRequest { driver: driver.into(), path, max_size, max_file, ..LogRequest::default() }
}

fn lines(log: &LogRequest, options: &ReadOptions) -> Vec<String> {
    let mut out = Vec::new();
    read(log, options, None, &mut |entry: Entry| {
        out.push(String::from_utf8(entry.line).unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    out
}

fn tail(n: u64) -> ReadOptions {
    ReadOptions { tail: Some(n), ..ReadOptions::default() }
}

#[test]
fn tail_of_both_formats_across_rotated_files() {
    for driver in ["json-file", "local"] {
        let dir = tempfile::tempdir().unwrap();
        let log = request(dir.path(), driver, 3000, 100);
        let mut writer = LogWriter::open(&log).unwrap();
        for i in 0..500 {
            writer.write(Stream::Stdout, format!("line {i}\n").as_bytes());
        }
        writer.write(Stream::Stdout, b"last");
        writer.finish(Stream::Stdout);
        let all = lines(&log, &ReadOptions::default());
        assert_eq!(all.len(), 501, "{driver}");
        assert_eq!(all[499..], ["line 499\n", "last"]);
        for n in [1, 2, 40, 41, 100, 499, 500, 501, 900] {
            let got = lines(&log, &tail(n));
            assert_eq!(got, all[501_usize.saturating_sub(n as usize)..], "{driver} {n}");
        }
        assert!(lines(&log, &tail(0)).is_empty());
        for file in fs::read_dir(dir.path()).unwrap() {
            assert!(file.unwrap().metadata().unwrap().len() < 3200);
        }
    }
}

#[test]
fn rotation_keeps_max_file_files() {
    let dir = tempfile::tempdir().unwrap();
    for (max_file, expected) in [(3, 3), (1, 1)] {
        let log = request(dir.path(), "json-file", 1000, max_file);
        let mut writer = LogWriter::open(&log).unwrap();
        for i in 0..200 {
            writer.write(Stream::Stdout, format!("line {i}\n").as_bytes());
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), expected);
        assert_eq!(lines(&log, &tail(1)), ["line 199\n"]);
        fs::read_dir(dir.path()).unwrap().for_each(|f| fs::remove_file(f.unwrap().path()).unwrap());
    }
}

#[test]
fn reads_and_tails_compressed_files() {
    let dir = tempfile::tempdir().unwrap();
    let log = request(dir.path(), "json-file", 2000, 100);
    let mut writer = LogWriter::open(&log).unwrap();
    for i in 0..300 {
        writer.write(Stream::Stdout, format!("line {i}\n").as_bytes());
    }
    let all = lines(&log, &ReadOptions::default());
    for n in 1..5 {
        crate::log::compress(&dir.path().join(format!("c.log.{n}"))).unwrap();
    }
    assert_eq!(lines(&log, &ReadOptions::default()), all);
    for n in [1, 30, 60, 100, 150, 299] {
        assert_eq!(lines(&log, &tail(n)), all[300 - n as usize..], "{n}");
    }
}

#[test]
fn a_line_cut_short_by_a_power_loss_spoils_nothing() {
    for (driver, torn) in [("json-file", &b"{\"log\":\"half"[..]), ("local", &[0, 0, 0, 40, 1, 2, 3][..])] {
        let dir = tempfile::tempdir().unwrap();
        let log = request(dir.path(), driver, 0, 1);
        LogWriter::open(&log).unwrap().write(Stream::Stdout, b"one\n");
        fs::OpenOptions::new().append(true).open(&log.path).unwrap().write_all(torn).unwrap();
        assert_eq!(lines(&log, &ReadOptions::default()), ["one\n"]);
        assert_eq!(lines(&log, &tail(1)), ["one\n"]);
        LogWriter::open(&log).unwrap().write(Stream::Stdout, b"two\n");
        assert_eq!(lines(&log, &ReadOptions::default()), ["one\n", "two\n"], "{driver}");
    }
}

#[test]
fn since_and_until() {
    let dir = tempfile::tempdir().unwrap();
    let log = request(dir.path(), "json-file", 0, 1);
    let mut text = String::new();
    for second in 1..6 {
        text += &format!(
            "{{\"log\":\"{second}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:0{second}Z\"}}\n"
        );
    }
    fs::write(&log.path, text).unwrap();
    let at = |s: &str| Some(s.parse().unwrap());
    let options = ReadOptions {
        since: at("2026-01-01T00:00:02Z"),
        until: at("2026-01-01T00:00:04Z"),
        ..ReadOptions::default()
    };
    assert_eq!(lines(&log, &options), ["2\n", "3\n", "4\n"]);
}

#[test]
fn follows_across_rotations_until_told_to_finish() {
    let dir = tempfile::tempdir().unwrap();
    let log = request(dir.path(), "json-file", 2000, 300);
    let mut writer = LogWriter::open(&log).unwrap();
    writer.write(Stream::Stdout, b"line 0\n");
    let stopper = Arc::new(Stopper::new().unwrap());
    let reader = std::thread::spawn({
        let (log, stopper) = (log.clone(), Arc::clone(&stopper));
        move || {
            let mut out = Vec::new();
            let options = ReadOptions { follow: true, ..ReadOptions::default() };
            read(&log, &options, Some(&stopper), &mut |entry: Entry| {
                out.push(String::from_utf8(entry.line).unwrap());
                ControlFlow::Continue(())
            })
            .unwrap();
            out
        }
    });
    for i in 1..2000 {
        writer.write(Stream::Stdout, format!("line {i}\n").as_bytes());
    }
    stopper.finish();
    let got = reader.join().unwrap();
    let want: Vec<_> = (0..2000).map(|i| format!("line {i}\n")).collect();
    let differs = got.iter().zip(&want).position(|(a, b)| a != b);
    assert_eq!((got.len(), differs), (want.len(), None));
}

#[test]
fn abort_ends_a_reader_of_a_log_that_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let log = request(dir.path(), "json-file", 0, 1);
    let stopper = Stopper::new().unwrap();
    stopper.abort();
    let options = ReadOptions { follow: true, ..ReadOptions::default() };
    read(&log, &options, Some(&stopper), &mut |_| ControlFlow::Continue(())).unwrap();
    let none = LogRequest::default();
    assert!(matches!(
        read(&none, &options, None, &mut |_| ControlFlow::Continue(())),
        Err(LogError::NotReadable)
    ));
}

#[test]
fn a_full_disk_loses_lines_but_not_the_file() {
    let log = LogRequest { driver: "json-file".into(), path: "/dev/full".into(), ..LogRequest::default() };
    let mut writer = LogWriter::open(&log).unwrap();
    writer.write(Stream::Stdout, b"lost\n");
    assert_eq!(writer.offset(), 0);
}
