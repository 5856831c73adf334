//! What the program that forwards is told, as JSON. It may be older or newer than who writes it: fields are only added.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A driver with everything that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Settings {
    Syslog(Syslog),
    Fluentd(Fluentd),
    Gelf(Gelf),
    Journald(Journald),
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Address {
    /// Host and port.
    Tcp(String, u16),
    /// The same behind TLS.
    Tls(String, u16),
    Udp(String, u16),
    /// A stream socket.
    Unix(PathBuf),
    /// A datagram socket.
    Unixgram(PathBuf),
    /// The first of this machine's syslog sockets that answers.
    LocalSyslog,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Syslog {
    pub(crate) address: Address,
    /// 0–23.
    pub(crate) facility: u8,
    pub(crate) format: SyslogFormat,
    pub(crate) tag: String,
    #[serde(default)]
    pub(crate) tls: Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SyslogFormat {
    /// RFC 3164 without a host name.
    Local,
    Rfc3164,
    Rfc5424,
    /// With microseconds.
    Rfc5424micro,
}

/// Files, and whom to trust.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tls {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// Any certificate of the server will do.
    pub(crate) skip_verify: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fluentd {
    pub(crate) address: Address,
    pub(crate) tls: bool,
    pub(crate) tag: String,
    /// Members of each record beside the message's own.
    pub(crate) record: BTreeMap<String, String>,
    /// The container does not wait for the server.
    pub(crate) is_async: bool,
    /// Connect anew after this long.
    pub(crate) reconnect_interval: Option<Duration>,
    /// Messages that may wait when `is_async`.
    pub(crate) buffer_limit: u64,
    pub(crate) retry_wait: Duration,
    pub(crate) max_retries: u64,
    pub(crate) sub_second: bool,
    pub(crate) request_ack: bool,
    /// How long one write, and one answer, may take.
    #[serde(default)]
    pub(crate) write_timeout: Option<Duration>,
    #[serde(default)]
    pub(crate) read_timeout: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gelf {
    pub(crate) address: Address,
    pub(crate) compression: Compression,
    /// -1 (the default) to 9.
    pub(crate) level: i8,
    pub(crate) max_reconnect: u32,
    pub(crate) reconnect_delay: Duration,
    /// Members of each message beside its own.
    pub(crate) extra: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Compression {
    Gzip,
    Zlib,
    None,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journald {
    pub(crate) socket: PathBuf,
    /// Fields of each entry beside the message's own.
    pub(crate) fields: BTreeMap<String, String>,
}
