//! Networks.

use api::network::{ConnectRequest, CreateRequest, CreateResponse, DisconnectRequest, PruneResponse};
use hyper::StatusCode;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// `GET /networks`
pub(crate) async fn list(asked: Asked) -> Result<Response> {
    let filters = convert::filters(&asked.filters()?);
    filters.only(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
    convert::check_network_filters(&filters)?;
    let networks = asked.engine().network_list();
    let list: Vec<_> = networks
        .into_iter()
        .filter(|network| convert::network_passes(network, &filters))
        .map(|network| convert::network(network, false, asked.version))
        .collect();
    Ok(response::ok(&list))
}

/// `GET /networks/{id}`
pub(crate) async fn inspect(asked: Asked) -> Result<Response> {
    let network = asked.engine().network_inspect(&asked.param)?;
    if asked.query.text("scope").is_some_and(|scope| !scope.is_empty() && scope != network.scope) {
        let message = format!("network {} not found", asked.param);
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    Ok(response::ok(&convert::network(network, true, asked.version)))
}

/// `POST /networks/create`
pub(crate) async fn create(asked: Asked, body: RequestBody) -> Result<Response> {
    let request: CreateRequest = asked.json(&body.collect().await?, false)?;
    let made = asked.engine().network_create(convert::network_request(request)?).await?;
    Ok(response::json(StatusCode::CREATED, &CreateResponse { id: made.id, warning: made.warning }))
}

/// `DELETE /networks/{id}`
pub(crate) async fn remove(asked: Asked) -> Result<Response> {
    asked.engine().network_remove(&asked.param).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `POST /networks/{id}/connect`
pub(crate) async fn connect(asked: Asked, body: RequestBody) -> Result<Response> {
    let request: ConnectRequest = asked.json(&body.collect().await?, false)?;
    let wished = convert::endpoint_from_wire(request.endpoint_config.unwrap_or_default());
    asked.engine().network_connect(&asked.param, &request.container, wished).await?;
    Ok(response::empty(StatusCode::OK))
}

/// `POST /networks/{id}/disconnect`
pub(crate) async fn disconnect(asked: Asked, body: RequestBody) -> Result<Response> {
    let request: DisconnectRequest = asked.json(&body.collect().await?, false)?;
    asked.engine().network_disconnect(&asked.param, &request.container, request.force).await?;
    Ok(response::empty(StatusCode::OK))
}

/// `POST /networks/prune`; with `dry-run` nothing is removed, which Docker has not.
pub(crate) async fn prune(asked: Asked) -> Result<Response> {
    let filters = convert::filters(&asked.filters()?);
    let dry = asked.query.flag("dry-run");
    let networks_deleted = asked.engine().network_prune(filters, dry).await?;
    Ok(response::ok(&PruneResponse { networks_deleted }))
}
