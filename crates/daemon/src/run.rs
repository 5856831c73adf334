//! The daemon's life: settings, sockets, engine, requests, and a quiet end.

use std::ffi::OsString;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use engine::{Engine, HostPorts};
use sys::cgroup::systemd::Manager;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::app::App;
use crate::authz;
use crate::config::{self, Asked, Given, Settings, Source};
use crate::convert;
use crate::descriptors;
use crate::listen::{self, Listener};
use crate::logging::Logging;
use crate::metrics;
use crate::pidfile::Pidfile;
use crate::rest;
use crate::rootless;

/// Threads that run requests; what blocks has threads of its own.
const WORKERS: usize = 2;
/// Threads for what blocks, at most.
const MAX_BLOCKING: usize = 64;
/// How long a thread for what blocks stays without work.
const BLOCKING_IDLE: Duration = Duration::from_secs(2);

/// Runs berthd with these words.
///
/// # Errors
/// Settings are wrong, or the daemon can't start.
pub fn run(args: impl Iterator<Item = OsString>) -> Result<()> {
    let words: Vec<OsString> = args.collect();
    let source = match config::read(words.iter().cloned())? {
        Asked::Print(text) => return Ok(std::io::stdout().write_all(text.as_bytes())?),
        Asked::Serve(source) => *source,
    };
    let mut settings = source.settings()?;
    if source.validate {
        return Ok(std::io::stdout().write_all(b"configuration OK\n")?);
    }
    let host_ports = rootless::enter(&settings.engine, &words)?;
    settings.engine.host_ports = host_ports.map(|socket| Arc::new(HostPorts::new(socket)));
    sys::memory::return_large_pieces();
    descriptors::raise(&mut settings.engine.default_ulimits)
        .context("cannot raise the limit of descriptors")?;
    let logging = Logging::start(settings.level, settings.log);
    if let Some(score) = settings.oom_score {
        std::fs::write("/proc/self/oom_score_adj", score.to_string())
            .with_context(|| format!("cannot set the daemon's oom_score_adj to {score}"))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(MAX_BLOCKING)
        .thread_keep_alive(BLOCKING_IDLE)
        .thread_name("berthd")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(daemon(&source, settings, &logging));
    // What is left are connections that watch something: their clients see the end of the stream.
    runtime.shutdown_background();
    outcome
}

async fn daemon(source: &Source, settings: Settings, logging: &Logging) -> Result<()> {
    let _pidfile = Pidfile::write(&settings.pidfile)?;
    let outside = settings.engine.host_ports.clone();
    let mut listeners = Vec::new();
    for host in &settings.hosts {
        listeners.extend(listen::open(host, settings.group.as_deref(), &settings.tcp, outside.as_deref())?);
    }
    let patience = Duration::from_secs(u64::try_from(settings.engine.shutdown_timeout).unwrap_or(u64::MAX));
    let mut signals = Signals::new()?;
    let given = settings.given();
    let buildkit = settings.buildkit;
    let metrics = settings.metrics.as_deref();
    let metrics = metrics.map(|address| metrics::listen(address, outside.as_deref())).transpose()?;
    let plugins = authz::open(&settings.authorization, &settings.engine.exec_root).await?;
    let engine = Engine::open(settings.engine).await.context("cannot open the engine")?;
    let app = Arc::new(App::new(engine, buildkit).context("open the history of builds")?);
    app.authorization.set(plugins);
    let mut serving = serve(&app, listeners);
    serving.spawn(metrics::watch(Arc::clone(&app)));
    if let Some(listener) = metrics {
        serving.spawn(metrics::serve(listener, Arc::clone(&app)));
    }
    tokio::spawn(rest::thrift(app.work()));
    ready(source)?;
    tracing::info!("serving the Docker Engine API on {}", names(&settings.hosts));
    loop {
        match signals.next().await {
            Signal::End(name) => {
                tracing::info!("{name}: shutting down; containers run on, unless the machine goes");
                break;
            }
            Signal::Reload => reload(source, &given, &app, logging).await,
        }
    }
    // Dropping the listeners removes their sockets: no client may think that someone still listens.
    serving.shutdown().await;
    let machine_ends = end_with_machine(&app.engine);
    tokio::select! {
        () = app.idle() => {}
        _ = signals.next() => tracing::warn!("another signal: not waiting for requests to finish"),
        () = tokio::time::sleep(patience) => tracing::warn!("requests did not finish within {patience:?}"),
    }
    if machine_ends.await.unwrap_or_default() {
        // what a request has started meanwhile
        app.engine.end_with_machine().await;
    }
    leave(&app.engine).await;
    Ok(())
}

/// Ends what runs if the machine is about to go, and says whether it is: left to systemd, programs that don't heed
/// SIGTERM would hold it up for a minute and a half, and others' own stop signals would not count.
fn end_with_machine(engine: &Engine) -> tokio::task::JoinHandle<bool> {
    let engine = engine.clone();
    tokio::spawn(async move {
        // a user's containers go with the user's systemd
        let is_stopping = || {
            let asked = rootless::manager().filter(Manager::is_there)?.is_stopping();
            asked
                .inspect_err(|error| tracing::warn!("not known whether the machine is about to go: {error}"))
                .ok()
        };
        let ends = tokio::task::spawn_blocking(is_stopping).await.ok().flatten().unwrap_or_default();
        if ends {
            tracing::info!("the machine, or the user's session, is about to go: ending its containers");
            engine.end_with_machine().await;
        }
        ends
    })
}

/// Takes away what only a running daemon or a container needs; containers that run keep all of theirs.
async fn leave(engine: &Engine) {
    if let Err(error) = engine.network_teardown().await {
        tracing::warn!("cannot remove the default network: {error}");
    }
    let idle = engine.is_idle();
    engine.close().await;
    if idle {
        rootless::leave(&engine.config().exec_root);
    }
}

fn serve(app: &Arc<App>, listeners: Vec<Listener>) -> JoinSet<()> {
    let slots = listen::slots();
    let mut serving = JoinSet::new();
    for listener in listeners {
        serving.spawn(listener.serve(Arc::clone(app), Arc::clone(&slots)));
    }
    serving
}

fn ready(source: &Source) -> Result<()> {
    if let Some(number) = source.ready_fd {
        let written = listen::inherited(number).and_then(|fd| Ok(std::fs::File::from(fd).write_all(b"1")?));
        written.context("cannot say on --ready-fd that the daemon is ready")?;
        // Whoever started us by hand or by the CLI may want to unmount where they were.
        std::env::set_current_dir("/").context("cannot leave the starter's directory")?;
    }
    if let Err(error) = listen::notify_ready() {
        tracing::warn!("cannot tell systemd that the daemon is ready: {error}");
    }
    Ok(())
}

/// Takes over what can change while the daemon runs; a file with a mistake changes nothing.
async fn reload(source: &Source, started_with: &Given, app: &App, logging: &Logging) {
    match source.settings() {
        Ok(settings) => {
            // whoever can't be asked must not be taken for someone who allows
            match authz::open(&settings.authorization, &settings.engine.exec_root).await {
                Ok(plugins) => app.authorization.set(plugins),
                Err(error) => {
                    tracing::error!("configuration not reloaded: {error:#}");
                    return;
                }
            }
            for key in settings.fixed(started_with) {
                tracing::warn!("{key} has changed: it takes effect at the daemon's next start");
            }
            logging.set_level(settings.level);
            if let Err(error) = app.engine.reload_registries(settings.engine.registries) {
                tracing::error!("registries not reloaded: {error}");
            }
            let labels = settings.engine.labels;
            app.engine.reloaded(convert::reloaded(app.engine.config(), &labels, settings.engine.debug));
            app.reload(labels, settings.engine.debug);
            tracing::info!("configuration reloaded: log level {}", settings.level);
        }
        Err(error) => tracing::error!("configuration not reloaded: {error:#}"),
    }
}

fn names(hosts: &[listen::Address]) -> String {
    hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What signals ask for.
enum Signal {
    End(&'static str),
    Reload,
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::End("SIGTERM"),
            _ = self.interrupt.recv() => Signal::End("SIGINT"),
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}
