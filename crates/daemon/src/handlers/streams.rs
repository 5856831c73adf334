//! Attach and exec start: the handlers whose answer is the connection itself.

use api::Action;
use engine::Engine;
use engine::container::{AttachOptions, Attached, Chunk, Exec, ExecStart, ExecStarted, Source};
use futures_util::{StreamExt as _, stream};

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
    if options.console_size.is_some_and(|size| size != [0, 0]) && !options.tty {
        return Err(ApiError::bad_request("console size is only supported when TTY is enabled"));
    }
    let engine = asked.engine();
    let before = engine.exec_inspect(&asked.param)?;
    match engine.exec_start(&asked.param, options).await {
        Ok(ExecStarted::Detached) => Ok(Opened::Done),
        Ok(ExecStarted::Attached(attached)) => Ok(Opened::Attached(attached)),
        Err(error) if !request.detach && failed_now(engine, &before) => {
            Ok(Opened::Attached(failure(request.tty, &error)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the session has an exit code that it did not have before: its program could not be run.
fn failed_now(engine: &Engine, before: &Exec) -> bool {
    before.exit_code.is_none() && engine.exec_inspect(&before.id).is_ok_and(|now| now.exit_code.is_some())
}

/// Docker takes the connection over before it starts the program, so that clients find the reason in the
/// output and ask for the exit code (126 or 127) as after any other run.
fn failure(tty: bool, error: &engine::Error) -> Attached {
    let chunk = Chunk { source: Source::Stdout, data: format!("{error}\r\n").into() };
    Attached { tty, input: None, output: stream::once(async { Ok(chunk) }).boxed() }
}

/// Only a client that sends such a request behind another, without waiting for its answer, gets here.
pub(crate) fn needs_connection() -> Result<Response> {
    Err(ApiError::bad_request(
        "this request takes its connection over: send it on a new one, or when the answer before it is read",
    ))
}
