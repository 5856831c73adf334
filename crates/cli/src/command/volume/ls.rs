//! `berth volume ls`

use api::Action;
use api::volume::{ListResponse, Volume};

use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;
use crate::format::list::{self, Columns, Row};
use crate::opts::filter;

pub(crate) static COMMAND: Command =
    Command::new("ls", "[OPTIONS]", "List volumes", Arity::None, |context, matches| {
        if matches.bool("cluster") {
            return Err(Error::said("--cluster: Swarm is out of scope for Berth; use Kubernetes"));
        }
        let mut answer: ListResponse = context
            .client()?
            .call(Action::VolumeList, "")
            .given("filters", &filter::encode(&matches.all("filter")))
            .fetch()?;
        answer.volumes.sort_by(|a, b| a.name.cmp(&b.name));
        let rows: Vec<Row> = answer.volumes.into_iter().map(row).collect();
        let format = match (matches.get("format"), matches.bool("quiet")) {
            ("" | "table", true) => "{{.Name}}",
            (format, _) => format,
        };
        list::print(context.out, format, &COLUMNS, &rows)
    })
    .aliases(&["list"])
    .paths(&["volume ls", "volume list"])
    .flags(&[&[
        Flag::bool("cluster", "Only volumes of a cluster"),
        Flag::filter().short('f'),
        Flag::format(),
        Flag::bool("quiet", "Only names").short('q'),
    ]]);

const COLUMNS: Columns = Columns {
    headers: &[
        ("Driver", "DRIVER"),
        ("Name", "VOLUME NAME"),
        ("Scope", "SCOPE"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Labels", "LABELS"),
        ("Links", "LINKS"),
        ("Size", "SIZE"),
        ("Group", "GROUP"),
        ("Availability", "AVAILABILITY"),
        ("Status", "STATUS"),
    ],
    default: "{{.Driver}}\t{{.Name}}",
    kind: "*formatter.volumeContext",
};

fn row(volume: Volume) -> Row {
    let unknown = || "N/A".to_owned();
    Row {
        fields: vec![
            ("Driver", volume.driver),
            ("Name", volume.name),
            ("Scope", volume.scope),
            ("Mountpoint", volume.mountpoint),
            ("Labels", list::labels(&volume.labels)),
            ("Links", unknown()),
            ("Size", unknown()),
            ("Group", unknown()),
            ("Availability", unknown()),
            ("Status", unknown()),
        ],
        labels: volume.labels,
        ..Row::default()
    }
}
