//! Container ports as image configurations and Docker write them (`80/tcp`), and many in a row as one entry: a
//! container that publishes ten thousand ports costs what one with one port does.
//!
//! In memory, and in records, `20000-29999/tcp` stands for all of these ports, and the host port `20000+` of one of its
//! bindings for as many host ports in the same order. Nobody outside sees that: [`Folder`] makes it of ports that come
//! one by one, [`each`] gives them back one by one.

mod each;
mod fold;
mod value;

pub use each::{Each, apart, each, each_of_set};
pub use fold::{Folder, fold};
pub use value::{Binding, Value, first_of_many, many};

/// What [`PortError::Invalid`] begins with.
pub const INVALID: &str = "invalid port specification: ";

/// Why a text names no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// No number from 1 to 65535, nor a range of them.
    #[error("{INVALID}\"{0}\"")]
    Invalid(String),
    /// No protocol that has ports.
    #[error("invalid proto: {0}")]
    Protocol(String),
}

/// A port range and its protocol: `80/tcp`, `8000-8010/udp`, `80` (tcp).
///
/// # Errors
/// It is none of that.
pub fn parse(text: &str) -> Result<(u16, u16, &str), PortError> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (low, high) = range.split_once('-').unwrap_or((range, range));
    let wrong = || PortError::Invalid(range.to_owned());
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong);
    let (low, high) = (number(low)?, number(high)?);
    if low > high {
        return Err(wrong());
    }
    match protocol {
        "tcp" | "udp" | "sctp" => Ok((low, high, protocol)),
        other => Err(PortError::Protocol(other.to_owned())),
    }
}

/// Fewer ports in a row stay as they are.
const FEW: u16 = 64;

/// A key that stands for many ports.
fn range(key: &str) -> Option<(u16, u16, &str)> {
    parse(key).ok().filter(|(low, high, _)| high - low >= FEW - 1)
}

