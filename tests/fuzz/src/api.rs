//! What clients send to the daemon, and templates that users give to the client.

/// A body, behind a line that names the request and, for a new container, the version: `create 41`.
pub(crate) fn body(data: &[u8]) {
    let (first, body) = crate::first_line(data);
    let first = String::from_utf8_lossy(first);
    let (verb, minor) = first.split_once(' ').unwrap_or((&first, ""));
    if verb != "create" {
        let _ = daemon::fuzzing::body(verb, body);
        return;
    }
    let newest = 55;
    let minor = minor.parse().unwrap_or(newest).clamp(24, newest);
    let Ok(told) = daemon::fuzzing::create(body, minor) else { return };
    // What is told of it may be sent again, and is told in the same words.
    let again = daemon::fuzzing::create(told.as_bytes(), newest);
    assert_eq!(again.as_ref(), Ok(&told), "what was told is not taken");
}

/// A path, a query, a header and a request head, a line each.
pub(crate) fn request(data: &[u8]) {
    let (first, rest) = crate::first_line(data);
    let (second, rest) = crate::first_line(rest);
    let (third, head) = crate::first_line(rest);
    let _ = daemon::fuzzing::target(&String::from_utf8_lossy(first), &String::from_utf8_lossy(second), third);
    if let Ok(Some(length)) = daemon::fuzzing::head(head) {
        assert!(length <= head.len());
        assert_eq!(daemon::fuzzing::head(&head[..length]), Ok(Some(length)), "of itself alone");
        assert_eq!(daemon::fuzzing::head(&head[..length - 1]), Ok(None), "without its last byte");
    }
}

/// A template, and the document that it is filled in with behind a line of `--`.
pub(crate) fn format(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (template, json) = text.split_once("\n--\n").unwrap_or((text, r#"{"Id":"x","Names":["a","b"]}"#));
    let filled = cli::fuzzing::format(template, json);
    if !template.contains(['{', '\\']) && filled.is_ok() {
        assert_eq!(filled.as_deref(), Ok(template), "text without actions");
    }
}
