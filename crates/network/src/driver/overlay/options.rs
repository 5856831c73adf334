//! The options of an overlay network.

use std::collections::BTreeMap;

use crate::driver::bridge::{flag, interface_prefix, mtu};
use crate::error::{Error, Result};
use crate::overlay::{MAX_VNI, OverlayOptions};

/// Prefix of most options.
const PREFIX: &str = "com.docker.network.";
/// Numbers in a list at most: a network has one number.
const MAX_NUMBERS: usize = 256;
/// Interfaces in containers, before their number.
const INTERFACE: &str = "eth";

/// Reads the options. What is unknown is refused: it would have no effect.
pub(crate) fn read(options: &BTreeMap<String, String>) -> Result<OverlayOptions> {
    let mut read =
        OverlayOptions { vnis: Vec::new(), mtu: None, encrypted: false, interface: INTERFACE.to_owned() };
    for (key, value) in options {
        match (key.as_str(), key.strip_prefix(PREFIX).unwrap_or_default()) {
            // Docker asks for the bare word.
            ("encrypted", _) => read.encrypted = value.is_empty() || flag(key, value)?,
            (_, "driver.overlay.vxlanid_list") => read.vnis = numbers(key, value)?,
            (_, "driver.mtu") => read.mtu = mtu(key, value)?,
            (_, "container_iface_prefix") => read.interface = interface_prefix(value)?,
            _ => {
                let shown: String = key.chars().take(64).collect();
                return Err(Error::Unsupported(format!(
                    "option {shown}={value} is not supported by networks of the driver overlay"
                )));
            }
        }
    }
    Ok(read)
}

/// Numbers between commas.
fn numbers(key: &str, value: &str) -> Result<Vec<u32>> {
    let wrong = || {
        let shown: String = value.chars().take(64).collect();
        Error::Invalid(format!("invalid vxlan id value passed in {key}: {shown:?}: must be 1 to {MAX_VNI}"))
    };
    let read = |text: &str| {
        let number = text.trim().parse().map_err(|_not_a_number| wrong())?;
        if (1..=MAX_VNI).contains(&number) { Ok(number) } else { Err(wrong()) }
    };
    if value.split(',').count() > MAX_NUMBERS {
        return Err(wrong());
    }
    value.split(',').map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<OverlayOptions> {
        read(&BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn options_are_read_in_dockers_words() {
        let none = read(&BTreeMap::new()).expect("none");
        assert_eq!((none.vnis.as_slice(), none.mtu, none.encrypted), (&[][..], None, false));
        let list = one("com.docker.network.driver.overlay.vxlanid_list", "4097, 4098").expect("list");
        assert_eq!(list.vnis, [4097, 4098]);
        assert_eq!(one("com.docker.network.driver.mtu", "1400").expect("mtu").mtu, Some(1400));
        assert!(one("encrypted", "").expect("word").encrypted);
        assert!(one("encrypted", "true").expect("flag").encrypted);
        assert!(!one("encrypted", "false").expect("flag").encrypted);
    }

    #[test]
    fn what_has_no_effect_or_no_meaning_is_refused() {
        for (key, value) in [
            ("com.docker.network.driver.overlay.vxlanid_list", ""),
            ("com.docker.network.driver.overlay.vxlanid_list", "0"),
            ("com.docker.network.driver.overlay.vxlanid_list", "16777216"),
            ("com.docker.network.driver.overlay.vxlanid_list", "5,x"),
            ("com.docker.network.driver.mtu", "9"),
            ("encrypted", "perhaps"),
            ("com.docker.network.bridge.name", "br0"),
            ("colour", "red"),
        ] {
            assert!(one(key, value).is_err(), "{key}={value}");
        }
        let many = vec!["7"; 1000].join(",");
        assert!(one("com.docker.network.driver.overlay.vxlanid_list", &many).is_err());
    }
}
