//! `berth-registry ask`: asks registries for the command line (`berth manifest`), which has no registry client in it.
//! Requests are JSON, one a line, on standard input; each is answered by one line on standard output.

use std::io::{self, BufRead as _, Read as _, Write as _};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use registry::client::{Client, Config, Credentials, InsecureRegistries, Mount, Proxies, Repository, Target};
use serde::{Deserialize, Serialize};

/// The word that asks for this.
pub(crate) const VERB: &str = "ask";

/// The longest line: a manifest in base64 and what is around it.
const MAX_LINE: u64 = 16 << 20;
/// Bytes of an image's configuration.
const MAX_CONFIG: u64 = 8 << 20;
/// Where `certs.d` directories are, the first that knows a registry counts.
const CERTS_D: [&str; 2] = ["/etc/berth/certs.d", "/etc/docker/certs.d"];

/// One request.
#[derive(Deserialize)]
struct Request {
    /// What it is about: `host/path:tag` or `host/path@digest`, whole.
    reference: String,
    /// The registry may have no TLS, or a certificate that proves nothing.
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    auth: Login,
    #[serde(flatten)]
    verb: Verb,
}

#[derive(Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
enum Verb {
    /// The manifest or index that the reference means.
    Manifest,
    /// A small blob of the repository.
    Blob { digest: oci::Digest, size: u64 },
    /// Puts a manifest's bytes.
    Put { media_type: String, bytes: String },
    /// Makes a blob of another repository of the registry one of this repository.
    Mount { digest: oci::Digest, from: String },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// One answer.
#[derive(Default, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    not_found: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<oci::Digest>,
    #[serde(skip_serializing_if = "String::is_empty")]
    bytes: String,
}

/// Answers until standard input ends.
///
/// # Errors
/// Standard input or output fails; a request can't be read.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let request: Request = serde_json::from_slice(&line)?;
        let answer = runtime.block_on(answer(request)).unwrap_or_else(|error| {
            let not_found = error.downcast_ref().is_some_and(registry::client::Error::is_not_found);
            Answer { error: format!("{error:#}"), not_found, ..Answer::default() }
        });
        let mut output = io::stdout().lock();
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
}

async fn answer(request: Request) -> Result<Answer> {
    let reference = oci::Reference::parse(&request.reference)?;
    let repository = repository(&reference, request.insecure, request.auth)?;
    let target = Target::of(&reference);
    Ok(match request.verb {
        Verb::Manifest => {
            let found = repository.manifest(&target).await?;
            Answer {
                media_type: found.descriptor.media_type,
                digest: Some(found.descriptor.digest),
                bytes: STANDARD.encode(&found.bytes),
                ..Answer::default()
            }
        }
        Verb::Blob { digest, size } => {
            let blob = oci::Descriptor::new("", digest, size);
            let bytes = repository.small_blob(&blob, MAX_CONFIG).await?;
            Answer { bytes: STANDARD.encode(&bytes), ..Answer::default() }
        }
        Verb::Put { media_type, bytes } => {
            let bytes = STANDARD.decode(bytes)?;
            let digest = repository.put_manifest(&target, &media_type, bytes.into()).await?;
            Answer { digest: Some(digest), ..Answer::default() }
        }
        Verb::Mount { digest, from } => match repository.mount(&digest, &from).await? {
            Mount::Mounted => Answer::default(),
            Mount::Refused(_) => anyhow::bail!(
                "the registry does not give the blob {digest} of {from} to {}: push that image there first",
                reference.path()
            ),
        },
    })
}

fn repository(reference: &oci::Reference, insecure: bool, login: Login) -> Result<Repository> {
    let names: &[&str] = if insecure { &[reference.domain()] } else { &[] };
    let config = Config {
        insecure: InsecureRegistries::parse(names.iter().copied())?,
        certs_d: CERTS_D.iter().map(Into::into).collect(),
        proxies: Proxies::from_environment()?,
        ..Config::default()
    };
    let credentials = if !login.registrytoken.is_empty() {
        Credentials::RegistryToken(login.registrytoken)
    } else if !login.identitytoken.is_empty() {
        Credentials::IdentityToken(login.identitytoken)
    } else if login.username.is_empty() {
        Credentials::Anonymous
    } else {
        Credentials::Basic { username: login.username, password: login.password }
    };
    Ok(Client::new(config)?.repository(reference, credentials))
}
