//! One request: built in a chain, sent by one of the last four methods.

use std::io::Read;

use api::{Action, Query, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Body, Client, Connection, Incoming, http};
use crate::error::{Error, Result};

/// The largest answer that is read as a whole.
const ANSWER_LIMIT: u64 = 512 << 20;

/// A request that is being put together.
pub(crate) struct Request<'a> {
    client: &'a Client,
    pub(super) method: &'static str,
    path: String,
    query: Query,
    pub(super) headers: Vec<String>,
    body: Body<'a>,
}

impl Client {
    /// A request of the table; `param` fills the path's `{id}` or `{name}`.
    pub(crate) fn call(&self, action: Action, param: &str) -> Request<'_> {
        self.call_with(action, &[param])
    }

    /// A request of the table; `params` fill what the path has, in order.
    pub(crate) fn call_with(&self, action: Action, params: &[&str]) -> Request<'_> {
        let path = action.path(api::version::MAX, params);
        Request {
            client: self,
            method: action.route().method.as_str(),
            path: Version::split(&path).1.to_owned(),
            query: Query::new(),
            headers: Vec::new(),
            body: Body::Empty,
        }
    }
}

impl<'a> Request<'a> {
    /// One parameter of the query; an empty value is sent as such.
    pub(crate) fn query(mut self, key: &str, value: &str) -> Self {
        self.query.push(key, value);
        self
    }

    /// A switch of the query, sent only when it is on.
    pub(crate) fn switch(self, key: &str, on: bool) -> Self {
        if on { self.query(key, "1") } else { self }
    }

    /// A parameter that is sent only when it is not empty.
    pub(crate) fn given(self, key: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.query(key, value) }
    }

    /// A header's whole line.
    pub(crate) fn header(mut self, line: String) -> Self {
        self.headers.push(line);
        self
    }

    /// A JSON body.
    pub(crate) fn json(mut self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|error| Error::said(error.to_string()))?;
        self.body = Body::Json(body);
        Ok(self)
    }

    /// A body that is read as it is sent.
    pub(crate) fn stream(mut self, source: &'a mut dyn Read, media_type: &'static str) -> Self {
        self.body = Body::Stream(source, media_type);
        self
    }

    /// A body that is written as it is sent.
    pub(crate) fn produce(mut self, source: http::Source<'a>, media_type: &'static str) -> Self {
        self.body = Body::Produced(source, media_type);
        self
    }

    pub(super) fn target(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        format!("{}?{}", self.path, self.query.encode())
    }

    pub(super) fn take_body(&mut self) -> Body<'a> {
        std::mem::replace(&mut self.body, Body::Empty)
    }

    /// Sends; the answer's body is left to the caller to read.
    pub(crate) fn open(mut self) -> Result<(http::Head, Incoming)> {
        let (head, connection) = self.client.exchange(&mut self)?;
        let incoming = Incoming::new(connection, &head, self.method == "HEAD");
        if head.status >= 400 {
            return Err(refusal(self.client, head.status, incoming));
        }
        Ok((head, incoming))
    }

    /// Sends, and leaves waiting for the answer to the caller.
    pub(crate) fn begin(mut self) -> Result<Pending<'a>> {
        let connection = self.client.send_apart(&mut self)?;
        Ok(Pending { client: self.client, connection })
    }

    /// Sends and reads the whole answer.
    pub(crate) fn bytes(self) -> Result<Vec<u8>> {
        let client = self.client;
        let (_, mut incoming) = self.open()?;
        let mut bytes = Vec::new();
        incoming
            .by_ref()
            .take(ANSWER_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::Transport(format!("{}: {error}", client.host)))?;
        client.keep(incoming);
        Ok(bytes)
    }

    /// Sends and parses the answer.
    pub(crate) fn fetch<T: DeserializeOwned>(self) -> Result<T> {
        let bytes = self.bytes()?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::Transport(format!("the answer is not JSON: {error}")))
    }

    /// Sends; the answer's body does not matter.
    pub(crate) fn done(self) -> Result<()> {
        self.bytes().map(drop)
    }

    /// Sends and takes the connection over, for a stream in both directions.
    pub(crate) fn hijack(self) -> Result<(http::Head, Connection)> {
        self.upgrade("tcp")
    }

    /// As [`Self::hijack`], to speak another protocol on the connection.
    pub(crate) fn upgrade(mut self, protocol: &str) -> Result<(http::Head, Connection)> {
        self.headers.push("Connection: Upgrade".to_owned());
        self.headers.push(format!("Upgrade: {protocol}"));
        let (head, connection) = self.client.exchange(&mut self)?;
        if head.status >= 400 {
            let incoming = Incoming::new(connection, &head, false);
            return Err(refusal(self.client, head.status, incoming));
        }
        Ok((head, connection))
    }
}

/// A request that was sent and is not answered yet.
pub(crate) struct Pending<'a> {
    client: &'a Client,
    connection: Connection,
}

impl Pending<'_> {
    /// Waits for the answer.
    pub(crate) fn finish(mut self) -> Result<Incoming> {
        let head = self.client.receive_on(&mut self.connection)?;
        let incoming = Incoming::new(self.connection, &head, false);
        if head.status >= 400 {
            return Err(refusal(self.client, head.status, incoming));
        }
        Ok(incoming)
    }
}

/// The daemon's refusal as an error.
fn refusal(client: &Client, status: u16, mut incoming: Incoming) -> Error {
    let mut bytes = Vec::new();
    // What can be read of the explanation is shown, even when it breaks off.
    drop(incoming.by_ref().take(1 << 20).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    let message = serde_json::from_slice::<Value>(&bytes)
        .ok()
        .and_then(|value| value.get("message").and_then(Value::as_str).map(str::to_owned))
        .unwrap_or(if text.is_empty() { format!("status {status} without explanation") } else { text });
    client.keep(incoming);
    Error::Daemon { status, message: message.trim_end().to_owned() }
}
