//! Networks that several machines share, in a store that all of them read: etcd, by its v3 API.
//!
//! [`Cluster`] is the whole facade. It knows which networks there are, which machines live, and who has which address;
//! it knows nothing of links and packets. Everything of a machine hangs on one lease, so that all of it goes when the
//! machine does; what a container has is claimed by transactions, so that no address is given twice; and what others do
//! arrives as one [`Changes`] after the other, the first of which is the whole.
//!
//! While the store is away, what was known stays known. A session that is made anew compares the store with what this
//! machine holds, and repairs it.

mod alloc;
mod claim;
mod client;
mod error;
mod keys;
mod model;
mod network;
mod options;
mod own;
mod resolve;
mod session;
mod shared;
mod txn;
mod updates;
mod view;
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::mpsc;

pub use error::{Error, Result};
pub use model::{Endpoint, Host, MAX_VNI, Network, Subnet};
pub use options::{Advertise, StoreOptions, TlsFiles};
pub use updates::Updates;
pub use view::{Changes, EndpointChange, View};

use own::Place;
use shared::{Link, Shared};

/// With what a machine takes part.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store.
    pub store: StoreOptions,
    /// This machine.
    pub host: Host,
    /// Directory of the session's record; made if it must be.
    pub record_dir: PathBuf,
}

/// Addresses of a container on one network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4.
    pub ip: Option<Ipv4Addr>,
    /// IPv6.
    pub ip6: Option<Ipv6Addr>,
}

/// A container that lives here, and whose address was given to another one while this machine counted as dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Id of the network.
    pub network: String,
    /// Id of the container.
    pub container: String,
    /// The address.
    pub ip: IpAddr,
    /// Who has it now.
    pub holder: String,
    /// On which machine.
    pub host: String,
}

/// A part in the cluster; clones share it.
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Shared>);

impl Cluster {
    /// Reads certificates and names, and speaks to nobody yet. The containers that live here are told by
    /// [`Cluster::adopt`] before [`Cluster::start`]: what bears this machine's name in the store and is none of theirs
    /// is taken away then.
    ///
    /// # Errors
    /// The store's members can't be found, or its certificates not be read.
    pub fn open(options: Options) -> Result<(Self, mpsc::UnboundedReceiver<Lost>)> {
        let (tell, lost) = mpsc::unbounded_channel();
        Ok((Self(Arc::new(Shared::new(options, tell)?)), lost))
    }

    /// Makes the session, and makes it anew until [`Cluster::close`]. To be called in a runtime of tokio's.
    pub fn start(&self) {
        self.0.set_runtime();
        tokio::spawn(session::run(Arc::clone(&self.0)));
    }

    /// Ends the session; the lease runs on, so that the next daemon goes on with it.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// Ends the session and everything that hangs on it. For a machine that takes part no more.
    ///
    /// # Errors
    /// The store can't be reached: everything goes when the lease has run out.
    pub async fn leave(&self) -> Result<()> {
        let lease = self.0.lease().await?;
        self.close();
        self.0.client.revoke(lease).await
    }

    /// The address of the store, as it was given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.options.store.url
    }

    /// This machine.
    #[must_use]
    pub fn host(&self) -> Host {
        self.0.host()
    }

    /// Whether there is a session.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(*self.0.link.borrow(), Link::Up(_))
    }

    /// Waits for a session, if one is being made.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn ready(&self) -> Result<()> {
        self.0.lease().await.map(drop)
    }

    /// What the store holds, as far as is known.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.0.view()
    }

    /// What changes, from nothing on.
    #[must_use]
    pub fn updates(&self) -> Updates {
        Updates::new(self.0.view.subscribe())
    }

    /// Makes a network for all machines. Its number is chosen if it is 0; with `choose`, an IPv4 subnet that overlaps
    /// none of these is, if it has none. It is in [`Cluster::view`] when this returns.
    ///
    /// # Errors
    /// The name or the subnet is another network's; something of it is out of bounds; the store can't be reached.
    pub async fn create_network(&self, network: Network, choose: Option<&[IpNet]>) -> Result<Network> {
        network::create(&self.0, network, choose).await
    }

    /// Removes a network for all machines.
    ///
    /// # Errors
    /// It is not there; containers of some machine are on it; the store can't be reached.
    pub async fn remove_network(&self, id: &str) -> Result<()> {
        network::remove(&self.0, id).await
    }

    /// Claims addresses for a container that is to join a network: those that are wanted, or any.
    ///
    /// # Errors
    /// The network is not there, a wanted address is somebody's or outside of it, none is left, or the store can't be
    /// reached. Nothing stays claimed then.
    pub async fn claim(&self, network: &str, container: &str, wanted: Addresses) -> Result<Addresses> {
        claim::claim(&self.0, &(network.to_owned(), container.to_owned()), wanted).await
    }

    /// Tells all machines of a container's place; without the store as soon as it is back.
    pub async fn publish(&self, network: &str, container: &str, endpoint: Endpoint) {
        claim::publish(&self.0, &(network.to_owned(), container.to_owned()), endpoint).await;
    }

    /// Gives a container's place on a network back; without the store as soon as it is back. None is fine.
    pub fn release(&self, network: &str, container: &str) {
        claim::release(&self.0, &(network.to_owned(), container.to_owned()));
    }

    /// Gives all places of a container back. None is fine.
    pub fn release_all(&self, container: &str) {
        let seats: Vec<_> = self.0.own().places.keys().filter(|(_, own)| own == container).cloned().collect();
        seats.iter().for_each(|seat| claim::release(&self.0, seat));
    }

    /// A container that lives here has this place since before.
    ///
    /// # Errors
    /// No random numbers.
    pub fn adopt(&self, network: &str, container: &str, endpoint: Endpoint) -> Result<()> {
        let addresses = endpoint.addresses().map(|ip| (ip, true)).collect();
        let place = Place { addresses, endpoint: Some(endpoint), ..Place::new()? };
        self.0.own().places.insert((network.to_owned(), container.to_owned()), place);
        Ok(())
    }
}
