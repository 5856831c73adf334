//! Directories and archives of this machine.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::{Arc, PoisonError};

use buildkit::filesync::{self, Ends, Send, Verdict};
use buildkit::proto::BytesMessage;
use buildkit::proto::fsutil::Packet;
use buildkit::{Status, method, session};
use dockerfile::ignore::Patterns;
use sys::path::Root;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Streaming};

use super::Lent;
use crate::error::reason;

/// Bytes of one message of an upload.
const PIECE: usize = 32 << 10;
/// Symbolic links that one name may lead over.
const MAX_LINKS: usize = 255;

/// Sends a directory.
pub(super) async fn sync(
    lent: Arc<Lent>,
    request: Request<Streaming<Packet>>,
) -> Result<Response<impl tokio_stream::Stream<Item = Result<Packet, Status>>>, Status> {
    let values = |key| session::values(request.metadata(), key);
    let name = values(method::metadata::DIR_NAME).pop().unwrap_or_default();
    let path = lent.dirs.get(&name);
    let path = path.ok_or_else(|| Status::not_found(format!("no access allowed to dir {name:?}")))?.clone();
    let wanted = Wanted {
        include: values(method::metadata::INCLUDE),
        exclude: values(method::metadata::EXCLUDE),
        follow: values(method::metadata::FOLLOW),
    };
    let root = std::fs::File::open(&path)
        .map_err(|error| Status::internal(format!("open {}: {}", path.display(), reason(&error))))?;
    let (ends, (come, go)) = Ends::new();
    tokio::spawn(filesync::pump(request.into_inner(), come));
    tokio::task::spawn_blocking(move || {
        let filter = match wanted.filter(&root) {
            Ok(filter) => filter,
            Err(error) => return filesync::refuse(&ends, &error),
        };
        let judge = |path: &str, is_dir: bool| filter.judge(path, is_dir);
        // the other end has been told of a failure, and tells it to the user as the build's
        let _ = filesync::send(root.into(), ends, Send { filter: &judge, reset_owner: true });
    });
    Ok(Response::new(filesync::stream(go).map(Ok)))
}

/// What the daemon wants of a directory.
struct Wanted {
    include: Vec<String>,
    exclude: Vec<String>,
    follow: Vec<String>,
}

struct Filter {
    include: Option<Patterns>,
    /// The patterns as they are, for whether a directory may hold something that is wanted.
    included: Vec<String>,
    exclude: Patterns,
}

impl Wanted {
    fn filter(mut self, root: &std::fs::File) -> Result<Filter, String> {
        if !self.follow.is_empty() {
            let root = root.try_clone().map_err(|error| error.to_string())?;
            let root = Root::in_root(root.into());
            let mut found = BTreeSet::new();
            for path in &self.follow {
                follow(&root, path, &mut found);
            }
            self.include.extend(found);
        }
        let patterns = |patterns: &[String]| Patterns::new(patterns).map_err(|error| error.to_string());
        let include = if self.include.is_empty() { None } else { Some(patterns(&self.include)?) };
        Ok(Filter { include, included: self.include, exclude: patterns(&self.exclude)? })
    }
}

impl Filter {
    fn judge(&self, path: &str, is_dir: bool) -> Verdict {
        if self.exclude.matches(path) {
            let below = is_dir && self.exclude.may_include_below(path) && self.may_hold(path);
            return if below { Verdict::Look } else { Verdict::Skip };
        }
        match &self.include {
            Some(include) if !include.matches(path) => {
                if is_dir && self.may_hold(path) {
                    Verdict::Look
                } else {
                    Verdict::Skip
                }
            }
            _ => Verdict::Send,
        }
    }

    /// Whether something below a directory may be wanted.
    fn may_hold(&self, dir: &str) -> bool {
        let Some(include) = &self.include else { return true };
        include.matches(dir) || self.included.iter().any(|pattern| may_match_below(pattern, dir))
    }
}

