//! What a client tells the Dockerfile frontend (`dockerfile.v0`), by name. What isn't known is refused.

use std::collections::{BTreeMap, HashMap};

use build::attest;
use build::graph::{ExtraHost, NetworkMode, Ulimit};
use buildkit::Status;
use oci::Platform;

/// The attributes as values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attributes {
    /// The Dockerfile's name in its directory.
    pub(crate) filename: Option<String>,
    /// Stage that is built; empty for the last.
    pub(crate) target: String,
    /// `--build-arg`.
    pub(crate) args: BTreeMap<String, String>,
    /// `--label`.
    pub(crate) labels: BTreeMap<String, String>,
    /// Stages that the cache is not asked for; an empty list means all.
    pub(crate) no_cache: Option<Vec<String>>,
    /// Named contexts.
    pub(crate) contexts: BTreeMap<String, String>,
    /// For which platforms; none for the daemon's.
    pub(crate) platforms: Vec<Platform>,
    /// How the result came to be is to be said.
    pub(crate) provenance: Option<attest::Wanted>,
    /// What packages it holds is to be said.
    pub(crate) sbom: bool,
    /// Limits of steps, by the names that `POST /build` knows them by: Berth's own words, which BuildKit has none for.
    pub(crate) limits: BTreeMap<String, String>,
    /// One layer instead of the steps' own (`--squash`): Berth's own word, too.
    pub(crate) squash: bool,
    /// `--add-host`.
    pub(crate) hosts: Vec<ExtraHost>,
    /// `--network`.
    pub(crate) network: Option<NetworkMode>,
    /// A registry is asked for images that are here.
    pub(crate) pull: bool,
    /// `--shm-size`, bytes.
    pub(crate) shm_size: Option<u64>,
    /// `--ulimit`.
    pub(crate) ulimits: Vec<Ulimit>,
    /// `--cgroup-parent`.
    pub(crate) cgroup_parent: String,
    /// A remote context's URL; empty for the session's directories.
    pub(crate) context: String,
    /// The name of the context's directory in the session.
    pub(crate) context_key: String,
    /// The name of the Dockerfile's directory in the session.
    pub(crate) dockerfile_key: String,
    /// That name was given: the Dockerfile is there even if the context is elsewhere.
    pub(crate) own_dockerfile: bool,
    /// Only what is wrong with the Dockerfile is asked for.
    pub(crate) request: Option<String>,
}

/// Attributes that change nothing here: what a client says of itself, or of how another frontend would be found.
const KNOWN: &[&str] = &[
    "cmdline",
    "source",
    "frontend.caps",
    "multi-platform",
    "image-resolve-mode-default",
    "cache-from",
    "cache-imports",
];

/// Most platforms of one build.
const MAX_PLATFORMS: usize = 16;

/// Limits of steps that our own client has words for.
const LIMITS: &[&str] =
    &["memory", "memswap", "cpushares", "cpuperiod", "cpuquota", "cpusetcpus", "cpusetmems", "securityopt"];

impl Attributes {
    /// Reads the attributes.
    pub(crate) fn parse(attrs: &HashMap<String, String>) -> Result<Self, Status> {
        let mut read = Self {
            context_key: "context".to_owned(),
            dockerfile_key: "dockerfile".to_owned(),
            ..Self::default()
        };
        let sorted: BTreeMap<_, _> = attrs.iter().collect();
        for (key, value) in sorted {
            read.take(key, value)?;
        }
        Ok(read)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), Status> {
        if let Some((kind, name)) = key.split_once(':') {
            let (name, value) = (name.to_owned(), value.to_owned());
            match kind {
                "build-arg" => self.args.insert(name, value),
                "label" => self.labels.insert(name, value),
                "context" => self.contexts.insert(name, value),
                // of where the sources came from: the provenance has all attributes
                "vcs" => None,
                "attest" => {
                    self.attest(&name, &value)?;
                    None
                }
                "berth" if name == "squash" => {
                    let wrong = || Status::invalid_argument(format!("invalid squash {value:?}"));
                    self.squash = truth(&value).ok_or_else(wrong)?;
                    None
                }
                "berth" if LIMITS.contains(&name.as_str()) => self.limits.insert(name, value),
                _ => return Err(unknown(key)),
            };
            return Ok(());
        }
        match key {
            "filename" => self.filename = Some(value.to_owned()).filter(|name| !name.is_empty()),
            "target" => value.clone_into(&mut self.target),
            "no-cache" => self.no_cache = Some(list(value)),
            "platform" => self.platforms = platforms(value)?,
            "add-hosts" => self.hosts = hosts(value)?,
            "force-network-mode" => self.network = Some(network(value)?),
            "image-resolve-mode" => self.pull = resolve(value)?,
            "shm-size" => self.shm_size = Some(number(key, value)?).filter(|size| *size > 0),
            "ulimit" => self.ulimits = ulimits(value)?,
            "cgroup-parent" => value.clone_into(&mut self.cgroup_parent),
            "context" => value.clone_into(&mut self.context),
            "contextkey" => value.clone_into(&mut self.context_key),
            "dockerfilekey" => {
                value.clone_into(&mut self.dockerfile_key);
                self.own_dockerfile = true;
            }
            "requestid" => self.request = Some(value.to_owned()),
            key if KNOWN.contains(&key) => {}
            _ => return Err(unknown(key)),
        }
        Ok(())
    }
}

