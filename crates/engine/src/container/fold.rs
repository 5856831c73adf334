//! Ports in a row, as one entry: a container that publishes ten thousand ports costs what one with one port does.
//!
//! Inside of the engine, and in records, `20000-29999/tcp` stands for all of these ports, and the host port `20000+` of
//! one of its bindings for as many host ports in the same order. Nobody outside sees that: what a client asked for one
//! by one, it is shown one by one.

use std::collections::{BTreeMap, BTreeSet};

use super::PortBinding;
use crate::error::{Error, Result};

/// Fewer ports stay as they are.
const FEW: usize = 64;
/// Stands behind the first of many host ports. No client may write it.
const ON: char = '+';

/// Folds exposed ports.
pub(crate) fn exposed(ports: &mut BTreeSet<String>) {
    if ports.len() < FEW {
        return;
    }
    let singles: BTreeMap<_, _> = ports.iter().filter_map(|port| Some((single(port)?, ()))).collect();
    let singles: Vec<_> = singles.into_iter().collect();
    for run in singles.chunk_by(|(a, ()), (b, ())| follows(a, b)).filter(|run| run.len() >= FEW) {
        for ((protocol, port), ()) in run {
            ports.remove(&format!("{port}/{protocol}"));
            if protocol == "tcp" {
                ports.remove(&port.to_string());
            }
        }
        ports.extend(name(run));
    }
}

/// Folds published ports.
///
/// # Errors
/// A host port is none.
pub(crate) fn published(ports: &mut BTreeMap<String, Vec<PortBinding>>) -> Result<()> {
    if let Some(binding) = ports.values().flatten().find(|binding| binding.host_port.contains(ON)) {
        return Err(Error::bad_parameter(format!("invalid port specification: \"{}\"", binding.host_port)));
    }
    if ports.len() < FEW {
        return Ok(());
    }
    let mut singles = BTreeMap::new();
    for (port, bindings) in ports.iter() {
        // `80` beside `80/tcp` is left as it is.
        if let Some(key) = single(port).filter(|_| port.contains('/')) {
            singles.insert(key, bindings.clone());
        }
    }
    let singles: Vec<_> = singles.into_iter().collect();
    let next = |(a, at): &(Key, Vec<PortBinding>), (b, bt): &(Key, Vec<PortBinding>)| {
        follows(a, b) && at.len() == bt.len() && at.iter().zip(bt).all(|(a, b)| goes_on(a, b))
    };
    for run in singles.chunk_by(next).filter(|run| run.len() >= FEW) {
        for ((protocol, port), _) in run {
            ports.remove(&format!("{port}/{protocol}"));
        }
        if let (Some(name), Some((_, first))) = (name(run), run.first()) {
            ports.insert(
                name,
                first.iter().map(|binding| many(&binding.host_ip, &binding.host_port)).collect(),
            );
        }
    }
    Ok(())
}

/// A binding of many ports, the first of which is on this host port.
pub(crate) fn many(host_ip: &str, first: &str) -> PortBinding {
    PortBinding { host_ip: host_ip.to_owned(), host_port: format!("{first}{ON}") }
}

/// The first host port of a binding that stands for many.
pub(crate) fn first_of_many(binding: &PortBinding) -> Option<u16> {
    binding.host_port.strip_suffix(ON)?.parse().ok()
}

/// Every exposed port, as it was asked for.
pub fn each_exposed(ports: &BTreeSet<String>) -> BTreeSet<String> {
    let mut each = BTreeSet::new();
    for port in ports {
        match range(port) {
            Some((low, high, protocol)) => each.extend((low..=high).map(|port| format!("{port}/{protocol}"))),
            None => drop(each.insert(port.clone())),
        }
    }
    each
}

/// Every published port, as it was asked for.
pub fn each_published(ports: &BTreeMap<String, Vec<PortBinding>>) -> BTreeMap<String, Vec<PortBinding>> {
    let mut each = BTreeMap::new();
    for (port, bindings) in ports {
        unfold(port, bindings, |port, bindings| drop(each.insert(port, bindings)));
    }
    each
}

/// Every port that a container has, with its bindings; those that are exposed only have none.
pub fn each_settled(
    ports: &BTreeMap<String, Option<Vec<PortBinding>>>,
) -> BTreeMap<String, Option<Vec<PortBinding>>> {
    let mut each: BTreeMap<String, Option<Vec<PortBinding>>> = BTreeMap::new();
    for (port, bindings) in ports {
        match bindings {
            // What is exposed may be folded in other places than what is published.
            None => unfold(port, &[], |port, _| {
                each.entry(port).or_insert(None);
            }),
            Some(bindings) => unfold(port, bindings, |port, bindings| {
                each.entry(port).or_insert(None).get_or_insert_default().extend(bindings);
            }),
        }
    }
    each
}

