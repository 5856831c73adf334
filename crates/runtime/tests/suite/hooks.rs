use serde_json::{Value, json};

use crate::bundle::Bundle;

/// A hook that writes its place and its input to a file of the host.
fn note(b: &Bundle, place: &str) -> Value {
    let log = b.path().join("hooks.log");
    json!([{
        "path": "/bin/sh",
        "args": ["sh", "-c", format!("echo {place} $X $(cat) >> {}", log.display())],
        "env": ["X=env", "PATH=/bin:/usr/bin"],
    }])
}

#[test]
fn all_places_in_order_with_the_state() {
    let mut b = Bundle::new("echo program >> /log");
    let places = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    for place in places {
        b.spec["hooks"][place] = note(&b, place);
    }
    // in the container's own files
    b.spec["hooks"]["startContainer"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", "cat > /log"] }]);
    b.output();
    let text = std::fs::read_to_string(b.path().join("hooks.log")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), places.len(), "{text}");
    for (line, place) in lines.iter().zip(places) {
        let state = line.strip_prefix(&format!("{place} env ")).unwrap_or_else(|| panic!("{line}"));
        let state: Value = serde_json::from_str(state).unwrap();
        assert_eq!(state["id"], b.id);
        assert_eq!(state["bundle"].as_str(), b.path().to_str());
        if place != "poststop" {
            assert!(state["pid"].as_i64().unwrap() > 1, "{line}");
        }
    }
    let log = std::fs::read_to_string(b.rootfs().join("log")).unwrap();
    assert!(log.contains("\"status\":\"created\"") && log.ends_with("program\n"), "{log}");
}

#[test]
fn one_that_fails_or_takes_too_long_ends_it() {
    for place in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let mut b = Bundle::new("echo ran");
        b.spec["hooks"][place] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", "echo why >&2; exit 4"] }]);
        let ran = b.run();
        assert!(ran.err.contains("exit status 4: why") && ran.err.contains("hook"), "{ran:?}");
        assert!(!ran.out.contains("ran"));
        b.nothing_left();
    }
    let mut b = Bundle::new("true");
    b.spec["hooks"]["createRuntime"] =
        json!([{ "path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1 }]);
    b.fails_with("timeout");
    let mut b = Bundle::new("true");
    b.spec["hooks"]["createRuntime"] = json!([{ "path": "/nonexistent" }]);
    b.fails_with("/nonexistent");
}
