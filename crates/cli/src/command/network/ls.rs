//! `berth network ls`

use api::Action;
use api::network::Network;

use crate::command::{Arity, Command};
use crate::flag::Flag;
use crate::format::list::{self, Columns, Row, short_id};
use crate::format::time;
use crate::opts::filter;

pub(crate) static COMMAND: Command =
    Command::new("ls", "[OPTIONS]", "List networks", Arity::None, |context, matches| {
        let mut networks: Vec<Network> = context
            .client()?
            .call(Action::NetworkList, "")
            .given("filters", &filter::encode(&matches.all("filter")))
            .fetch()?;
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        let rows: Vec<Row> =
            networks.into_iter().map(|network| row(network, matches.bool("no-trunc"))).collect();
        let format = match (matches.get("format"), matches.bool("quiet")) {
            ("" | "table", true) => "{{.ID}}",
            (format, _) => format,
        };
        list::print(context.out, format, &COLUMNS, &rows)
    })
    .aliases(&["list"])
    .paths(&["network ls", "network list"])
    .flags(&[&[
        Flag::filter().short('f'),
        Flag::format(),
        Flag::bool("no-trunc", "Don't shorten what is long"),
        Flag::bool("quiet", "Only IDs").short('q'),
    ]]);

const COLUMNS: Columns = Columns {
    headers: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
    ],
    default: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    kind: "*network.networkContext",
};

fn row(network: Network, whole: bool) -> Row {
    let id = if whole { network.id.clone() } else { short_id(&network.id).to_owned() };
    let created = time::go_local_of(&network.created);
    Row {
        fields: vec![
            ("ID", id),
            ("Name", network.name),
            ("Driver", network.driver),
            ("Scope", network.scope),
            ("IPv4", network.enable_ipv4.to_string()),
            ("IPv6", network.enable_ipv6.to_string()),
            ("Internal", network.internal.to_string()),
            ("Labels", list::labels(&network.labels)),
            ("CreatedAt", created.unwrap_or(network.created)),
        ],
        labels: network.labels,
        ..Row::default()
    }
}
