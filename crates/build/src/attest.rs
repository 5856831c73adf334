//! Statements about a build's result: in-toto's envelope, and SLSA's provenance as BuildKit writes it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use oci::{Digest, Platform, Reference};
use serde_json::{Value, json};

use crate::graph::{Graph, MountKind, Op, Output, Source};

/// The type of in-toto's statements, and of the blobs that hold them.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";
/// Media type of a statement.
pub const MEDIA_TYPE: &str = "application/vnd.in-toto+json";
/// What a SPDX document is as a predicate.
pub const SPDX: &str = "https://spdx.dev/Document";
/// Provenance by SLSA 0.2 and by 1.0.
const SLSA_02: &str = "https://slsa.dev/provenance/v0.2";
const SLSA_1: &str = "https://slsa.dev/provenance/v1";
/// What BuildKit calls the way it builds, in either.
const BUILD_TYPE_02: &str = "https://mobyproject.org/buildkit@v1";
const BUILD_TYPE_1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

/// Arguments of the frontend that say nothing of what is built.
const HOST_ARGS: &[&str] =
    &["cgroup-parent", "image-resolve-mode", "platform", "cache-imports", "cache-from", "requestid"];

/// Something that is said of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    /// Its type, a URL.
    pub kind: String,
    /// What is said.
    pub value: Value,
}

impl Predicate {
    /// The statement about an image of these names, whose manifest has this digest.
    pub fn statement(&self, names: &[Reference], platform: &Platform, manifest: &Digest) -> Vec<u8> {
        let mut subjects: Vec<(String, Digest)> =
            names.iter().map(|name| (purl(name, platform), manifest.clone())).collect();
        if subjects.is_empty() {
            subjects.push(("_".to_owned(), manifest.clone()));
        }
        self.about(&subjects)
    }

    /// The statement about these things, by name and digest.
    pub fn about(&self, subjects: &[(String, Digest)]) -> Vec<u8> {
        let subject = |(name, digest): &(String, Digest)| json!({ "name": name, "digest": { digest.algorithm().as_str(): digest.hex() } });
        let statement = json!({
            "_type": STATEMENT,
            "predicateType": self.kind,
            "subject": subjects.iter().map(subject).collect::<Vec<_>>(),
            "predicate": self.value,
        });
        statement.to_string().into_bytes()
    }
}

/// An image as a package URL: `pkg:docker/alpine@3.20?platform=linux%2Famd64`.
pub fn purl(name: &Reference, platform: &Platform) -> String {
    let platform = platform.to_string().replace('/', "%2F");
    let bare = name.familiar_name();
    match (name.tag(), name.digest()) {
        (Some(tag), None) => format!("pkg:docker/{bare}@{tag}?platform={platform}"),
        (tag, Some(digest)) => {
            let tag = tag.map(|tag| format!("@{tag}")).unwrap_or_default();
            format!("pkg:docker/{bare}{tag}?digest={digest}&platform={platform}")
        }
        (None, None) => format!("pkg:docker/{bare}?platform={platform}"),
    }
}

/// What is wanted of a provenance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `mode=max`: arguments, and what was done, too.
    pub max: bool,
    /// SLSA 1.0 instead of 0.2.
    pub slsa1: bool,
    /// Who builds, a URL.
    pub builder: String,
    /// The user says that the build is reproducible.
    pub reproducible: bool,
}

/// What is known of a build.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its name.
    pub invocation: String,
    /// `dockerfile.v0`, or nothing for a definition of the client's.
    pub frontend: String,
    /// The frontend's arguments.
    pub args: BTreeMap<String, String>,
    /// The Dockerfile's name.
    pub entry_point: String,
    /// Where the sources are from, if that is not the client.
    pub source_uri: String,
    /// When it was begun.
    pub started: Timestamp,
    /// When it was over.
    pub finished: Timestamp,
    /// Image sources, and the digests that they had.
    pub images: Vec<(Reference, Platform, Digest)>,
}

