//! The flows that a host tracks.

use anyhow::Result;

use super::Namespace;

/// One flow, as the kernel writes it.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// The line of `/proc/net/nf_conntrack`.
    pub line: String,
}

impl Tracked {
    /// Addresses of both directions.
    pub fn addresses(&self) -> Vec<&str> {
        let words = self.line.split_whitespace();
        words.filter_map(|word| word.strip_prefix("src=").or_else(|| word.strip_prefix("dst="))).collect()
    }

    /// Only addresses of a site's own machines take part in it, or the kernel itself spoke to a group (IGMP, MLD).
    pub fn is_of_the_segment(&self) -> bool {
        // The kernel writes IPv6 addresses in full.
        const OURS: [&str; 8] = [
            "198.51.100.",
            "203.0.113.",
            "127.",
            "2001:0db8:0051:",
            "2001:0db8:0009:",
            "fe80:",
            "ff02:",
            "0000:0000:0000:0000:0000:0000:0000:0001",
        ];
        let group = |ip: &&str| ip.starts_with("224.") || ip.starts_with("ff02:");
        self.addresses().iter().any(group)
            || self.addresses().iter().all(|ip| OURS.iter().any(|ours| ip.starts_with(ours)))
    }
}

/// The flows that are tracked in a namespace.
pub fn flows(netns: &Namespace) -> Result<Vec<Tracked>> {
    let text = netns.within(|| Ok(std::fs::read_to_string("/proc/thread-self/net/nf_conntrack")?))?;
    Ok(text.lines().map(|line| Tracked { line: line.to_owned() }).collect())
}
