//! A git repository at one commit.
//!
//! What a branch or a tag means is asked each time; the files of a commit are kept for the next build that wants them.

use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;

use ::build::graph::{GitSource, redacted};
use ::build::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use store::Scratch;
use sys::path::Root;

use super::super::contexts::Label;
use super::super::secret;
use super::super::trees::Directory;
use super::program::Git;
use super::{Fetcher, Tell, trust};

/// Files of one commit, at most.
const MAX_FILES: u64 = 2_000_000;
/// Bytes of all files of one commit, at most.
const MAX_BYTES: u64 = 64 << 30;
/// The secrets that a client may have for repositories: a token, or the whole header.
const TOKEN: &str = "GIT_AUTH_TOKEN";
const HEADER: &str = "GIT_AUTH_HEADER";
/// How deep submodules may lie within each other.
const MAX_DEPTH: usize = 64;

/// Bytes that a URL escapes.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// A text without secrets.
pub(super) fn redact(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "xxxxx");
    }
    text
}

/// A remote without what is secret in it, and that.
struct Remote {
    url: String,
    /// The value of `Authorization`, of what the URL says.
    authorization: Option<String>,
    secrets: Vec<String>,
}

impl Remote {
    fn of(text: &str) -> Result<Self> {
        let plain = || Self { url: text.to_owned(), authorization: None, secrets: Vec::new() };
        let Some((scheme @ ("http" | "https"), rest)) = text.split_once("://") else { return Ok(plain()) };
        let end = rest.find('/').unwrap_or(rest.len());
        let Some((user, host)) = rest[..end].rsplit_once('@') else { return Ok(plain()) };
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let (Some(name), Some(word)) = (unescape(name), unescape(password)) else {
            return Err(Error::Invalid(format!("the user name in {} can't be read", redacted(text))));
        };
        let both = STANDARD.encode(format!("{name}:{word}"));
        Ok(Self {
            url: format!("{scheme}://{host}{}", &rest[end..]),
            secrets: vec![both.clone(), password.to_owned(), word],
            authorization: Some(format!("basic {both}")),
        })
    }

    /// Scheme and authority, if a web server has it.
    fn origin(&self) -> Option<&str> {
        let start = self.url.find("://").filter(|_| self.url.starts_with("http"))? + 3;
        let end = self.url[start..].find('/').map_or(self.url.len(), |end| start + end);
        Some(&self.url[..end])
    }

    /// It is reached by ssh.
    fn is_ssh(&self) -> bool {
        self.url.starts_with("ssh://") || !self.url.contains("://")
    }
}

impl Fetcher {
    /// The repository's files.
    pub(super) fn git(&self, source: &GitSource, tell: Tell<'_>) -> Result<Directory> {
        source.check().map_err(Error::Invalid)?;
        let failed = |error: Error| match error {
            Error::Cancelled => Error::Cancelled,
            error => Error::Invalid(format!("failed to load {}: {error}", source.shown())),
        };
        self.checkout(source, tell).map_err(failed)
    }

