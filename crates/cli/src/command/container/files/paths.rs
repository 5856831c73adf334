//! Paths as texts, the way Go's `filepath` and Docker's rules of copying see them: what is behind the last slash
//! decides.

/// Without `.`, `..`, doubled and final slashes; `.` for nothing.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// The last name; `/` of the root and `.` of nothing.
pub(super) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("") => "/",
        Some(name) => name,
    }
}

/// What is before the last slash, cleaned.
pub(super) fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |at| &path[..=at]))
}

/// The path ends in `.`: the contents of a directory are meant.
pub(super) fn means_contents(path: &str) -> bool {
    base(path) == "."
}

/// The path asks for a directory.
pub(super) fn asks_for_directory(path: &str) -> bool {
    path.ends_with('/') || means_contents(path)
}

/// A cleaned path gets back the final `/` or `/.` that it was given with.
pub(super) fn keep_end(mut cleaned: String, given: &str) -> String {
    if !means_contents(&cleaned) && means_contents(given) {
        if !cleaned.ends_with('/') {
            cleaned.push('/');
        }
        cleaned.push('.');
    }
    if !cleaned.ends_with('/') && given.ends_with('/') {
        cleaned.push('/');
    }
    cleaned
}

/// The directory of a path, and the name in it: `.` where the contents are meant.
pub(super) fn split(path: &str) -> (String, String) {
    let mut cleaned = clean(path);
    if means_contents(path) {
        cleaned.push_str("/.");
    }
    (dir(&cleaned), base(&cleaned).to_owned())
}

/// A path after its symbolic links were followed keeps the given end; where the last name has changed by that, what
/// is copied keeps the given name: the second.
pub(super) fn followed(given: &str, mut resolved: String) -> (String, Option<String>) {
    if means_contents(given) && !means_contents(&resolved) {
        resolved.push_str("/.");
    }
    if given.ends_with('/') && !resolved.ends_with('/') {
        resolved.push('/');
    }
    let name = base(given);
    let renamed = (name != base(&resolved)).then(|| name.to_owned());
    (resolved, renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_has_it() {
        for (path, cleaned) in
            [("", "."), ("/", "/"), ("a//b/./c/..", "a/b"), ("/..", "/"), ("../a", "../a"), ("a/../..", "..")]
        {
            assert_eq!(clean(path), cleaned, "{path}");
        }
        assert_eq!((base("/a/b/"), base("/"), base(""), base("a/.")), ("b", "/", ".", "."));
        assert_eq!((dir("/a/b").as_str(), dir("a").as_str(), dir("/").as_str()), ("/a", ".", "/"));
    }

    #[test]
    fn ends_are_kept() {
        assert_eq!(keep_end("/a".into(), "a/"), "/a/");
        assert_eq!(keep_end("/a".into(), "a/."), "/a/.");
        assert_eq!(keep_end("/".into(), "/."), "/.");
        assert_eq!(split("/a/b/"), ("/a".into(), "b".into()));
        assert_eq!(split("/a/b/."), ("/a/b".into(), ".".into()));
        assert_eq!(split("."), (".".into(), ".".into()));
    }

    #[test]
    fn followed_links_keep_their_names() {
        assert_eq!(followed("/l", "/real".into()), ("/real".into(), Some("l".into())));
        assert_eq!(followed("/l/.", "/real".into()), ("/real/.".into(), None));
        assert_eq!(followed("/d/x", "/e/x".into()), ("/e/x".into(), None));
    }
}
