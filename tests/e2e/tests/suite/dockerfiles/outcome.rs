//! What comes of a build, in a form in which two engines can be compared.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::programs::PATIENCE;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::case::Case;

/// Path to what is there: kind, mode, owner, content.
pub(super) type Tree = BTreeMap<String, String>;

/// What comes of a build.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The request is refused before anything is built.
    Refused { status: u16, message: String },
    /// A step fails.
    Failed { message: String },
    /// All goes well and comes to nothing.
    Nothing,
    /// There is an image.
    Built { config: Value, tree: Tree },
}

/// Fields of an image's configuration that a Dockerfile can set.
pub(super) const FIELDS: [&str; 13] = [
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
    "ArgsEscaped",
];

/// Builds a case with the engine whose socket is in the folder `root`.
pub(super) fn build(root: &Path, case: &Case) -> Result<Outcome> {
    let arguments: serde_json::Map<String, Value> =
        case.arguments.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let mut path =
        format!("/build?version=1&rm=1&forcerm=1&buildargs={}", encode(&Value::from(arguments).to_string()));
    if let Some(target) = &case.target {
        path += &format!("&target={}", encode(target));
    }
    if case.squash {
        path += "&squash=1";
    }
    let (status, body) = exchange(root, "POST", &path, &case.tar()?)?;
    let text = String::from_utf8_lossy(&body);
    if status != 200 {
        let answer: Value = serde_json::from_str(&text).with_context(|| text.clone().into_owned())?;
        return Ok(Outcome::Refused { status, message: masked(&answer["message"]) });
    }
    let mut id = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if let Some(error) = line.get("error") {
            return Ok(Outcome::Failed { message: masked(error) });
        }
        id = line["aux"]["ID"].as_str().map(str::to_owned).or(id);
    }
    match id {
        Some(id) => image(root, &id, case.squash),
        None => Ok(Outcome::Nothing),
    }
}

fn image(root: &Path, id: &str, squashed: bool) -> Result<Outcome> {
    let (status, body) = exchange(root, "GET", &format!("/images/{id}/json"), b"")?;
    ensure!(status == 200, "{id} is not there: {}", String::from_utf8_lossy(&body));
    let shown: Value = serde_json::from_slice(&body)?;
    let mut config = serde_json::Map::new();
    for field in FIELDS {
        let value = &shown["Config"][field];
        let empty = match value {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Number(_) => false,
        };
        if !empty {
            config.insert(field.to_owned(), value.clone());
        }
    }
    config.insert("Author".into(), Value::from(shown["Author"].as_str().unwrap_or_default()));
    if squashed {
        let (status, body) = exchange(root, "GET", &format!("/images/{id}/history"), b"")?;
        ensure!(status == 200, "{id} has no history: {}", String::from_utf8_lossy(&body));
        let lines: Vec<Value> = serde_json::from_slice(&body)?;
        let line_of = |line: &Value| {
            let kind = if line["Size"] == 0 { "empty" } else { "files" };
            format!("{kind} {} {}", masked(&line["Comment"]), masked(&line["CreatedBy"]))
        };
        config.insert("History".into(), lines.iter().map(line_of).collect());
        config.insert("Layers".into(), Value::from(shown["RootFS"]["Layers"].as_array().map(Vec::len)));
    }
    // Docker can't save an image that has no layer
    if shown["RootFS"]["Layers"].as_array().is_none_or(Vec::is_empty) {
        return Ok(Outcome::Built { config: Value::Object(config), tree: Tree::new() });
    }
    let (status, archive) = exchange(root, "GET", &format!("/images/{id}/get"), b"")?;
    ensure!(status == 200, "{id} can't be saved: {}", String::from_utf8_lossy(&archive));
    Ok(Outcome::Built { config: Value::Object(config), tree: tree(&archive)? })
}

