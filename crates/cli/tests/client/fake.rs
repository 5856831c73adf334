//! A daemon of canned answers on a unix socket, for both clients to talk to.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};

/// One request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `POST`
    pub(crate) method: String,
    /// Without version and query.
    pub(crate) path: String,
    /// What follows `?`.
    pub(crate) query: String,
    /// The whole body.
    pub(crate) body: Vec<u8>,
    /// `X-Registry-Auth`
    pub(crate) auth: String,
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Status and JSON.
    Json(u16, String),
    /// 101, and then these bytes once the container is started.
    Stream(Vec<u8>),
    /// 200 at once, and this JSON once the container is started.
    AfterStart(String),
    /// Status and raw bytes of a media type.
    Raw(&'static str, Vec<u8>),
}

type Script = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

/// The daemon.
pub(crate) struct Fake {
    dir: tempfile::TempDir,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    /// Listens; `script` answers, and what it doesn't know is 404.
    pub(crate) fn start(script: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("sock")).unwrap();
        std::fs::create_dir(dir.path().join("config")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_berth"), dir.path().join("docker")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        let started = Arc::new((Mutex::new(false), Condvar::new()));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log, started) = (Arc::clone(&script), Arc::clone(&log), Arc::clone(&started));
                std::thread::spawn(move || {
                    // A client that goes away is its own business.
                    let _ = serve(stream, &*script, &log, &started);
                });
            }
        });
        Self { dir, seen }
    }

    /// Runs `berth`, called by the name `docker`, so that texts can be compared.
    pub(crate) fn berth(&self, words: &[&str]) -> Output {
        self.run(self.dir.path().join("docker"), words, b"")
    }

    /// Runs `berth` with something on standard input.
    pub(crate) fn berth_with_input(&self, words: &[&str], input: &[u8]) -> Output {
        self.run(self.dir.path().join("docker"), words, input)
    }

    /// Runs one of the two on a terminal of these columns, and returns what it wrote to it.
    pub(crate) fn on_terminal(&self, real: bool, columns: usize, words: &[&str]) -> String {
        let program = if real { real_docker() } else { self.dir.path().join("docker") };
        let line =
            format!("stty cols {columns} rows 40 -onlcr; exec {} {}", program.display(), words.join(" "));
        let output = self.run("script".into(), &["-qec", &line, "/dev/null"], b"");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The file of the client's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("config/config.json")
    }

    /// Runs the real `docker`.
    pub(crate) fn docker(&self, words: &[&str]) -> Output {
        let program = real_docker();
        self.run(program, words, b"")
    }

    fn run(&self, program: PathBuf, words: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(program)
            .args(words)
            .env("DOCKER_HOST", format!("unix://{}", self.dir.path().join("sock").display()))
            .env("DOCKER_CONFIG", self.dir.path().join("config"))
            .env_remove("DOCKER_API_VERSION")
            .env_remove("BERTH_HOST")
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Runs the real `docker` with something on standard input.
    pub(crate) fn docker_with_input(&self, words: &[&str], input: &[u8]) -> Output {
        self.run(real_docker(), words, input)
    }

    /// What was asked since the last call, without pings.
    pub(crate) fn seen(&self) -> Vec<Request> {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.retain(|request| request.path != "/_ping");
        seen
    }
}

/// The newest docker client here.
fn real_docker() -> PathBuf {
    ["/usr/local/bin/docker", "/usr/bin/docker"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .expect("these tests compare with the docker client: install docker.io")
}

type Started = (Mutex<bool>, Condvar);

fn serve(
    stream: UnixStream,
    script: &Script,
    log: &Mutex<Vec<Request>>,
    started: &Started,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = read(&mut reader)? {
        log.lock().unwrap().push(request.clone());
        if request.path == "/_ping" {
            write!(
                writer,
                "HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\nOstype: linux\r\nContent-Length: 0\r\n\r\n"
            )?;
            continue;
        }
        let answer = script(&request)
            .unwrap_or_else(|| Answer::Json(404, format!("{{\"message\":\"no {}\"}}", request.path)));
        let wait = || {
            let guard = started.0.lock().unwrap();
            drop(started.1.wait_while(guard, |started| !*started).unwrap());
        };
        match answer {
            Answer::Json(status, json) => {
                if request.path.ends_with("/start") && status < 300 {
                    *started.0.lock().unwrap() = true;
                    started.1.notify_all();
                }
                let length =
                    if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", json.len()) };
                write!(
                    writer,
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{length}\r\n{json}"
                )?;
            }
            Answer::Raw(kind, bytes) => {
                write!(
                    writer,
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                    bytes.len()
                )?;
                writer.write_all(&bytes)?;
            }
            Answer::AfterStart(json) => {
                write!(
                    writer,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                )?;
                wait();
                write!(writer, "{:x}\r\n{json}\r\n0\r\n\r\n", json.len())?;
            }
            Answer::Stream(bytes) => {
                write!(
                    writer,
                    "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
                )?;
                if !request.path.contains("/exec/") {
                    wait();
                }
                writer.write_all(&bytes)?;
                if request.query.contains("stdin=1") {
                    let mut input = Vec::new();
                    reader.read_to_end(&mut input)?;
                    writer.write_all(&frame(1, &input))?;
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One frame of a multiplexed stream.
pub(crate) fn frame(stream: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![stream, 0, 0, 0];
    frame.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(bytes);
    frame
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let (mut length, mut chunked, mut auth) = (0, false, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if let Some(value) = header.strip_prefix("X-Registry-Auth:") {
            value.trim().clone_into(&mut auth);
        }
        let header = header.trim().to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    while chunked {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        reader.read_line(&mut String::new())?;
        chunked = size > 0;
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = match path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/')) {
        Some((_, rest)) => format!("/{rest}"),
        None => path.to_owned(),
    };
    Ok(Some(Request { method, path, query: query.to_owned(), body, auth }))
}
