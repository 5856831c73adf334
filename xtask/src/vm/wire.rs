//! A wire between two guests: an Ethernet of their own, whose ends are sockets of qemu's.
//!
//! Frames go by datagrams, so that neither end waits for the other, and one that starts again finds the wire as it was.

use std::path::Path;

/// What the guests call their end of the wire.
pub(super) const WIRE: &str = "wire";

/// One of two guests on a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    First,
    Second,
}

impl Joined {
    pub(super) const BOTH: [Self; 2] = [Self::First, Self::Second];

    fn number(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Its address on the wire.
    pub(super) fn address(self) -> String {
        format!("10.9.0.{}", self.number())
    }

    pub(super) fn hardware_address(self) -> String {
        format!("52:54:00:be:00:0{}", self.number())
    }

    /// What qemu is told of the device; both guests' sockets are in `place`.
    pub(super) fn options(self, place: &Path) -> [String; 4] {
        let end = |host: Self| place.join(host.number().to_string()).display().to_string();
        let netdev = format!(
            "dgram,id={WIRE},local.type=unix,local.path={},remote.type=unix,remote.path={}",
            end(self),
            end(self.other())
        );
        let device = format!("virtio-net-pci,netdev={WIRE},mac={}", self.hardware_address());
        ["-netdev".into(), netdev, "-device".into(), device]
    }
}