fn unfold(port: &str, bindings: &[PortBinding], mut hand: impl FnMut(String, Vec<PortBinding>)) {
    let folded = bindings.iter().all(|binding| binding.host_port.ends_with(ON));
    let Some((low, high, protocol)) = range(port).filter(|_| folded) else {
        return hand(port.to_owned(), bindings.to_vec());
    };
    for port in low..=high {
        let each = bindings.iter().map(|binding| PortBinding {
            host_ip: binding.host_ip.clone(),
            host_port: first_of_many(binding)
                .map_or_else(String::new, |first| first.saturating_add(port - low).to_string()),
        });
        hand(format!("{port}/{protocol}"), each.collect());
    }
}

/// Protocol and port.
type Key = (String, u16);

fn single(text: &str) -> Option<Key> {
    let (low, high, protocol) = super::parse_port(text).ok()?;
    (low == high).then(|| (protocol.to_owned(), low))
}

/// A range that we have made.
fn range(text: &str) -> Option<(u16, u16, &str)> {
    let range = super::parse_port(text).ok()?;
    (usize::from(range.1 - range.0) + 1 >= FEW).then_some(range)
}

fn follows(a: &Key, b: &Key) -> bool {
    a.0 == b.0 && a.1.checked_add(1) == Some(b.1)
}

/// Whether a port's binding is the one of the port before, one host port on.
fn goes_on(a: &PortBinding, b: &PortBinding) -> bool {
    let number = |binding: &PortBinding| binding.host_port.parse::<u16>().ok().filter(|port| *port != 0);
    let next = number(a).and_then(|port| port.checked_add(1));
    a.host_ip == b.host_ip && next.is_some() && next == number(b)
}

fn name<T>(run: &[(Key, T)]) -> Option<String> {
    let (((protocol, low), _), ((_, high), _)) = (run.first()?, run.last()?);
    Some(format!("{low}-{high}/{protocol}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(host_ip: &str, host_port: &str) -> PortBinding {
        PortBinding { host_ip: host_ip.into(), host_port: host_port.into() }
    }

    #[test]
    fn many_ports_are_one_entry_and_come_back_as_they_were() {
        let mut asked: BTreeMap<_, _> = (20_000..30_000u16)
            .map(|port| (format!("{port}/tcp"), vec![binding("", &(port + 1).to_string())]))
            .collect();
        asked.insert("80/tcp".into(), vec![binding("", "8080"), binding("127.0.0.1", "")]);
        asked.insert("29999/udp".into(), vec![]);
        let mut folded = asked.clone();
        published(&mut folded).unwrap();
        assert_eq!(folded.len(), 3);
        assert_eq!(folded["20000-29999/tcp"], [binding("", "20001+")]);
        assert_eq!(first_of_many(&folded["20000-29999/tcp"][0]), Some(20001));
        assert_eq!(each_published(&folded), asked);
        let mut ports: BTreeSet<String> = asked.keys().cloned().collect();
        exposed(&mut ports);
        assert_eq!(ports, ["20000-29999/tcp", "29999/udp", "80/tcp"].map(str::to_owned).into());
        assert_eq!(each_exposed(&ports), asked.keys().cloned().collect());
    }

    #[test]
    fn few_ports_and_those_without_order_stay() {
        let mut few: BTreeMap<_, _> = (1..40u16)
            .chain(50..80)
            .map(|port| (format!("{port}/tcp"), vec![binding("", &(9000 + port).to_string())]))
            .collect();
        let before = few.clone();
        published(&mut few).unwrap();
        assert_eq!(few, before);
        let mut same: BTreeMap<_, _> =
            (1..100u16).map(|port| (format!("{port}/tcp"), vec![binding("", "9000-9999")])).collect();
        let before = same.clone();
        published(&mut same).unwrap();
        assert_eq!(same, before);
        assert_eq!(each_published(&same), before);
        let mut wrong = BTreeMap::from([("80/tcp".to_owned(), vec![binding("", "80+")])]);
        assert!(published(&mut wrong).is_err());
    }

    #[test]
    fn what_is_published_is_not_hidden_by_what_is_exposed() {
        let settled = BTreeMap::from([
            ("100-199/tcp".to_owned(), Some(vec![binding("0.0.0.0", "1100+"), binding("::", "1100+")])),
            ("100-200/tcp".to_owned(), None),
        ]);
        let each = each_settled(&settled);
        assert_eq!(each.len(), 101);
        assert_eq!(each["199/tcp"], Some(vec![binding("0.0.0.0", "1199"), binding("::", "1199")]));
        assert_eq!(each["200/tcp"], None);
    }
}
