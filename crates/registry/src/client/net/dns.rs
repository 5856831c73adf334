//! Names of registries: `/etc/hosts`, then the name servers of `/etc/resolv.conf` ([`sys::names`]), IPv4 first as the
//! default policy of Go and the C library has it where IPv6 leads nowhere.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use sys::names::{self, Record, ResolvConf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// How long one name server has, and how often all are asked.
const LIMIT: Duration = Duration::from_secs(3);
const ROUNDS: usize = 2;
const PORT: u16 = 53;

/// The addresses of a host, at least one.
///
/// # Errors
/// There is no such host, or nobody who would know.
pub(crate) async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let known = names::known(host);
    if !known.is_empty() {
        return Ok(known);
    }
    if names::is_localhost(host) {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let config = sys::file::read_bounded(names::RESOLV_CONF, names::MAX_FILE).unwrap_or_default();
    let config = ResolvConf::parse(&String::from_utf8_lossy(&config));
    let mut silent = None;
    for name in config.candidates(host) {
        let (four, six) =
            tokio::join!(ask_all(&name, &config, Record::A), ask_all(&name, &config, Record::Aaaa));
        match (four, six) {
            (Err(error), Err(_)) => silent = Some(error),
            (four, six) => {
                let mut found = four.unwrap_or_default();
                found.extend(six.unwrap_or_default());
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        }
    }
    Err(silent.unwrap_or_else(|| io::Error::other("no such host")))
}

async fn ask_all(name: &str, config: &ResolvConf, kind: Record) -> io::Result<Vec<IpAddr>> {
    let mut last = io::Error::other("no such host");
    for server in std::iter::repeat_n(&config.servers, ROUNDS).flatten() {
        match tokio::time::timeout(LIMIT, ask(SocketAddr::new(*server, PORT), name, kind)).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, format!("{server} does not answer")),
        }
    }
    Err(last)
}

async fn ask(server: SocketAddr, name: &str, kind: Record) -> io::Result<Vec<IpAddr>> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    let question = names::question(id, name, kind).ok_or_else(|| io::Error::other("no such host"))?;
    let mut answer = over_udp(server, id, &question).await?;
    if names::is_truncated(&answer) {
        answer = over_tcp(server, &question).await?;
    }
    names::addresses(&answer, kind).ok_or_else(|| io::Error::other(format!("server misbehaving: {server}")))
}

async fn over_udp(server: SocketAddr, id: [u8; 2], question: &[u8]) -> io::Result<Vec<u8>> {
    let local: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(local, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; names::MAX_ANSWER];
    loop {
        let count = socket.recv(&mut answer).await?;
        // another's is dropped
        if answer[..count].starts_with(&id) {
            answer.truncate(count);
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(question).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
