//! NAT, isolation and published ports, in one nftables table of our own.

mod conntrack;
pub(crate) mod divert;
mod nft;
pub(crate) mod plan;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use crate::endpoint::PublishedPort;
use crate::error::{Error, Result};
use crate::netlink::{Protocol, Socket};
use nft::Transaction;
use plan::{Bridge, Element, Family};

pub(crate) use nft::Foreign;
pub use watch::Watch;

/// Elements that go into one message; an attribute holds 64 KiB at most.
const ELEMENTS_PER_MESSAGE: usize = 200;

/// Interfaces in the guard against forwarding at most: one message holds no more than some 2,000.
const MAX_UPLINKS: usize = 1024;

/// Our table in the kernel.
#[derive(Debug)]
pub(crate) struct Firewall {
    socket: Option<Socket>,
    /// Port of that socket, for those who watch.
    port: Arc<AtomicU32>,
    table: String,
    /// Published ports are served by processes that take their clients' addresses.
    keep_clients: bool,
}

impl Firewall {
    /// Nothing happens until the first operation.
    pub(crate) fn new(table: String) -> Self {
        Self { socket: None, port: Arc::default(), table, keep_clients: false }
    }

    /// The same, with what brings answers back to processes of ours that take their clients' addresses.
    pub(crate) fn keep_clients(self, on: bool) -> Self {
        Self { keep_clients: on, ..self }
    }

    /// Makes the table say what `bridges` need, and keep `uplinks` (one list a family) from reaching each other, and adds `elements`: all
    /// at once. Published ports stay. Idempotent.
    pub(crate) fn apply(
        &mut self,
        bridges: &[Bridge],
        uplinks: [&[String]; 2],
        elements: &[Element],
    ) -> Result<()> {
        self.fill(Transaction::new(&self.table), bridges, uplinks, elements)
    }

    /// The same, in place of whatever is in the table: at no moment is there less than the whole.
    pub(crate) fn replace(
        &mut self,
        bridges: &[Bridge],
        uplinks: [&[String]; 2],
        elements: &[Element],
    ) -> Result<()> {
        let mut transaction = Transaction::new(&self.table);
        // It may not be there.
        transaction.table();
        transaction.remove_table();
        self.fill(transaction, bridges, uplinks, elements)
    }

    /// Writes the whole table.
    fn fill(
        &mut self,
        mut transaction: Transaction,
        bridges: &[Bridge],
        uplinks: [&[String]; 2],
        elements: &[Element],
    ) -> Result<()> {
        transaction.table();
        transaction.maps();
        for (family, names) in Family::ALL.into_iter().zip(uplinks) {
            transaction.uplinks(family, names.get(..MAX_UPLINKS).unwrap_or(names));
        }
        let chains = plan::chains(bridges);
        let chains = if self.keep_clients { plan::keep_clients(chains) } else { chains };
        for chain in &chains {
            transaction.chain(chain.at);
        }
        for chain in &chains {
            for rule in &chain.rules {
                transaction.rule(chain.at, rule);
            }
        }
        by_map(elements, |map, some| transaction.add_elements(map, some));
        transaction.commit(self.socket()?).map_err(explain)
    }

    /// Watches the table.
    pub(crate) fn watch(&self) -> Result<Watch> {
        Watch::open(self.table.clone(), Arc::clone(&self.port))
    }

