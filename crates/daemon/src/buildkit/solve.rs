//! A build that a client asks for, from its request to its exports.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use build::Cancel;
use build::lower::{Flavor, Options};
use buildkit::Status;
use buildkit::proto::control::{BuildHistoryRecord, Exporter, SolveRequest, SolveResponse};
use buildkit::session::Session;
use engine::build::{CacheTarget, DockerfileBuild, RemoteBuild, Work};

use super::attributes::Attributes;
use super::builds::Running;
use super::cache_options;
use super::convert::{self, timestamp};
use super::export::{self, Export};
use super::lent::Borrowed;
use crate::app::App;

/// How long a client may take to serve its session.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// The frontend that is built in, and the one that stands for an image which holds a frontend.
const DOCKERFILE: &str = "dockerfile.v0";
const GATEWAY: &str = "gateway.v0";
/// Images of which the frontend that is built in takes the place.
const DOCKERFILE_IMAGES: [&str; 2] = ["docker/dockerfile", "docker.io/docker/dockerfile"];

/// Builds; ends with the call, whatever ends that.
pub(super) async fn solve(app: Arc<App>, request: SolveRequest) -> Result<SolveResponse, Status> {
    let running = app.builds.begin(&request.r#ref)?;
    watched(&app, &running, request).await
}

/// As [`solve`], when the build is known already. It is in the history from its begin to its end.
pub(super) async fn watched(
    app: &App,
    running: &Running,
    request: SolveRequest,
) -> Result<SolveResponse, Status> {
    let mut record = BuildHistoryRecord {
        r#ref: request.r#ref.clone(),
        frontend: request.frontend.clone(),
        // what build arguments hold is nobody's business later
        frontend_attrs: request
            .frontend_attrs
            .iter()
            .filter(|(key, _)| !key.starts_with("build-arg:"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        exporters: request.exporters.clone(),
        created_at: Some(timestamp(jiff::Timestamp::now())),
        ..Default::default()
    };
    app.history.note(record.clone());
    let mut noted = Noted { app, running, record: Some(record.clone()), done: false };
    let done = tokio::select! {
        done = work(app, running, &request) => {
            if done.is_err() {
                served(app, &request.session).await;
            }
            done
        }
        () = app.sessions.lost(&request.session) => {
            Err(Status::cancelled(format!("session {} is gone", request.session)))
        }
    };
    match &done {
        Ok(response) => record.exporter_response.clone_from(&response.exporter_response),
        Err(status) => record.error = Some(failure(status.code(), status.message())),
    }
    (noted.record, noted.done) = (Some(record), true);
    drop(noted);
    done
}

/// Waits until a build's client serves its session. `docker` 20.10 opens it beside the build; one that hears of the
/// build's failure while it does waits for ever for the end of a session that it has not noted yet.
pub(super) async fn served(app: &App, session: &str) {
    if session.is_empty() {
        return;
    }
    let Some(session) = app.sessions.get(session).await else { return };
    // one that does not answer is told all the same
    let _ = tokio::time::timeout(PATIENCE, session.served()).await;
}

/// Notes the end of a build in the history, also of one whose client has hung up.
struct Noted<'a> {
    app: &'a App,
    running: &'a Running,
    record: Option<BuildHistoryRecord>,
    /// It has come to an end by itself.
    done: bool,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.running.journal.cancel.cancel();
        self.running.journal.close();
        let Some(mut record) = self.record.take() else { return };
        if !self.done {
            record.error = Some(failure(buildkit::Code::Cancelled, "the client has hung up"));
        }
        let counts = self.running.journal.counts();
        record.num_total_steps = counts.total;
        record.num_completed_steps = counts.completed;
        record.num_cached_steps = counts.cached;
        record.completed_at = Some(timestamp(jiff::Timestamp::now()));
        self.app.history.note_status(&record.r#ref, &self.running.journal.messages());
        self.app.history.note(record);
    }
}

fn failure(code: buildkit::Code, message: &str) -> buildkit::proto::rpc::Status {
    buildkit::proto::rpc::Status { code: code.into(), message: message.to_owned(), details: Vec::new() }
}

async fn work(app: &App, running: &Running, request: &SolveRequest) -> Result<SolveResponse, Status> {
    let cancel = running.journal.cancel.clone();
    let what = what(request)?;
    let exports = export::read(&exporters(request))?;
    let session = app.sessions.get(&request.session).await;
    let session =
        session.ok_or_else(|| Status::not_found(format!("no active session for {}", request.session)))?;
    let build = remote(request, what, &exports, &cancel)?;
    let lent = Arc::new(Borrowed::new(session.clone(), app.uploads.clone(), cancel));
    let listener = Arc::clone(&running.journal);
    let built = app.engine.build_remote(build, lent, listener).await;
    let built = built.map_err(|failure| convert::failure(&failure))?;
    deliver(app, &session, &exports, Arc::new(built), epoch(request)?).await
}

/// One exporter's words go into the answer as they are, of several those of all.
async fn deliver(
    app: &App,
    session: &Session,
    exports: &[Export],
    built: Arc<engine::build::RemoteBuilt>,
    epoch: Option<i64>,
) -> Result<SolveResponse, Status> {
    let mut answer = HashMap::new();
    if let Some(cache) = &built.cache {
        let text = serde_json::to_string(cache).map_err(|error| Status::internal(error.to_string()))?;
        answer.insert("cache.manifest".to_owned(), text);
    }
    for export in exports {
        export.deliver(app, session, &built, epoch, &mut answer).await?;
    }
    Ok(SolveResponse { exporter_response: answer })
}

/// `SOURCE_DATE_EPOCH` of the build's arguments.
fn epoch(request: &SolveRequest) -> Result<Option<i64>, Status> {
    match request.frontend_attrs.get("build-arg:SOURCE_DATE_EPOCH").map(String::as_str) {
        None | Some("") => Ok(None),
        Some(text) => export::epoch(text).map(Some),
    }
}

/// The exporters, those of older clients too.
fn exporters(request: &SolveRequest) -> Vec<Exporter> {
    if request.exporters.is_empty() && !request.exporter_deprecated.is_empty() {
        return vec![Exporter {
            r#type: request.exporter_deprecated.clone(),
            attrs: request.exporter_attrs_deprecated.clone(),
        }];
    }
    request.exporters.clone()
}

/// What is to be done.
enum What {
    Dockerfile(Box<Attributes>),
    Definition(Work),
}

fn what(request: &SolveRequest) -> Result<What, Status> {
    if !request.frontend_inputs.is_empty() {
        return Err(Status::unimplemented("inputs of a frontend are not supported by this version of Berth"));
    }
    if request.source_policy.is_some() {
        return Err(Status::unimplemented("source policies are not supported by this version of Berth"));
    }
    let attrs = &request.frontend_attrs;
    match request.frontend.as_str() {
        DOCKERFILE => Ok(What::Dockerfile(Box::new(Attributes::parse(attrs)?))),
        GATEWAY if stands_for_ours(attrs) => Ok(What::Dockerfile(Box::new(Attributes::parse(attrs)?))),
        "" => {
            let Some(definition) = &request.definition else {
                return Err(Status::invalid_argument("neither a frontend nor a definition is given"));
            };
            let (graph, output) = convert::graph(definition)?;
            Ok(What::Definition(Work::Graph { graph, output }))
        }
        other => Err(Status::unimplemented(format!(
            "frontend {other:?} is not supported by this version of Berth"
        ))),
    }
}

fn stands_for_ours(attrs: &HashMap<String, String>) -> bool {
    let source = attrs.get("source").map_or("", String::as_str);
    let name = source.split(['@', ':']).next().unwrap_or_default();
    DOCKERFILE_IMAGES.contains(&name)
}

fn remote(
    request: &SolveRequest,
    what: What,
    exports: &[Export],
    cancel: &Cancel,
) -> Result<RemoteBuild, Status> {
    let mut build = RemoteBuild {
        image: exports.iter().any(Export::needs_image),
        files: exports.iter().any(Export::needs_files),
        cache_from: cache_options::imports(request)?,
        cache_to: cache_options::exports(request)?,
        cancel: cancel.clone(),
        ..RemoteBuild::default()
    };
    for entitlement in &request.entitlements {
        match entitlement.as_str() {
            "network.host" => build.allow_host_network = true,
            "security.insecure" => build.allow_insecure = true,
            other => {
                return Err(Status::invalid_argument(format!(
                    "entitlement {other:?} is not supported by this version of Berth"
                )));
            }
        }
    }
    build.work = match what {
        What::Definition(work) => work,
        What::Dockerfile(attrs) => {
            if let Some(request) = &attrs.request {
                return Err(Status::unimplemented(format!(
                    "the frontend's request {request:?} is not supported by this version of Berth"
                )));
            }
            build.no_cache = attrs.no_cache.as_ref().is_some_and(Vec::is_empty);
            build.pull = attrs.pull;
            build.squash = attrs.squash;
            if build.squash && build.cache_to.iter().any(|export| export.to == CacheTarget::Inline) {
                return Err(Status::invalid_argument(
                    "--squash and --cache-to type=inline do not go together: the layers that such a cache tells of are \
                     not in the image",
                ));
            }
            build.network = match attrs.network {
                Some(build::graph::NetworkMode::Host) => "host".to_owned(),
                Some(build::graph::NetworkMode::None) => "none".to_owned(),
                _ => String::new(),
            };
            build.platforms.clone_from(&attrs.platforms);
            limits(&attrs.limits, &mut build)?;
            build.attest.provenance.clone_from(&attrs.provenance);
            (build.attest.sbom, build.attest.epoch) = (attrs.sbom, epoch(request)?);
            build.attest.told = build::attest::Facts {
                invocation: request.r#ref.clone(),
                frontend: request.frontend.clone(),
                args: request
                    .frontend_attrs
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
                entry_point: attrs.filename.clone().unwrap_or_else(|| "Dockerfile".to_owned()),
                source_uri: attrs.context.clone(),
                ..build::attest::Facts::default()
            };
            Work::Dockerfile(Box::new(dockerfile(*attrs)?))
        }
    };
    Ok(build)
}

/// Limits of steps, in the words of `POST /build`.
fn limits(given: &BTreeMap<String, String>, build: &mut RemoteBuild) -> Result<(), Status> {
    let resources = &mut build.resources;
    for (key, value) in given {
        let number = || {
            value
                .parse::<i64>()
                .map_err(|error| Status::invalid_argument(format!("{key} {value:?}: {error}")))
        };
        match key.as_str() {
            "memory" => resources.memory = number()?,
            "memswap" => resources.memory_swap = number()?,
            "cpushares" => resources.cpu_shares = number()?,
            "cpuperiod" => resources.cpu_period = number()?,
            "cpuquota" => resources.cpu_quota = number()?,
            "cpusetcpus" => resources.cpuset_cpus.clone_from(value),
            "cpusetmems" => resources.cpuset_mems.clone_from(value),
            "securityopt" => {
                build.security_opt = serde_json::from_str(value)
                    .map_err(|error| Status::invalid_argument(format!("{key} {value:?}: {error}")))?;
            }
            other => return Err(Status::invalid_argument(format!("there is no limit {other:?}"))),
        }
    }
    Ok(())
}

fn dockerfile(attrs: Attributes) -> Result<DockerfileBuild, Status> {
    let epoch = match attrs.args.get("SOURCE_DATE_EPOCH").map(String::as_str) {
        None | Some("") => None,
        Some(text) => Some(export::epoch(text)?),
    };
    let contexts = attrs.contexts.iter().map(|(name, value)| Ok((name.clone(), convert::context(value)?)));
    let options = Options {
        contexts: contexts.collect::<Result<_, Status>>()?,
        build_args: attrs.args,
        target: attrs.target,
        labels: attrs.labels,
        extra_hosts: attrs.hosts,
        shm_size: attrs.shm_size,
        ulimits: attrs.ulimits,
        cgroup_parent: attrs.cgroup_parent,
        no_cache_stages: attrs.no_cache.unwrap_or_default(),
        flavor: Flavor::Buildkit,
        source_date_epoch: epoch,
        ..Options::default()
    };
    Ok(DockerfileBuild {
        options,
        filename: attrs.filename.unwrap_or_default(),
        context: attrs.context,
        context_key: attrs.context_key,
        dockerfile_key: attrs.dockerfile_key,
        own_dockerfile: attrs.own_dockerfile,
    })
}
