//! Links that stand on another one: macvlan, ipvlan and VLAN; and the dummy they may stand on.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::kind::{NEWLINK, SETLINK};
use super::link::{INFO_DATA, INFO_KIND, attribute, header};
use crate::endpoint::MacAddr;
use crate::netlink::{Batch, flag};

/// `IFLA_MACVLAN_MODE`, and `IFLA_IPVLAN_MODE`.
const MODE: u16 = 1;
/// `IFLA_IPVLAN_FLAGS`.
const FLAGS: u16 = 2;
/// `IFLA_VLAN_ID`.
const VLAN_ID: u16 = 1;

/// What of the parent's traffic a macvlan interface gets, and where its own goes (`MACVLAN_MODE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MacvlanMode {
    /// Those on one parent never reach each other, not even by way of a switch.
    Private,
    /// Those on one parent reach each other if the switch sends frames back.
    Vepa,
    /// Those on one parent reach each other.
    Bridge,
    /// The only one on its parent, whose hardware address it bears.
    Passthru,
}

/// At which layer an ipvlan interface parts from its parent (`IPVLAN_MODE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IpvlanMode {
    /// The parent's Ethernet segment is the container's.
    L2,
    /// Routed by the parent.
    L3,
    /// Routed by the parent, and seen by the host's netfilter.
    L3s,
}

/// Whom an ipvlan interface reaches on the same parent (`IPVLAN_F_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IpvlanFlag {
    /// Everybody.
    Bridge,
    /// Nobody.
    Private,
    /// Whom the switch sends its frames back to.
    Vepa,
}

/// How an interface stands on its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// With a hardware address of its own.
    Macvlan(MacvlanMode),
    /// With its parent's.
    Ipvlan(IpvlanMode, IpvlanFlag),
}

impl Manner {
    /// The kernel's name for such interfaces.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan(..) => "ipvlan",
        }
    }
}

/// An interface to be made in a container's namespace, on one of the host's.
#[derive(Debug)]
pub(crate) struct Sublink<'a> {
    /// How it stands on its parent.
    pub(crate) manner: Manner,
    /// Index of the parent, in the namespace that is asked.
    pub(crate) parent: u32,
    /// The container's namespace.
    pub(crate) netns: BorrowedFd<'a>,
    /// Its number in the container; zero leaves it to the kernel.
    pub(crate) index: u32,
    /// Name in the container.
    pub(crate) name: &'a str,
    /// Hardware address; `None` leaves it to the kernel.
    pub(crate) mac: Option<MacAddr>,
    /// Largest packet; `None` means the parent's.
    pub(crate) mtu: Option<u32>,
}

/// Makes an interface on a parent. It is born in the container's namespace and never seen in the host's.
pub(crate) fn push_sublink(batch: &mut Batch, link: &Sublink<'_>) {
    let action = format!("creating the {} interface {}", link.manner.kind(), link.name);
    batch.push(action, NEWLINK, flag::ACK | flag::CREATE | flag::EXCL, |m| {
        header(m, link.index, false).text(attribute::IFNAME, link.name).u32(attribute::LINK, link.parent);
        if let Some(mac) = link.mac {
            m.bytes(attribute::ADDRESS, &mac.0);
        }
        if let Some(mtu) = link.mtu {
            m.u32(attribute::MTU, mtu);
        }
        m.u32(attribute::NET_NS_FD, link.netns.as_raw_fd().cast_unsigned());
        m.nested(attribute::LINKINFO, |m| {
            m.text(INFO_KIND, link.manner.kind()).nested(INFO_DATA, |m| match link.manner {
                Manner::Macvlan(mode) => {
                    m.u32(MODE, macvlan_mode(mode));
                }
                Manner::Ipvlan(mode, flags) => {
                    m.bytes(MODE, &ipvlan_mode(mode).to_ne_bytes());
                    m.bytes(FLAGS, &ipvlan_flag(flags).to_ne_bytes());
                }
            });
        });
    });
}

/// Makes an interface of the VLAN `id` on `parent`.
pub(crate) fn push_vlan(batch: &mut Batch, name: &str, parent: u32, id: u16) {
    let action = format!("creating the interface {name} of VLAN {id}");
    batch.push(action, NEWLINK, flag::ACK | flag::CREATE | flag::EXCL, |m| {
        header(m, 0, false).text(attribute::IFNAME, name).u32(attribute::LINK, parent).nested(
            attribute::LINKINFO,
            |m| {
                m.text(INFO_KIND, "vlan").nested(INFO_DATA, |m| {
                    m.bytes(VLAN_ID, &id.to_ne_bytes());
                });
            },
        );
    });
}

/// Makes an interface that leads nowhere.
pub(crate) fn push_dummy(batch: &mut Batch, name: &str) {
    batch.push(
        format!("creating the dummy interface {name}"),
        NEWLINK,
        flag::ACK | flag::CREATE | flag::EXCL,
        |m| {
            header(m, 0, false).text(attribute::IFNAME, name).nested(attribute::LINKINFO, |m| {
                m.text(INFO_KIND, "dummy");
            });
        },
    );
}

/// Sets the interface called `name` up.
pub(crate) fn push_up_by_name(batch: &mut Batch, name: &str) {
    batch.push(format!("setting {name} up"), SETLINK, flag::ACK, |m| {
        header(m, 0, true).text(attribute::IFNAME, name);
    });
}

const fn macvlan_mode(mode: MacvlanMode) -> u32 {
    match mode {
        MacvlanMode::Private => 1,
        MacvlanMode::Vepa => 2,
        MacvlanMode::Bridge => 4,
        MacvlanMode::Passthru => 8,
    }
}

const fn ipvlan_mode(mode: IpvlanMode) -> u16 {
    match mode {
        IpvlanMode::L2 => 0,
        IpvlanMode::L3 => 1,
        IpvlanMode::L3s => 2,
    }
}

const fn ipvlan_flag(flags: IpvlanFlag) -> u16 {
    match flags {
        IpvlanFlag::Bridge => 0,
        IpvlanFlag::Private => 1,
        IpvlanFlag::Vepa => 2,
    }
}

/// Calls an interface otherwise, as a container may that is allowed to.
#[cfg(test)]
pub(crate) fn rename(socket: &mut crate::netlink::Socket, index: u32, name: &str) {
    let mut batch = Batch::default();
    batch.push("renaming", SETLINK, flag::ACK, |m| {
        header(m, index, false).text(attribute::IFNAME, name);
    });
    socket.request(&mut batch).expect("renamed");
}
