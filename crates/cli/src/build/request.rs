//! From flags to what is asked of the daemon.

use std::collections::HashMap;
use std::path::PathBuf;

use buildkit::proto::control::SolveRequest;

use super::caches::Caches;
use super::context::Contexts;
use super::display::Progress;
use super::layout::Layout;
use super::services::Lent;
use super::temporary::random;
use super::{exporters, mounts};
use crate::error::{Error, Result};
use crate::flag::Matches;
use crate::flag::check::parse_bytes;
use crate::opts::kv;

/// All that a build needs, checked.
pub(super) struct Job {
    /// What is asked.
    pub(super) request: SolveRequest,
    /// What is lent.
    pub(super) lent: Lent,
    /// How it is shown.
    pub(super) progress: Progress,
    /// Where the image's id goes.
    pub(super) iidfile: Option<PathBuf>,
    /// Where everything that is known of the result goes.
    pub(super) metadata: Option<PathBuf>,
    /// The id is printed, and nothing else.
    pub(super) quiet: bool,
    /// Directories in which a cache that was made is noted, and under which tag.
    pub(super) noted: Vec<(Layout, String)>,
    /// What the user should know before it begins.
    pub(super) warnings: Vec<String>,
    /// Tells the daemon which directories are the same as before.
    pub(super) shared_key: String,
    /// Directories that go with this value.
    _contexts: Contexts,
}

impl Job {
    /// Reads the flags.
    pub(super) fn read(matches: &Matches, mut contexts: Contexts) -> Result<Self> {
        refuse(matches)?;
        for named in matches.all("build-context") {
            contexts.named(named)?;
        }
        let exporters = exporters::exporters(matches)?;
        let quiet = matches.bool("quiet");
        let progress = Progress::parse(matches.get("progress"))?;
        let mut attrs: HashMap<String, String> = attributes(matches)?;
        attrs.extend(std::mem::take(&mut contexts.attrs));
        let mut caches = Caches::read(matches)?;
        let mut layouts = std::mem::take(&mut contexts.layouts);
        layouts.append(&mut caches.layouts);
        let lent = Lent {
            layouts,
            dirs: contexts.dirs.clone(),
            uploads: std::mem::take(&mut contexts.uploads),
            secrets: mounts::secrets(&matches.all("secret"))?,
            agents: mounts::agents(&matches.all("ssh"))?,
            outputs: exporters.outputs,
            logins: None,
        };
        let request = SolveRequest {
            r#ref: random(16)?,
            session: random(16)?,
            frontend: "dockerfile.v0".to_owned(),
            frontend_attrs: attrs,
            cache: Some(caches.wire),
            entitlements: matches.list("allow"),
            exporters: exporters.wire,
            ..Default::default()
        };
        let path = |name| matches.given(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Self {
            request,
            lent,
            progress: if quiet { Progress::Quiet } else { progress },
            iidfile: path("iidfile"),
            metadata: path("metadata-file"),
            quiet,
            noted: caches.noted,
            warnings: caches.warnings,
            shared_key: shared_key(&contexts),
            _contexts: contexts,
        })
    }
}

/// The same for the same directory on the same machine, and telling nothing of either.
fn shared_key(contexts: &Contexts) -> String {
    use sha2::{Digest as _, Sha256};
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(machine.trim());
    for (name, dir) in &contexts.dirs {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        hash.update(format!("\0{name}\0{}", dir.display()));
    }
    hex::encode(hash.finalize())
}

fn refuse(matches: &Matches) -> Result<()> {
    let unsupported = |what: &str| {
        Err(Error::said(format!(
            "{what} is not supported by this version of Berth: BuildKit's protocol has no words for it"
        )))
    };
    if matches.has("compress") {
        return unsupported("--compress");
    }
    if !matches.bool("rm") {
        return unsupported("--rm=false");
    }
    if !matches!(matches.get("isolation"), "" | "default") {
        return Err(Error::said(format!(
            "invalid isolation {:?}: only \"default\" on Linux",
            matches.get("isolation")
        )));
    }
    if !matches!(matches.get("builder"), "" | "default") {
        return Err(Error::said(format!(
            "no builder {:?} found: there is only \"default\"",
            matches.get("builder")
        )));
    }
    match matches.get("call") {
        "build" | "check" | "lint" => Ok(()),
        other => Err(Error::said(format!("--call={other} is not supported by this version of Berth"))),
    }
}