/// The provenance of what a graph came to.
pub fn provenance(wanted: &Wanted, facts: &Facts, graph: &Graph, output: Option<Output>) -> Predicate {
    let needed = graph.needed(&output.into_iter().collect::<Vec<_>>());
    let sources = Sources::of(graph, &needed, facts);
    let request = request(wanted, facts, &sources);
    let platform = Platform::host().to_string();
    let source = (!facts.source_uri.is_empty()).then_some(&facts.source_uri);
    let definition = || definition(graph, &needed);
    let time = |at: Timestamp| at.to_string();
    if wanted.slsa1 {
        let mut internal = json!({ "builderPlatform": platform });
        if wanted.max {
            internal["buildConfig"] = definition();
        }
        let value = json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE_1,
                "externalParameters": {
                    "configSource": without_null(json!({ "uri": source, "path": facts.entry_point })),
                    "request": request,
                },
                "internalParameters": internal,
                "resolvedDependencies": sources.materials,
            },
            "runDetails": {
                "builder": { "id": wanted.builder },
                "metadata": {
                    "invocationId": facts.invocation,
                    "startedOn": time(facts.started),
                    "finishedOn": time(facts.finished),
                    "buildkit_metadata": {},
                    "buildkit_completeness": {
                        "request": wanted.max,
                        "resolvedDependencies": sources.locals.is_empty(),
                    },
                    "buildkit_reproducible": wanted.reproducible,
                },
            },
        });
        return Predicate { kind: SLSA_1.to_owned(), value };
    }
    let mut value = json!({
        "builder": { "id": wanted.builder },
        "buildType": BUILD_TYPE_02,
        "materials": sources.materials,
        "invocation": {
            "configSource": without_null(json!({ "uri": source, "entryPoint": facts.entry_point })),
            "parameters": request,
            "environment": { "platform": platform },
        },
        "metadata": {
            "buildInvocationID": facts.invocation,
            "buildStartedOn": time(facts.started),
            "buildFinishedOn": time(facts.finished),
            "completeness": {
                "parameters": wanted.max,
                "environment": true,
                "materials": sources.locals.is_empty(),
            },
            "reproducible": wanted.reproducible,
            "https://mobyproject.org/buildkit@v1#metadata": {},
        },
    });
    if wanted.max {
        value["buildConfig"] = definition();
    }
    Predicate { kind: SLSA_02.to_owned(), value }
}

fn without_null(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && *value != "");
    }
    value
}

/// What a graph takes from outside.
#[derive(Default)]
struct Sources {
    materials: Vec<Value>,
    locals: BTreeSet<String>,
    secrets: BTreeSet<String>,
    agents: BTreeSet<String>,
}

impl Sources {
    fn of(graph: &Graph, needed: &[bool], facts: &Facts) -> Self {
        let mut all = Self::default();
        for (_, vertex) in graph.vertices().filter(|(id, _)| needed[id.index()]) {
            match &vertex.op {
                Op::Source(Source::Local(local)) => drop(all.locals.insert(local.name.clone())),
                Op::Source(Source::Http(http)) => {
                    let digest =
                        http.checksum.as_ref().map(|sum| json!({ sum.algorithm().as_str(): sum.hex() }));
                    all.material(json!({ "uri": without_userinfo(&http.url), "digest": digest }));
                }
                Op::Source(Source::Git(git)) => {
                    all.material(json!({ "uri": without_userinfo(&git.remote) }));
                }
                Op::Exec(exec) => {
                    for mount in &exec.mounts {
                        match &mount.kind {
                            MountKind::Secret(secret) => drop(all.secrets.insert(secret.id.clone())),
                            MountKind::Ssh(ssh) => drop(all.agents.insert(ssh.id.clone())),
                            _ => {}
                        }
                    }
                    all.secrets.extend(exec.secret_env.iter().map(|secret| secret.id.clone()));
                }
                _ => {}
            }
        }
        for (name, platform, digest) in &facts.images {
            let digest = json!({ digest.algorithm().as_str(): digest.hex() });
            all.material(json!({ "uri": purl(name, platform), "digest": digest }));
        }
        all
    }

    fn material(&mut self, material: Value) {
        let material = without_null(material);
        if !self.materials.contains(&material) {
            self.materials.push(material);
        }
    }
}

/// What a URL says of its user is nobody's business.
fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

fn request(wanted: &Wanted, facts: &Facts, sources: &Sources) -> Value {
    let tells = |key: &str| {
        !HOST_ARGS.contains(&key)
            && !key.starts_with("attest:")
            && (wanted.max
                || !(key.starts_with("build-arg:") || key.starts_with("label:") || key.starts_with("vcs:")))
    };
    let args: BTreeMap<&String, &String> = facts.args.iter().filter(|(key, _)| tells(key)).collect();
    let named = |names: &BTreeSet<String>, key: &str| {
        let one = |name: &String| json!({ key: name, "optional": true });
        names.iter().map(one).collect::<Vec<_>>()
    };
    let mut request = json!({ "frontend": facts.frontend, "args": args });
    if args.is_empty() {
        request = json!({ "frontend": facts.frontend });
    }
    if !sources.locals.is_empty() {
        let mut locals: BTreeSet<&str> = sources.locals.iter().map(String::as_str).collect();
        if !facts.frontend.is_empty() {
            locals.insert("dockerfile");
        }
        request["locals"] = locals.into_iter().map(|name| json!({ "name": name })).collect();
    }
    if wanted.max && !sources.secrets.is_empty() {
        request["secrets"] = named(&sources.secrets, "id").into();
    }
    if wanted.max && !sources.agents.is_empty() {
        request["ssh"] = named(&sources.agents, "id").into();
    }
    without_null(request)
}

