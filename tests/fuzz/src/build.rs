//! What a build is given: Dockerfiles, `.dockerignore`, BuildKit's definitions, and files of a client.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use buildkit::filesync::{Ends, Owner, Progress, Receive, receive};
use buildkit::proto::fsutil::Packet;
use buildkit::proto::pb;
use dockerfile::ast::Instruction;
use dockerfile::ignore::Patterns;
use dockerfile::lint::{self, Known};
use dockerfile::{Dockerfile, Span, expand};
use prost::Message as _;
use regex::Regex;

use crate::weigh;

/// Parsed, expanded, and looked over. Everything stands where it says that it stands.
pub(crate) fn dockerfile(data: &[u8]) {
    let file = match Dockerfile::parse(data) {
        Ok(file) => file,
        Err(error) => {
            assert!(!error.report().is_empty());
            return;
        }
    };
    let lines = file.source.lines().count().max(1);
    let within = |span: Span| {
        assert!(
            span.start <= span.end && file.source.get(span.start..span.end).is_some(),
            "{span:?} is no place"
        );
    };
    let mut last = 0;
    for stage in &file.stages {
        within(stage.base.span);
        for located in &stage.instructions {
            within(located.at.span);
            within(located.at.keyword.span);
            assert!(last <= located.at.first_line, "lines go back");
            assert!(located.at.first_line <= located.at.last_line && located.at.last_line <= lines);
            last = located.at.first_line;
            file.excerpt(located.at.span, Some("here"));
            instruction(&located.node, file.directives.escape);
        }
    }
    let environment = |_: &str| Some(vec!["PATH=/bin".to_owned()]);
    let arguments = [("a".to_owned(), "b".to_owned())];
    let known = Known { environment: Some(&environment), arguments: &arguments, ignored: None, check: None };
    for warning in lint::check(&file, &known) {
        assert!(
            0 < warning.line && warning.line <= warning.last_line && warning.last_line <= lines,
            "{warning:?}"
        );
    }
    lint::is_fatal(&file, &known);
}

fn instruction(instruction: &Instruction, escape: char) {
    let words: Vec<_> = match instruction {
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            pairs.iter().flat_map(|pair| [&pair.name, &pair.value]).collect()
        }
        Instruction::Expose(words) | Instruction::Volume(words) => words.iter().collect(),
        Instruction::User(word) | Instruction::Workdir(word) | Instruction::Stopsignal(word) => vec![word],
        Instruction::Onbuild(onbuild) => {
            let again = dockerfile::trigger(&onbuild.expression);
            assert!(again.is_ok(), "{:?} was read once, and is not again: {again:?}", onbuild.expression);
            vec![]
        }
        _ => vec![],
    };
    let lookup = |name: &str| match name {
        "EMPTY" => Some(String::new()),
        "a" | "PATH" => Some("x y".to_owned()),
        _ => None,
    };
    for word in words {
        if word.is_plain(escape) {
            assert_eq!(
                expand::word(word, escape, &lookup).ok().as_deref(),
                Some(&word.text[..]),
                "a plain word"
            );
        }
        let _ = expand::words(word, escape, &lookup);
        let _ = expand::body(word, &lookup);
        expand::references(word, escape);
        if let Ok(ports) = dockerfile::expose::parse(word) {
            assert!(ports.first <= ports.last);
        }
    }
}

/// Patterns first, then, behind a line of `--`, paths.
pub(crate) fn dockerignore(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (patterns, paths) = text.split_once("\n--\n").unwrap_or((&text, "a/b/c\na.go\n.git\n"));
    let Ok(read) = Patterns::parse(patterns.as_bytes()) else { return };
    let lines = dockerfile::ignore::lines(patterns.as_bytes());
    assert!(Patterns::new(&lines).is_ok(), "lines that were read once are not again");
    // what stood behind a slash at the line's beginning may begin with spaces, which count for nothing
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    let excepts = lines.iter().any(|line| line.starts_with('!'));
    let paths: Vec<_> = paths.lines().take(16).filter(|path| is_clean(path)).collect();
    // Of many patterns the other opinion alone would need much time.
    let few = lines.len() <= 32;
    let opinion = few.then(|| weigh::apart(|| by_expressions(&lines, &paths))).flatten();
    for (index, path) in paths.into_iter().enumerate() {
        let left_out = read.matches(path);
        if let Some(opinion) = &opinion {
            assert_eq!(left_out, opinion[index], "{path:?} of {lines:?}");
        }
        if excepts {
            continue;
        }
        // Without exceptions, who walks the tree hears the same, and nothing comes back below what is left out.
        let mut above = None;
        let mut walked = false;
        for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
            let (out, matched) = read.matches_in(&path[..end], above.as_ref());
            assert!(!walked || out, "{path:?}: a part of what is left out is taken");
            (above, walked) = (Some(matched), out);
        }
        assert_eq!(walked, left_out, "{path:?} of {lines:?}, walked");
        assert!(!read.may_include_below(path));
    }
}

