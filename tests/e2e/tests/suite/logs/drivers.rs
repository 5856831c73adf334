//! Each driver that sends output elsewhere, end to end: what its server hears, and what `logs` shows beside it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::programs;

use super::servers::{self, Heard};
use super::wire::{self, Packed};

/// Two streams, and a last line that never ends.
const SAY: &str = "echo out; echo err >&2; printf last";

/// Runs `script` under a driver to its end; the container's id.
fn run(berth: &Berth, name: &str, options: &[&str], script: &str) -> Result<String> {
    let mut words = vec!["run", "--name", name];
    for option in options {
        words.extend([if option.contains('=') { "--log-opt" } else { "--log-driver" }, option]);
    }
    words.extend(["--label", "team=blue", "--env", "STAGE=dev", IMAGE, "sh", "-c", script]);
    berth.docker(&words)?.ok()?;
    berth.berth(["inspect", "-f", "{{.Id}}", name])?.ok()
}

/// `logs` reads the file beside the driver.
fn reads_back(berth: &Berth, name: &str) -> Result<()> {
    let shown = berth.docker(["logs", name])?;
    ensure!(shown.stdout == "out\nlast" && shown.stderr == "err\n", "{shown:?}");
    let last = berth.docker(["logs", "--timestamps", "--tail", "1", name])?;
    // two pipes, of which either may have been read last
    let (time, word) =
        last.stdout.split_once(' ').or_else(|| last.stderr.split_once(' ')).context("no line")?;
    ensure!(["last", "err\n"].contains(&word), "{last:?}");
    ensure!(time.ends_with('Z') && time.len() == "2026-01-02T03:04:05.000000000Z".len(), "{last:?}");
    Ok(())
}

/// `<priority>Mon dd hh:mm:ss rest`, with the time taken out.
fn without_stamp(line: &str) -> Result<String> {
    let (priority, rest) = line.split_once('>').context("no priority")?;
    let stamp = rest.get(..15).context("no time")?;
    ensure!(stamp.as_bytes()[3] == b' ' && stamp.as_bytes()[9] == b':', "{stamp:?} is no time");
    Ok(format!("{priority}>{}", &rest[15..]))
}

#[test]
fn syslog_over_datagrams() -> Result<()> {
    let berth = Berth::start()?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned();
    let (port, heard) = servers::udp()?;
    let address = format!("syslog-address=udp://127.0.0.1:{port}");
    let id =
        run(&berth, "udp", &["syslog", &address, "syslog-format=rfc3164", "syslog-facility=local3"], SAY)?;
    let datagrams = heard.wait(|all| all.len() == 3)?;
    let pid = heard.text().split(['[', ']']).nth(1).context("no process id")?.to_owned();
    let mut lines = datagrams
        .iter()
        .map(|line| without_stamp(&String::from_utf8_lossy(line)))
        .collect::<Result<Vec<_>>>()?;
    lines.sort();
    let tag = format!("{host} {}[{pid}]:", &id[..12]);
    ensure!(
        lines == [format!("<155> {tag} err\n"), format!("<158> {tag} last\n"), format!("<158> {tag} out\n")],
        "{lines:?}"
    );
    reads_back(&berth, "udp")?;

    let socket = berth.root().join("syslog.sock");
    let heard = servers::unixgram(&socket)?;
    let address = format!("syslog-address=unixgram://{}", socket.display());
    run(&berth, "gram", &["syslog", &address, "tag=x/{{.Name}}"], "echo out")?;
    let lines = heard.lines(1)?;
    let line = without_stamp(&lines[0])?;
    ensure!(line.starts_with("<30> x/gram[") && line.ends_with("]: out"), "{line}");
    berth.finish()
}

/// `<priority>1 time host tag pid tag - text`.
fn rfc5424(line: &str, digits: bool) -> Result<(String, String, String)> {
    let words: Vec<&str> = line.splitn(8, ' ').collect();
    let [priority, time, _, tag, _, id, "-", text] = words[..] else { anyhow::bail!("{line:?}") };
    ensure!(tag == id && time.contains('.') == digits && time.contains('T'), "{line:?}");
    Ok((priority.to_owned(), tag.to_owned(), text.to_owned()))
}