/// The graph in the words of BuildKit's `buildConfig`.
fn definition(graph: &Graph, needed: &[bool]) -> Value {
    let all = graph.vertices().filter(|(id, _)| needed[id.index()]);
    let step = |(id, vertex): (crate::graph::VertexId, &crate::graph::Vertex)| {
        let op = match &vertex.op {
            Op::Source(source) => json!({ "source": { "identifier": identifier(source) } }),
            Op::Exec(exec) => json!({ "exec": { "meta": {
                "args": exec.args, "cwd": exec.cwd, "env": exec.env, "user": exec.user,
            } } }),
            Op::File(file) => json!({ "file": { "actions": file.actions.len() } }),
            Op::Merge => json!({ "merge": {} }),
            Op::Diff { .. } => json!({ "diff": {} }),
        };
        let inputs: Vec<String> = vertex
            .inputs
            .iter()
            .map(|input| format!("step{}:{}", input.vertex.index(), input.index))
            .collect();
        let mut op = json!({ "Op": op });
        if let Some(platform) = &vertex.platform {
            op["platform"] = json!({ "OS": platform.os, "Architecture": platform.architecture });
        }
        json!({ "id": format!("step{}", id.index()), "op": op, "inputs": inputs, "name": vertex.name })
    };
    json!({ "llbDefinition": all.map(step).collect::<Vec<_>>() })
}

fn identifier(source: &Source) -> String {
    match source {
        Source::Image(image) => format!("docker-image://{}", image.reference),
        Source::Local(local) => format!("local://{}", local.name),
        Source::Git(git) => without_userinfo(&git.remote),
        Source::Http(http) => without_userinfo(&http.url),
        Source::OciLayout(layout) => format!("oci-layout://{}", layout.reference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{LocalSource, Vertex};

    fn build() -> (Graph, Output, Facts) {
        let mut graph = Graph::new();
        let local = LocalSource { name: "context".into(), ..LocalSource::default() };
        let vertex = Vertex {
            op: Op::Source(Source::Local(local)),
            inputs: Vec::new(),
            name: "context".into(),
            progress_group: None,
            platform: None,
            no_cache: false,
        };
        let vertex = graph.add(vertex).unwrap();
        let name = Reference::parse("alpine:3").unwrap();
        let facts = Facts {
            invocation: "i".into(),
            frontend: "dockerfile.v0".into(),
            args: [("build-arg:TOKEN", "t"), ("target", "x"), ("platform", "y"), ("attest:sbom", "")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            entry_point: "Dockerfile".into(),
            images: vec![(name, Platform::parse("linux/amd64").unwrap(), Digest::sha256(b""))],
            ..Facts::default()
        };
        (graph, Output { vertex, index: 0 }, facts)
    }

    #[test]
    fn provenance_in_both_versions_and_modes() {
        let (graph, output, facts) = build();
        let make = |max, slsa1| {
            let wanted = Wanted { max, slsa1, builder: "b".into(), reproducible: false };
            provenance(&wanted, &facts, &graph, Some(output))
        };
        let min = make(false, false);
        assert_eq!(min.kind, SLSA_02);
        assert_eq!(min.value["invocation"]["parameters"]["args"], json!({ "target": "x" }));
        assert_eq!(min.value["invocation"]["parameters"]["locals"][1]["name"], "dockerfile");
        assert_eq!(min.value["materials"][0]["uri"], "pkg:docker/alpine@3?platform=linux%2Famd64");
        assert_eq!(min.value["metadata"]["completeness"]["materials"], false);
        assert!(min.value.get("buildConfig").is_none() && !min.value.to_string().contains("TOKEN"));
        let max = make(true, true);
        assert_eq!(max.kind, SLSA_1);
        let definition = &max.value["buildDefinition"];
        assert_eq!(definition["externalParameters"]["request"]["args"]["build-arg:TOKEN"], "t");
        assert_eq!(
            definition["internalParameters"]["buildConfig"]["llbDefinition"][0]["op"]["Op"]["source"]["identifier"],
            "local://context"
        );
        assert_eq!(max.value["runDetails"]["builder"]["id"], "b");
    }

    #[test]
    fn statements_name_their_subject() {
        let (graph, output, facts) = build();
        let predicate = provenance(&Wanted::default(), &facts, &graph, Some(output));
        let arm = Platform::parse("linux/arm64").unwrap();
        let name = Reference::parse("localhost:5000/a/b:c").unwrap();
        let digest = Digest::sha256(b"m");
        let read = |names: &[Reference]| -> Value {
            serde_json::from_slice(&predicate.statement(names, &arm, &digest)).unwrap()
        };
        let named = read(&[name]);
        assert_eq!(named["subject"][0]["name"], "pkg:docker/localhost:5000/a/b@c?platform=linux%2Farm64");
        assert_eq!(named["subject"][0]["digest"]["sha256"], digest.hex());
        assert_eq!(read(&[])["subject"][0]["name"], "_");
        assert_eq!(without_userinfo("https://me:secret@host/x@y"), "https://host/x@y");
    }
}
