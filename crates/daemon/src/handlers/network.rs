//! Networks.

use crate::convert;
use crate::error::Result;
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
    let network = asked.engine().network_inspect(&asked.param)?;
    Ok(response::ok(&convert::network(network, true, asked.version)))
}
