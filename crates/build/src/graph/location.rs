//! What people write for a place of files: git repositories and URLs, as `docker build` and `ADD` read them.

use super::{GitSource, HttpSource, Source};

/// Longest location, reference or directory, in bytes.
const MAX_LENGTH: usize = 4096;

impl Source {
    /// The context or named context that a text means, if it is a git repository or a URL.
    ///
    /// # Errors
    /// It is one that can't be used; the sentence names no password.
    pub fn remote(text: &str) -> Result<Option<Self>, String> {
        let full = if text.starts_with("github.com/") { format!("https://{text}") } else { text.to_owned() };
        let is_short = full.len() != text.len();
        let git = if is_short { Some(GitSource::split(&full)) } else { GitSource::parse(&full) };
        if let Some(git) = git {
            git.check()?;
            return Ok(Some(Self::Git(git)));
        }
        if !is_url(&full) {
            return Ok(None);
        }
        check(&full, "URL")?;
        // what is an archive is the files in it
        Ok(Some(Self::Http(HttpSource { url: full, unpack: true, ..HttpSource::default() })))
    }
}

impl GitSource {
    /// The repository that a text means, if it means one: `git@host:path`, `git://`, `ssh://`, or a URL whose path ends
    /// with `.git`; behind `#` a branch, tag or commit, and behind `:` a directory, or both and more as a query
    /// (`?ref=…&subdir=…`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let remote = text.split('#').next().unwrap_or_default();
        let is_git = remote.starts_with("git://")
            || remote.starts_with("ssh://")
            || is_url(remote) && remote.split('?').next().is_some_and(|path| path.ends_with(".git"))
            || is_scp(remote);
        is_git.then(|| Self::split(text))
    }

    fn split(text: &str) -> Self {
        let (remote, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        let plain = Self {
            remote: remote.to_owned(),
            reference: reference.to_owned(),
            subdir: subdir.trim_matches('/').to_owned(),
            ..Self::default()
        };
        let queried = remote.split_once('?').filter(|(remote, _)| remote.contains("://"));
        let Some((remote, query)) = queried else { return plain };
        // one that is not understood stays where it is, and `check` refuses it there
        plain.clone().queried(remote, query).unwrap_or(plain)
    }

    /// With what a query says; `None` if it can't be understood, or says otherwise than the fragment.
    fn queried(mut self, remote: &str, query: &str) -> Option<Self> {
        self.remote = remote.to_owned();
        for (name, value) in query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
            let value = unescaped(value)?;
            match name {
                "ref" => once(&mut self.reference, value)?,
                "branch" => once(&mut self.reference, format!("refs/heads/{value}"))?,
                "tag" => once(&mut self.reference, format!("refs/tags/{value}"))?,
                "checksum" | "commit" => once(&mut self.checksum, value)?,
                "subdir" => once(&mut self.subdir, value.trim_matches('/').to_owned())?,
                "keep-git-dir" => self.keep_git_dir = switch(&value)?,
                "submodules" => self.skip_submodules = !switch(&value)?,
                _ => return None,
            }
        }
        if self.reference.is_empty() && matches!(self.checksum.len(), 40 | 64) {
            self.reference.clone_from(&self.checksum);
        }
        Some(self)
    }

    /// Whether it can be given to a git program as it stands: nothing in it is an option, leaves the repository, or
    /// asks for another transport than https, http, git and ssh.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        check(&self.remote, "git repository")?;
        if self.remote.contains("://") && self.remote.contains('?') {
            return Err(format!(
                "the query of git repository {:?} can't be understood: ref, branch, tag, commit, checksum, subdir, keep-git-dir and submodules are known, each once and not otherwise than behind #",
                self.shown()
            ));
        }
        let authority = match self.remote.split_once("://") {
            Some(("http" | "https" | "git" | "ssh", rest)) => rest.split('/').next().unwrap_or_default(),
            None if is_scp(&self.remote) => self.remote.split(':').next().unwrap_or_default(),
            _ => return Err(format!("git repository {:?} has no scheme that is allowed", self.shown())),
        };
        let host = authority.rsplit('@').next().unwrap_or_default();
        if host.is_empty() || host.starts_with('-') || authority.starts_with('-') {
            return Err(format!("git repository {:?} has no valid host", self.shown()));
        }
        check_reference(&self.reference)?;
        let parts = || self.subdir.split('/');
        if self.subdir.len() > MAX_LENGTH || parts().any(|part| matches!(part, ".." | ".git")) {
            return Err(format!("{:?} is no directory of a repository", self.subdir));
        }
        let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_commit = hex(&self.checksum) && (7..=64).contains(&self.checksum.len());
        if !self.checksum.is_empty() && !is_commit {
            return Err(format!("{:?} is no commit's digits", self.checksum));
        }
        Ok(())
    }

    /// The location without a password.
    #[must_use]
    pub fn shown(&self) -> String {
        redacted(&self.remote)
    }
}

/// Says something that was not said before.
fn once(place: &mut String, value: String) -> Option<()> {
    if value.is_empty() || !place.is_empty() && *place != value {
        return None;
    }
    *place = value;
    Some(())
}