/// `--attest type=…`, `--provenance` and `--sbom`, which stand for one each.
fn attestations(matches: &Matches, attrs: &mut HashMap<String, String>) -> Result<()> {
    for text in matches.all("attest") {
        let wrong = |why: &str| Error::said(format!("invalid --attest {text}: {why}"));
        let fields = kv::csv(text).map_err(|error| wrong(&error))?;
        let kind = fields.iter().find_map(|field| field.strip_prefix("type="));
        let kind = kind.ok_or_else(|| wrong("attestation type not specified"))?;
        let rest: Vec<&str> =
            fields.iter().map(String::as_str).filter(|field| !field.starts_with("type=")).collect();
        attrs.insert(format!("attest:{kind}"), rest.join(","));
    }
    for name in ["provenance", "sbom"] {
        match matches.get(name) {
            "" => {}
            "true" => drop(attrs.insert(format!("attest:{name}"), String::new())),
            "false" => drop(attrs.insert(format!("attest:{name}"), "disabled=true".to_owned())),
            rest => drop(attrs.insert(format!("attest:{name}"), rest.to_owned())),
        }
    }
    Ok(())
}

/// Limits of steps, and what else Berth's daemon has words of its own for.
fn limits(matches: &Matches, attrs: &mut HashMap<String, String>) -> Result<()> {
    let mut set = |name: &str, value: String| drop(attrs.insert(format!("berth:{name}"), value));
    if let Some(memory) = matches.given("memory") {
        set("memory", parse_bytes(memory).map_err(Error::Flag)?.to_string());
    }
    match matches.given("memory-swap") {
        None => {}
        Some("-1") => set("memswap", "-1".to_owned()),
        Some(swap) => set("memswap", parse_bytes(swap).map_err(Error::Flag)?.to_string()),
    }
    for (flag, name) in [
        ("cpu-period", "cpuperiod"),
        ("cpu-quota", "cpuquota"),
        ("cpu-shares", "cpushares"),
        ("cpuset-cpus", "cpusetcpus"),
        ("cpuset-mems", "cpusetmems"),
    ] {
        if let Some(value) = matches.given(flag) {
            set(name, value.to_owned());
        }
    }
    if matches.bool("squash") {
        set("squash", "1".to_owned());
    }
    let options = matches.all("security-opt");
    if !options.is_empty() {
        set("securityopt", serde_json::to_string(&options).map_err(|error| Error::said(error.to_string()))?);
    }
    Ok(())
}

fn attributes(matches: &Matches) -> Result<HashMap<String, String>> {
    let mut attrs = HashMap::new();
    let mut set = |key: String, value: String| drop(attrs.insert(key, value));
    for arg in matches.all("build-arg") {
        match arg.split_once('=') {
            Some((name, value)) => set(format!("build-arg:{name}"), value.to_owned()),
            // without a value it is this environment's, and nothing if there is none
            None => {
                if let Ok(value) = std::env::var(arg) {
                    set(format!("build-arg:{arg}"), value);
                }
            }
        }
    }
    for label in matches.all("label") {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        set(format!("label:{name}"), value.to_owned());
    }
    if let Some(target) = matches.given("target") {
        set("target".to_owned(), target.to_owned());
    }
    match (matches.bool("no-cache"), matches.all("no-cache-filter")) {
        (true, filter) if !filter.is_empty() => {
            return Err(Error::said("--no-cache and --no-cache-filter cannot currently be used together"));
        }
        (true, _) => set("no-cache".to_owned(), String::new()),
        (false, filter) if !filter.is_empty() => set("no-cache".to_owned(), filter.join(",")),
        _ => {}
    }
    if matches.bool("pull") {
        set("image-resolve-mode".to_owned(), "pull".to_owned());
    }
    let platforms = matches.all("platform");
    if !platforms.is_empty() {
        set("platform".to_owned(), platforms.join(","));
    }
    let hosts = matches.all("add-host");
    if !hosts.is_empty() {
        set("add-hosts".to_owned(), hosts.join(","));
    }
    match matches.get("network") {
        "" | "default" => {}
        network => set("force-network-mode".to_owned(), network.to_owned()),
    }
    if let Some(size) = matches.given("shm-size") {
        let bytes = parse_bytes(size).map_err(Error::Flag)?;
        set("shm-size".to_owned(), bytes.to_string());
    }
    let ulimits = matches.all("ulimit");
    if !ulimits.is_empty() {
        set("ulimit".to_owned(), ulimits.join(","));
    }
    if let Some(parent) = matches.given("cgroup-parent") {
        set("cgroup-parent".to_owned(), parent.to_owned());
    }
    // as buildx does, so that a user's environment counts without a flag
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH")
        && !epoch.is_empty()
    {
        attrs.entry("build-arg:SOURCE_DATE_EPOCH".to_owned()).or_insert(epoch);
    }
    attestations(matches, &mut attrs)?;
    limits(matches, &mut attrs)?;
    Ok(attrs)
}