/// The files of a saved image, its layers laid over each other.
fn tree(archive: &[u8]) -> Result<Tree> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(entry.path()?.to_string_lossy().into_owned(), bytes);
    }
    let manifest: Value = serde_json::from_slice(files.get("manifest.json").context("no manifest.json")?)?;
    let mut tree = Tree::new();
    for layer in manifest[0]["Layers"].as_array().into_iter().flatten() {
        let name = layer.as_str().unwrap_or_default();
        lay(&mut tree, files.get(name).with_context(|| format!("no layer {name}"))?)?;
    }
    Ok(tree)
}

fn lay(tree: &mut Tree, layer: &[u8]) -> Result<()> {
    for entry in tar::Archive::new(layer).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_end_matches('/').to_owned();
        let path = path.trim_start_matches("./").trim_start_matches('/').to_owned();
        let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            let prefix = format!("{above}/");
            tree.retain(|path, _| !path.starts_with(&prefix));
            continue;
        }
        if let Some(gone) = name.strip_prefix(".wh.") {
            let gone = if above.is_empty() { gone.to_owned() } else { format!("{above}/{gone}") };
            let below = format!("{gone}/");
            tree.retain(|path, _| *path != gone && !path.starts_with(&below));
            continue;
        }
        let mut xattrs = Vec::new();
        for extension in entry.pax_extensions()?.into_iter().flatten() {
            let extension = extension?;
            if let Some(name) = extension.key()?.strip_prefix("SCHILY.xattr.") {
                xattrs.push(format!("{name}={}", hex::encode(extension.value_bytes())));
            }
        }
        let header = entry.header().clone();
        let link = entry.link_name()?.map(|link| link.to_string_lossy().into_owned()).unwrap_or_default();
        let what = match header.entry_type() {
            tar::EntryType::Directory => "dir".to_owned(),
            tar::EntryType::Symlink => format!("link {link}"),
            // whichever name of a file comes first in the archive, it is the same file
            tar::EntryType::Link => {
                let line = tree.get(link.trim_start_matches('/')).cloned();
                tree.insert(path, line.with_context(|| format!("a hard link to nothing: {link}"))?);
                continue;
            }
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                match std::str::from_utf8(&bytes) {
                    Ok(text) if text.len() < 200 => format!("file {text:?}"),
                    _ => format!("file {} bytes {}", bytes.len(), hex::encode(Sha256::digest(&bytes))),
                }
            }
            other => format!("{other:?}"),
        };
        let mode = if what.starts_with("link ") { 0o777 } else { header.mode()? & 0o7777 };
        let line = format!("{mode:o} {}:{} {what}", header.uid()?, header.gid()?);
        xattrs.sort();
        tree.insert(path, [vec![line], xattrs].concat().join(" "));
    }
    Ok(())
}

/// A request with a tar archive as its body.
fn exchange(root: &Path, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
    let socket = root.join("sock");
    let mut stream = UnixStream::connect(&socket).with_context(|| socket.display().to_string())?;
    // a build is many steps
    stream.set_read_timeout(Some(PATIENCE * 5))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: test\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("an answer without a head")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok((status.with_context(|| head.clone())?, answer.split_off(end + 4)))
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

/// A message without what differs from run to run: ids, and the folders of engines.
fn masked(message: &Value) -> String {
    let message = message.as_str().unwrap_or_default();
    let ids = regex::Regex::new("[0-9a-f]{12,64}").map(|ids| ids.replace_all(message, "ID").into_owned());
    let text = ids.unwrap_or_else(|_| message.to_owned());
    let folders = regex::Regex::new("/[^ ]*(docker-builder|berth)[^ /]*/").ok();
    folders.map_or(text.clone(), |folders| folders.replace_all(&text, "FOLDER/").into_owned())
}

impl Outcome {
    /// One line, for a message.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Refused { status, message } => format!("refused ({status}): {message}"),
            Self::Failed { message } => format!("failed: {message}"),
            Self::Nothing => "comes to nothing".to_owned(),
            Self::Built { config, tree } => format!("built: {config}, {} files", tree.len()),
        }
    }
}
