//! Patterns of repositories' names: `*` for a part of a component, `**` for anything, `?` for one character.

/// Whether the pattern fits the whole name. Takes time in proportion to the product of their lengths at most.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let name = name.as_bytes();
    // reached[i]: the pattern so far fits the first i bytes
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut rest = pattern.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let deep = first == b'*' && after.first() == Some(&b'*');
        rest = if deep { &after[1..] } else { after };
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match first {
                b'*' => reached[at] || (at > 0 && next[at - 1] && (deep || name[at - 1] != b'/')),
                _ if at == 0 => false,
                b'?' => reached[at - 1] && name[at - 1] != b'/',
                byte => reached[at - 1] && name[at - 1] == byte,
            };
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars() {
        for (pattern, name, expected) in [
            ("library/alpine", "library/alpine", true),
            ("library/alpine", "library/alpine2", false),
            ("library/*", "library/alpine", true),
            ("library/*", "library/a/b", false),
            ("library/*", "library", false),
            ("library/**", "library/a/b", true),
            ("library/**", "libraryx", false),
            ("**", "a/b/c", true),
            ("*", "a/b", false),
            ("*/b", "a/b", true),
            ("**/b", "a/x/b", true),
            ("a-*-z", "a-m-z", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        // no blow-up
        assert!(!fits(&"*a".repeat(100), &"a".repeat(254).replace("aa", "ab")));
    }
}