/// Whether a pattern can match something below a directory: name by name as far as both go.
fn may_match_below(pattern: &str, dir: &str) -> bool {
    let pattern = pattern.trim_start_matches('!').trim_start_matches('/');
    let mut names = dir.split('/');
    for part in pattern.split('/') {
        let Some(name) = names.next() else { return true };
        if part.contains("**") {
            return true;
        }
        let plain = !part.contains(['*', '?', '[', '\\']);
        if plain && part != name {
            return false;
        }
    }
    // the pattern is the directory's own or one above it
    false
}

/// Notes a path and every link on the way to what it leads to, as names below the root. What is not there is
/// wanted all the same: the daemon says that it is missing. A pattern stands for itself.
fn follow(root: &Root, path: &str, found: &mut BTreeSet<String>) {
    let mut left: Vec<String> = split(path);
    let mut done: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == ".." {
            done.pop();
            continue;
        }
        done.push(name);
        let Ok(target) = root.read_link(done.join("/")) else { continue };
        found.insert(done.join("/"));
        links += 1;
        let Some(target) = target.to_str().filter(|_| links <= MAX_LINKS) else { return };
        done.pop();
        if target.starts_with('/') {
            done.clear();
        }
        left.extend(split(target));
    }
    let path = done.join("/");
    // everything is wanted
    found.insert(if path.is_empty() { "**".to_owned() } else { path });
}

/// A path's names, the first last.
fn split(path: &str) -> Vec<String> {
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    names.rev().map(str::to_owned).collect()
}

/// Sends what came on standard input.
pub(super) async fn upload(
    lent: Arc<Lent>,
    request: Request<Streaming<BytesMessage>>,
) -> Result<Response<ReceiverStream<Result<BytesMessage, Status>>>, Status> {
    let path = session::values(request.metadata(), method::metadata::URL_PATH).pop().unwrap_or_default();
    let id = path.trim_start_matches('/');
    let slot = lent.uploads.get(id).ok_or_else(|| Status::not_found(format!("no such upload {id:?}")))?;
    let source = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut source = source.ok_or_else(|| Status::failed_precondition("the upload was read already"))?;
    let (go, answers) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut data = vec![0; PIECE];
            let piece = match source.read(&mut data) {
                Ok(0) => return,
                Ok(count) => {
                    data.truncate(count);
                    Ok(BytesMessage { data })
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(Status::internal(format!("read the context: {}", reason(&error)))),
            };
            let last = piece.is_err();
            if go.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    Ok(Response::new(ReceiverStream::new(answers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(dir.path()).unwrap();
        Wanted { include: owned(include), exclude: owned(exclude), follow: vec![] }.filter(&root).unwrap()
    }

    #[test]
    fn only_what_is_wanted_and_not_ignored() {
        let filter = filter(&["src/a", "docs/**/*.md"], &["**/target", "!src/a/target/keep"]);
        for (path, is_dir, verdict) in [
            ("src", true, Verdict::Look),
            ("src/a", true, Verdict::Send),
            ("src/a/x", false, Verdict::Send),
            ("src/b", true, Verdict::Skip),
            ("docs/x/y", true, Verdict::Look),
            ("docs/x/y.md", false, Verdict::Send),
            ("src/a/target", true, Verdict::Look),
            ("src/a/target/keep", false, Verdict::Send),
            ("src/a/target/other", false, Verdict::Skip),
            ("README", false, Verdict::Skip),
        ] {
            assert_eq!(filter.judge(path, is_dir), verdict, "{path}");
        }
    }

    #[test]
    fn links_are_followed_within_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/link/file", dir.path().join("far")).unwrap();
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        let root = Root::open_in_root(dir.path()).unwrap();
        let led = |path| {
            let mut found = BTreeSet::new();
            follow(&root, path, &mut found);
            found.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(led("far"), ["far", "link", "real/file"]);
        assert_eq!(led("../.."), ["**"]);
        assert_eq!(led("loop"), ["loop"]);
        assert_eq!(led("a*"), ["a*"]);
    }
}
