//! A private etcd: Debian's, with a folder and ports of its own.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::lab::Namespace;
use crate::programs::{self, PATIENCE};

/// A store, which may be ended and started again.
pub struct Etcd {
    root: tempfile::TempDir,
    client: SocketAddr,
    peer: u16,
    netns: Option<Namespace>,
    /// It speaks TLS alone, and wants clients' certificates.
    tls: bool,
    /// Its name, and where each member of its cluster listens for the others.
    name: String,
    cluster: String,
    child: Option<Child>,
}

impl Etcd {
    /// Starts one on the machine's loopback interface.
    pub fn start() -> Result<Self> {
        Self::launch(IpAddr::V4(Ipv4Addr::LOCALHOST), None, false)
    }

    /// Starts one that speaks TLS alone and wants a client's certificate; see [`Etcd::certificate`].
    pub fn with_tls() -> Result<Self> {
        Self::launch(IpAddr::V4(Ipv4Addr::LOCALHOST), None, true)
    }

    /// Starts three that are one store, on the machine's loopback interface.
    pub fn trio() -> Result<[Self; 3]> {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ports = [free(here)?, free(here)?, free(here)?];
        let peer = |at: usize| format!("m{at}=http://{here}:{}", ports[at].1);
        let cluster = [peer(0), peer(1), peer(2)].join(",");
        let member = |at: usize| -> Result<Self> {
            let root = tempfile::Builder::new().prefix("berth-etcd-").tempdir()?;
            let ((client, peer), name) = (ports[at], format!("m{at}"));
            Ok(Self {
                root,
                client,
                peer,
                netns: None,
                tls: false,
                name,
                cluster: cluster.clone(),
                child: None,
            })
        };
        let mut members = [member(0)?, member(1)?, member(2)?];
        members.iter_mut().try_for_each(Self::begin)?;
        members.iter().try_for_each(Self::wait)?;
        Ok(members)
    }

    /// The store of these members, as `--cluster-store` takes it.
    pub fn url_of(members: &[Self]) -> String {
        let addresses: Vec<_> = members.iter().map(|member| member.client.to_string()).collect();
        format!("etcd://{}", addresses.join(","))
    }

    /// Whether the others of its cluster follow it.
    pub fn leads(&self) -> Result<bool> {
        let status = self.ask("maintenance/status", &json!({}))?;
        Ok(status["leader"] == status["header"]["member_id"])
    }

    /// A file that it was given: `ca.pem`, `cert.pem` (a client's and its own), `key.pem`.
    pub fn certificate(&self, name: &str) -> String {
        self.root.path().join(name).display().to_string()
    }

    /// Starts one in a network namespace, at an address that it has.
    pub fn inside(netns: &Namespace, ip: IpAddr) -> Result<Self> {
        Self::launch(ip, Some(netns.clone()), false)
    }

    fn launch(ip: IpAddr, netns: Option<Namespace>, tls: bool) -> Result<Self> {
        let (client, peer) = match &netns {
            Some(netns) => netns.within(|| free(ip))?,
            None => free(ip)?,
        };
        let root = tempfile::Builder::new().prefix("berth-etcd-").tempdir()?;
        if tls {
            make_certificates(root.path())?;
        }
        let (name, cluster) = ("default".to_owned(), format!("default=http://{ip}:{peer}"));
        let mut etcd = Self { root, client, peer, netns, tls, name, cluster, child: None };
        etcd.resume()?;
        Ok(etcd)
    }

    /// As `--cluster-store` takes it.
    pub fn url(&self) -> String {
        format!("etcd://{}", self.client)
    }

    /// Starts it again, where it was.
    pub fn resume(&mut self) -> Result<()> {
        self.begin()?;
        self.wait()
    }

