//! A context as an archive: `meta.json`, `tls/ENDPOINT/FILE`.

use std::io::{BufReader, Read, Write};

use tarball::{Kind, Limits, NoTap, TarStream};

use super::{LIMIT, Store, Stored, TlsFiles, set};
use crate::error::{Error, Result};
use crate::format::json::Json;

/// The most that an archive may hold, as Docker has it: 10 MiB.
const ARCHIVE: u64 = 10 << 20;
/// Files of keys in it.
const MOST_FILES: usize = 256;

/// Writes a context.
pub(crate) fn export(stored: &Stored, output: impl Write) -> Result<()> {
    let tls = stored.tls()?;
    let write = || -> std::io::Result<()> {
        let mut tar = tarball::TarWriter::new(output);
        tar.file("meta.json", 0o644, stored.meta.compact_escaped().as_bytes())?;
        tar.private_directory("tls")?;
        for (endpoint, files) in &tls {
            tar.private_directory(&format!("tls/{endpoint}"))?;
            for (name, content) in files {
                tar.file(&format!("tls/{endpoint}/{name}"), 0o600, content)?;
            }
        }
        tar.finish()?.flush()
    };
    write().map_err(Error::io("write the archive"))
}

/// Reads a context and stores it under another name.
pub(crate) fn import(store: &Store, name: &str, input: impl Read) -> Result<()> {
    let mut input = BufReader::new(input);
    let start = std::io::BufRead::fill_buf(&mut input).map_err(Error::io("read the archive"))?;
    if start.starts_with(b"PK\x03\x04") {
        return Err(Error::said(
            "importing a context from a zip archive is not supported by Berth: unpack it and make a tar of what it holds",
        ));
    }
    let (mut meta, tls) = read(input)?;
    let mut tls: Vec<(String, TlsFiles)> = tls;
    tls.sort_by(|a, b| a.0.cmp(&b.0));
    set(&mut meta, &["Name"], Some(Json::String(name.to_owned())));
    store.put(name, &meta, &tls)
}

fn read(input: impl std::io::BufRead) -> Result<(Json, Vec<(String, TlsFiles)>)> {
    let broken = |error: tarball::Error| Error::said(format!("cannot read the archive: {error}"));
    let limits = Limits { bytes: ARCHIVE, ..Limits::default() };
    let mut stream = TarStream::new(input, NoTap, limits, "the archive");
    let mut meta = None;
    let mut tls: Vec<(String, TlsFiles)> = Vec::new();
    let mut files = 0;
    while let Some(entry) = stream.next().map_err(broken)? {
        if entry.kind == Kind::Directory {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let parts: Vec<&str> = name.split('/').collect();
        let refused = || Error::said(format!("unexpected context file: \"{name}\""));
        let sound = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
        if entry.kind != Kind::Regular || !parts.iter().all(sound) {
            return Err(refused());
        }
        let mut content = Vec::new();
        loop {
            let piece = stream.payload().map_err(broken)?;
            if piece.is_empty() {
                break;
            }
            let count = piece.len();
            content.extend_from_slice(piece);
            stream.consume(count);
            if content.len() > LIMIT {
                return Err(Error::said(format!("\"{name}\" is longer than {LIMIT} bytes")));
            }
        }
        match parts[..] {
            ["meta.json"] => {
                let parsed: Json = serde_json::from_slice(&content)
                    .map_err(|error| Error::said(format!("invalid meta.json: {error}")))?;
                meta = Some(parsed);
            }
            ["tls", endpoint, file] => {
                files += 1;
                if files > MOST_FILES {
                    return Err(Error::said(format!("more than {MOST_FILES} files of keys")));
                }
                match tls.iter_mut().find(|(name, _)| name == endpoint) {
                    Some((_, files)) => files.push((file.to_owned(), content)),
                    None => tls.push((endpoint.to_owned(), vec![(file.to_owned(), content)])),
                }
            }
            _ => return Err(refused()),
        }
    }
    let meta = meta.ok_or_else(|| Error::said("invalid context: no metadata found"))?;
    Ok((meta, tls))
}
