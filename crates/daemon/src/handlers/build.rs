//! `POST /build`: the classic builder, and the way to the other.

use std::collections::{BTreeMap, HashMap};

use api::Query;
use api::auth::AuthConfig;
use api::progress::{ErrorDetail, Message};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use engine::Stream;
use engine::build::{BuildNews, BuildRequest};
use engine::container::{Resources, Ulimit};
use engine::registry::Credentials;
use futures_util::StreamExt as _;
use hyper::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// Parameters that are understood; others are of later versions, or mistakes, and are passed over as in Docker.
const REFUSED: [(&str, &str); 2] = [
    ("outputs", "other results than an image (outputs) from the classic builder"),
    ("session", "a session with the classic builder (session)"),
];

/// `POST /build`
pub(crate) async fn build(asked: Asked, body: RequestBody) -> Result<Response> {
    match asked.query.get("version") {
        Some("2") => crate::buildkit::build_by_buildkit(&asked, body).await,
        _ => classic(asked, body).await,
    }
}

async fn classic(asked: Asked, body: RequestBody) -> Result<Response> {
    if let Some(kind) = asked.headers.get("content-type").and_then(|kind| kind.to_str().ok())
        && !matches!(
            kind.split(';').next().unwrap_or_default().trim(),
            "" | "application/x-tar" | "application/tar"
        )
    {
        return Err(ApiError::bad_request(format!("Content-Type {kind} is not supported")));
    }
    let request = request(&asked.query, &asked.headers)?;
    let news = asked.engine().build(request, body.reader()).await?;
    Ok(response::lines(messages(news, asked.version)))
}

fn messages(
    news: Stream<BuildNews>,
    version: api::Version,
) -> impl futures_util::Stream<Item = Message> + Send {
    news.map(move |news| match news {
        Ok(BuildNews::Text(text)) => Message::stream(text),
        Ok(BuildNews::Pull(progress)) => convert::progress(progress, version),
        Ok(BuildNews::Built(id)) => {
            Message { aux: Some(serde_json::json!({ "ID": id })), ..Message::default() }
        }
        Ok(BuildNews::Failed { code, message }) => {
            let error_detail = Some(ErrorDetail { code: code.into(), message: message.clone() });
            Message { error_detail, error: message, ..Message::default() }
        }
        Err(error) => Message::error(error.to_string()),
    })
}

/// What the parameters and headers ask for.
///
/// # Errors
/// The parameter that is wrong, or that is not done.
pub(crate) fn request(query: &Query, headers: &HeaderMap) -> Result<BuildRequest> {
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    for (name, feature) in REFUSED {
        if query.text(name).is_some() {
            return Err(ApiError::not_implemented(format!(
                "{feature} is not supported by this version of Berth"
            )));
        }
    }
    match query.text("version") {
        None | Some("1") => {}
        Some(other) => return Err(ApiError::bad_request(format!("invalid version specified: {other}"))),
    }
    if !matches!(query.get("isolation").unwrap_or_default(), "" | "default") {
        return Err(ApiError::bad_request(format!("unsupported isolation: \"{}\"", text("isolation"))));
    }
    let build_args: HashMap<String, Option<String>> = json(query, "buildargs")?;
    let extra_hosts = query.all("extrahosts").filter(|line| !line.is_empty()).map(str::to_owned).collect();
    Ok(BuildRequest {
        tags: query.all("t").map(str::to_owned).collect(),
        remote: remote(query),
        dockerfile: text("dockerfile"),
        build_args: build_args.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        labels: json(query, "labels")?,
        target: text("target"),
        platform: text("platform"),
        no_cache: query.flag("nocache"),
        pull: query.flag("pull"),
        cache_from: json(query, "cachefrom")?,
        squash: query.flag("squash"),
        quiet: query.flag("q"),
        network: text("networkmode"),
        extra_hosts,
        shm_size: int(query, "shmsize")?.unwrap_or(0),
        resources: resources(query)?,
        security_opt: json(query, "securityopt")?,
        credentials: credentials(headers),
    })
}

/// The context's URL; `client-session` is what a client says that sends its context in the request.
fn remote(query: &Query) -> String {
    let remote = query.get("remote").unwrap_or_default();
    if remote == "client-session" { String::new() } else { remote.to_owned() }
}

fn resources(query: &Query) -> Result<Resources> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Limit {
        name: String,
        soft: i64,
        hard: i64,
    }
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let int = |name: &str| Ok::<_, ApiError>(int(query, name)?.unwrap_or(0));
    let limits: Vec<Limit> = json(query, "ulimits")?;
    let limit = |limit: Limit| Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard };
    Ok(Resources {
        memory: int("memory")?,
        memory_swap: int("memswap")?,
        cpu_shares: int("cpushares")?,
        cpu_period: int("cpuperiod")?,
        cpu_quota: int("cpuquota")?,
        cpuset_cpus: text("cpusetcpus"),
        cpuset_mems: text("cpusetmems"),
        cgroup_parent: text("cgroupparent"),
        ulimits: limits.into_iter().map(limit).collect(),
        ..Resources::default()
    })
}

fn int(query: &Query, name: &str) -> Result<Option<i64>> {
    query.int(name).map_err(ApiError::bad_request)
}

/// A parameter that is JSON; `null` and nothing are the default.
fn json<T: DeserializeOwned + Default>(query: &Query, name: &str) -> Result<T> {
    let Some(text) = query.text(name) else { return Ok(T::default()) };
    let read: std::result::Result<Option<T>, _> = serde_json::from_str(text);
    read.map(Option::unwrap_or_default)
        .map_err(|error| ApiError::bad_request(format!("invalid {name} {text:?}: {error}")))
}

/// Who the client is at registries. As in Docker, a header that can't be read is none.
fn credentials(headers: &HeaderMap) -> BTreeMap<String, Credentials> {
    let Some(header) = headers.get("x-registry-config") else { return BTreeMap::new() };
    let read = || -> Option<BTreeMap<String, AuthConfig>> {
        let text = header.as_bytes();
        let bytes = URL_SAFE.decode(text).or_else(|_| STANDARD.decode(text)).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    match read() {
        Some(all) => all.iter().map(|(name, auth)| (name.clone(), convert::credentials(auth))).collect(),
        None => {
            tracing::warn!("X-Registry-Config can't be read: going on without credentials");
            BTreeMap::new()
        }
    }
}