fn is_clean(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// A pattern as a regular expression, by the rules of Docker's reference; nothing for those that these do not tell of.
fn expression(line: &str) -> Option<(bool, String)> {
    let (exception, body) = line.strip_prefix('!').map_or((false, line), |body| (true, body));
    if body.is_empty() || body.contains(['[', ']', '\\', '\u{fffd}']) || body.starts_with('!') {
        return None;
    }
    let mut out = String::from("^");
    for (index, part) in body.split('/').enumerate() {
        match part {
            "" | "." | ".." => return None,
            "**" if index + 1 == body.split('/').count() => out.push_str("(?s:.)*"),
            "**" => out.push_str("(?:(?s:.)*/)?"),
            part if part.contains("**") => return None,
            part => {
                for letter in part.chars() {
                    match letter {
                        '*' => out.push_str("[^/]*"),
                        '?' => out.push_str("[^/]"),
                        letter => out.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4]))),
                    }
                }
                if index + 1 < body.split('/').count() {
                    out.push('/');
                }
            }
        }
    }
    out.push('$');
    Some((exception, out))
}

/// Which paths are left out: the last pattern that matches one or what it lies in has the word. Nothing if any of the
/// patterns can't be said so.
fn by_expressions(lines: &[&str], paths: &[&str]) -> Option<Vec<bool>> {
    let expressions: Vec<_> = lines.iter().map(|line| expression(line)).collect::<Option<_>>()?;
    let mut left_out = vec![false; paths.len()];
    for (exception, expression) in expressions {
        let built = Regex::new(&expression).ok()?;
        for (path, left_out) in paths.iter().zip(&mut left_out) {
            let mut above = path.match_indices('/').map(|(at, _)| &path[..at]).chain([*path]);
            if above.any(|path| built.is_match(path)) {
                *left_out = !exception;
            }
        }
    }
    Some(left_out)
}

/// A definition: its first line may hold attributes of the frontend as `key=value`, separated by `;`.
pub(crate) fn llb(data: &[u8]) {
    let (first, rest) = crate::first_line(data);
    if let Ok(attributes) = std::str::from_utf8(first) {
        let pairs: Vec<_> = attributes.split(';').filter_map(|pair| pair.split_once('=')).collect();
        let _ = daemon::fuzzing::attributes(&pairs);
    }
    let Ok(definition) = pb::Definition::decode(rest) else { return };
    if let Ok((vertices, result_is_one)) = daemon::fuzzing::llb(&definition) {
        assert!(vertices <= definition.def.len() && result_is_one);
    }
}

/// Packets of a client that sends files, each behind its length (two bytes, little-endian).
pub(crate) fn fsutil(mut data: &[u8]) {
    let mut packets = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        packets.extend(Packet::decode(packet).ok());
        data = rest;
        if packets.len() == 100 {
            break;
        }
    }
    let cage = crate::scratch();
    let (inside, canary) = (cage.path().join("in"), cage.path().join("canary"));
    let made = fs::create_dir(&inside).and_then(|()| fs::write(&canary, "untouched"));
    assert!(made.is_ok(), "{made:?}");
    let Ok(root) = fs::File::open(&inside).map(OwnedFd::from) else { unreachable!("it was just made") };
    let (ends, (come, mut go)) = Ends::new();
    let progress = Progress::default();
    std::thread::scope(|scope| {
        let comes = scope
            .spawn(move || packets.into_iter().all(|packet| come.blocking_send(Ok(vec![packet])).is_ok()));
        let goes = scope.spawn(move || while go.blocking_recv().is_some() {});
        let _ = receive(root, ends, Receive { merge: false, owner: Owner::Caller, progress: &progress });
        // the scope's end alone would not wait until what the threads hold is freed
        assert!(comes.join().is_ok() && goes.join().is_ok());
    });
    let mut names: Vec<_> =
        fs::read_dir(cage.path()).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["canary", "in"], "something was made outside");
    assert_eq!(fs::read(&canary).ok().as_deref(), Some(&b"untouched"[..]), "a file outside was changed");
    assert!(!Path::new("/tmp/berth-fuzz-outside").exists());
}
