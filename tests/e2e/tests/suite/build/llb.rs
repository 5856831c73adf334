//! Definitions that a client has made itself (LLB), sent as BuildKit's clients send them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use buildkit::Status;
use buildkit::grpc::{self, Answer, Asked, Channel, Service, answer, unimplemented};
use buildkit::method::{self, header};
use buildkit::proto::control::{Exporter, SolveRequest, SolveResponse};
use buildkit::proto::secrets::{GetSecretRequest, GetSecretResponse};
use buildkit::proto::{health, pb};
use e2e::daemon::{Berth, IMAGE};
use e2e::image::sha256;
use e2e::programs::PATIENCE;
use prost::Message as _;

use super::{found_below, no_places};

const SECRET: &str = "wrong-pony-charger-paperclip";

/// What the client lends: its health and one secret.
#[derive(Clone)]
struct Lent;

impl Service for Lent {
    async fn call(&self, asked: Asked) -> Answer {
        match asked.uri().path() {
            method::HEALTH_CHECK => {
                answer(asked, |_: tonic::Request<health::HealthCheckRequest>| async {
                    let status = health::health_check_response::ServingStatus::Serving.into();
                    Ok(tonic::Response::new(health::HealthCheckResponse { status }))
                })
                .await
            }
            method::GET_SECRET => {
                answer(asked, |asked: tonic::Request<GetSecretRequest>| async move {
                    match asked.into_inner().id.as_str() {
                        "token" => Ok(tonic::Response::new(GetSecretResponse { data: SECRET.into() })),
                        other => Err(Status::not_found(format!("no secret {other}"))),
                    }
                })
                .await
            }
            _ => unimplemented(&asked),
        }
    }
}

