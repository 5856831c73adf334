//! An entrance for the tests that feed hostile bytes (`tests/fuzz`), to parsers that nobody else outside of this crate
//! may call. Nothing here has effects.

use std::collections::HashMap;

use api::container as wire;
use api::{Filters, Query, Version};
use buildkit::proto::pb;
use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::buildkit::{Attributes, graph};
use crate::convert;
use crate::handlers::build;
use crate::serve::head_length;

type Result<T> = std::result::Result<T, String>;

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A request's body for a new container, as far as it is judged without looking anything up; as the JSON that `inspect`
/// would show of it.
///
/// # Errors
/// Why it is refused.
pub fn create(body: &[u8], minor: u16) -> Result<String> {
    let request: wire::CreateRequest = serde_json::from_slice(body).map_err(words)?;
    let version = Version::minor(minor);
    let mut wish = convert::create(request, None, String::new(), version).map_err(words)?;
    let (config, host_config) = convert::told(&wish);
    let told = wire::CreateRequest { config, host_config, networking_config: Default::default() };
    engine::fuzzing::create(&mut wish).map_err(words)?;
    serde_json::to_string(&told).map_err(words)
}

/// A body of another request: to change a container, to run a program in one, for a network, for a volume.
///
/// # Errors
/// Why it is refused.
pub fn body(verb: &str, body: &[u8]) -> Result<()> {
    fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
        serde_json::from_slice(body).map_err(words)
    }
    match verb {
        "update" => convert::update(read(body)?).map(drop).map_err(words),
        "exec" => read::<api::exec::CreateRequest>(body).map(drop),
        "exec-start" => read::<api::exec::StartRequest>(body).map(drop),
        "network" => convert::network_request(read(body)?).map(drop).map_err(words),
        "connect" => {
            let request: api::network::ConnectRequest = read(body)?;
            drop(convert::endpoint_from_wire(request.endpoint_config.unwrap_or_default()));
            Ok(())
        }
        "volume" => read::<api::volume::CreateRequest>(body).map(drop),
        "auth" => read::<api::auth::AuthConfig>(body).map(|auth| drop(convert::credentials(&auth))),
        other => Err(format!("no verb {other:?}")),
    }
}

/// A request's target, its filters, and what it would ask of the classic builder.
///
/// # Errors
/// Why it is refused.
pub fn target(path: &str, query: &str, header: &[u8]) -> Result<()> {
    let (version, path) = Version::split(path);
    let version = version.map_or(Ok(api::version::MAX), Version::negotiate).map_err(words)?;
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
        api::Method::parse(method).and_then(|method| api::routes::find(method, path, version));
    }
    let query = Query::parse(query);
    let filters = Filters::parse(query.get("filters").unwrap_or_default()).map_err(words)?;
    convert::check_network_filters(&convert::filters(&filters)).map_err(words)?;
    for name in ["since", "until"] {
        convert::moment(name, query.get(name).unwrap_or_default()).map_err(words)?;
    }
    let header = HeaderValue::from_bytes(header).ok();
    let headers: HeaderMap = header
        .into_iter()
        .map(|value| (hyper::header::HeaderName::from_static("x-registry-config"), value))
        .collect();
    build::request(&query, &headers).map(drop).map_err(words)
}

/// Bytes of the request head that `bytes` begin with; nothing where it is not whole.
///
/// # Errors
/// The bytes are no head.
pub fn head(bytes: &[u8]) -> Result<Option<usize>> {
    head_length(bytes).map_err(|()| "no HTTP/1 head".to_owned())
}

/// A definition's vertices, and whether its result is one of them.
///
/// # Errors
/// Why it is refused.
pub fn llb(definition: &pb::Definition) -> Result<(usize, bool)> {
    let (graph, output) = graph(definition).map_err(words)?;
    let vertices = graph.len();
    Ok((vertices, output.is_none_or(|output| output.vertex.index() < vertices)))
}

/// The frontend's attributes.
///
/// # Errors
/// The attribute that is wrong.
pub fn attributes(pairs: &[(&str, &str)]) -> Result<()> {
    let pairs: HashMap<_, _> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Attributes::parse(&pairs).map(drop).map_err(words)
}
