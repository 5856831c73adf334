//! A container joins its networks when it starts, and leaves them when it ends. Everything here blocks.

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use ::network::ResolverSockets;

use super::cluster::{self, Seats};
use super::endpoint;
use crate::container::mode::NetworkMode;
use crate::container::{Container, Endpoint, NetworkSettings};
use crate::engine::Inner;
use crate::error::{Error, Kind, Result};

/// A container's network, made.
pub(crate) struct Attached {
    /// `None` = the host's.
    pub(crate) netns: Option<OwnedFd>,
    pub(crate) settings: NetworkSettings,
    pub(crate) addresses: Vec<IpAddr>,
    /// Where its questions for names arrive, if the embedded resolver answers them.
    pub(crate) resolver: Option<ResolverSockets>,
}

/// Makes a container's network, in a new namespace of its user namespace if `netns` is one.
///
/// # Errors
/// The network's refusal; an unknown network.
pub(crate) fn attach(
    engine: &Inner,
    container: &Container,
    mode: &NetworkMode,
    netns: Option<OwnedFd>,
) -> Result<Attached> {
    match mode {
        NetworkMode::Bridge | NetworkMode::Custom(_) => bridges(engine, container, netns),
        // It was taken from no network, and brought to some.
        NetworkMode::None if container.network.networks.keys().any(|name| name != "none") => {
            bridges(engine, container, netns)
        }
        NetworkMode::None => {
            let netns = engine.network.isolated(netns).map_err(|error| failed(container, error))?;
            Ok(Attached { netns: Some(netns), ..plain(engine, container, "none") })
        }
        NetworkMode::Host => Ok(plain(engine, container, "host")),
        NetworkMode::Container(name) => {
            Err(Error::system(format!("the network of container {name} is joined, not made")))
        }
    }
}

/// Publishes ports; and once more if one is in use, when nobody can have a copy of its former socket any more. Blocks.
pub(super) fn ports_in_time<T>(publish: impl Fn() -> ::network::Result<T>) -> ::network::Result<T> {
    use ::network::Error as E;
    match publish() {
        Err(E::PortAllocated { .. } | E::PortsExhausted { .. }) => {
            crate::shim::wait_for_all(PATIENCE);
            publish()
        }
        done => done,
    }
}

/// How long a shim may take to come up, on the busiest machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A refusal in the words of a start.
pub(super) fn failed(container: &Container, error: ::network::Error) -> Error {
    use ::network::Error as E;
    let kind = kind(&error);
    let what = match &error {
        E::PortAllocated { .. } | E::PortsExhausted { .. } | E::Privileged { .. } => format!(
            "failed to set up container networking: driver failed programming external connectivity on endpoint {} ({})",
            container.name, container.id
        ),
        _ => "failed to set up container networking".to_owned(),
    };
    Error::because(what, error).of_kind(kind)
}

/// What kind of failure a refusal of the network is.
pub(super) fn kind(error: &::network::Error) -> Kind {
    use ::network::Error as E;
    match error {
        E::NoSuchNetwork(_) | E::NoSuchDriver(_) | E::NoSuchConfiguration(_) => Kind::NotFound,
        E::NameInUse(_) => Kind::Conflict,
        E::InUse { .. }
        | E::Forbidden(_)
        | E::PoolOverlap
        | E::AddressInUse(_)
        | E::AlreadyAttached { .. }
        | E::NotAttached { .. } => Kind::Forbidden,
        E::Invalid(_) | E::AddressOutside { .. } | E::NoSuchFamily { .. } => Kind::BadParameter,
        E::Unsupported(_) => Kind::NotImplemented,
        _ => Kind::System,
    }
}

/// Settings without addresses.
fn plain(engine: &Inner, container: &Container, name: &str) -> Attached {
    let mut settings = container.network.clone();
    if let Some(endpoint) = settings.networks.get_mut(name) {
        endpoint.network_id = engine.find_network(name).map(|network| network.id).unwrap_or_default();
        endpoint.endpoint_id.clone_from(&container.id);
    }
    settings.sandbox_id.clone_from(&container.id);
    Attached { netns: None, settings, addresses: Vec::new(), resolver: None }
}