#[test]
fn syslog_over_streams() -> Result<()> {
    let berth = Berth::start()?;
    let (port, heard) = servers::tcp(0, servers::silent)?;
    let address = format!("syslog-address=tcp://127.0.0.1:{port}");
    run(&berth, "tcp", &["syslog", &address, "syslog-format=rfc5424micro", "tag={{.Name}}"], SAY)?;
    let mut lines: Vec<_> = heard.lines(3)?.iter().map(|line| rfc5424(line, true)).collect::<Result<_>>()?;
    lines.sort();
    let line = |priority: &str, text: &str| (priority.to_owned(), "tcp".to_owned(), text.to_owned());
    ensure!(lines == [line("<27>1", "err"), line("<30>1", "last"), line("<30>1", "out")], "{lines:?}");
    reads_back(&berth, "tcp")?;

    let tls = Tls::start(&berth)?;
    let address = format!("syslog-address=tcp+tls://127.0.0.1:{}", tls.port);
    let authority = format!("syslog-tls-ca-cert={}", berth.root().join("ca.pem").display());
    run(&berth, "tls", &["syslog", &address, &authority, "syslog-format=rfc5424"], "echo out; echo again")?;
    let text = programs::eventually("both lines have come", || {
        let text = std::fs::read_to_string(berth.root().join("heard"))?;
        Ok(text.ends_with("again\n").then_some(text))
    })?;
    // RFC 5425: the length, a space, the message
    let (mut rest, mut said) = (text.as_str(), Vec::new());
    while let Some((length, after)) = rest.split_once(' ') {
        let (message, after) = after.split_at(length.parse()?);
        said.push(rfc5424(message, false)?.2);
        rest = after;
    }
    ensure!(said == ["out\n", "again\n"], "{text:?}");
    // whom the server's certificate does not name is not spoken to
    let other = Tls::start(&berth)?;
    let address = format!("syslog-address=tcp+tls://localhost:{}", other.port);
    let refused = berth.docker([
        "run",
        "--log-driver",
        "syslog",
        "--log-opt",
        &address,
        "--log-opt",
        &authority,
        IMAGE,
    ])?;
    refused.fails(125, "failed to initialize logging driver")?;
    berth.finish()
}

/// OpenSSL's server with a certificate for 127.0.0.1.
struct Tls {
    port: u16,
    server: std::process::Child,
}

impl Tls {
    fn start(berth: &Berth) -> Result<Self> {
        let openssl = |words: &str| {
            let mut command = Command::new("openssl");
            command.args(words.split(' ')).current_dir(berth.root());
            programs::run(&mut command)?.ok()
        };
        let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
        openssl(&format!("req -x509 {new} -keyout ca-key.pem -out ca.pem -subj /CN=authority"))?;
        openssl(&format!("req {new} -keyout key.pem -out server.csr -subj /CN=server"))?;
        std::fs::write(berth.root().join("names"), "subjectAltName=IP:127.0.0.1\n")?;
        openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca-key.pem -days 2 -extfile names -out server.pem",
        )?;
        let port = servers::free_port()?;
        let words = format!("s_server -quiet -accept 127.0.0.1:{port} -cert server.pem -key key.pem");
        let server = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(berth.root())
            // it ends with its input
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(berth.root().join("heard"))?)
            .stderr(Stdio::null())
            .spawn()?;
        let started = Self { port, server };
        programs::eventually("openssl listens", || {
            let listening = std::fs::read_to_string("/proc/net/tcp")?;
            Ok(listening.contains(&format!("0100007F:{port:04X} 00000000:0000 0A")).then_some(()))
        })?;
        Ok(started)
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn fluentd() -> Result<()> {
    let berth = Berth::start()?;
    let (port, heard) = servers::tcp(0, servers::acknowledge)?;
    let address = format!("fluentd-address=127.0.0.1:{port}");
    let more = ["fluentd-sub-second-precision=true", "fluentd-request-ack=true", "tag=box.{{.Name}}"];
    let about = ["labels=team", "env-regex=^STAGE$"];
    let options = [&["fluentd", &address][..], &more, &about].concat();
    let id = run(&berth, "fluent", &options, SAY)?;
    let events = |all: &[Vec<u8>]| wire::events(&all.concat());
    let all = events(&heard.wait(|all| events(all).len() == 3)?);
    for event in &all {
        ensure!(*event.at(0) == Packed::Text("box.fluent".into()), "{event:?}");
        ensure!(matches!(event.at(1), Packed::Time(seconds, _) if *seconds > 1_700_000_000), "{event:?}");
        ensure!(event.at(3).get("chunk").is_some_and(|chunk| chunk.len() == 24), "{event:?}");
        let record = event.at(2);
        ensure!(record.get("container_id") == Some(&id) && record.get("container_name") == Some("/fluent"));
        ensure!(record.get("team") == Some("blue") && record.get("STAGE") == Some("dev"), "{record:?}");
        let log = record.get("log").unwrap_or_default();
        ensure!(record.get("source") == Some(if log == "err" { "stderr" } else { "stdout" }), "{record:?}");
        let part = (record.get("partial_message"), record.get("partial_ordinal"), record.get("partial_last"));
        let none = (None, None, None);
        ensure!(
            part == if log == "last" { (Some("true"), Some("1"), Some("false")) } else { none },
            "{part:?}"
        );
    }
    reads_back(&berth, "fluent")?;
    let details = berth.docker(["logs", "--details", "fluent"])?.ok()?;
    ensure!(details.starts_with("STAGE=dev,tag=box.fluent,team=blue out\n"), "{details}");
    berth.finish()
}

fn gelf_over(berth: &Berth, heard: &Heard, name: &str, options: &[&str]) -> Result<Vec<serde_json::Value>> {
    // more than a datagram holds, however well it is compressed
    let script = format!("{SAY}; head -c 9000 /dev/urandom | base64 -w 0; echo");
    let options = [&["gelf", "env=STAGE"][..], options].concat();
    run(berth, name, &options, &script)?;
    let all = heard.wait(|all| wire::gelf(all).is_ok_and(|messages| messages.len() == 3))?;
    wire::gelf(&all)
}