    fn checkout(&self, source: &GitSource, tell: Tell<'_>) -> Result<Directory> {
        let room = |error: store::Error| Error::because("make room for a repository", error);
        let place = self.engine.store.scratch().map_err(room)?;
        let remote = Remote::of(&source.remote)?;
        let (git, _agent) = self.program(source, &remote, &place)?;
        let commit = self.wait(resolve(&git, &remote.url, source, place.path()))?;
        if !source.checksum.is_empty() && !commit.starts_with(&source.checksum.to_ascii_lowercase()) {
            return Err(Error::Invalid(format!(
                "expected checksum to match {}, got {commit}",
                source.checksum
            )));
        }
        let key = format!(
            "git\0{}\0{commit}\0{}\0{}\0{}\0{}",
            source.remote, source.reference, source.subdir, source.keep_git_dir, source.skip_submodules
        );
        let label = Label::git(format!("{}#{commit}:{}", source.shown(), source.subdir));
        let kept = self.engine.builder.contexts.take(&self.engine.layout, &key, &label);
        let kept = kept.map_err(|error| Error::because("make room for a repository", error))?;
        let kept = match kept {
            Some(kept) if kept.is_whole() => return Ok(Directory::Kept(Arc::new(kept))),
            kept => kept,
        };
        tell(0, 0);
        let tree = place.path().join("repository");
        fs::create_dir(&tree).map_err(|error| Error::because("make room for a repository", error))?;
        self.wait(fetch(&git, &remote.url, source, &commit, &tree))?;
        let files = settle(&place, source)?;
        match kept {
            Some(kept) => {
                kept.fill(&files).map_err(|error| Error::because("keep a repository", error))?;
                Ok(Directory::Kept(Arc::new(kept)))
            }
            None => Ok(Directory::Part { _place: Arc::new(place), path: files }),
        }
    }

    /// How git is called for one remote: with what the client lends for it, which no other host gets.
    fn program(
        &self,
        source: &GitSource,
        remote: &Remote,
        place: &Scratch,
    ) -> Result<(Git, Option<secret::Socket>)> {
        let mut secrets = remote.secrets.clone();
        let mut settings = Vec::new();
        let mut env = Vec::new();
        if let Some(origin) = remote.origin() {
            let registries = self.engine.registries.current();
            settings = trust::settings(&registries.client, origin, &place.path().join("authorities"))?;
            let authorization = match &remote.authorization {
                Some(authorization) => Some(authorization.clone()),
                None => self.authorization(source, origin, &mut secrets)?,
            };
            if let Some(authorization) = authorization {
                settings
                    .push((format!("http.{origin}/.extraHeader"), format!("Authorization: {authorization}")));
                // git would take the header along to wherever it is led
                settings.push(("http.followRedirects".to_owned(), "false".to_owned()));
            }
        }
        let mut agent = None;
        if remote.is_ssh() {
            let known = place.path().join("known_hosts");
            fs::write(&known, &source.known_hosts)
                .map_err(|error| Error::because("write known hosts", error))?;
            // whoever names no keys trusts those of the first contact, as Docker's key scan does
            let strict = if source.known_hosts.is_empty() { "accept-new" } else { "yes" };
            let quoted = known.display().to_string().replace('\'', "'\\''");
            env.push((
                "GIT_SSH_COMMAND",
                OsString::from(format!(
                    "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking={strict} -o UserKnownHostsFile='{quoted}' -o GlobalKnownHostsFile=/dev/null -o IdentityFile=none -o ConnectTimeout=30 -o ServerAliveInterval=30"
                )),
            ));
            let id = if source.ssh.is_empty() { "default" } else { &source.ssh };
            if let Some(lent) = &self.lent {
                agent = secret::socket(&self.engine.store, &self.runtime, lent, id)?;
            }
            if let Some(agent) = &agent {
                env.push(("SSH_AUTH_SOCK", agent.address().into()));
            }
        }
        Ok((Git { home: place.path().join("home"), settings, env, secrets }, agent))
    }