fn bridges(engine: &Inner, container: &Container, netns: Option<OwnedFd>) -> Result<Attached> {
    let mut container = container.clone();
    // One that was taken from all its networks starts on the one that it was made for.
    if container.network.networks.is_empty() {
        let mode = NetworkMode::parse(&container.host.network_mode)?;
        let name = super::settings::name(&mode).unwrap_or("bridge");
        container.network.networks.insert(name.to_owned(), Endpoint::default());
    }
    let (mut places, mut networks) = (Vec::new(), Vec::new());
    for (name, end) in &container.network.networks {
        let network = engine.find_network(name).map_err(|error| match end.network_id.as_str() {
            "" => error,
            // It is gone since the container was on it.
            id => Error::not_found(format!("network {id} not found")),
        })?;
        // That of its mode first, which so gets `eth0`; the others by name.
        let rank = usize::from(!endpoint::is_mode(&container, &network));
        places.push((rank, endpoint::request(&container, &network, &end.config)?));
        networks.push(network);
    }
    places.sort_by_key(|(rank, _)| *rank);
    let mut requests: Vec<_> = places.into_iter().map(|(_, request)| request).collect();
    let seats = Seats::claim(engine, &container.id, &mut requests, &networks)?;
    let made = ports_in_time(|| {
        let netns = netns.as_ref().map(OwnedFd::try_clone).transpose();
        let netns =
            netns.map_err(|error| ::network::Error::Invalid(format!("network namespace: {error}")))?;
        engine.network.attach_in(netns, &requests)
    })
    .map_err(|error| failed(&container, error))?;
    seats.keep(&made.endpoints);
    let settings = endpoint::settle(engine, &container, &made.endpoints);
    Ok(Attached {
        netns: Some(made.netns),
        settings,
        addresses: made.endpoints.iter().flat_map(endpoint::addresses).collect(),
        resolver: made.resolver,
    })
}

/// Publishes what a running container asks for now: its settings then.
///
/// # Errors
/// A port is taken; the kernel refuses. Its ports are what they were.
pub(crate) fn republish(engine: &Inner, container: &Container) -> Result<NetworkSettings> {
    let ports = super::ports(container)?;
    let made = ports_in_time(|| engine.network.republish(&container.id, &ports))
        .map_err(|error| failed(container, error))?;
    let exposed = container.config.exposed_ports.iter().map(|port| (super::whole(port), None)).collect();
    let mut before = container.clone();
    before.network.ports = exposed;
    Ok(endpoint::settle(engine, &before, &made))
}

/// Gives a container's addresses and ports back, and its shared memory. One without any is fine.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn detach(engine: &Inner, id: &str) -> Result<()> {
    crate::container::start::forget_shm(engine, id);
    engine.resolvers.stop(id);
    let detached = engine.network.detach(id).map_err(|error| Error::because("give the network back", error));
    // not before: another machine may have its addresses from now on
    cluster::release_all(engine, id);
    detached
}

/// Takes a running container's addresses over after a restart of the daemon.
///
/// # Errors
/// Another container has its address.
pub(crate) fn adopt(engine: &Inner, container: &Container) -> Result<()> {
    let endpoints = endpoint::recorded(container)?;
    // whatever comes of the rest, its addresses stay its own on all machines
    cluster::adopt(engine, &container.id, &endpoints)?;
    engine
        .network
        .adopt(&container.id, &endpoints)
        .map_err(|error| Error::because("take the network over", error))?;
    let Some(run) = container.state.running() else { return Ok(()) };
    // Its shim, which is its parent and says that it lives, keeps the number from others.
    let namespace = std::fs::File::open(format!("/proc/{}/ns/net", run.pid));
    let namespace = namespace.map_err(|error| Error::because("open the network namespace", error))?;
    let held = engine.network.hold(&container.id, std::os::fd::AsFd::as_fd(&namespace));
    held.map_err(|error| Error::because("keep the network namespace", error))
}

/// What `host-gateway` means, if this container's `--add-host` says it.
///
/// # Errors
/// The bridge can't be made.
pub(crate) fn host_gateway(engine: &Inner, container: &Container) -> Result<Option<IpAddr>> {
    if !container.host.extra_hosts.iter().any(|line| line.ends_with("host-gateway")) {
        return Ok(None);
    }
    let configured = &engine.config.dns.host_gateway_ip;
    if !configured.is_empty() {
        let wrong = |_error| Error::bad_parameter(format!("invalid host-gateway-ip: {configured}"));
        return configured.parse().map(Some).map_err(wrong);
    }
    engine.network.host_gateway().map(Some).map_err(|error| failed(container, error))
}