#[test]
fn gelf_over_datagrams() -> Result<()> {
    let berth = Berth::start()?;
    for (name, options) in [
        ("gzip", &[][..]),
        ("zlib", &["gelf-compression-type=zlib", "gelf-compression-level=9"]),
        ("plain", &["gelf-compression-type=none"]),
    ] {
        let (port, heard) = servers::udp()?;
        let address = format!("gelf-address=udp://127.0.0.1:{port}");
        let messages = gelf_over(&berth, &heard, name, &[&[address.as_str()], options].concat())?;
        ensure!(heard.all().len() > 8, "nothing came in chunks");
        let head = heard.all().iter().find(|datagram| !datagram.starts_with(&[0x1e])).map(|d| d[0]);
        let magic = [("gzip", 0x1f), ("zlib", 0x78), ("plain", b'{')];
        ensure!(magic.iter().any(|(kind, byte)| *kind == name && Some(*byte) == head), "{name}: {head:?}");
        for message in &messages {
            let short = message["short_message"].as_str().unwrap_or_default();
            ensure!(message["version"] == "1.1" && message["_container_name"] == name, "{message}");
            ensure!(message["_STAGE"] == "dev" && message["_image_name"] == IMAGE, "{message}");
            ensure!(message["level"] == if short == "err" { 3 } else { 6 }, "{message}");
            ensure!(message["timestamp"].as_f64().is_some_and(|time| time > 1.7e9), "{message}");
        }
        let long = messages.iter().filter_map(|message| message["short_message"].as_str());
        ensure!(long.map(str::len).max() == Some("last".len() + 12000), "the long line came otherwise");
    }
    berth.finish()
}

#[test]
fn gelf_over_a_stream() -> Result<()> {
    let berth = Berth::start()?;
    let (port, heard) = servers::tcp(0, servers::silent)?;
    let address = format!("gelf-address=tcp://127.0.0.1:{port}");
    run(&berth, "tcp", &["gelf", &address], SAY)?;
    heard.wait(|all| all.concat().iter().filter(|&&byte| byte == 0).count() == 3)?;
    let text = heard.text();
    let messages: Vec<serde_json::Value> =
        text.split_terminator('\0').map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut said: Vec<_> = messages.iter().filter_map(|message| message["short_message"].as_str()).collect();
    said.sort_unstable();
    ensure!(said == ["err", "last", "out"], "{text}");
    reads_back(&berth, "tcp")?;
    berth.finish()
}

#[test]
fn journald() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("journal");
    let heard = servers::unixgram(&socket)?;
    let place = socket.to_str().context("the temporary folder's name is not UTF-8")?;
    let berth = Berth::with_environment(&[("BERTH_JOURNAL_SOCKET", place)], &[])?;
    let script = "echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x; echo";
    let id = run(&berth, "journal", &["journald", "labels=team", "tag={{.Name}}.{{.DaemonName}}"], script)?;
    let entries = heard.wait(|all| all.len() == 4)?;
    let entries = entries.iter().map(|entry| wire::journal(entry)).collect::<Result<Vec<_>>>()?;
    for entry in &entries {
        ensure!(entry["CONTAINER_ID_FULL"] == id && entry["CONTAINER_ID"] == id[..12], "{entry:?}");
        ensure!(entry["CONTAINER_NAME"] == "journal" && entry["IMAGE_NAME"] == IMAGE, "{entry:?}");
        ensure!(entry["CONTAINER_TAG"] == "journal.docker" && entry["TEAM"] == "blue", "{entry:?}");
        ensure!(entry["SYSLOG_IDENTIFIER"] == "journal.docker" && entry.contains_key("SYSLOG_TIMESTAMP"));
        ensure!(entry["PRIORITY"] == if entry["MESSAGE"] == "err" { "3" } else { "6" }, "{entry:?}");
    }
    let parts: Vec<_> = entries.iter().filter(|entry| entry.contains_key("CONTAINER_PARTIAL_ID")).collect();
    let [first, second] = parts[..] else { anyhow::bail!("{} parts", parts.len()) };
    ensure!(first["MESSAGE"].len() == 16384 && second["MESSAGE"].len() == 20000 - 16384);
    ensure!(first["CONTAINER_PARTIAL_ID"] == second["CONTAINER_PARTIAL_ID"]);
    ensure!(first["CONTAINER_PARTIAL_MESSAGE"] == "true" && first["CONTAINER_PARTIAL_LAST"] == "false");
    ensure!(second["CONTAINER_PARTIAL_ORDINAL"] == "2" && second["CONTAINER_PARTIAL_LAST"] == "true");
    ensure!(!second.contains_key("CONTAINER_PARTIAL_MESSAGE"));
    // What was forwarded may be written here a moment later.
    berth.docker(["wait", "journal"])?.ok()?;
    let shown = berth.docker(["logs", "--tail", "1", "journal"])?.ok()?;
    ensure!(shown == "x".repeat(20000 - 16384), "{} bytes", shown.len());
    berth.finish()
}