impl Attributes {
    fn attest(&mut self, name: &str, value: &str) -> Result<(), Status> {
        let mut wanted = attest::Wanted::default();
        let mut disabled = false;
        for (key, value) in list(value).iter().map(|pair| pair.split_once('=').unwrap_or((pair, "true"))) {
            let wrong = || Status::invalid_argument(format!("invalid {key}={value} of --attest type={name}"));
            match (name, key) {
                (_, "disabled") => disabled = truth(value).ok_or_else(wrong)?,
                ("provenance", "mode") => wanted.max = one_of(value, ["min", "max"]).ok_or_else(wrong)? == 1,
                ("provenance", "version") => {
                    wanted.slsa1 = one_of(value, ["v0.2", "v1"]).ok_or_else(wrong)? == 1;
                }
                ("provenance", "builder-id") => value.clone_into(&mut wanted.builder),
                ("provenance", "reproducible") => wanted.reproducible = truth(value).ok_or_else(wrong)?,
                // what the older client says of what it wants of the result itself
                ("provenance", "inline-only") if truth(value) == Some(false) => {}
                ("sbom", "generator") => {
                    return Err(Status::unimplemented(format!(
                        "an SBOM generator ({value}) is not supported by this version of Berth, which looks for packages \
                         itself: leave the generator out"
                    )));
                }
                _ => return Err(unsupported(&format!("{key}={value} of --attest type={name}"))),
            }
        }
        match name {
            _ if disabled => Ok(()),
            "provenance" => {
                self.provenance = Some(wanted);
                Ok(())
            }
            "sbom" => {
                self.sbom = true;
                Ok(())
            }
            other => Err(unsupported(&format!("--attest type={other}"))),
        }
    }
}

fn truth(value: &str) -> Option<bool> {
    one_of(value, ["false", "true"]).or_else(|| one_of(value, ["0", "1"])).map(|place| place == 1)
}

fn one_of(value: &str, all: [&str; 2]) -> Option<usize> {
    all.iter().position(|known| *known == value)
}

fn unknown(key: &str) -> Status {
    Status::invalid_argument(format!(
        "the Dockerfile frontend has no attribute {key:?} in this version of Berth"
    ))
}

fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not supported by this version of Berth"))
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn number(key: &str, value: &str) -> Result<u64, Status> {
    value.parse().map_err(|error| Status::invalid_argument(format!("{key} {value:?}: {error}")))
}

fn platforms(value: &str) -> Result<Vec<Platform>, Status> {
    let mut all: Vec<Platform> = Vec::new();
    for text in list(value) {
        let platform = Platform::parse(&text).map_err(Status::invalid_argument)?;
        if all.iter().all(|known| known.normalized() != platform.normalized()) {
            all.push(platform);
        }
    }
    match all.len() {
        0..=MAX_PLATFORMS => Ok(all),
        _ => Err(Status::invalid_argument(format!("more than {MAX_PLATFORMS} platforms at once"))),
    }
}

