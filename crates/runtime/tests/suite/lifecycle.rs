use crate::bundle::{Bundle, eventually};

#[test]
fn create_start_kill_delete() {
    let mut b = Bundle::sleeping();
    assert_eq!(b.call_detached(&["create", "--pid-file", "pid", &b.id]).code, 0);
    assert_eq!(b.status(), "created");
    let pid = b.pid();
    assert_eq!(std::fs::read_to_string(b.path().join("pid")).unwrap(), pid.to_string());
    assert!(b.call(&["create", &b.id]).err.contains("already exists"));
    assert_eq!(b.call(&["start", &b.id]).code, 0);
    assert_eq!(b.status(), "running");
    assert!(b.call(&["start", &b.id]).err.contains("already running"));
    assert!(b.call(&["delete", &b.id]).err.contains("not stopped"));
    assert_eq!(b.call(&["list", "-q"]).out, format!("{}\n", b.id));
    assert_eq!(
        b.call(&["ps", "--format", "json", &b.id]).out.trim_matches(['[', ']', '\n']).split(',').count(),
        2
    );
    assert_eq!(b.call(&["kill", &b.id, "SIGKILL"]).code, 0);
    eventually("stopped", || b.status() == "stopped");
    assert!(b.call(&["kill", &b.id, "TERM"]).err.contains("container not running"));
    assert_eq!(b.call(&["delete", &b.id]).code, 0);
    assert!(b.call(&["state", &b.id]).err.contains("does not exist"));
    assert_eq!(b.call(&["delete", "-f", &b.id]).code, 0);
    b.nothing_left();
}

#[test]
fn exit_codes_and_signals() {
    let mut b = Bundle::new("exit 42");
    assert_eq!(b.run().code, 42);
    b.nothing_left();
    let mut b = Bundle::new("kill -9 $$; sleep 5");
    b.spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
    assert_eq!(b.run().code, 137);
    b.nothing_left();
}

#[test]
fn a_created_container_can_be_deleted() {
    let mut b = Bundle::sleeping();
    assert_eq!(b.call_detached(&["create", &b.id]).code, 0);
    assert_eq!(b.call(&["delete", &b.id]).code, 0);
    b.nothing_left();
}

#[test]
fn pause_and_resume() {
    let mut b = Bundle::sleeping();
    b.start();
    assert_eq!(b.call(&["pause", &b.id]).code, 0);
    assert_eq!(b.status(), "paused");
    assert!(b.call(&["exec", &b.id, "true"]).err.contains("paused"));
    assert_eq!(b.call(&["resume", &b.id]).code, 0);
    assert_eq!(b.status(), "running");
    assert_eq!(b.call(&["exec", &b.id, "true"]).code, 0);
    assert_eq!(b.call(&["pause", &b.id]).code, 0);
    b.end();
}

#[test]
fn update_and_statistics() {
    let mut b = Bundle::sleeping();
    b.start();
    assert_eq!(b.call(&["update", "--memory", "64m", "--pids-limit", "20", &b.id]).code, 0);
    let stats: serde_json::Value = serde_json::from_str(&b.call(&["events", "--stats", &b.id]).out).unwrap();
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 64 << 20);
    assert_eq!(stats["data"]["pids"]["limit"], 20);
    b.end();
}

#[test]
fn a_signal_to_run_goes_to_the_program() {
    let mut b = Bundle::new("trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done");
    let mut command = b.command(&["run", &b.id]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(crate::bundle::finish(&mut child), 3);
    b.nothing_left();
}

#[test]
fn spec_and_features_are_json() {
    let b = Bundle::new("true");
    assert!(b.call(&["spec"]).err.contains("exist"));
    let features: serde_json::Value = serde_json::from_str(&b.call(&["features"]).out).unwrap();
    assert_eq!(features["linux"]["namespaces"].as_array().unwrap().len(), 8);
}
