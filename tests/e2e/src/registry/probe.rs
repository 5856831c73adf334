//! A client of the distribution protocol that goes none of the product's ways: one connection a request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;

use super::listener::{Stream, parse, read_body, read_headers};
use super::{Site, tls};
use crate::image;
use crate::lab::Namespace;
use crate::programs::PATIENCE;

/// Asks one registry.
#[derive(Clone)]
pub struct Probe {
    site: Site,
    netns: Option<Namespace>,
    /// The value of `Authorization`.
    authorization: Option<String>,
}

/// An answer, its body read.
#[derive(Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The answer, if its status is one of these.
    pub fn expect(self, what: &str, statuses: &[u16]) -> Result<Self> {
        let Self { status, headers, body } = &self;
        ensure!(
            statuses.contains(status),
            "{what}: {status} instead of {statuses:?}: {headers:?} {}",
            String::from_utf8_lossy(body)
        );
        Ok(self)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| String::from_utf8_lossy(&self.body).into_owned())
    }

    /// The code of the first error in the body.
    pub fn code(&self) -> String {
        let body = self.json().unwrap_or_default();
        body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Probe {
    /// For a registry, with its password if it has one.
    pub fn new(site: &Site) -> Self {
        let authorization =
            site.credentials().map(|credentials| format!("Basic {}", encode64(credentials.as_bytes())));
        Self { site: site.clone(), netns: None, authorization }
    }

    /// From a network namespace.
    pub fn inside(mut self, netns: &Namespace) -> Self {
        self.netns = Some(netns.clone());
        self
    }

    /// With a token, or with nothing.
    pub fn bearing(mut self, token: Option<&str>) -> Self {
        self.authorization = token.map(|token| format!("Bearer {token}"));
        self
    }

    /// One request and its whole answer.
    pub fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Reply> {
        let what = format!("{method} {target}");
        let mut stream = BufReader::new(self.connect()?);
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.site.address);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(authorization) = &self.authorization {
            head += &format!("Authorization: {authorization}\r\n");
        }
        if let Some(body) = body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        stream.get_mut().write_all(&[head.as_bytes(), body.unwrap_or_default()].concat())?;
        stream.get_mut().flush()?;
        let mut first = String::new();
        stream.read_line(&mut first).with_context(|| what.clone())?;
        let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.with_context(|| format!("{what}: {first:?}"))?;
        let headers = read_headers(&mut stream)?;
        let body = match method {
            "HEAD" => Vec::new(),
            _ => read_body(&mut stream, &headers, u64::MAX).with_context(|| what.clone())?,
        };
        Ok(Reply { status, headers, body })
    }

    /// A connection, for what [`Probe::ask`] can't say.
    pub fn connect(&self) -> Result<Box<dyn Stream>> {
        let address = parse(&self.site.address)?;
        let connect = || TcpStream::connect_timeout(&address, PATIENCE).context(self.site.address.clone());
        let stream = match &self.netns {
            Some(netns) => netns.within(connect)?,
            None => connect()?,
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let Some(folder) = &self.site.certificates else { return Ok(Box::new(stream)) };
        let name = ServerName::IpAddress(address.ip().into());
        let session = ClientConnection::new(tls::asking(folder)?, name)?;
        Ok(Box::new(Lenient(StreamOwned::new(session, stream))))
    }

    /// `GET`.
    pub fn get(&self, target: &str) -> Result<Reply> {
        self.ask("GET", target, &[], None)
    }

    /// A manifest by tag or digest, whatever its type.
    pub fn manifest(&self, repository: &str, reference: &str) -> Result<Reply> {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let accept = super::picture::MANIFESTS.join(", ");
        self.ask("GET", &target, &[("Accept", &accept)], None)?.expect(&target, &[200])
    }

    /// A blob, whose digest is checked.
    pub fn blob(&self, repository: &str, digest: &str) -> Result<Vec<u8>> {
        let target = format!("/v2/{repository}/blobs/{digest}");
        let reply = self.get(&target)?.expect(&target, &[200])?;
        ensure!(format!("sha256:{}", image::sha256(&reply.body)) == digest, "{target} has another digest");
        Ok(reply.body)
    }

    /// Puts a blob in one piece.
    pub fn put_blob(&self, repository: &str, digest: &str, bytes: &[u8]) -> Result<Reply> {
        let begun = format!("/v2/{repository}/blobs/uploads/");
        let reply = self.ask("POST", &begun, &[], Some(b""))?.expect(&begun, &[202])?;
        let place = self.location(&reply)?;
        let joint = if place.contains('?') { '&' } else { '?' };
        let target = format!("{place}{joint}digest={digest}");
        let kind = [("Content-Type", "application/octet-stream")];
        self.ask("PUT", &target, &kind, Some(bytes))?.expect(&target, &[201])
    }

    /// Puts a manifest.
    pub fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media: &str,
        bytes: &[u8],
    ) -> Result<Reply> {
        let target = format!("/v2/{repository}/manifests/{reference}");
        self.ask("PUT", &target, &[("Content-Type", media)], Some(bytes))?.expect(&target, &[201])
    }

    /// The path and query that an answer leads to.
    pub fn location(&self, reply: &Reply) -> Result<String> {
        let place = reply.header("location").context("no Location")?;
        let Some((_, rest)) = place.split_once("://") else { return Ok(place.to_owned()) };
        let (_, path) = rest.split_once('/').context("a Location without a path")?;
        Ok(format!("/{path}"))
    }
}

/// A server that closes the connection without a word of TLS has ended its answer all the same.
struct Lenient<T>(T);

impl<T: Read> Read for Lenient<T> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(0),
            other => other,
        }
    }
}

impl<T: Write> Write for Lenient<T> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// RFC 4648, section 4.
pub fn encode64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut coded = String::new();
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let number = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        for place in 0..4 {
            let digit = (number >> (18 - 6 * place)) as usize & 63;
            coded.push(if place <= chunk.len() { DIGITS[digit] as char } else { '=' });
        }
    }
    coded
}
