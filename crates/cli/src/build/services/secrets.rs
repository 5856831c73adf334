//! Secrets: files and environment variables.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use buildkit::Status;
use buildkit::proto::secrets::{GetSecretRequest, GetSecretResponse};
use tonic::{Request, Response};

use super::Lent;
use crate::error::reason;

/// Longest secret, as BuildKit has it.
pub(in crate::build) const MAX_SECRET: u64 = 500 << 10;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::build) enum Secret {
    /// In a file.
    File(PathBuf),
    /// In this program's environment.
    Variable(String),
}

pub(super) async fn get(
    lent: Arc<Lent>,
    request: Request<GetSecretRequest>,
) -> Result<Response<GetSecretResponse>, Status> {
    let id = request.into_inner().id;
    let secret = lent.secrets.get(&id).ok_or_else(|| Status::not_found(format!("secret {id}: not found")))?;
    let data = match secret {
        Secret::Variable(name) => {
            use std::os::unix::ffi::OsStringExt as _;
            let value = std::env::var_os(name);
            value.ok_or_else(|| Status::not_found(format!("secret {id}: not found")))?.into_vec()
        }
        Secret::File(path) => {
            let mut data = Vec::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(MAX_SECRET + 1).read_to_end(&mut data))
                .map_err(|error| {
                    Status::internal(format!("secret {id}: open {}: {}", path.display(), reason(&error)))
                })?;
            data
        }
    };
    if data.len() as u64 > MAX_SECRET {
        return Err(Status::invalid_argument(format!("secret {id} has more than {MAX_SECRET} bytes")));
    }
    Ok(Response::new(GetSecretResponse { data }))
}