/// A name alone switches on.
fn switch(value: &str) -> Option<bool> {
    match value {
        "" | "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// A query's value without its escapes.
fn unescaped(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// A text in which the URLs have no names and passwords in them.
#[must_use]
pub fn redacted(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (head, tail) = rest.split_at(start + 3);
        let ends = |c: char| "/?#\"',]".contains(c) || c.is_whitespace();
        let (authority, tail) = tail.split_at(tail.find(ends).unwrap_or(tail.len()));
        shown.push_str(head);
        shown.push_str(&match authority.rsplit_once('@') {
            // who logs in by ssh is no secret
            Some((user, _)) if head.ends_with("ssh://") && !user.contains(':') => authority.to_owned(),
            Some((_, host)) => format!("xxxxx@{host}"),
            None => authority.to_owned(),
        });
        rest = tail;
    }
    shown + rest
}

/// Whether a text is a URL of a web server.
pub(crate) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// `user@host:path`
fn is_scp(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    let word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    word(user, b"-_") && word(host, b"-.") && !path.is_empty() && !path.starts_with("//")
}

fn check(text: &str, what: &str) -> Result<(), String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("the {what} is longer than {MAX_LENGTH} bytes"));
    }
    if text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("{:?} is no {what}", redacted(text)));
    }
    Ok(())
}

/// As git-check-ref-format(1), so far as it matters; a commit's digits are one, too.
fn check_reference(text: &str) -> Result<(), String> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let wrong = text.starts_with('-')
        || text.starts_with('+')
        || text.contains("..")
        || text.contains("@{")
        || text.len() > MAX_LENGTH
        || text.chars().any(odd);
    if wrong { Err(format!("{text:?} is no branch, tag or commit")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(text: &str) -> Result<(String, String, String), String> {
        match Source::remote(text)? {
            Some(Source::Git(git)) => Ok((git.remote, git.reference, git.subdir)),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn repositories_branches_and_directories() {
        for (text, wanted) in [
            ("https://h/x.git", ("https://h/x.git", "", "")),
            ("https://h/x.git#v1:a/b", ("https://h/x.git", "v1", "a/b")),
            ("https://h/x.git#:sub/", ("https://h/x.git", "", "sub")),
            ("git://h/x#main", ("git://h/x", "main", "")),
            ("git@h.example:a/b.git#feature/y", ("git@h.example:a/b.git", "feature/y", "")),
            ("ssh://git@h:22/x", ("ssh://git@h:22/x", "", "")),
            ("github.com/a/b#c", ("https://github.com/a/b", "c", "")),
            ("https://h/x.git?ref=v1&subdir=/a%2Fb/", ("https://h/x.git", "v1", "a/b")),
            ("https://h/x.git?branch=main", ("https://h/x.git", "refs/heads/main", "")),
            ("ssh://git@h/x?tag=v2#:sub", ("ssh://git@h/x", "refs/tags/v2", "sub")),
        ] {
            let (remote, reference, subdir) = wanted;
            assert_eq!(git(text), Ok((remote.into(), reference.into(), subdir.into())), "{text}");
        }
        let url = Source::remote("https://h/x.tar.gz").unwrap();
        assert!(matches!(url, Some(Source::Http(http)) if http.unpack));
        for none in ["local:x", "docker-image://alpine", ".", "a@b", "target:base"] {
            assert_eq!(Source::remote(none), Ok(None), "{none}");
        }
    }

    #[test]
    fn a_query_says_more_than_a_fragment() {
        let commit = "0123456789012345678901234567890123456789";
        let text = format!("https://h/x.git?commit={commit}&keep-git-dir&submodules=false");
        let Ok(Some(Source::Git(git))) = Source::remote(&text) else { panic!("{text}") };
        assert_eq!((git.reference.as_str(), git.checksum.as_str()), (commit, commit));
        assert!(git.keep_git_dir && git.skip_submodules);
        // of a repository by scp's words it is a part of the path
        let git = GitSource::parse("git@h:a?ref=b").unwrap();
        assert_eq!((git.remote.as_str(), git.reference.as_str()), ("git@h:a?ref=b", ""));
    }

    #[test]
    fn what_git_would_take_for_something_else_is_refused() {
        for text in [
            "https://h/x.git?colour=red",
            "https://h/x.git?ref=a#b",
            "https://h/x.git?ref=a&branch=a",
            "https://h/x.git?ref=",
            "https://h/x.git?submodules=perhaps",
            "https://h/x.git?subdir=%2e%2e/etc",
            "https://h/x.git?ref=--upload-pack%3Dtouch",
            "https://h/x.git?ref=%f",
            "git://h/x?checksum=xyz",
            "https://h/x.git#--upload-pack=touch",
            "https://h/x.git#a..b",
            "https://h/x.git#+a",
            "https://h/x.git#a b",
            "https://h/x.git#:../etc",
            "https://h/x.git#:.git",
            "git://-oProxyCommand=x/y",
            "ssh://-oProxyCommand=x/y.git",
            "git://",
            "https://h/\\nx.git",
        ] {
            let text = text.replace("\\n", "\n");
            assert!(git(&text).is_err(), "{text}");
        }
        for remote in ["ext::sh -c id", "file:///etc", "/etc", "-x", "ftp://h/x.git"] {
            assert!(GitSource { remote: remote.into(), ..GitSource::default() }.check().is_err(), "{remote}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(redacted("https://u:p@h/x?a@b"), "https://xxxxx@h/x?a@b");
        assert_eq!(redacted("ssh://git@h/x"), "ssh://git@h/x");
        assert_eq!(redacted("https://h/x@y"), "https://h/x@y");
        let line = r#"ADD ["http://a:b@h/1","https://c@h"] /x@y"#;
        assert_eq!(redacted(line), r#"ADD ["http://xxxxx@h/1","https://xxxxx@h"] /x@y"#);
        let error = Source::remote("https://u:p@h/x.git#-a").unwrap_err();
        assert!(!error.contains("u:p"), "{error}");
    }
}
