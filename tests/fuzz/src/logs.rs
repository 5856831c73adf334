//! Log files as they are found on a disk, and as our own writer leaves them.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use shim::log::{Entry, LogWriter, ReadOptions, Stream, read};
use shim::protocol::LogRequest;

fn all(request: &LogRequest, tail: Option<u64>) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let options = ReadOptions { tail, ..ReadOptions::default() };
    let mut take = |entry: Entry| {
        entries.push(entry);
        ControlFlow::Continue(())
    };
    read(request, &options, None, &mut take).ok()?;
    Some(entries)
}

/// The first byte chooses how the rest is looked at.
pub(crate) fn log(data: &[u8]) {
    let Some((how, data)) = data.split_first() else { return };
    let dir = crate::scratch();
    let driver = if how & 1 == 0 { "json-file" } else { "local" };
    let request = LogRequest {
        driver: driver.to_owned(),
        path: dir.path().join("log"),
        max_file: 3,
        ..LogRequest::default()
    };
    if how & 2 == 0 { found(&request, data, usize::from(how >> 2)) } else { written(&request, data, *how) }
}

/// Files that anybody may have written: the last so many entries are the last so many of all.
fn found(request: &LogRequest, data: &[u8], cut: usize) {
    let at = data.len() * cut / 64;
    let older = PathBuf::from(format!("{}.1", request.path.display()));
    let made = fs::write(&request.path, &data[at..])
        .and_then(|()| if at > 0 { fs::write(older, &data[..at]) } else { Ok(()) });
    assert!(made.is_ok(), "{made:?}");
    let Some(entries) = all(request, None) else { return };
    assert!(entries.len() <= data.len() + 1, "more entries than bytes");
    // What is counted from the end cannot know what a reader would leave out: damaged lines.
    let lines = (request.driver == "json-file" && data.ends_with(b"\n"))
        .then(|| data.iter().filter(|byte| **byte == b'\n').count());
    for tail in [0, 1, 3] {
        let last = all(request, Some(tail as u64)).unwrap_or_default();
        if lines == Some(entries.len()) {
            let from = entries.len().saturating_sub(tail);
            assert_eq!(last, entries[from..], "the last {tail}");
        }
        // In a damaged `local` file a reader finds its way at more places than who counts from the end.
        assert!(last.len() <= tail || request.driver == "local", "more than the last {tail}");
    }
}

/// Output of a container, in pieces: what was written is read.
fn written(request: &LogRequest, data: &[u8], how: u8) {
    let Ok(mut writer) = LogWriter::open(request) else { unreachable!("a new log can't be opened") };
    for piece in data.chunks(usize::from(how >> 2) * 100 + 7) {
        writer.write(Stream::Stdout, piece);
    }
    writer.finish(Stream::Stdout);
    let Some(entries) = all(request, None) else { unreachable!("our own log can't be read") };
    let back: Vec<u8> = entries.iter().flat_map(|entry| entry.line.iter().copied()).collect();
    if request.driver == "local" {
        assert!(back == data, "{} bytes were written, and others are read", data.len());
    } else if let Ok(text) = std::str::from_utf8(data)
        && data.len() < 16 << 10
    {
        assert_eq!(String::from_utf8_lossy(&back), text, "what was written is not what is read");
    }
    assert!(entries.iter().all(|entry| entry.stream == Stream::Stdout));
}
