//! The registry, asked through `berthd`'s program: this one has no registry client in it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::{Digest, Document, ImageConfig, Reference};
use serde::Deserialize;
use serde_json::{Value, json};

use super::store::{Descriptor, Entry};
use crate::client::autostart;
use crate::command::Context;
use crate::error::{Error, Result, reason};
use crate::login::Logins;

/// What the program is called as, and the word for asking.
const PROGRAM: (&str, &str) = ("berth-registry", "ask");
/// The longest answer: a manifest in base64.
const MAX_LINE: u64 = 16 << 20;

/// A manifest or an index as the registry has it.
pub(super) struct Found {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
    pub(super) document: Document,
}

/// A process that asks, as long as there is something to ask.
pub(super) struct Asker<'a> {
    context: &'a Context<'a>,
    insecure: bool,
    process: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    error: String,
    not_found: bool,
    media_type: String,
    digest: Option<Digest>,
    bytes: String,
}

impl<'a> Asker<'a> {
    pub(super) fn new(context: &'a Context<'a>, insecure: bool) -> Self {
        Self { context, insecure, process: None }
    }

    /// The manifest or index that a reference means.
    pub(super) fn manifest(&mut self, reference: &Reference) -> Result<Found> {
        let answer = self.ask(reference, json!({ "verb": "manifest" }))?;
        let bytes = decode(&answer.bytes)?;
        let digest = answer.digest.ok_or_else(|| Error::said("the answer has no digest"))?;
        let document =
            Document::parse(&bytes).map_err(|error| Error::said(format!("{reference}: {error}")))?;
        Ok(Found { media_type: answer.media_type, digest, bytes, document })
    }

    /// An image's manifest with its platform, from the registry.
    pub(super) fn image(&mut self, reference: &Reference) -> Result<Entry> {
        let found = self.manifest(reference)?;
        let Document::Manifest(manifest) = &found.document else {
            return Err(Error::said(format!("{reference} is a manifest list")));
        };
        let blob = json!({ "verb": "blob", "digest": manifest.config.digest, "size": manifest.config.size });
        let config = decode(&self.ask(reference, blob)?.bytes)?;
        let config: ImageConfig = serde_json::from_slice(&config)
            .map_err(|error| Error::said(format!("{reference}: invalid image config: {error}")))?;
        let platform = oci::Platform {
            os: config.os,
            architecture: config.architecture,
            variant: config.variant,
            ..oci::Platform::default()
        };
        let shown = serde_json::from_slice(&found.bytes).ok();
        let is_oci = found.media_type == oci::media_type::OCI_MANIFEST;
        let (docker, oci) = if is_oci { (None, shown) } else { (shown, None) };
        let size = found.bytes.len() as u64;
        Ok(Entry {
            reference: reference.to_string(),
            raw: STANDARD.encode(&found.bytes),
            descriptor: Descriptor {
                media_type: found.media_type,
                digest: found.digest,
                size,
                platform: Some(platform),
            },
            docker,
            oci,
        })
    }

    /// Puts a manifest's bytes.
    pub(super) fn put(&mut self, reference: &Reference, media_type: &str, bytes: &[u8]) -> Result<Digest> {
        let request = json!({ "verb": "put", "media_type": media_type, "bytes": STANDARD.encode(bytes) });
        let answer = self.ask(reference, request)?;
        answer.digest.ok_or_else(|| Error::said("the answer has no digest"))
    }

    /// Makes a blob of another repository of the same registry one of `reference`'s.
    pub(super) fn mount(&mut self, reference: &Reference, digest: &Digest, from: &str) -> Result<()> {
        self.ask(reference, json!({ "verb": "mount", "digest": digest, "from": from })).map(drop)
    }

    fn ask(&mut self, reference: &Reference, mut request: Value) -> Result<Answer> {
        let server = crate::login::server_of(reference.domain());
        let auth = Logins::open(&self.context.choice.config_dir)?.get(server)?;
        request["reference"] = reference.to_string().into();
        request["insecure"] = self.insecure.into();
        request["auth"] = json!(auth);
        let (_, input, output) = match &mut self.process {
            Some(process) => process,
            none => none.insert(spawn()?),
        };
        let broke = |error| Error::said(format!("{} broke off: {}", PROGRAM.0, reason(&error)));
        let mut line = request.to_string().into_bytes();
        line.push(b'\n');
        input.write_all(&line).map_err(broke)?;
        let mut answer = Vec::new();
        output.by_ref().take(MAX_LINE).read_until(b'\n', &mut answer).map_err(broke)?;
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|error| Error::said(format!("{}: its answer is not JSON: {error}", PROGRAM.0)))?;
        if answer.not_found {
            return Err(Error::said(format!("no such manifest: {reference}")));
        }
        if answer.error.is_empty() { Ok(answer) } else { Err(Error::said(answer.error)) }
    }
}

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        if let Some((mut child, input, _)) = self.process.take() {
            // The end of its input is its end; how it ended does not matter any more.
            drop(input);
            drop(child.wait());
        }
    }
}

fn spawn() -> Result<(Child, ChildStdin, BufReader<ChildStdout>)> {
    let program = autostart::program();
    let failed = |why: &str| Error::said(format!("cannot start {}: {why}", program.display()));
    let mut child = Command::new(&program)
        .arg0(PROGRAM.0)
        .arg(PROGRAM.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&reason(&error)))?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(input), Some(output)) => Ok((child, input, BufReader::new(output))),
        _ => Err(failed("no pipes")),
    }
}

/// Bytes that came in base64.
pub(super) fn decode(text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|error| Error::said(format!("not base64: {error}")))
}
