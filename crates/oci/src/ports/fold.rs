//! Many ports in a row become one entry.

use std::collections::BTreeMap;

use super::{FEW, PortError, Value, canonical, parse, range};

/// Folds ports as they come. Of a row, no more than its first port is kept.
#[derive(Debug)]
pub struct Folder<V> {
    folded: BTreeMap<String, V>,
    open: Option<Row<V>>,
}

/// Ports in a row, in which each has what the first has, moved.
#[derive(Debug)]
struct Row<V> {
    protocol: &'static str,
    low: u16,
    high: u16,
    first: V,
}

impl<V> Default for Folder<V> {
    fn default() -> Self {
        Self { folded: BTreeMap::new(), open: None }
    }
}

impl<V: Value> Folder<V> {
    /// Takes a port from outside.
    ///
    /// # Errors
    /// It is written as only we write.
    pub fn push(&mut self, port: String, value: V) -> Result<(), PortError> {
        if let Some(ours) = value.ours() {
            return Err(PortError::Invalid(ours.to_owned()));
        }
        self.add(port, value);
        Ok(())
    }

    /// All of them.
    #[must_use]
    pub fn finish(mut self) -> BTreeMap<String, V> {
        self.close();
        self.folded
    }

    fn add(&mut self, port: String, value: V) {
        let Some((protocol, number)) = single(&port) else {
            self.folded.insert(port, value);
            return;
        };
        match &mut self.open {
            Some(row) if row.goes_on(protocol, number, &value) => row.high = number,
            _ => {
                self.close();
                self.open = Some(Row { protocol, low: number, high: number, first: value });
            }
        }
    }

    fn close(&mut self) {
        let Some(Row { protocol, low, high, first }) = self.open.take() else { return };
        if high - low >= FEW - 1 {
            self.folded.insert(format!("{low}-{high}/{protocol}"), first.of_many());
            return;
        }
        for port in low + 1..=high {
            self.folded.insert(format!("{port}/{protocol}"), first.moved(port - low));
        }
        self.folded.insert(format!("{low}/{protocol}"), first);
    }
}

impl<V: Value> Row<V> {
    fn goes_on(&self, protocol: &str, number: u16, value: &V) -> bool {
        self.protocol == protocol
            && self.high.checked_add(1) == Some(number)
            && self.first.goes_on(value, number - self.low)
    }
}

/// Folds what is still single among entries of ours.
#[must_use]
pub fn fold<V: Value>(ports: BTreeMap<String, V>) -> BTreeMap<String, V> {
    if ports.len() < usize::from(FEW) {
        return ports;
    }
    let mut folder = Folder::default();
    let mut singles = Vec::with_capacity(ports.len());
    for (port, value) in ports {
        match single(&port) {
            Some(key) if value.ours().is_none() => singles.push((key, value)),
            _ => drop(folder.folded.insert(port, value)),
        }
    }
    singles.sort_by_key(|(key, _)| *key);
    for ((protocol, number), value) in singles {
        folder.add(format!("{number}/{protocol}"), value);
    }
    folder.finish()
}

/// The protocol and the number of a port that is written as we would. `80` beside `80/tcp` is left as it is.
fn single(text: &str) -> Option<(&'static str, u16)> {
    let (number, _) = text.split_once('/')?;
    let number = canonical(number)?;
    let (_, _, protocol) = parse(text).ok()?;
    Some((["tcp", "udp", "sctp"].into_iter().find(|known| *known == protocol)?, number))
}

/// How many ports an entry stands for, the first of them, and their protocol; `None`: it is one, as it is written.
pub(super) fn unfold<'k, V: Value>(key: &'k str, value: &V) -> Option<(u16, u16, &'k str)> {
    if value.is_of_many() { range(key) } else { None }
}
