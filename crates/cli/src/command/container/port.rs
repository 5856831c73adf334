//! `berth port`

use api::Action;
use api::container::InspectResponse;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::Matches;

pub(crate) static COMMAND: Command = Command::new(
    "port",
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List published ports, or where one of them is published",
    Arity::Range(1, 2),
    port,
)
.paths(&["container port", "port"]);

fn port(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let name = matches.arg(0);
    let container: InspectResponse = context.client()?.call(Action::ContainerInspect, name).fetch()?;
    let wanted = (matches.args.len() == 2).then(|| with_protocol(matches.arg(1))).transpose()?;
    let mut lines: Vec<(u16, String)> = Vec::new();
    let mut known = false;
    for (port, bindings) in container.network_settings.ports.each() {
        let port = port.to_string();
        if wanted.as_ref().is_some_and(|wanted| *wanted != port) {
            continue;
        }
        let Some(bindings) = bindings else { continue };
        known = true;
        let number = port.split('/').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        for binding in bindings {
            let address = join(&binding.host_ip, &binding.host_port);
            let line = if wanted.is_some() { address } else { format!("{port} -> {address}") };
            lines.push((number, line));
        }
    }
    if wanted.is_some() && !known {
        return Err(Error::said(format!("Error: No public port '{}' published for {name}", matches.arg(1))));
    }
    lines.sort();
    lines.iter().try_for_each(|(_, line)| context.out.line(line))
}

fn with_protocol(text: &str) -> Result<String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if number.parse::<u16>().is_err() {
        return Err(Error::said(format!(
            "Error: invalid port ({number}): strconv.ParseUint: parsing \"{number}\": invalid syntax"
        )));
    }
    Ok(format!("{number}/{}", protocol.to_lowercase()))
}

/// `address:port`, with brackets around an IPv6 address.
fn join(address: &str, port: &str) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
