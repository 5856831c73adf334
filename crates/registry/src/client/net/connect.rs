//! A connection to a place: TCP, then what stands in between, then TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::proxy::{Kind, Proxy};
use super::{dns, tls};
use crate::client::config::Time;
use crate::client::error::{Cause, clean};
use crate::client::url::{Origin, Scheme};

/// Largest head of a proxy's consent, in bytes.
const MAX_CONSENT: usize = 8 << 10;

/// A byte stream to somewhere.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) type BoxedStream = Box<dyn Stream>;

/// Opens a connection over which `origin` is spoken to: through `proxy` when there is one.
///
/// `trust` is for the origin, `proxy_trust` for a proxy over TLS.
pub(super) async fn open(
    origin: &Origin,
    trust: &Arc<ClientConfig>,
    proxy: Option<(&Proxy, &Arc<ClientConfig>)>,
    time: &Time,
) -> Result<BoxedStream, Cause> {
    let Some((proxy, proxy_trust)) = proxy else {
        let stream = dial(origin, time.connect).await?;
        return encrypt(Box::new(stream), origin, trust, time).await;
    };
    let refused = |reason: String| Cause::Proxy { proxy: proxy.to_string(), reason };
    let stream = dial(&proxy.origin, time.connect).await.map_err(|cause| refused(cause.to_string()))?;
    let stream = encrypt(Box::new(stream), &proxy.origin, proxy_trust, time)
        .await
        .map_err(|cause| refused(cause.to_string()))?;
    let consent = async {
        match (proxy.kind, origin.scheme) {
            (Kind::Socks, _) => socks(stream, proxy, origin).await,
            (_, Scheme::Https) => tunnel(stream, proxy, origin).await,
            (_, Scheme::Http) => Ok(stream),
        }
    };
    let stream = tokio::time::timeout(time.handshake, consent)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| refused(error.to_string()))?;
    encrypt(stream, origin, trust, time).await
}

async fn dial(origin: &Origin, limit: Duration) -> Result<TcpStream, Cause> {
    let addresses = dns::resolve(&origin.host)
        .await
        .map_err(|error| Cause::Lookup { host: origin.host.clone(), reason: error.to_string() })?;
    let mut last = Cause::ConnectTimeout(origin.address());
    for address in addresses {
        let address = SocketAddr::new(address, origin.port);
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // heads of requests are small and waited for
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Cause::Connect { address, error },
            Err(_) => last = Cause::ConnectTimeout(address.to_string()),
        }
    }
    Err(last)
}

async fn encrypt(
    stream: BoxedStream,
    origin: &Origin,
    trust: &Arc<ClientConfig>,
    time: &Time,
) -> Result<BoxedStream, Cause> {
    if origin.scheme == Scheme::Http {
        return Ok(stream);
    }
    let name = ServerName::try_from(origin.host.clone()).map_err(|error| Cause::Tls(error.to_string()))?;
    let handshake = TlsConnector::from(Arc::clone(trust)).connect(name, stream);
    match tokio::time::timeout(time.handshake, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(tls::cause(&error)),
        Err(_) => Err(Cause::TlsTimeout),
    }
}

/// `CONNECT`, RFC 9110 section 9.3.6.
async fn tunnel(mut stream: BoxedStream, proxy: &Proxy, origin: &Origin) -> io::Result<BoxedStream> {
    let address = origin.address();
    let mut head = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n");
    if let Some(value) = proxy.authorization() {
        head.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        // one by one: what follows belongs to the tunnel
        answer.push(stream.read_u8().await?);
        if answer.len() > MAX_CONSENT {
            return Err(io::Error::other("its answer is too long"));
        }
    }
    let line = String::from_utf8_lossy(&answer);
    let line = line.lines().next().unwrap_or_default();
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next()) {
        (Some(version), Some(status)) if version.starts_with("HTTP/1.") => match status.as_bytes() {
            [b'2', _, _] => Ok(stream),
            _ => Err(io::Error::other(clean(&line[version.len() + 1..]))),
        },
        _ => Err(io::Error::other("its answer is no HTTP")),
    }
}

/// SOCKS 5, RFC 1928, with a name and a password, RFC 1929.
async fn socks(mut stream: BoxedStream, proxy: &Proxy, origin: &Origin) -> io::Result<BoxedStream> {
    let short = |text: &str| u8::try_from(text.len()).map_err(io::Error::other);
    match &proxy.user {
        None => stream.write_all(&[5, 1, 0]).await?,
        Some(_) => stream.write_all(&[5, 2, 0, 2]).await?,
    }
    let mut method = [0; 2];
    stream.read_exact(&mut method).await?;
    match (method, &proxy.user) {
        ([5, 0], _) => {}
        ([5, 2], Some((name, password))) => {
            let mut message = vec![1, short(name)?];
            message.extend_from_slice(name.as_bytes());
            message.push(short(password)?);
            message.extend_from_slice(password.as_bytes());
            stream.write_all(&message).await?;
            let mut answer = [0; 2];
            stream.read_exact(&mut answer).await?;
            if answer[1] != 0 {
                return Err(io::Error::other("authentication failed"));
            }
        }
        ([5, _], _) => return Err(io::Error::other("no acceptable authentication methods")),
        _ => return Err(io::Error::other("does not speak SOCKS 5")),
    }
    let mut request = vec![5, 1, 0];
    match origin.host.parse() {
        Ok(std::net::IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Ok(std::net::IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Err(_) => {
            request.extend_from_slice(&[3, short(&origin.host)?]);
            request.extend_from_slice(origin.host.as_bytes());
        }
    }
    request.extend_from_slice(&origin.port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer[1] != 0 {
        return Err(io::Error::other(format!(
            "cannot reach {}: SOCKS reply {}",
            origin.address(),
            answer[1]
        )));
    }
    let bound = match answer[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(io::Error::other("does not speak SOCKS 5")),
    };
    let mut rest = vec![0; bound + 2];
    stream.read_exact(&mut rest).await?;
    Ok(stream)
}
