//! `run`, `exec` and their like: what is sent, what is passed on, and the exit code.

use std::collections::BTreeMap;

use super::fake::{Answer, Fake, Request, frame};
use serde_json::Value;

const CREATED: &str = r#"{"Id":"c0ffee","Warnings":[]}"#;

fn daemon(exit: i64) -> impl Fn(&Request) -> Option<Answer> {
    move |request| {
        let json = |status, text: &str| Some(Answer::Json(status, text.to_owned()));
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/containers/create") => json(201, CREATED),
            ("POST", "/containers/c0ffee/attach") => {
                Some(Answer::Stream([frame(1, b"out\n"), frame(2, b"err\n")].concat()))
            }
            ("POST", "/containers/c0ffee/wait") => {
                Some(Answer::AfterStart(format!("{{\"StatusCode\":{exit}}}")))
            }
            ("POST", "/containers/c0ffee/start") => json(204, ""),
            ("GET", "/containers/web/json") => json(
                200,
                r#"{"Id":"c0ffee","State":{"Running":true,"Status":"running"},"Config":{"Tty":false}}"#,
            ),
            ("POST", "/containers/web/exec") => json(201, r#"{"Id":"e1"}"#),
            ("POST", "/exec/e1/start") => Some(Answer::Stream(frame(1, b"hi\n"))),
            ("GET", "/exec/e1/json") => {
                json(200, &format!("{{\"ID\":\"e1\",\"Running\":false,\"ExitCode\":{exit}}}"))
            }
            _ => None,
        }
    }
}

#[test]
fn output_and_exit_code_are_the_containers() {
    for (fake, code) in [(Fake::start(daemon(0)), 0), (Fake::start(daemon(137)), 137)] {
        let ran = fake.berth(&["run", "--rm", "alpine", "true"]);
        assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(ran.status.code(), Some(code));
        let order: Vec<String> = fake.seen().iter().map(|request| request.path.clone()).collect();
        let expected = ["create", "c0ffee/attach", "c0ffee/wait", "c0ffee/start"];
        assert_eq!(order, expected.map(|path| format!("/containers/{path}")));
    }
}

#[test]
fn input_is_passed_on_whole() {
    let fake = Fake::start(daemon(0));
    let input = vec![b'x'; 1 << 20];
    let ran = fake.berth_with_input(&["run", "-i", "alpine", "cat"], &input);
    assert_eq!(ran.stdout.len(), "out\n".len() + input.len());
}

#[test]
fn a_detached_container_is_told_by_its_id() {
    let fake = Fake::start(daemon(0));
    let ran = fake.berth(&["run", "-d", "--name", "x", "alpine"]);
    assert_eq!((ran.stdout.as_slice(), ran.status.code()), (&b"c0ffee\n"[..], Some(0)));
    let seen = fake.seen();
    assert_eq!(seen[0].query, "name=x");
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[test]
fn a_command_that_cannot_be_started_has_the_shells_codes() {
    for (text, code) in [
        ("exec: \\\"x\\\": executable file not found in $PATH", 127),
        ("exec /etc: permission denied", 126),
        ("no space left on device", 125),
    ] {
        let fake = Fake::start(move |request| match request.path.as_str() {
            "/containers/c0ffee/start" => Some(Answer::Json(400, format!("{{\"message\":\"{text}\"}}"))),
            _ => daemon(0)(request),
        });
        let (ours, theirs) = (fake.berth(&["run", "-d", "alpine"]), fake.docker(&["run", "-d", "alpine"]));
        assert_eq!(ours.status.code(), Some(code), "{ours:?}");
        assert_eq!(ours.status.code(), theirs.status.code(), "{theirs:?}");
        assert_eq!(String::from_utf8_lossy(&ours.stderr), String::from_utf8_lossy(&theirs.stderr));
    }
}

#[test]
fn exec_ends_as_its_command() {
    let fake = Fake::start(daemon(3));
    let ran = fake.berth(&["exec", "-e", "A=1", "-u", "1", "web", "sh", "-c", "exit 3"]);
    assert_eq!((ran.stdout.as_slice(), ran.status.code()), (&b"hi\n"[..], Some(3)));
}

#[test]
fn an_id_file_is_written_once() {
    let fake = Fake::start(daemon(0));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cid");
    let words = ["run", "-d", "--cidfile", path.to_str().unwrap(), "alpine"];
    assert_eq!(fake.berth(&words).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "c0ffee");
    assert_eq!(fake.berth(&words).status.code(), Some(125));
}

/// Leaves out what means nothing: null, empty lists and objects, and the zero of each type.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(value.clone()),
        Value::Number(number) => (number.as_f64() != Some(0.0)).then(|| value.clone()),
        Value::String(text) => (!text.is_empty()).then(|| value.clone()),
        Value::Array(items) => (!items.is_empty()).then(|| value.clone()),
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members
                .iter()
                .map(|(name, member)| (name.clone(), member))
                // -1 is how the other client says that it was not given.
                .filter(|(name, member)| name != "MemorySwappiness" || member.as_i64() != Some(-1))
                // Sets: their members are empty objects, and mean something.
                .filter_map(|(name, member)| match member {
                    // The other client takes them from maps: their order changes from run to run.
                    Value::Array(items) if ["Env", "Binds"].contains(&name.as_str()) && !items.is_empty() => {
                        let mut items = items.clone();
                        items.sort_by_key(Value::to_string);
                        Some((name, Value::Array(items)))
                    }
                    Value::Object(inner) if inner.is_empty() && (name.contains('/') || name == "default") => {
                        Some((name, member.clone()))
                    }
                    member => plain(member).map(|member| (name, member)),
                })
                .collect();
            (!members.is_empty()).then(|| serde_json::to_value(members).unwrap())
        }
    }
}