    fn begin(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "etcd runs");
        let scheme = if self.tls { "https" } else { "http" };
        let (client, peer) =
            (format!("{scheme}://{}", self.client), format!("http://{}:{}", self.client.ip(), self.peer));
        let log = std::fs::File::options().create(true).append(true).open(self.root.path().join("log"))?;
        let mut command = Command::new("/usr/bin/etcd");
        command
            .arg("--data-dir")
            .arg(self.root.path().join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--name", &self.name, "--initial-cluster", &self.cluster])
            // leases of one second need elections that are as short
            .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if self.tls {
            let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| self.certificate(name));
            command.args([
                "--client-cert-auth",
                "--trusted-ca-file",
                &ca,
                "--cert-file",
                &cert,
                "--key-file",
                &key,
            ]);
        }
        self.child = Some(match &self.netns {
            Some(netns) => netns.spawn(&mut command)?,
            None => command.spawn().context("cannot run etcd: install Debian's etcd-server")?,
        });
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        programs::eventually("etcd answers", || {
            let answers = match self.tls {
                true => TcpStream::connect(self.client).is_ok(),
                false => self.ask("kv/range", &json!({"key": "MA=="})).is_ok(),
            };
            Ok(answers.then_some(()))
        })
        .with_context(|| std::fs::read_to_string(self.root.path().join("log")).unwrap_or_default())
    }

    /// Ends it as a power cut would; what it has stored stays.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Holds it: it neither answers nor ends, as a store behind a broken cable.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let child = self.child.as_ref().context("etcd does not run")?;
        let signal = if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(child), signal)?)
    }

    /// Empties it, as if it had been set up anew.
    pub fn wipe(&mut self) -> Result<()> {
        self.kill()?;
        std::fs::remove_dir_all(self.root.path().join("data"))?;
        self.resume()
    }

    /// Forgets everything but the present.
    pub fn compact(&self) -> Result<()> {
        let now = self.ask("kv/range", &json!({"key": "MA=="}))?;
        let revision = now["header"]["revision"].as_str().context("no revision")?.to_owned();
        self.ask("kv/compaction", &json!({"revision": revision, "physical": true})).map(drop)
    }

    /// Writes a key.
    pub fn put(&self, key: &str, value: &str) -> Result<()> {
        self.ask("kv/put", &json!({"key": base64(key), "value": base64(value)})).map(drop)
    }

    /// Removes a key.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.ask("kv/deleterange", &json!({"key": base64(key)})).map(drop)
    }

    /// How many keys there are that begin so.
    pub fn count(&self, prefix: &str) -> Result<u64> {
        let mut end = prefix.to_owned();
        end.push('\u{7f}');
        let range = json!({"key": base64(prefix), "range_end": base64(&end), "count_only": true});
        let answer = self.ask("kv/range", &range)?;
        Ok(answer["count"].as_str().and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// Asks it through its JSON gateway, which is none of the ways that the product goes.
    fn ask(&self, path: &str, question: &Value) -> Result<Value> {
        let connect = || Ok(TcpStream::connect_timeout(&self.client, PATIENCE)?);
        let mut stream = match &self.netns {
            Some(netns) => netns.within(connect)?,
            None => connect()?,
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = question.to_string();
        write!(
            stream,
            "POST /v3/{path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.client,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// An address for clients and a port for other members, at random.
fn free(ip: IpAddr) -> Result<(SocketAddr, u16)> {
    // two at once, so that they differ
    let (one, two) = (TcpListener::bind((ip, 0))?, TcpListener::bind((ip, 0))?);
    Ok((one.local_addr()?, two.local_addr()?.port()))
}

/// A root, and a certificate by it for 127.0.0.1 that is good for both ends.
fn make_certificates(dir: &std::path::Path) -> Result<()> {
    let openssl = |line: &str| {
        let mut command = Command::new("/usr/bin/openssl");
        programs::run(command.args(line.split_ascii_whitespace()).current_dir(dir))?.ok().map(drop)
    };
    let kind = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(&format!("req -x509 {kind} -subj /CN=root -keyout ca.key -out ca.pem"))?;
    openssl(&format!("req {kind} -subj /CN=etcd -keyout key.pem -out cert.csr"))?;
    std::fs::write(
        dir.join("names"),
        "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n",
    )?;
    openssl(
        "x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
    )
}

/// RFC 4648.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut coded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bytes = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let number = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
        for place in 0..4 {
            let digit = (number >> (18 - 6 * place)) as usize & 63;
            coded.push(if place <= chunk.len() { DIGITS[digit] as char } else { '=' });
        }
    }
    coded
}
