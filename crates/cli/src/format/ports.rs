//! A container's ports in one line: `0.0.0.0:8080->80/tcp, 443/tcp`, runs of numbers as ranges.

use api::container::Port;

/// A run of equal ports inside and outside, of one address and protocol.
struct Run {
    ip: String,
    kind: String,
    first: u16,
    last: u16,
}

impl Run {
    fn text(&self) -> String {
        let numbers = if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}-{}", self.first, self.last)
        };
        if self.ip.is_empty() {
            return format!("{numbers}/{}", self.kind);
        }
        format!("{}->{numbers}/{}", host_port(&self.ip, &numbers), self.kind)
    }
}

fn host_port(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// The line.
pub(crate) fn display(ports: &[Port]) -> String {
    let mut ports: Vec<&Port> = ports.iter().collect();
    ports.sort_by(|a, b| {
        (a.private_port, &a.ip, a.public_port, &a.kind).cmp(&(b.private_port, &b.ip, b.public_port, &b.kind))
    });
    let (mut done, mut open, mut mapped) = (Vec::new(), Vec::<Run>::new(), Vec::new());
    for port in ports {
        if port.public_port != 0 && port.public_port != port.private_port {
            let outside = host_port(&port.ip, &port.public_port.to_string());
            mapped.push(format!("{outside}->{}/{}", port.private_port, port.kind));
            continue;
        }
        let ip = if port.public_port == 0 { "" } else { port.ip.as_str() };
        let found = open.iter_mut().find(|run| run.ip == ip && run.kind == port.kind);
        match found {
            Some(run) if port.private_port == run.last.saturating_add(1) => run.last = port.private_port,
            Some(run) if port.private_port == run.last => {}
            Some(run) => {
                done.push(run.text());
                (run.first, run.last) = (port.private_port, port.private_port);
            }
            None => open.push(Run {
                ip: ip.to_owned(),
                kind: port.kind.clone(),
                first: port.private_port,
                last: port.private_port,
            }),
        }
    }
    done.extend(open.iter().map(Run::text));
    done.extend(mapped);
    done.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, public_port: u16, private_port: u16) -> Port {
        Port { ip: ip.into(), public_port, private_port, kind: "tcp".into() }
    }

    #[test]
    fn runs_and_mappings() {
        assert_eq!(display(&[port("", 0, 81), port("", 0, 80), port("", 0, 90)]), "80-81/tcp, 90/tcp");
        let both = [port("0.0.0.0", 8080, 80), port("::", 8080, 80)];
        assert_eq!(display(&both), "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
        let same = [port("0.0.0.0", 80, 80), port("0.0.0.0", 81, 81)];
        assert_eq!(display(&same), "0.0.0.0:80-81->80-81/tcp");
    }
}