/// A number from 1 to 65535 as it is written, and in no other way.
fn canonical(text: &str) -> Option<u16> {
    text.starts_with(|first: char| matches!(first, '1'..='9')).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Host(&'static str, String);

    impl Binding for Host {
        fn host_ip(&self) -> &str {
            self.0
        }

        fn host_port(&self) -> &str {
            &self.1
        }

        fn with_port(&self, host_port: String) -> Self {
            Self(self.0, host_port)
        }
    }

    fn on(host_ip: &'static str, host_port: impl ToString) -> Host {
        Host(host_ip, host_port.to_string())
    }

    type Map = BTreeMap<String, Option<Vec<Host>>>;

    fn folded(asked: &Map) -> Map {
        let mut folder = Folder::default();
        asked.iter().for_each(|(key, value)| folder.push(key.clone(), value.clone()).unwrap());
        folder.finish()
    }

    fn unfolded(map: &Map) -> Map {
        each(map).map(|(port, value)| (port.to_string(), value)).collect()
    }

    fn row(ports: impl Iterator<Item = u16>, host: impl Fn(u16) -> Vec<Host>) -> Map {
        ports.map(|port| (format!("{port}/tcp"), Some(host(port)))).collect()
    }

    #[test]
    fn ports_are_parsed_and_refused() {
        assert_eq!(parse("80").unwrap(), (80, 80, "tcp"));
        assert_eq!(parse("8000-8010/udp").unwrap(), (8000, 8010, "udp"));
        for wrong in ["0/tcp", "x", "70000", "9-8", "80/icmp", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn many_ports_are_one_entry_and_come_back_as_they_were() {
        let mut asked = row(20_000..30_000, |port| vec![on("", port + 1)]);
        asked.insert("80/tcp".into(), Some(vec![on("", 8080), on("127.0.0.1", "")]));
        asked.insert("29999/udp".into(), Some(vec![]));
        asked.insert("81/tcp".into(), None);
        let few = folded(&asked);
        assert_eq!(few.len(), 4);
        let first = few["20000-29999/tcp"].as_ref().unwrap();
        assert_eq!(first, &[on("", "20001+")]);
        assert_eq!(first_of_many(&first[0]), Some(20_001));
        assert_eq!(unfolded(&few), asked);
        assert_eq!(fold(few.clone()), few, "once is enough");
        let texts: Vec<_> = each(&few).map(|(port, _)| port.to_string()).collect();
        assert!(texts.is_sorted() && texts[0] == "20000/tcp", "as Go sorts them");
    }

    #[test]
    fn numbers_of_four_and_of_five_digits_make_one_row_each() {
        let asked = row(9_000..12_000, |port| vec![on("", port)]);
        let few = folded(&asked);
        assert_eq!(few.keys().collect::<Vec<_>>(), ["10000-11999/tcp", "9000-9999/tcp"]);
        assert_eq!(unfolded(&few), asked);
        let across = row(9_960..10_040, |port| vec![on("", port)]);
        assert_eq!(folded(&across).len(), 80, "the two are too short to come as rows");
        assert_eq!(fold(folded(&across)).keys().collect::<Vec<_>>(), ["9960-10039/tcp"]);
    }

    #[test]
    fn few_ports_and_those_without_order_stay() {
        for asked in [
            row((1..40).chain(50..80), |port| vec![on("", 9000 + port)]),
            row(1..100, |_| vec![on("", "9000-9999")]),
            row(100..200, |_| vec![on("", "")]),
            row(100..200, |port| vec![on("", format!("0{port}"))]),
            row(100..200, |port| vec![on("", 300 - port)]),
            (100..200).map(|port| (format!("0{port}/tcp"), Some(vec![on("", port)]))).collect(),
            (100..200).map(|port| (port.to_string(), Some(vec![on("", port)]))).collect(),
        ] {
            assert_eq!(folded(&asked), asked);
            assert_eq!(fold(asked.clone()), asked);
            assert_eq!(unfolded(&asked), asked);
        }
    }

    #[test]
    fn a_row_ends_where_the_bindings_do() {
        let mut asked = row(100..300, |port| vec![on("", port)]);
        asked.insert("180/tcp".into(), Some(vec![on("127.0.0.1", 180)]));
        let few = folded(&asked);
        assert_eq!(few.keys().collect::<Vec<_>>(), ["100-179/tcp", "180/tcp", "181-299/tcp"]);
        assert_eq!(unfolded(&few), asked);
    }

    #[test]
    fn nobody_outside_writes_what_stands_for_many() {
        let mut folder = Folder::default();
        let pushed = folder.push("80/tcp".to_owned(), vec![on("", "80+")]);
        assert_eq!(pushed.unwrap_err().to_string(), "invalid port specification: \"80+\"");
    }

    #[test]
    fn what_is_published_is_not_hidden_by_what_is_exposed() {
        let settled = Map::from([
            ("100-199/tcp".to_owned(), Some(vec![on("0.0.0.0", "1100+"), on("::", "1100+")])),
            ("100-200/tcp".to_owned(), None),
            ("150/tcp".to_owned(), Some(vec![on("127.0.0.1", 9)])),
        ]);
        let each = unfolded(&settled);
        assert_eq!(each.len(), 101);
        assert_eq!(each["199/tcp"], Some(vec![on("0.0.0.0", 1199), on("::", 1199)]));
        assert_eq!(each["150/tcp"].as_ref().map(Vec::len), Some(3));
        assert_eq!(each["200/tcp"], None);
    }

    #[test]
    fn a_set_is_a_map_to_nothing() {
        let mut folder = Folder::default();
        (20_000..30_000).for_each(|port| folder.push(format!("{port}/tcp"), ()).unwrap());
        folder.push("30000/tcp".to_owned(), ()).unwrap();
        folder.push("5/udp".to_owned(), ()).unwrap();
        let few = folder.finish();
        assert_eq!(few.keys().collect::<Vec<_>>(), ["20000-30000/tcp", "5/udp"]);
        assert_eq!(each(&few).count(), 10_002);
    }
}
