//! Ports of `EXPOSE`, once they are expanded.

/// `port[-port][/protocol]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first port.
    pub first: u16,
    /// The last port, no smaller.
    pub last: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
}

impl Ports {
    /// Each of them as an image's configuration writes it: `80/tcp`.
    pub fn each(&self) -> impl Iterator<Item = String> + '_ {
        (self.first..=self.last).map(|port| format!("{port}/{}", self.protocol))
    }
}

/// Reads one word of `EXPOSE`: a port or a range, with or without a protocol. As Docker does, it takes a
/// specification for publishing too (`127.0.0.1:8080:80`), of which only the container's ports count.
///
/// # Errors
/// What is wrong, in Docker's words.
pub fn parse(text: &str) -> Result<Ports, String> {
    let (places, protocol) = match text.split_once('/') {
        Some((places, protocol)) if !protocol.is_empty() => (places, protocol),
        Some((places, _)) => (places, "tcp"),
        None => (text, "tcp"),
    };
    let range = places.rsplit(':').next().unwrap_or_default();
    if range.is_empty() {
        return Err(format!("No port specified: {text}<empty>"));
    }
    let wrong = || format!("Invalid containerPort: {range}");
    let number = |text: &str| -> Option<u16> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?),
        None => {
            let port = number(range).ok_or_else(wrong)?;
            (port, port)
        }
    };
    if first > last {
        return Err(wrong());
    }
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        _ => return Err(format!("Invalid proto: {protocol}")),
    };
    Ok(Ports { first, last, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_ranges_and_protocols() {
        let all = |text: &str| parse(text).map(|ports| ports.each().collect::<Vec<_>>());
        assert_eq!(all("80").unwrap(), ["80/tcp"]);
        assert_eq!(all("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(all("8000-8002/sctp").unwrap(), ["8000/sctp", "8001/sctp", "8002/sctp"]);
        assert_eq!(all("127.0.0.1:80:8080").unwrap(), ["8080/tcp"]);
        assert_eq!(all("x").unwrap_err(), "Invalid containerPort: x");
        assert_eq!(all("9-8").unwrap_err(), "Invalid containerPort: 9-8");
        assert_eq!(all("80/icmp").unwrap_err(), "Invalid proto: icmp");
        assert!(all("70000").is_err() && all("").is_err() && all("+80").is_err());
    }
}
