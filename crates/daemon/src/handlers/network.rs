//! Networks.

use hyper::StatusCode;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::Asked;
use crate::response::{self, Response};

/// `GET /networks`
pub(crate) async fn list(asked: Asked) -> Result<Response> {
    let filters = convert::filters(&asked.filters()?);
    filters.only(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
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
    // All networks are of this host.
    if let Some(scope) = asked.query.text("scope").filter(|scope| *scope != "local") {
        let message = format!("network {} not found (scope {scope})", asked.param);
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    let network = asked.engine().network_inspect(&asked.param)?;
    Ok(response::ok(&convert::network(network, true, asked.version)))
}
