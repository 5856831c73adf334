//! A forward proxy: tunnels and plain requests, written down.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use super::listener::{Ended, Listener, read_request, refuse};
use super::probe::encode64;
use crate::lab::Namespace;

/// The running proxy.
pub struct Proxy {
    listener: Listener,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts one; with a name and a password it lets nobody else through.
    pub fn start(place: Option<(&Namespace, std::net::IpAddr)>, login: Option<(&str, &str)>) -> Result<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = asked.clone();
        let wanted =
            login.map(|(name, word)| format!("Basic {}", encode64(format!("{name}:{word}").as_bytes())));
        let netns = place.map(|(netns, _)| netns.clone());
        let listener = Listener::start(place, Arc::new(Ended::default()), move |stream| {
            // Either end may go away whenever it likes.
            let _ = serve(stream, wanted.as_deref(), netns.as_ref(), &list);
        })?;
        Ok(Self { listener, asked })
    }

    /// As `HTTP_PROXY` has it.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// The first line of each request: `CONNECT host:port`, `GET http://…`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    client: TcpStream,
    wanted: Option<&str>,
    netns: Option<&Namespace>,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let Some(request) = read_request(&mut reader)? else { return Ok(()) };
    let line = format!("{} {}", request.method, request.target);
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    let mut back = client.try_clone()?;
    if wanted.is_some() && request.header("proxy-authorization") != wanted {
        return refuse(&mut back, 407, "PROXY", "the proxy wants a name and a password").map(drop);
    }
    let connect = |address: &str| match netns {
        Some(netns) => netns.within(|| Ok(TcpStream::connect(address)?)).map_err(io::Error::other),
        None => TcpStream::connect(address),
    };
    if request.method == "CONNECT" {
        let server = connect(&request.target)?;
        back.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        return join(client, server);
    }
    let rest = request.target.strip_prefix("http://").unwrap_or_default();
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut server = connect(address)?;
    let mut head = format!("{} /{path} HTTP/1.1\r\nConnection: close\r\n", request.method);
    let hop =
        ["connection", "proxy-authorization", "proxy-connection", "transfer-encoding", "content-length"];
    for (name, value) in request.headers.iter().filter(|(name, _)| !hop.contains(&name.as_str())) {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", request.body.len());
    server.write_all(head.as_bytes())?;
    server.write_all(&request.body)?;
    io::copy(&mut server, &mut back)?;
    client.shutdown(Shutdown::Both)
}

/// Carries both directions until both have ended.
fn join(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let forth = std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = forth.join();
    Ok(())
}
