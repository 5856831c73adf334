use super::*;

fn patterns(text: &str) -> Patterns {
    Patterns::parse(text.as_bytes()).unwrap()
}

#[track_caller]
fn check(pattern: &str, path: &str, expected: bool) {
    assert_eq!(Patterns::new([pattern]).unwrap().matches(path), expected, "{pattern} {path}");
}

#[test]
fn patterns_match_as_docker_matches_them() {
    for (pattern, path, expected) in [
        ("**", "file", true),
        ("**", "dir/file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir", false),
        ("dir/**", "dir/dir2/file", true),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/*", "dir/dir2/dir2/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**file", "afile", true),
        ("**/file", "afile", false),
        ("**/file", "dir/file", true),
        ("**file*", "dir/fileX", true),
        ("**file*", "afile", false),
        ("dir/**/x", "dir/x", true),
        ("dir/**/x", "dir/a/b/x", true),
        ("*/*", "dir/file", true),
        ("*", "dir/file", true),
        ("a.b", "acb", false),
        ("a(b)", "a(b)", true),
        ("abc.def", "abcdef", false),
        ("[a-c]*", "abc", true),
        ("[^a-c]*", "abc", false),
        ("a\\*b", "a*b", true),
        ("a/./b/../c", "a/c", true),
        ("  spaced ", "spaced", true),
        ("a[b-d]e", "ace", true),
        ("dir", "dir/deep/file", true),
        ("dir/file", "dir", false),
        ("☺*", "☺a", true),
    ] {
        check(pattern, path, expected);
    }
}

#[test]
fn the_last_pattern_that_matches_decides() {
    let some = patterns("*\n!docs\ndocs/private\n!docs/private/README\n");
    assert!(some.matches("src"));
    assert!(!some.matches("docs") && !some.matches("docs/a"));
    assert!(some.matches("docs/private/key"));
    assert!(!some.matches("docs/private/README"));
    assert!(some.may_include_below("docs/private") && !some.may_include_below("src"));
    let everywhere = patterns("dir\n!**/keep");
    assert!(everywhere.may_include_below("dir") && !everywhere.matches("dir/a/keep"));
    assert!(!patterns("dir").may_include_below("dir"));
    assert!(!patterns("dir\n!dirty/x").may_include_below("dir"));
}

#[test]
fn a_walk_gives_the_same_answers() {
    let some = patterns("a\n!a/b\na/b/c\n**/*.tmp\n!x/y.tmp");
    for path in ["a", "a/b", "a/b/c", "a/b/c/d", "a/b/d", "a/x", "x/y.tmp", "x/z.tmp", "x", "q.tmp/r"] {
        let mut above: Option<Matched> = None;
        let mut last = false;
        let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).collect();
        for end in ends {
            let (matched, here) = some.matches_in(&path[..end], above.as_ref());
            (last, above) = (matched, Some(here));
        }
        assert_eq!(last, some.matches(path), "{path}");
    }
}

#[test]
fn files_are_read_line_by_line() {
    assert_eq!(
        lines("\u{feff}# comment\n\n  /abs/path/ \r\n! ./not \n #not a comment\n.\n/\n!\n".as_bytes()),
        ["abs/path", "!not", "#not a comment", ".", "/", "!"]
    );
    assert_eq!(Patterns::parse(b"!").unwrap_err(), IgnoreError::NothingExcepted);
    assert!(matches!(Patterns::parse(b"a[").unwrap_err(), IgnoreError::Syntax(_)));
    assert!(matches!(Patterns::parse(b"a\\").unwrap_err(), IgnoreError::Syntax(_)));
    assert!(matches!(Patterns::new(["x".repeat(9999)]), Err(IgnoreError::Limit(..))));
}

#[test]
fn paths_are_cleaned() {
    for (path, expected) in [
        ("", "."),
        ("a//b/", "a/b"),
        ("/..//a/./b/..", "/a"),
        ("../../a", "../../a"),
        ("a/../..", ".."),
        ("/", "/"),
    ] {
        assert_eq!(clean(path), expected, "{path}");
    }
}