    /// Whether the table is there.
    pub(crate) fn exists(&mut self) -> Result<bool> {
        let table = self.table.clone();
        match nft::exists(self.socket()?, &table) {
            Err(error) if absent(&error) => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// Adds elements, all or none. One that is there already is no error; one whose key has
    /// another value fails with `EBUSY`.
    pub(crate) fn publish(&mut self, elements: &[Element]) -> Result<()> {
        self.change(elements, Transaction::add_elements)
    }

    /// Removes elements. That one is missing is no error.
    pub(crate) fn unpublish(&mut self, elements: &[Element]) -> Result<()> {
        match self.change(elements, Transaction::remove_elements) {
            Err(error) if error.errno() == Some(Errno::NOENT) => {}
            result => return result,
        }
        // Somebody flushed some of them, or all: remove what is left, one by one.
        let mut failure = None;
        for element in elements {
            match self.change(std::slice::from_ref(element), Transaction::remove_elements) {
                Err(error) if error.errno() != Some(Errno::NOENT) => {
                    failure.get_or_insert(error);
                }
                _ => {}
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Forgets UDP flows to these ports: their way has just changed. What cannot be forgotten expires.
    pub(crate) fn forget_flows(&mut self, ports: &[PublishedPort]) {
        let forgotten = self.socket().and_then(|socket| conntrack::forget(socket, ports));
        if let Err(error) = forgotten {
            tracing::debug!("{error}");
        }
    }

    /// Forgets the flows of addresses that nobody has any more. As [`Self::forget_flows`].
    pub(crate) fn forget_addresses(&mut self, addresses: &[IpAddr]) {
        let forgotten = self.socket().and_then(|socket| conntrack::forget_addresses(socket, addresses));
        if let Err(error) = forgotten {
            tracing::debug!("{error}");
        }
    }

    /// Every element of the table's maps; none when there is no table.
    pub(crate) fn published(&mut self) -> Result<Vec<Element>> {
        let table = self.table.clone();
        match nft::elements(self.socket()?, &table) {
            Err(error) if absent(&error) => Ok(Vec::new()),
            result => result,
        }
    }

    /// Removes the table and everything in it. Idempotent.
    pub(crate) fn remove(&mut self) -> Result<()> {
        let mut transaction = Transaction::new(&self.table);
        transaction.remove_table();
        match transaction.commit(self.socket()?) {
            Err(error) if absent(&error) => Ok(()),
            result => result,
        }
    }

    /// Chains of others that drop forwarded packets unless told otherwise.
    pub(crate) fn foreign_drops(&mut self) -> Result<Vec<Foreign>> {
        let table = self.table.clone();
        let chains = nft::forward_policies(self.socket()?)?;
        Ok(chains.into_iter().filter(|chain| chain.table != table).collect())
    }

    fn change(&mut self, elements: &[Element], write: fn(&mut Transaction, &str, &[&Element])) -> Result<()> {
        if elements.is_empty() {
            return Ok(());
        }
        let mut transaction = Transaction::new(&self.table);
        by_map(elements, |map, some| write(&mut transaction, map, some));
        transaction.commit(self.socket()?)
    }

    fn socket(&mut self) -> Result<&mut Socket> {
        if self.socket.is_none() {
            let socket = Socket::open(Protocol::Netfilter).map_err(explain)?;
            self.port.store(socket.port().unwrap_or(0), Ordering::Release);
            self.socket = Some(socket);
        }
        self.socket.as_mut().ok_or(Error::Malformed("no netfilter socket"))
    }
}

/// Hands the elements on, map by map, as many as one message holds.
fn by_map(elements: &[Element], mut write: impl FnMut(&str, &[&Element])) {
    for map in plan::Map::all() {
        let of_map: Vec<_> = elements.iter().filter(|element| element.map == map).collect();
        of_map.chunks(ELEMENTS_PER_MESSAGE).for_each(|some| write(&map.name(), some));
    }
}

fn absent(error: &Error) -> bool {
    matches!(
        error.errno(),
        Some(Errno::NOENT | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::OPNOTSUPP)
    )
}

/// A kernel without nftables answers in riddles.
fn explain(error: Error) -> Error {
    match error.errno() {
        // A kind of chain that the kernel doesn't have "doesn't exist".
        Some(Errno::PROTONOSUPPORT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::INVAL | Errno::NOENT) => {
            Error::Config(format!(
                "this kernel lacks nftables with NAT ({error}), which the bridge network needs: load nf_tables and \
             nft_nat, or start berthd with --iptables=false to have no NAT, isolation or published ports"
            ))
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests;
