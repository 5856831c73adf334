//! Ports of a container, of which there may be very many: in a row they are one entry here ([`oci::ports`]), and come
//! and go one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use oci::ports::{Binding, Each, Folder, Value, each, each_of_set};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::PortBinding;
use crate::wire::Empty;

/// Container ports (`80/tcp`) with the host ports that lead to them; `null` where none does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortMap(pub BTreeMap<String, Option<Vec<PortBinding>>>);

impl PortMap {
    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Port by port.
    pub fn each(&self) -> impl Iterator<Item = (Each<'_>, Option<Vec<PortBinding>>)> {
        each(&self.0)
    }
}

impl Serialize for PortMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.each().map(|(port, bindings)| (port.to_string(), bindings)))
    }
}

impl<'de> Deserialize<'de> for PortMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Ports(|bindings| bindings)).map(Self)
    }
}

/// Container ports as a set, which Go writes as an object whose values are `{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(pub BTreeSet<String>);

impl PortSet {
    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for PortSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(each_of_set(&self.0).map(|port| (port.to_string(), Empty)))
    }
}

impl<'de> Deserialize<'de> for PortSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ports = deserializer.deserialize_map(Ports(|Empty| ()))?;
        Ok(Self(ports.into_keys().collect()))
    }
}

/// Reads ports one by one, and what belongs to each.
struct Ports<W, V>(fn(W) -> V);

impl<'de, W: Deserialize<'de>, V: Value> Visitor<'de> for Ports<W, V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of ports")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut folder = Folder::default();
        while let Some((port, value)) = map.next_entry::<String, W>()? {
            folder.push(port, (self.0)(value)).map_err(A::Error::custom)?;
        }
        Ok(folder.finish())
    }
}

impl Binding for PortBinding {
    fn host_ip(&self) -> &str {
        &self.host_ip
    }

    fn host_port(&self) -> &str {
        &self.host_port
    }

    fn with_port(&self, host_port: String) -> Self {
        Self { host_ip: self.host_ip.clone(), host_port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ports_take_no_room_and_are_written_as_they_were_read() {
        let one = |port: u16| format!(r#""{port}/tcp":[{{"HostIp":"","HostPort":"{port}"}}]"#);
        let json = format!("{{{}}}", (20_000..30_000).map(one).collect::<Vec<_>>().join(","));
        let ports: PortMap = serde_json::from_str(&json).unwrap();
        assert_eq!(ports.0.len(), 1);
        assert_eq!(serde_json::to_string(&ports).unwrap(), json);
        let names = |json: &str| {
            let parsed: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap();
            parsed.into_keys().collect::<Vec<_>>()
        };
        let set = serde_json::to_string(&PortSet(["20000-29999/tcp".to_owned()].into())).unwrap();
        assert_eq!(names(&set), names(&serde_json::to_string(&ports).unwrap()));
        let read: PortSet = serde_json::from_str(&set).unwrap();
        assert_eq!(read.0, ["20000-29999/tcp".to_owned()].into());
    }

    #[test]
    fn null_and_nothing_are_written_as_they_were_read() {
        let json = r#"{"443/tcp":null,"80/tcp":[],"81":[{"HostIp":"","HostPort":"8000-8010"}]}"#;
        let ports: PortMap = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&ports).unwrap(), json);
        assert!(serde_json::from_str::<PortMap>(r#"{"80/tcp":[{"HostPort":"80+"}]}"#).is_err());
        let set: PortSet = serde_json::from_str(r#"{"80/tcp":null,"81/tcp":{}}"#).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"{"80/tcp":{},"81/tcp":{}}"#);
    }
}
