//! Against a bus that a thread plays.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use super::super::wire::{Value, tests as answers};
use super::*;

/// A bus that answers each call by what `answer` makes of it, and ends with the connection. It gives the members
/// that were called.
fn play(path: &Path, answer: impl Fn(&Message) -> Vec<Vec<u8>> + Send + 'static) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut writer = stream;
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(line, format!("\0AUTH EXTERNAL {hex}\r\n"));
        line.clear();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "BEGIN\r\n");
        assert!(reader.buffer().is_empty(), "a call before it is known that all before it was read");
        writer.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n").unwrap();
        let mut members = Vec::new();
        let mut prefix = [0; PREFIX];
        while reader.read_exact(&mut prefix).is_ok() {
            let mut bytes = prefix.to_vec();
            bytes.resize(wire::total(&prefix).unwrap(), 0);
            reader.read_exact(&mut bytes[PREFIX..]).unwrap();
            let call = wire::parse(&bytes).unwrap();
            assert_eq!(call.kind, Kind::Call);
            for out in answer(&call) {
                writer.write_all(&out).unwrap();
            }
            members.push(call.member.unwrap());
        }
        members
    })
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    (dir, path)
}

fn plain(call: &Message) -> Vec<u8> {
    answers::reply(call.serial + 100, call.serial, &Body::new())
}

fn removed(job: &str, result: &str) -> Vec<u8> {
    answers::signal(9, "JobRemoved", &Body::new().number(1).object(job).string("x.scope").string(result))
}

fn request() -> Body {
    let properties = [("Delegate", Value::Bool(true)), ("PIDs", Value::Numbers(vec![1]))];
    Body::new().string("x.scope").string("replace").properties(&properties).no_units()
}

#[test]
fn a_job_is_started_and_awaited() {
    let (_dir, path) = place();
    let bus = play(&path, |call| match call.member.as_deref() {
        // Another job's end comes first, and this one's before the answer.
        Some("StartTransientUnit") => vec![
            removed("/job/1", "failed"),
            removed("/job/2", "done"),
            answers::reply(5, call.serial, &Body::new().object("/job/2")),
        ],
        Some("StopUnit") => {
            vec![answers::reply(6, call.serial, &Body::new().object("/job/3")), removed("/job/3", "canceled")]
        }
        _ => vec![plain(call)],
    });
    let mut client = Bus::connect(&path).unwrap();
    assert_eq!(client.job("StartTransientUnit", &request()).unwrap(), "done");
    assert_eq!(client.job("StopUnit", &Body::new().string("x.scope").string("replace")).unwrap(), "canceled");
    drop(client);
    assert_eq!(bus.join().unwrap(), ["Hello", "AddMatch", "Subscribe", "StartTransientUnit", "StopUnit"]);
}

#[test]
fn a_property_is_text_or_an_error() {
    let (_dir, path) = place();
    let bus = play(&path, |call| match call.text(1) {
        Some("SystemState") => {
            assert_eq!(call.text(0), Some("org.freedesktop.systemd1.Manager"));
            vec![answers::reply(5, call.serial, &Body::new().value(&Value::Text("stopping".to_owned())))]
        }
        Some(_) => vec![answers::reply(5, call.serial, &Body::new().value(&Value::Bool(true)))],
        None => vec![plain(call)],
    });
    let mut client = Bus::connect(&path).unwrap();
    assert_eq!(client.property("SystemState").unwrap(), "stopping");
    let text = client.property("ConfirmSpawn").unwrap_err().to_string();
    assert!(text.contains("ConfirmSpawn"), "{text}");
    drop(client);
    bus.join().unwrap();
}

#[test]
fn a_users_systemd_is_asked_without_a_bus() {
    let (_dir, path) = place();
    let bus = play(&path, |call| match call.member.as_deref() {
        Some("StartTransientUnit") => {
            vec![answers::reply(5, call.serial, &Body::new().object("/job/2")), removed("/job/2", "done")]
        }
        Some("Get") => {
            assert_eq!(call.text(1), Some("ControlGroup"));
            let place = Value::Text("/user.slice/berth.scope".to_owned());
            vec![answers::reply(6, call.serial, &Body::new().value(&place))]
        }
        _ => {
            assert_eq!((call.text(0), call.text(1)), (Some("berth-x.scope"), Some("/engine")));
            vec![plain(call)]
        }
    });
    let mut client = Bus::direct(&path, rustix::process::geteuid().as_raw()).unwrap();
    assert_eq!(client.job("StartTransientUnit", &request()).unwrap(), "done");
    let interface = "org.freedesktop.systemd1.Scope";
    let place = client.property_of("berth-x.scope", interface, "ControlGroup").unwrap();
    assert_eq!(place, "/user.slice/berth.scope");
    let attach = Body::new().string("berth-x.scope").string("/engine").numbers(&[7]);
    client.ask("AttachProcessesToUnit", &attach).unwrap();
    drop(client);
    assert_eq!(bus.join().unwrap(), ["StartTransientUnit", "Get", "AttachProcessesToUnit"]);
}

#[test]
fn units_have_names_as_objects() {
    assert_eq!(label("berth-0a1b.scope"), "berth_2d0a1b_2escope");
    assert_eq!(label("0.slice"), "_30_2eslice");
}

#[test]
fn a_refusal_is_passed_on() {
    let (_dir, path) = place();
    let name = "org.freedesktop.systemd1.UnitExists";
    let bus = play(&path, move |call| match call.member.as_deref() {
        Some("StartTransientUnit") => {
            vec![answers::refusal(5, call.serial, name, "Unit x.scope already exists.")]
        }
        _ => vec![plain(call)],
    });
    let mut client = Bus::connect(&path).unwrap();
    let text = client.job("StartTransientUnit", &request()).unwrap_err().to_string();
    assert!(text.contains(name) && text.contains("already exists"), "{text}");
    drop(client);
    bus.join().unwrap();
}

#[test]
fn a_missing_bus_says_what_to_do() {
    let (_dir, path) = place();
    let text = Bus::connect(&path).unwrap_err().to_string();
    assert!(text.contains("cgroupfs") && text.contains("systemd") && text.contains("bus"), "{text}");
}