/// Flags of `run -d`.
const LINES: &[&[&str]] = &[
    &["alpine"],
    &[
        "-i",
        "-h",
        "host",
        "--domainname",
        "d",
        "-u",
        "1:2",
        "-w",
        "/w",
        "--entrypoint",
        "e",
        "alpine",
        "a",
        "-b",
    ],
    &["-e", "A=1", "-e", "B", "-l", "x=y", "-l", "z", "--annotation", "k=v", "--group-add", "7", "alpine"],
    &["-m", "64m", "--memory-swap=-1", "--memory-reservation", "32m", "--memory-swappiness", "10", "alpine"],
    &[
        "--cpus",
        "1.5",
        "-c",
        "512",
        "--cpuset-cpus",
        "0-1",
        "--cpuset-mems",
        "0",
        "--pids-limit",
        "9",
        "alpine",
    ],
    &[
        "--cpu-period",
        "50000",
        "--cpu-quota",
        "25000",
        "--cpu-rt-period",
        "5",
        "--cpu-rt-runtime",
        "4",
        "alpine",
    ],
    &[
        "--blkio-weight",
        "300",
        "--device-read-bps",
        "/dev/sda:1mb",
        "--device-write-iops",
        "/dev/sda:10",
        "alpine",
    ],
    &[
        "--device",
        "/dev/null:/dev/x:r",
        "--device-cgroup-rule",
        "c 1:3 rwm",
        "--ulimit",
        "nofile=10:20",
        "alpine",
    ],
    &["-p", "8080:80", "-p", "127.0.0.1::53/udp", "-p", "90-91:90-91", "--expose", "7", "-P", "alpine"],
    &["--network", "none", "alpine"],
    &["--network", "host", "alpine"],
    &["--network", "container:x", "alpine"],
    &[
        "--network",
        "n",
        "--network-alias",
        "a",
        "--ip",
        "10.0.0.2",
        "--mac-address",
        "92:d0:c6:0a:29:33",
        "alpine",
    ],
    &["--network", "name=n,alias=a", "--network", "m", "alpine"],
    &["--add-host", "a:1.2.3.4", "--dns", "1.1.1.1", "--dns-search", "d", "--dns-option", "o", "alpine"],
    &["-v", "/a:/b:ro", "-v", "vol:/c", "-v", "/d", "--tmpfs", "/t:size=1m", "--read-only", "alpine"],
    &[
        "--mount",
        "type=bind,src=/a,dst=/b,ro",
        "--mount",
        "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700",
        "alpine",
    ],
    &["--mount", "type=volume,src=v,dst=/v,volume-nocopy,volume-opt=a=b", "--volumes-from", "x:ro", "alpine"],
    &["--cap-add", "NET_ADMIN", "--cap-drop", "ALL", "--privileged", "--sysctl", "net.a=1", "alpine"],
    &["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "alpine"],
    &["--pid", "host", "--ipc", "host", "--uts", "host", "--userns", "host", "--cgroupns", "host", "alpine"],
    &["--init", "--rm", "--stop-signal", "INT", "--stop-timeout", "3", "--shm-size", "1m", "alpine"],
    &["--restart", "on-failure:3", "--oom-kill-disable", "--oom-score-adj", "5", "--runtime", "r", "alpine"],
    &["--health-cmd", "x", "--health-interval", "5s", "--health-retries", "2", "alpine"],
    &[
        "--no-healthcheck",
        "--log-driver",
        "local",
        "--log-opt",
        "max-size=1m",
        "--cgroup-parent",
        "/p",
        "alpine",
    ],
    &["--link", "a:b", "--gpus", "all", "--storage-opt", "size=1g", "alpine"],
];

#[test]
fn the_same_flags_make_the_same_request() {
    let fake = Fake::start(daemon(0));
    let mut report = String::new();
    for line in LINES {
        let words: Vec<&str> = ["run", "-d"].iter().chain(line.iter()).copied().collect();
        let mut bodies = Vec::new();
        for run in [Fake::docker, Fake::berth] {
            let ran = run(&fake, &words);
            let seen = fake.seen();
            let create = seen.iter().find(|request| request.path == "/containers/create");
            let create = create.unwrap_or_else(|| panic!("{words:?}: {ran:?}"));
            let body: Value = serde_json::from_slice(&create.body).unwrap();
            bodies.push(plain(&body).unwrap());
        }
        if bodies[0] != bodies[1] {
            report.push_str(&format!("{words:?}\n docker: {}\n berth:  {}\n", bodies[0], bodies[1]));
        }
    }
    assert!(report.is_empty(), "\n{report}");
}
