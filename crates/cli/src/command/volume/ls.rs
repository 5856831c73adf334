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
        // Docker's columns, and one more where it has something to say
        let protected = answer.volumes.iter().any(|volume| volume.protected);
        let columns = if protected { &PROTECTED } else { &COLUMNS };
        let told = protected || matches.get("format").contains("Protected");
        let rows: Vec<Row> = answer.volumes.into_iter().map(|volume| row(volume, told)).collect();
        let format = match (matches.get("format"), matches.bool("quiet")) {
            ("" | "table", true) => "{{.Name}}",
            (format, _) => format,
        };
        list::print(context.out, format, columns, &rows)
    })
    .aliases(&["list"])
    .paths(&["volume ls", "volume list"])
    .flags(&[&[
        Flag::bool("cluster", "Only volumes of a cluster"),
        Flag::filter().short('f'),
        Flag::format(),
        Flag::bool("quiet", "Only names").short('q'),
    ]]);

const HEADERS: &[(&str, &str)] = &[
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
    ("Protected", "PROTECTED"),
];

const COLUMNS: Columns =
    Columns { headers: HEADERS, default: "{{.Driver}}\t{{.Name}}", kind: "*formatter.volumeContext" };

const PROTECTED: Columns = Columns { default: "{{.Driver}}\t{{.Name}}\t{{.Protected}}", ..COLUMNS };

fn row(volume: Volume, told: bool) -> Row {
    let unknown = || "N/A".to_owned();
    let mut row = Row {
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
    };
    if told {
        row.fields.push(("Protected", volume.protected.to_string()));
    }
    row
}
