//! The client side of the Engine API.

pub(crate) mod autostart;
pub(crate) mod config;
pub(crate) mod host;
pub(crate) mod http;
mod relayed;
mod request;
mod ssh;
mod stream;
mod tls;

use std::cell::RefCell;
use std::io::{self, BufReader};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

pub(crate) use host::{Choice, Endpoint, Host};
pub(crate) use http::{Body, Connection, Incoming};
pub(crate) use relayed::Behind;
pub(crate) use request::Request;
pub(crate) use stream::Stream;
pub(crate) use tls::Given as GivenTls;

use crate::error::{Error, Result, reason};

/// A daemon to talk to; one idle connection is kept for the next request.
pub(crate) struct Client {
    host: Host,
    /// How TLS is spoken over TCP, made when it is first needed.
    tls: Option<tls::Client>,
    /// `/v1.44`, when the environment asks for a version; else the daemon's newest.
    prefix: String,
    as_docker: bool,
    idle: RefCell<Option<Connection>>,
}

impl Client {
    /// Settles on an address; connects only when there is something to send.
    pub(crate) fn new(choice: &Choice, as_docker: bool) -> Result<Self> {
        let version = std::env::var("DOCKER_API_VERSION").unwrap_or_default();
        let version = version.trim_start_matches('v');
        let prefix = if version.is_empty() { String::new() } else { format!("/v{version}") };
        let Endpoint { host, tls } = choice.resolve()?;
        let tls = tls.map(tls::Client::new);
        Ok(Self { host, tls, prefix, as_docker, idle: RefCell::new(None) })
    }

    /// The version that the environment asks for.
    pub(crate) fn pinned_version(&self) -> Option<&str> {
        self.prefix.strip_prefix("/v")
    }

    fn connect(&self) -> Result<Connection> {
        let stream = match self.dial() {
            Err(error) if self.host.is_default() && autostart::applies(&error) => {
                autostart::start()?;
                self.dial()
            }
            other => other,
        };
        stream.map(BufReader::new).map_err(|error| self.unreachable(&error))
    }

    /// A bare connection, for passing bytes on.
    pub(crate) fn dial_for_proxy(&self) -> Result<Stream> {
        self.connect().map(BufReader::into_inner)
    }

    fn dial(&self) -> io::Result<Stream> {
        match &self.host {
            Host::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
            Host::Ssh(target) => target.dial(),
            Host::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                match &self.tls {
                    Some(tls) => tls.wrap(stream, address),
                    None => Ok(Stream::Tcp(stream)),
                }
            }
        }
    }

    fn unreachable(&self, error: &io::Error) -> Error {
        use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        if error.kind() == PermissionDenied {
            return Error::said(format!(
                "permission denied while trying to connect to the daemon socket at {}: {}",
                self.host,
                reason(error)
            ));
        }
        let failure = |inner: &(dyn std::error::Error + Send + Sync + 'static)| {
            inner.downcast_ref::<relayed::Failure>().is_some()
        };
        if error.get_ref().is_some_and(failure) {
            return self.broken(error);
        }
        let simple = matches!(error.kind(), NotFound | ConnectionRefused);
        let (name, program) =
            if self.as_docker { ("Docker", "the docker daemon") } else { ("Berth", "berthd") };
        Error::Unreachable {
            name,
            program,
            host: self.host.to_string(),
            reason: if simple { String::new() } else { format!("\n{}", reason(error)) },
        }
    }

    /// Sends a request on a connection of its own.
    fn send_apart(&self, request: &mut Request<'_>) -> Result<Connection> {
        let mut connection = self.connect()?;
        self.send_on(&mut connection, request)?;
        Ok(connection)
    }

    fn send_on(&self, connection: &mut Connection, request: &mut Request<'_>) -> Result<()> {
        let target = format!("{}{}", self.prefix, request.target());
        let body = request.take_body();
        http::send(connection, request.method, &target, &request.headers, body)
            .map_err(|error| self.broken(&error))
    }

    fn receive_on(&self, connection: &mut Connection) -> Result<http::Head> {
        http::receive(connection).map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &io::Error) -> Error {
        // a record of TLS is no status line
        let clear = matches!(self.host, Host::Tcp(_)) && self.tls.is_none();
        let hint = if clear && error.kind() == io::ErrorKind::InvalidData {
            "\n* Are you trying to connect to a TLS-enabled daemon without TLS?"
        } else {
            ""
        };
        Error::Transport(format!("{}: {}{hint}", self.host, reason(error)))
    }

    /// Sends a request and reads the head of the answer, on the idle connection if there is one.
    fn exchange(&self, request: &mut Request<'_>) -> Result<(http::Head, Connection)> {
        let idle = self.idle.borrow_mut().take();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        self.send_on(&mut connection, request)?;
        let head = self.receive_on(&mut connection)?;
        Ok((head, connection))
    }

    /// Gives a connection back for the next request.
    fn keep(&self, incoming: Incoming) {
        *self.idle.borrow_mut() = incoming.into_idle();
    }
}
