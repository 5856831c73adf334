//! Exec sessions; their start is in `streams`.

use api::exec::{CreateResponse, InspectResponse, ProcessConfig};
use engine::container::{Exec, ExecConfig};
use hyper::StatusCode;

use super::container::size;
use crate::convert;
use crate::error::Result;
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// `POST /containers/{id}/exec`
pub(crate) async fn create(asked: Asked, body: RequestBody) -> Result<Response> {
    let request: api::exec::CreateRequest = asked.json(&body.collect().await?, false)?;
    let config = ExecConfig {
        cmd: request.cmd.0.unwrap_or_default(),
        env: request.env,
        user: request.user,
        working_dir: request.working_dir,
        tty: request.tty,
        attach_stdin: request.attach_stdin,
        attach_stdout: request.attach_stdout,
        attach_stderr: request.attach_stderr,
        privileged: request.privileged,
        bound: false,
        detach_keys: Some(request.detach_keys).filter(|keys| !keys.is_empty()),
        console_size: request.console_size.filter(|_| asked.since(42)).map(convert::console_size),
    };
    let id = asked.engine().exec_create(&asked.param, config).await?;
    Ok(response::json(StatusCode::CREATED, &CreateResponse { id }))
}

/// `POST /exec/{id}/resize`
pub(crate) async fn resize(asked: Asked) -> Result<Response> {
    let (height, width) = size(&asked)?;
    asked.engine().exec_resize(&asked.param, height, width).await?;
    Ok(response::empty(StatusCode::OK))
}

/// `GET /exec/{id}/json`
pub(crate) async fn inspect(asked: Asked) -> Result<Response> {
    Ok(response::ok(&answer(asked.engine().exec_inspect(&asked.param)?)))
}

fn answer(exec: Exec) -> InspectResponse {
    let Exec { id, container_id, config, running, exit_code, pid } = exec;
    let mut words = config.cmd.into_iter();
    InspectResponse {
        id,
        running,
        exit_code: exit_code.map(i64::from),
        process_config: ProcessConfig {
            tty: config.tty,
            entrypoint: words.next().unwrap_or_default(),
            arguments: words.collect(),
            privileged: Some(config.privileged),
            user: config.user,
        },
        open_stdin: config.attach_stdin,
        open_stderr: config.attach_stderr,
        open_stdout: config.attach_stdout,
        can_remove: false,
        container_id,
        detach_keys: config.detach_keys.unwrap_or_default(),
        pid: i64::from(pid),
    }
}
