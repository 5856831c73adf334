//! Attach and exec start: the handlers whose answer is the connection itself.

use api::Action;
use engine::container::{AttachOptions, Attached, ExecStart, ExecStarted};

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::Asked;
use crate::response::Response;

/// What a start of bytes came to.
pub(crate) enum Opened {
    /// Bytes are to be moved.
    Attached(Attached),
    /// There are none: the session is detached.
    Done,
}

/// Asks the engine for the streams.
pub(crate) async fn open(action: Action, asked: &Asked, body: &[u8]) -> Result<Opened> {
    if action == Action::ExecStart {
        return exec_start(asked, body).await;
    }
    let query = &asked.query;
    let options = AttachOptions {
        stream: query.flag("stream"),
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        logs: query.flag("logs"),
        detach_keys: query.text("detachKeys").map(str::to_owned),
    };
    Ok(Opened::Attached(asked.engine().container_attach(&asked.param, options).await?))
}

async fn exec_start(asked: &Asked, body: &[u8]) -> Result<Opened> {
    let request: api::exec::StartRequest = asked.json(body, true)?;
    let options = ExecStart {
        detach: request.detach,
        tty: request.tty,
        console_size: request.console_size.filter(|_| asked.since(42)).map(convert::console_size),
    };
    match asked.engine().exec_start(&asked.param, options).await? {
        ExecStarted::Detached => Ok(Opened::Done),
        ExecStarted::Attached(attached) => Ok(Opened::Attached(attached)),
    }
}

/// Only a client that sends such a request behind another, without waiting for its answer, gets here.
pub(crate) fn needs_connection() -> Result<Response> {
    Err(ApiError::bad_request(
        "this request takes its connection over: send it on a new one, or when the answer before it is read",
    ))
}
