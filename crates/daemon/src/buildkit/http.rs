//! Builds by BuildKit that clients ask for over HTTP, as `docker` before 23.0 does: `POST /build?version=2`, with the
//! progress as BuildKit's messages inside of the classic stream's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use api::progress::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildkit::Status;
use buildkit::proto::control::{Exporter, SolveRequest, SolveResponse, StatusResponse};
use futures_util::{StreamExt as _, stream};
use hyper::StatusCode;
use prost::Message as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{solve, uploads};
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// Messages that wait for a slow client.
const BACKLOG: usize = 64;

/// Parameters that this way of building has no words for, and the values that change nothing.
const REFUSED: &[(&str, &[&str])] = &[("isolation", &["", "default"])];

/// Parameters that are limits of steps, and the values that are none.
const LIMITS: &[(&str, &[&str])] = &[
    ("cpuperiod", &["", "0"]),
    ("cpuquota", &["", "0"]),
    ("cpusetcpus", &[""]),
    ("cpusetmems", &[""]),
    ("cpushares", &["", "0"]),
    ("memory", &["", "0"]),
    ("memswap", &["", "0"]),
    ("securityopt", &["", "null", "[]"]),
];

/// `POST /build/cancel`: a build that is over already is no error.
pub(crate) fn cancel_build(asked: &Asked) -> Response {
    asked.app.builds.cancel(asked.query.get("id").unwrap_or_default());
    response::empty(StatusCode::OK)
}

/// `POST /build?version=2`
pub(crate) async fn build(asked: &Asked, body: RequestBody) -> Result<Response> {
    if let Some(id) = asked.query.get("buildid").and_then(uploaded) {
        return match asked.app.uploads.give(id, body.reader()).await {
            true => Ok(response::empty(StatusCode::OK)),
            false => Err(ApiError::bad_request(format!("the context of build {id} was sent already"))),
        };
    }
    let request = match request(asked) {
        Ok(request) => request,
        Err(error) => {
            solve::served(&asked.app, asked.query.get("session").unwrap_or_default()).await;
            return Err(error);
        }
    };
    let (go, messages) = mpsc::channel(BACKLOG);
    tokio::spawn(run(Arc::clone(&asked.app), request, go));
    let messages =
        stream::unfold(messages, |mut messages| async move { Some((messages.recv().await?, messages)) });
    Ok(response::lines(messages))
}

async fn run(app: Arc<App>, request: SolveRequest, go: mpsc::Sender<Message>) {
    let last = match app.builds.begin(&request.r#ref) {
        Err(status) => Err(status),
        Ok(running) => {
            let mut told = std::pin::pin!(running.journal.follow());
            let mut solving = std::pin::pin!(solve::watched(&app, &running, request));
            let mut solved = None;
            loop {
                tokio::select! {
                    message = told.next() => match message {
                        Some(message) => {
                            // a client that has hung up wants nothing any more
                            if go.send(trace(&message)).await.is_err() {
                                return;
                            }
                        }
                        None => break,
                    },
                    done = &mut solving, if solved.is_none() => solved = Some(done),
                    () = go.closed() => return,
                }
            }
            match solved {
                Some(done) => done,
                None => solving.await,
            }
        }
    };
    // as above
    let _ = go.send(end(last)).await;
}

fn trace(message: &StatusResponse) -> Message {
    let text = STANDARD.encode(message.encode_to_vec());
    Message { id: "moby.buildkit.trace".to_owned(), aux: Some(text.into()), ..Message::default() }
}

fn end(solved: Result<SolveResponse, Status>) -> Message {
    match solved {
        Ok(solved) => {
            let id = solved.exporter_response.get("containerimage.config.digest");
            let aux = id.map(|id| serde_json::json!({ "ID": id }));
            Message { id: "moby.image.id".to_owned(), aux, ..Message::default() }
        }
        Err(status) => Message::error(status.message().to_owned()),
    }
}

/// The build that a request brings the context of.
fn uploaded(build: &str) -> Option<&str> {
    build.strip_prefix(uploads::REQUEST)?.strip_prefix(':')
}

#[derive(Deserialize)]
struct Ulimit {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Soft")]
    soft: i64,
    #[serde(rename = "Hard")]
    hard: i64,
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Attrs", default)]
    attrs: Option<HashMap<String, String>>,
}