/// A connection that was given away to gRPC.
fn upgraded(berth: &Berth, path: &str, headers: &str) -> Result<tokio::net::UnixStream> {
    let mut stream = UnixStream::connect(berth.root().join("sock"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /v1.44/{path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{headers}\r\n"
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream.set_nonblocking(true)?;
    Ok(tokio::net::UnixStream::from_std(stream)?)
}

/// A client with a session.
struct Client {
    channel: Channel,
    session: String,
}

impl Client {
    async fn connect(berth: &Berth, session: &str) -> Result<Self> {
        let headers = format!(
            "{}: {session}\r\n{}: test\r\n{}: {}\r\n",
            header::SESSION_ID,
            header::SESSION_NAME,
            header::SESSION_METHOD,
            method::GET_SECRET
        );
        tokio::spawn(grpc::serve(upgraded(berth, "session", &headers)?, Lent));
        let (channel, connected) = grpc::connect(upgraded(berth, "grpc", "")?).await?;
        tokio::spawn(connected);
        Ok(Self { channel, session: session.to_owned() })
    }

    /// Builds what a definition says as an image of this name.
    async fn solve(&self, definition: pb::Definition, name: &str) -> Result<SolveResponse, Status> {
        let attrs = [("name".to_owned(), name.to_owned())].into();
        let request = SolveRequest {
            r#ref: format!("{}-{name}", self.session),
            definition: Some(definition),
            exporters: vec![Exporter { r#type: "moby".into(), attrs }],
            session: self.session.clone(),
            ..SolveRequest::default()
        };
        self.channel.ask(method::SOLVE, request).await
    }
}

/// A definition that grows.
#[derive(Default)]
struct Definition(Vec<Vec<u8>>);

/// An output of a vertex: its digest and the output's number.
type Output = (String, i64);

impl Definition {
    /// Adds a vertex; its outputs bear its digest.
    fn add(&mut self, inputs: &[&Output], op: pb::op::Op) -> String {
        let op = pb::Op {
            inputs: inputs.iter().map(|output| input(output)).collect(),
            op: Some(op),
            ..Default::default()
        };
        let bytes = op.encode_to_vec();
        let digest = sha256(&bytes);
        self.0.push(bytes);
        if digest.starts_with("sha256:") { digest } else { format!("sha256:{digest}") }
    }

    fn image(&mut self) -> Output {
        let identifier = format!("docker-image://docker.io/{}", IMAGE.trim_start_matches("docker.io/"));
        (self.add(&[], pb::op::Op::Source(pb::SourceOp { identifier, ..Default::default() })), 0)
    }

    fn files(&mut self, inputs: &[&Output], actions: Vec<pb::FileAction>) -> Output {
        (self.add(inputs, pb::op::Op::File(pb::FileOp { actions })), 0)
    }

    fn run(&mut self, inputs: &[&Output], script: &str, mounts: Vec<pb::Mount>) -> Output {
        let args = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let meta = pb::Meta { args, cwd: "/".into(), env: vec!["PATH=/bin".into()], ..Default::default() };
        let op = pb::ExecOp { meta: Some(meta), mounts, ..Default::default() };
        (self.add(inputs, pb::op::Op::Exec(op)), 0)
    }

    /// The whole, of which this output is the result.
    fn result(mut self, output: &Output) -> pb::Definition {
        let last = pb::Op { inputs: vec![input(output)], ..Default::default() };
        self.0.push(last.encode_to_vec());
        pb::Definition { def: self.0, ..Default::default() }
    }
}

fn input((digest, index): &Output) -> pb::Input {
    pb::Input { digest: digest.clone(), index: *index }
}

fn root(input: i64, output: i64) -> pb::Mount {
    pb::Mount { input, dest: "/".into(), output, ..Default::default() }
}

fn mount(kind: pb::MountType, dest: &str) -> pb::Mount {
    pb::Mount { input: -1, output: -1, dest: dest.into(), mount_type: kind.into(), ..Default::default() }
}

fn action(input: i64, secondary_input: i64, output: i64, action: pb::file_action::Action) -> pb::FileAction {
    pb::FileAction { input, secondary_input, output, action: Some(action) }
}

fn mkdir(path: &str) -> pb::file_action::Action {
    let made = pb::FileActionMkDir {
        path: path.into(),
        mode: 0o755,
        make_parents: true,
        timestamp: -1,
        owner: None,
    };
    pb::file_action::Action::Mkdir(made)
}

fn mkfile(path: &str, data: &str) -> pb::file_action::Action {
    let (path, data) = (path.into(), data.into());
    pb::file_action::Action::Mkfile(pb::FileActionMkFile {
        path,
        mode: 0o640,
        data,
        timestamp: -1,
        owner: None,
    })
}

/// Files made of nothing; a process that reads them, a secret, a cache and a tmpfs; what it changed, laid over them and
/// changed again.
fn everything() -> pb::Definition {
    let mut definition = Definition::default();
    let base = definition.image();
    let made = definition.files(
        &[],
        vec![action(-1, -1, -1, mkdir("/made/deep")), action(0, -1, 0, mkfile("/made/deep/file", "words "))],
    );
    let token = pb::SecretOpt { id: "token".into(), mode: 0o400, ..Default::default() };
    let cache = pb::CacheOpt { id: "llb".into(), ..Default::default() };
    let mounts = vec![
        root(0, 0),
        pb::Mount { input: 1, selector: "/made".into(), readonly: true, ..mount(pb::MountType::Bind, "/in") },
        pb::Mount { secret_opt: Some(token), ..mount(pb::MountType::Secret, "/run/token") },
        pb::Mount { cache_opt: Some(cache), ..mount(pb::MountType::Cache, "/cache") },
        mount(pb::MountType::Tmpfs, "/fleeting"),
    ];
    let script = "cat /in/deep/file > /told; wc -c < /run/token >> /told; ! touch /in/x; echo kept > /cache/it; \
                  echo gone > /fleeting/it; rm /bin/true; cat /proc/sys/kernel/random/uuid > /once";
    let ran = definition.run(&[&base, &made], script, mounts);
    let diff = pb::DiffOp {
        lower: Some(pb::LowerDiffInput { input: 0 }),
        upper: Some(pb::UpperDiffInput { input: 1 }),
    };
    let changed = (definition.add(&[&base, &ran], pb::op::Op::Diff(diff)), 0);
    let merge = pb::MergeOp { inputs: (0..3).map(|input| pb::MergeInput { input }).collect() };
    let merged = (definition.add(&[&base, &made, &changed], pb::op::Op::Merge(merge)), 0);
    let copy = pb::FileActionCopy {
        src: "/made/deep/*".into(),
        dest: "/copied/".into(),
        create_dest_path: true,
        allow_wildcard: true,
        timestamp: -1,
        mode: -1,
        ..Default::default()
    };
    let removed = pb::FileActionRm { path: "/made".into(), ..Default::default() };
    let last = definition.files(
        &[&merged, &made],
        vec![
            action(0, 1, -1, pb::file_action::Action::Copy(copy)),
            action(2, -1, 0, pb::file_action::Action::Rm(removed)),
        ],
    );
    definition.result(&last)
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async { tokio::time::timeout(PATIENCE, work).await.context("the build does not end")? })
}

#[test]
fn a_definition_of_every_common_operation() -> Result<()> {
    let berth = Berth::start()?;
    block_on(async {
        let client = Client::connect(&berth, "definition").await?;
        let first = client.solve(everything(), "llb:1").await?;
        ensure!(first.exporter_response.contains_key("containerimage.config.digest"), "{first:?}");
        client.solve(everything(), "llb:2").await?;
        Ok(())
    })?;
    let look = "cat /told /copied/file /once; stat -c %a /copied/file; ls /fleeting /cache /made /run/token; test -e /bin/true || echo no true";
    let say =
        |name: &str| berth.docker(["run", "--rm", name, "/bin/sh", "-c", &format!("{look}; exit 0")])?.ok();
    let said = say("llb:1")?;
    let lines: Vec<&str> = said.lines().collect();
    ensure!(lines.first() == Some(&format!("words {}", SECRET.len()).as_str()), "{said}");
    ensure!(said.contains("words ") && said.contains("\n640\n") && said.ends_with("no true"), "{said}");
    ensure!(!said.contains("gone") && !said.contains("kept") && !said.contains("deep"), "{said}");
    ensure!(said == say("llb:2")?, "it was run twice");
    ensure!(found_below(berth.root(), SECRET.as_bytes())?.is_none(), "the secret was kept");
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn definitions_that_are_wrong_are_told_so() -> Result<()> {
    let berth = Berth::start()?;
    block_on(async {
        let client = Client::connect(&berth, "wrong").await?;
        let fails =
            async |definition: pb::Definition, words: &str| match client.solve(definition, "never").await {
                Err(status) if status.message().contains(words) => Ok(()),
                other => anyhow::bail!("{words}: {other:?}"),
            };
        let mut exits = Definition::default();
        let base = exits.image();
        let ran = exits.run(&[&base], "exit 9", vec![root(0, 0)]);
        fails(exits.result(&ran), "exit code: 9").await?;
        let mut secret = Definition::default();
        let base = secret.image();
        let other = pb::SecretOpt { id: "other".into(), ..Default::default() };
        let other = pb::Mount { secret_opt: Some(other), ..mount(pb::MountType::Secret, "/s") };
        let ran = secret.run(&[&base], "true", vec![root(0, 0), other]);
        fails(secret.result(&ran), "other").await?;
        let mut odd = Definition::default();
        let source = pb::SourceOp { identifier: "carrier-pigeon://coop".into(), ..Default::default() };
        let source = (odd.add(&[], pb::op::Op::Source(source)), 0);
        fails(odd.result(&source), "carrier-pigeon").await?;
        let lost = Definition::default().result(&("sha256:0".to_owned(), 0));
        fails(lost, "sha256:0").await?;
        let mut outside = Definition::default();
        let escaping = outside.files(&[], vec![action(-1, -1, 0, mkfile("/../../../outside", "x"))]);
        client.solve(outside.result(&escaping), "inside").await?;
        Ok(())
    })?;
    ensure!(!berth.root().join("outside").exists() && !std::path::Path::new("/outside").exists());
    berth.docker(["image", "inspect", "never"])?.fails(1, "No such image")?;
    no_places(&berth)?;
    berth.finish()
}

/// A process whose results are what it has made of its mounts: one that it may write to, one that it may not.
fn results_of_mounts() -> pb::Definition {
    let mut definition = Definition::default();
    let base = definition.image();
    let made = definition.files(
        &[],
        vec![action(-1, -1, -1, mkdir("/made/deep")), action(0, -1, 0, mkfile("/made/deep/file", "one\n"))],
    );
    let bind = |dest: &str, output| pb::Mount { input: 1, output, ..mount(pb::MountType::Bind, dest) };
    let mounts = vec![
        root(0, 0),
        pb::Mount { selector: "/made/../made/deep".into(), ..bind("/written/../written", 1) },
        pb::Mount { readonly: true, ..bind("/read", 2) },
        bind("/lost", -1),
    ];
    let script = "echo two >> /written/file && mkdir /written/dev && echo three >> /lost/made/deep/file && \
                  cat /read/made/deep/file && ! touch /read/x && touch /of-the-root";
    let (ran, _) = definition.run(&[&base, &made], script, mounts);
    let copy = |from: &str, to: &str| {
        pb::file_action::Action::Copy(pb::FileActionCopy {
            src: from.into(),
            dest: to.into(),
            create_dest_path: true,
            timestamp: -1,
            mode: -1,
            ..Default::default()
        })
    };
    let last = definition.files(
        &[&base, &(ran.clone(), 1), &(ran, 2)],
        vec![action(0, 1, -1, copy("/made", "/written/")), action(3, 2, 0, copy("/made", "/read/"))],
    );
    definition.result(&last)
}

#[test]
fn a_mount_is_a_result() -> Result<()> {
    let berth = Berth::start()?;
    block_on(async {
        let client = Client::connect(&berth, "mounts").await?;
        client.solve(results_of_mounts(), "mounts").await?;
        Ok(())
    })?;
    let look = "cat /written/made/deep/file; ls -d /written/made/deep/dev; cat /read/made/deep/file; ls -d /of-the-root /read/made/deep/dev";
    let said = berth.docker(["run", "--rm", "mounts", "/bin/sh", "-c", &format!("{look}; exit 0")])?.ok()?;
    ensure!(said.trim() == "one\ntwo\n/written/made/deep/dev\none", "{said}");
    no_places(&berth)?;
    berth.finish()
}
