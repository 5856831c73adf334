//! `net_cls.classid` and `net_prio.ifpriomap` (`admin-guide/cgroup-v1/net_cls.rst`, `net_prio.rst`).

use super::super::dir::Dir;
use super::super::{Controller, Error, Network, Result};

pub(super) fn apply(cls: Option<&Dir>, prio: Option<&Dir>, network: &Network) -> Result<()> {
    if let Some(class) = network.class_id {
        let missing = Error::NoController { controller: Controller::NetCls, setting: "a network class" };
        cls.ok_or(missing)?.write("net_cls.classid", class)?;
    }
    for (interface, priority) in &network.priorities {
        let missing = Error::NoController { controller: Controller::NetPrio, setting: "a network priority" };
        prio.ok_or(missing)?.write("net_prio.ifpriomap", format_args!("{interface} {priority}"))?;
    }
    Ok(())
}
