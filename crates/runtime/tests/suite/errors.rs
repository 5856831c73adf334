use crate::bundle::Bundle;

#[test]
fn the_failing_step_is_named() {
    let mut b = Bundle::new("true");
    b.spec["process"]["args"] = serde_json::json!(["nope"]);
    b.fails_with("exec: \\\"nope\\\": executable file not found in $PATH");
    let mut b = Bundle::new("true");
    b.spec["process"]["args"] = serde_json::json!([]);
    b.fails_with("args");
    let mut b = Bundle::new("true");
    b.spec["process"]["cwd"] = "relative".into();
    b.fails_with("cwd: relative: must be absolute");
    let mut b = Bundle::new("true");
    b.spec["root"]["path"] = "nowhere".into();
    b.fails_with("nowhere: No such file or directory");
    let mut b = Bundle::new("true");
    b.spec["linux"]["rootfsPropagation"] = "sideways".into();
    b.fails_with("sideways");
    let mut b = Bundle::new("true");
    b.spec["linux"]["intelRdt"] = serde_json::json!({ "closID": "x" });
    b.fails_with("intelRdt");
}

#[test]
fn the_log_is_json_when_asked() {
    let mut b = Bundle::new("true");
    let args = ["--log", "log.json", "--log-format", "json", "start", "missing"];
    let ran = b.call(&args);
    assert_eq!(ran.code, 1);
    let text = std::fs::read_to_string(b.path().join("log.json")).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], "container \"missing\" does not exist");
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
    b.nothing_left();
}

#[test]
fn bad_command_lines() {
    let mut b = Bundle::new("true");
    for (args, text) in [
        (&["bogus"][..], "bogus"),
        (&["run"], "container id cannot be empty"),
        (&["run", "a/b"], "invalid container ID"),
        (&["run", ".."], "invalid container ID"),
        (&["run", "--nope", "x"], "-nope"),
        (&["kill", "missing", "TERM"], "does not exist"),
        (&["--log-format", "xml", "list"], "xml"),
        (&["run", "-b", "/nonexistent", "x"], "/nonexistent"),
    ] {
        let ran = b.call(args);
        assert_ne!(ran.code, 0);
        assert!(ran.err.contains(text), "{ran:?}");
    }
    b.start();
    assert!(b.call(&["kill", &b.id, "BOGUS"]).err.contains("invalid signal: BOGUS"));
    b.end();
}
