//! The build itself: two connections, one event loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::Action;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildkit::grpc::{self, Channel};
use buildkit::method::{self, header};
use buildkit::proto::control::{SolveResponse, StatusRequest, StatusResponse};
use buildkit::{Code, Status};
use serde_json::Value;

use super::context::Contexts;
use super::display::Display;
use super::far::asynchronous;
use super::request::Job;
use super::services::{METHODS, Services};
use crate::client::{Client, Connection};
use crate::command::Context;
use crate::error::{Error, Result, reason};
use crate::flag::Matches;
use crate::login::Logins;

/// How often the live view is drawn anew.
const FRAME: Duration = Duration::from_millis(100);

/// What names the image in the daemon's answer, the best first.
const IDS: [&str; 2] = ["containerimage.config.digest", "containerimage.digest"];

/// Builds as the flags say.
pub(crate) fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let contexts = Contexts::read(matches.arg(0), matches.given("file").filter(|file| !file.is_empty()))?;
    if matches.bool("check") || matches!(matches.get("call"), "check" | "lint") {
        return super::check::run(context, matches, &contexts);
    }
    let mut job = Job::read(matches, contexts)?;
    job.lent.logins = Some(Mutex::new(Logins::open(&context.choice.config_dir)?));
    // an id of an earlier build must not be taken for this one's
    if let Some(path) = &job.iidfile {
        remove(path)?;
    }
    for warning in &job.warnings {
        context.out.error_line(&format!("WARNING: {warning}"));
    }
    let mut display = Display::new(context.out, job.progress)?;
    let client = context.client()?;
    let session = open_session(client, &job)?;
    let control = client.call(Action::Grpc, "").upgrade("h2c")?.1;
    let runtime = runtime()?;
    let lent = std::mem::take(&mut job.lent);
    let solved = runtime.block_on(solve(&job, Services(Arc::new(lent)), session, control, &mut display));
    // a thread that reads a terminal's standard input can't be waited for
    runtime.shutdown_background();
    display.end();
    let solved = solved?;
    report(context, &job, &solved)
}

fn open_session(client: &Client, job: &Job) -> Result<Connection> {
    let mut request = client
        .call(Action::Session, "")
        .header(format!("{}: {}", header::SESSION_ID, job.request.session))
        .header(format!("{}: berth", header::SESSION_NAME))
        .header(format!("{}: {}", header::SESSION_SHARED_KEY, job.shared_key));
    for method in METHODS {
        request = request.header(format!("{}: {method}", header::SESSION_METHOD));
    }
    Ok(request.upgrade("h2c")?.1)
}

/// Greets the daemon's `Control` on a connection.
pub(super) async fn connect(control: Connection) -> Result<Channel> {
    let io = asynchronous(control).map_err(|error| Error::Transport(reason(&error)))?;
    let (channel, connected) =
        grpc::connect(io).await.map_err(|error| Error::Transport(error.to_string()))?;
    tokio::spawn(connected);
    Ok(channel)
}

/// The event loop: one thread, and others that block.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(Error::io("start the event loop"))
}

async fn solve(
    job: &Job,
    services: Services,
    session: Connection,
    control: Connection,
    display: &mut Display<'_>,
) -> Result<SolveResponse> {
    let broken = |error: std::io::Error| Error::Transport(reason(&error));
    // as long as the build: its end is the daemon's business, too
    tokio::spawn(grpc::serve(asynchronous(session).map_err(broken)?, services));
    let channel = connect(control).await?;
    let solving = channel.ask::<_, SolveResponse>(method::SOLVE, job.request.clone());
    let watching = watch(&channel, &job.request.r#ref, display);
    tokio::pin!(solving, watching);
    tokio::select! {
        solved = &mut solving => {
            // what is still to be told comes at once, or not at all
            let _ = tokio::time::timeout(Duration::from_secs(5), watching).await;
            solved.map_err(|status| failure(&status))
        }
        () = &mut watching => solving.await.map_err(|status| failure(&status)),
    }
}

async fn watch(channel: &Channel, name: &str, display: &mut Display<'_>) {
    let request = StatusRequest { r#ref: name.to_owned() };
    let Ok(mut messages) = channel.subscribe::<_, StatusResponse>(method::STATUS, request).await else {
        return;
    };
    let mut clock = tokio::time::interval(FRAME);
    loop {
        tokio::select! {
            message = messages.message() => match message {
                Ok(Some(message)) => display.tell(&message),
                _ => return,
            },
            _ = clock.tick() => display.tick(),
        }
    }
}

fn failure(status: &Status) -> Error {
    match status.code() {
        Code::Unavailable => Error::Transport(status.message().to_owned()),
        _ => {
            let lines: String =
                buildkit::details::sources(status).iter().filter_map(super::display::excerpt).collect();
            Error::Said(format!("{lines}ERROR: failed to build: {}", status.message()))
        }
    }
}

fn report(context: &Context<'_>, job: &Job, solved: &SolveResponse) -> Result<()> {
    super::caches::note(&job.noted, solved.exporter_response.get("cache.manifest"))?;
    let id = IDS.iter().find_map(|key| solved.exporter_response.get(*key));
    if let (Some(path), Some(id)) = (&job.iidfile, id) {
        write(path, id.as_bytes())?;
    }
    if let Some(path) = &job.metadata {
        let mut known: BTreeMap<&str, Value> =
            solved.exporter_response.iter().map(|(key, value)| (key.as_str(), value_of(value))).collect();
        let build = format!("default/default/{}", job.request.r#ref);
        known.insert("buildx.build.ref", build.into());
        let text = serde_json::to_string_pretty(&known).map_err(|error| Error::said(error.to_string()))?;
        write(path, text.as_bytes())?;
    }
    match id {
        Some(id) if job.quiet => context.out.line(id),
        _ => Ok(()),
    }
}

/// A value that is JSON itself, or that in base64, is shown as such.
fn value_of(text: &str) -> Value {
    let json = |bytes: &[u8]| {
        let parsed = serde_json::from_slice::<Value>(bytes).ok();
        parsed.filter(|value| value.is_object() || value.is_array())
    };
    let decoded = || STANDARD.decode(text).ok().and_then(|bytes| json(&bytes));
    json(text.as_bytes()).or_else(decoded).unwrap_or_else(|| text.into())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes)
        .map_err(|error| Error::said(format!("write {}: {}", path.display(), reason(&error))))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::said(format!("remove {}: {}", path.display(), reason(&error))))
        }
        _ => Ok(()),
    }
}