fn hosts(value: &str) -> Result<Vec<ExtraHost>, Status> {
    let one = |text: &String| {
        // an IPv6 address has colons too: the first sign counts
        let at = text.find(['=', ':']).filter(|at| *at > 0 && at + 1 < text.len());
        let at = at.ok_or_else(|| Status::invalid_argument(format!("bad format for add-host: {text:?}")))?;
        let ip = text[at + 1..].trim_start_matches('[').trim_end_matches(']');
        Ok(ExtraHost { host: text[..at].to_owned(), ip: ip.to_owned() })
    };
    list(value).iter().map(one).collect()
}

fn network(value: &str) -> Result<NetworkMode, Status> {
    match value {
        "" | "default" | "sandbox" | "bridge" => Ok(NetworkMode::Sandbox),
        "host" => Ok(NetworkMode::Host),
        "none" => Ok(NetworkMode::None),
        other => Err(unsupported(&format!("network mode {other:?} of a build"))),
    }
}

fn resolve(value: &str) -> Result<bool, Status> {
    match value {
        "" | "default" | "local" => Ok(false),
        "pull" => Ok(true),
        other => Err(Status::invalid_argument(format!("there is no image-resolve-mode {other:?}"))),
    }
}

fn ulimits(value: &str) -> Result<Vec<Ulimit>, Status> {
    let one = |text: &String| {
        let wrong = || Status::invalid_argument(format!("invalid ulimit argument: {text}"));
        let (name, limits) = text.split_once('=').ok_or_else(wrong)?;
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        let number = |text: &str| text.parse::<i64>().map_err(|_no_number| wrong());
        Ok(Ulimit { name: name.to_owned(), soft: number(soft)?, hard: number(hard)? })
    };
    list(value).iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Attributes, Status> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Attributes::parse(&pairs.collect())
    }

    #[test]
    fn attributes_are_read() {
        let read = parse(&[
            ("filename", "Other"),
            ("build-arg:A", "1=2"),
            ("label:a.b", "x"),
            ("no-cache", ""),
            ("add-hosts", "a=1.2.3.4,b=[::1],c:5.6.7.8"),
            ("ulimit", "nofile=1024:2048,nproc=7"),
            ("force-network-mode", "host"),
            ("image-resolve-mode", "pull"),
            ("platform", "linux/amd64,linux/arm64,linux/arm64/v8"),
            ("attest:provenance", "mode=max,version=v1,builder-id=me"),
            ("attest:sbom", "disabled=true"),
            ("berth:memory", "5"),
            ("berth:squash", "1"),
        ])
        .unwrap();
        assert_eq!(read.filename.as_deref(), Some("Other"));
        assert_eq!(read.args["A"], "1=2");
        assert_eq!(read.no_cache, Some(vec![]));
        let hosts: Vec<_> = read.hosts.iter().map(|host| (host.host.as_str(), host.ip.as_str())).collect();
        assert_eq!(hosts, [("a", "1.2.3.4"), ("b", "::1"), ("c", "5.6.7.8")]);
        assert_eq!(read.ulimits[0], Ulimit { name: "nofile".into(), soft: 1024, hard: 2048 });
        assert_eq!(read.platforms.len(), 2);
        assert_eq!(read.limits["memory"], "5");
        assert!(read.squash);
        let wanted = read.provenance.unwrap();
        assert!(wanted.max && wanted.slsa1 && wanted.builder == "me");
        assert!(read.pull && read.network == Some(NetworkMode::Host));
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (pair, why) in [
            (("flavour", "x"), "no attribute \"flavour\""),
            (("colour:x", "y"), "no attribute \"colour:x\""),
            (("attest:sbom", "generator=x/y"), "SBOM generator (x/y)"),
            (("attest:mood", ""), "--attest type=mood"),
            (("platform", "linux/amd64,x/y/z/w"), "invalid OS platform"),
            (("attest:provenance", "mode=all"), "invalid mode=all"),
            (("attest:provenance", "inline-only=true"), "inline-only=true"),
            (("berth:squash", "much"), "invalid squash \"much\""),
            (("berth:cake", "1"), "no attribute \"berth:cake\""),
            (("force-network-mode", "container:x"), "network mode \"container:x\""),
            (("ulimit", "x"), "invalid ulimit argument: x"),
        ] {
            let error = parse(&[pair]).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }
}
