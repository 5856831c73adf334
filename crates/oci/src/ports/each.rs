//! Entries that stand for many ports, port by port.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use super::Value;
use super::fold::unfold;

/// The name of one port, as it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Each<'a> {
    /// The protocol of a port with a number, or else the whole name.
    name: &'a str,
    number: Option<u16>,
}

impl Each<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let mut buffers = [[0; 5]; 2];
        let [a, b] = &mut buffers;
        self.bytes(a).cmp(other.bytes(b))
    }

    /// What the name consists of; `digits` has room for its number.
    fn bytes<'b>(&'b self, digits: &'b mut [u8; 5]) -> impl Iterator<Item = u8> + 'b {
        let digits = self.number.map_or(&[][..], |number| decimal(number, digits));
        let slash = self.number.map(|_| b'/');
        digits.iter().copied().chain(slash).chain(self.name.bytes())
    }
}

impl fmt::Display for Each<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "{number}/{}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// Every port, with what belongs to it, in the order of their names. They are made as they are asked for: what is kept
/// meanwhile are some bytes for each.
pub fn each<'a, K, V>(
    entries: impl IntoIterator<Item = (&'a K, &'a V)>,
) -> impl Iterator<Item = (Each<'a>, V)>
where
    K: AsRef<str> + 'a,
    V: Value + 'a,
{
    let mut all = Vec::new();
    for (key, value) in entries {
        let key = key.as_ref();
        match unfold(key, value) {
            Some((low, high, name)) => {
                let one = |port| (Each { name, number: Some(port) }, port - low, value);
                all.extend((low..=high).map(one));
            }
            None => all.push((Each { name: key, number: None }, 0, value)),
        }
    }
    all.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let mut all = all.into_iter().peekable();
    std::iter::from_fn(move || {
        let own = |each: &Each<'_>, distance, value: &V| {
            if each.number.is_some() { value.moved(distance) } else { value.clone() }
        };
        let (port, distance, value) = all.next()?;
        let mut sum = own(&port, distance, value);
        while let Some((same, distance, value)) = all.next_if(|(next, ..)| next.cmp(&port).is_eq()) {
            sum = sum.with(own(&same, distance, value));
        }
        Some((port, sum))
    })
}

/// A number in decimal digits.
fn decimal(mut number: u16, digits: &mut [u8; 5]) -> &[u8] {
    let mut at = digits.len();
    while at > 0 && (number > 0 || at == 5) {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    &digits[at..]
}

/// A set of ports, one by one.
pub fn each_of_set<'a>(set: impl IntoIterator<Item = &'a String>) -> impl Iterator<Item = Each<'a>> {
    each(set.into_iter().map(|port| (port, &()))).map(|(port, ())| port)
}

/// Entries in which every port stands for itself.
#[must_use]
pub fn apart<V: Value>(ports: &BTreeMap<String, V>) -> BTreeMap<String, V> {
    each(ports).map(|(port, value)| (port.to_string(), value)).collect()
}
