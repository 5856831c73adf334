//! HTTP/1.1 to one place after another: names, connections, proxies, TLS, idle connections kept, bodies that must move.

mod body;
mod connect;
mod dns;
mod payload;
mod pool;
mod proxy;
mod send;
mod tls;

pub(crate) use body::Body;
pub(crate) use dns::resolve;
pub use payload::Chunks;
pub(crate) use payload::Payload;
pub use proxy::{Proxies, Proxy};
pub(crate) use send::{Request, Response, Transport};
pub(crate) use tls::{Authorities, ClientCertificate, Tls, TlsFiles, system};