    /// What the client's secrets say for a web server: of the host's own, and of those for all.
    fn authorization(
        &self,
        source: &GitSource,
        origin: &str,
        secrets: &mut Vec<String>,
    ) -> Result<Option<String>> {
        let Some(lent) = &self.lent else { return Ok(None) };
        let host = origin.rsplit('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let or =
            |given: &str, usual: &str| if given.is_empty() { usual.to_owned() } else { given.to_owned() };
        let (header, token) = (or(&source.auth_header_secret, HEADER), or(&source.auth_token_secret, TOKEN));
        let names = [
            (format!("{header}.{host}"), true),
            (format!("{token}.{host}"), false),
            (header, true),
            (token, false),
        ];
        for (id, is_header) in names {
            let found = lent.secret(&id).map_err(|error| Error::Invalid(format!("secret {id}: {error}")))?;
            let Some(found) = found else { continue };
            let text = String::from_utf8(found).ok().map(|text| text.trim().to_owned());
            let text = text.filter(|text| !text.chars().any(char::is_control));
            let text =
                text.ok_or_else(|| Error::Invalid(format!("secret {id} can't be sent in a header")))?;
            secrets.push(text.clone());
            if is_header {
                return Ok(Some(text));
            }
            let both = STANDARD.encode(format!("x-access-token:{text}"));
            secrets.push(both.clone());
            return Ok(Some(format!("basic {both}")));
        }
        Ok(None)
    }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The commit that a source means now.
async fn resolve(git: &Git, url: &str, source: &GitSource, place: &Path) -> Result<String> {
    fs::create_dir_all(&git.home).map_err(|error| Error::because("make room for a repository", error))?;
    if is_commit(&source.reference) {
        return Ok(source.reference.to_ascii_lowercase());
    }
    let wanted = if source.reference.is_empty() { "HEAD" } else { &source.reference };
    let peeled = format!("{wanted}^{{}}");
    let told = git.run(place, &["ls-remote", "--", url, wanted, &peeled]).await?;
    let told = String::from_utf8_lossy(&told);
    let known: Vec<(&str, &str)> = told.lines().filter_map(|line| line.split_once('\t')).collect();
    // the first of these that is there counts, an annotated tag as what it is of
    let names = [
        format!("refs/tags/{wanted}^{{}}"),
        format!("refs/tags/{wanted}"),
        format!("refs/heads/{wanted}"),
        format!("{wanted}^{{}}"),
        wanted.to_owned(),
    ];
    let found = names.iter().find_map(|name| known.iter().find(|(_, told)| told == name));
    match found {
        Some((commit, _)) if is_commit(commit) => Ok((*commit).to_owned()),
        _ => Err(Error::Invalid(format!("repository does not contain ref {wanted}"))),
    }
}

/// Makes `tree` the repository at a commit, with its submodules.
async fn fetch(git: &Git, url: &str, source: &GitSource, commit: &str, tree: &Path) -> Result<()> {
    git.run(tree, &["init", "--quiet"]).await?;
    git.run(tree, &["remote", "add", "origin", url]).await?;
    let shallow =
        ["fetch", "--progress", "--no-tags", "--no-recurse-submodules", "--depth=1", "origin", commit];
    if git.run(tree, &shallow).await.is_err() {
        // a server may give no commit but those that have a name
        let all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
        let fetch = ["fetch", "--progress", "--no-recurse-submodules", "origin", all[0], all[1]];
        git.run(tree, &fetch).await?;
    }
    measure(git, commit, tree).await?;
    let branch = source.reference.strip_prefix("refs/heads/").unwrap_or(&source.reference);
    let is_tag = branch.starts_with("refs/");
    let is_branch = source.keep_git_dir && !branch.is_empty() && !is_commit(branch) && !is_tag;
    git.run(tree, &["checkout", "--progress", "--force", "--detach", commit]).await?;
    if source.keep_git_dir {
        // an index that knows no times and no inodes is the same each time
        let index = tree.join(".git/index");
        fs::remove_file(index).map_err(|error| Error::because("clear a repository", error))?;
        git.run(tree, &["read-tree", "HEAD"]).await?;
    }
    if is_branch {
        git.run(tree, &["update-ref", &format!("refs/remotes/origin/{branch}"), commit]).await?;
    }
    if !source.skip_submodules && tree.join(".gitmodules").symlink_metadata().is_ok() {
        let update = ["submodule", "update", "--init", "--recursive", "--depth=1", "--progress"];
        git.run(tree, &update).await?;
    }
    Ok(())
}

/// Looks how much would come of a commit before anything is written.
async fn measure(git: &Git, commit: &str, tree: &Path) -> Result<()> {
    let (mut files, mut bytes, mut rest) = (0_u64, 0_u64, Vec::new());
    let too_large =
        || Error::Invalid(format!("the commit has more than {MAX_FILES} files or {MAX_BYTES} bytes"));
    let mut take = |piece: &[u8]| {
        rest.extend_from_slice(piece);
        while let Some(end) = rest.iter().position(|byte| *byte == 0) {
            // "<mode> <type> <id> <size>\t<path>"
            let line = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest.drain(..=end);
            let head = line.split('\t').next().unwrap_or_default();
            let size = head.split_whitespace().nth(3).and_then(|size| size.parse::<u64>().ok());
            files += 1;
            bytes = bytes.saturating_add(size.unwrap_or(0));
            if files > MAX_FILES || bytes > MAX_BYTES {
                return Err(too_large());
            }
        }
        if rest.len() > (1 << 20) { Err(too_large()) } else { Ok(()) }
    };
    git.read(tree, &["ls-tree", "-r", "-l", "-z", "--full-tree", commit], &mut take).await
}

/// Takes away what is no file of the repository, and gives the directory that was asked for.
fn settle(place: &Scratch, source: &GitSource) -> Result<std::path::PathBuf> {
    let tree = place.path().join("repository");
    let failed = |error: rustix::io::Errno| Error::path(&source.subdir, error);
    let opened = Root::open_strict(&tree).map_err(|error| Error::because("open a repository", error))?;
    if source.keep_git_dir {
        // when and by whom it was fetched is no property of the repository
        for path in ["FETCH_HEAD", "ORIG_HEAD", "logs"] {
            let _ = opened.remove_all(format!(".git/{path}"));
        }
    } else {
        bare(&opened, 0)?;
    }
    if source.subdir.is_empty() {
        return Ok(tree);
    }
    let is_dir = opened.open_dir(&source.subdir).map_err(failed)?;
    drop(is_dir);
    let (parent, name) = opened.parent(Path::new(&source.subdir)).map_err(failed)?;
    let to =
        sys::file::open_directory(place.path()).map_err(|error| Error::because("open a place", error))?;
    rustix::fs::renameat(&parent, name, to.as_fd(), "directory").map_err(failed)?;
    Ok(place.path().join("directory"))
}

/// Removes `.git` from a directory, and from those of submodules in it.
fn bare(dir: &Root, depth: usize) -> Result<()> {
    let failed = |error: rustix::io::Errno| Error::because("clear a repository", error);
    dir.remove_all(".git").map_err(failed)?;
    if depth == MAX_DEPTH || dir.lstat(".gitmodules").is_err() && depth == 0 {
        return Ok(());
    }
    let opened = dir.open_dir(".").map_err(failed)?;
    for entry in rustix::fs::Dir::read_from(&opened).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if entry.file_type() == rustix::fs::FileType::Directory && !matches!(name.to_bytes(), b"." | b"..") {
            use std::os::unix::ffi::OsStrExt as _;
            let name = std::ffi::OsStr::from_bytes(name.to_bytes());
            bare(&dir.sub(name).map_err(failed)?, depth + 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_remote_is_taken_out() {
        let remote = Remote::of("https://me:p%40ss@h:8443/x.git").unwrap();
        assert_eq!((remote.url.as_str(), remote.origin()), ("https://h:8443/x.git", Some("https://h:8443")));
        assert_eq!(remote.authorization.as_deref(), Some("basic bWU6cEBzcw=="));
        assert_eq!(redact("no p@ss and no p%40ss", &remote.secrets), "no xxxxx and no xxxxx");
        let plain = Remote::of("git@h:x").unwrap();
        assert!(plain.is_ssh() && plain.origin().is_none() && plain.authorization.is_none());
        assert!(Remote::of("https://a%zz@h/x.git").is_err());
    }
}