fn json<T: DeserializeOwned + Default>(asked: &Asked, name: &str) -> Result<T> {
    match asked.query.get(name).unwrap_or_default() {
        "" | "null" => Ok(T::default()),
        text => serde_json::from_str(text)
            .map_err(|error| ApiError::bad_request(format!("parameter {name}: {error}"))),
    }
}

fn request(asked: &Asked) -> Result<SolveRequest> {
    let query = &asked.query;
    for (name, harmless) in REFUSED {
        let value = query.get(name).unwrap_or_default();
        if !harmless.contains(&value) {
            return Err(ApiError::not_implemented(format!(
                "{name}={value} of a build by BuildKit is not supported by this version of Berth"
            )));
        }
    }
    let build = query.get("buildid").unwrap_or_default();
    let remote = query.get("remote").unwrap_or_default();
    let mut attrs = attributes(asked)?;
    match remote {
        "" | "client-session" => {}
        uploads::REQUEST => {
            attrs.insert(
                "context".to_owned(),
                format!("http://buildkit-session/{}:{build}", uploads::REQUEST),
            );
        }
        remote => drop(attrs.insert("context".to_owned(), remote.to_owned())),
    }
    let name = if build.is_empty() { crate::buildkit::builds::name() } else { build.to_owned() };
    Ok(SolveRequest {
        r#ref: name,
        session: query.get("session").unwrap_or_default().to_owned(),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: attrs,
        exporters: exporters(asked)?,
        ..Default::default()
    })
}

fn attributes(asked: &Asked) -> Result<HashMap<String, String>> {
    let query = &asked.query;
    let mut attrs = HashMap::new();
    let mut given = |name: &str, value: String| {
        if !value.is_empty() {
            attrs.insert(name.to_owned(), value);
        }
    };
    given("filename", query.get("dockerfile").unwrap_or_default().to_owned());
    given("target", query.get("target").unwrap_or_default().to_owned());
    given("platform", query.get("platform").unwrap_or_default().to_owned());
    for (name, none) in LIMITS {
        let value = query.get(name).unwrap_or_default();
        if !none.contains(&value) {
            given(&format!("berth:{name}"), value.to_owned());
        }
    }
    given("cgroup-parent", query.get("cgroupparent").unwrap_or_default().to_owned());
    given("force-network-mode", query.get("networkmode").unwrap_or_default().to_owned());
    given("add-hosts", query.all("extrahosts").collect::<Vec<_>>().join(","));
    match query.get("shmsize").unwrap_or_default() {
        "" | "0" => {}
        size => given("shm-size", size.to_owned()),
    }
    let limits: Vec<Ulimit> = json(asked, "ulimits")?;
    let limits = limits.iter().map(|limit| format!("{}={}:{}", limit.name, limit.soft, limit.hard));
    given("ulimit", limits.collect::<Vec<_>>().join(","));
    if query.flag("squash") {
        given("berth:squash", "1".to_owned());
    }
    if query.flag("pull") {
        given("image-resolve-mode", "pull".to_owned());
    }
    let caches: Vec<String> = json(asked, "cachefrom")?;
    given("cache-from", caches.join(","));
    if query.flag("nocache") {
        attrs.insert("no-cache".to_owned(), String::new());
    }
    let args: BTreeMap<String, Option<String>> = json(asked, "buildargs")?;
    attrs.extend(args.into_iter().filter_map(|(name, value)| Some((format!("build-arg:{name}"), value?))));
    let labels: BTreeMap<String, String> = json(asked, "labels")?;
    attrs.extend(labels.into_iter().map(|(name, value)| (format!("label:{name}"), value)));
    Ok(attrs)
}

fn exporters(asked: &Asked) -> Result<Vec<Exporter>> {
    let outputs: Vec<Output> = json(asked, "outputs")?;
    let names = asked.query.all("t").filter(|name| !name.is_empty()).collect::<Vec<_>>().join(",");
    if outputs.is_empty() {
        let attrs = HashMap::from([("name".to_owned(), names)]);
        return Ok(vec![Exporter { r#type: "moby".to_owned(), attrs }]);
    }
    let one = |output: Output| {
        let mut attrs = output.attrs.unwrap_or_default();
        // where it goes there is the client's own business
        attrs.remove("dest");
        if !names.is_empty() {
            attrs.entry("name".to_owned()).or_insert_with(|| names.clone());
        }
        Exporter { r#type: output.kind, attrs }
    };
    Ok(outputs.into_iter().map(one).collect())
}
