//! `berth history`

use api::Action;
use api::image::HistoryItem;

use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::format::list::{self, Columns, Row, ellipsis, short_id};
use crate::format::{time, units};

pub(crate) static COMMAND: Command =
    Command::new("history", "[OPTIONS] IMAGE", "Show how an image came to be", Arity::Exactly(1), run)
        .paths(&["image history", "history"])
        .flags(&[&[
            Flag::format(),
            Flag::bool("human", "Sizes and times for people").short('H').default("true"),
            Flag::bool("no-trunc", "Don't shorten what is long"),
            Flag::string(
                "platform",
                "Choose this platform of an image that has several (such as \"linux/amd64\")",
            ),
            Flag::bool("quiet", "Only IDs").short('q'),
        ]]);

const COLUMNS: Columns = Columns {
    headers: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    default: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    kind: "*image.historyContext",
};

/// Headers without `--human`.
const MACHINE: &[(&str, &str)] = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED AT"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let history: Vec<HistoryItem> = context
        .client()?
        .call(Action::ImageHistory, matches.arg(0))
        .given("platform", &super::platform_json(matches.get("platform")))
        .fetch()?;
    let (whole, human) = (matches.bool("no-trunc"), matches.bool("human"));
    let rows: Vec<Row> = history.iter().map(|item| row(item, whole, human)).collect();
    let format = if matches.bool("quiet") { "{{.ID}}" } else { matches.get("format") };
    let columns = Columns { headers: if human { COLUMNS.headers } else { MACHINE }, ..COLUMNS };
    list::print(context.out, format, &columns, &rows)
}

fn row(item: &HistoryItem, whole: bool, human: bool) -> Row {
    let created_at = time::rfc3339_local(item.created);
    let created_by = item.created_by.replace('\t', " ");
    Row {
        fields: vec![
            ("ID", if whole { item.id.clone() } else { short_id(&item.id).to_owned() }),
            ("CreatedSince", if human { time::ago(item.created) } else { created_at.clone() }),
            ("CreatedAt", created_at),
            ("CreatedBy", if whole { created_by } else { ellipsis(&created_by, 45) }),
            ("Size", if human { units::short_size(item.size) } else { item.size.to_string() }),
            ("Comment", item.comment.clone()),
        ],
        ..Row::default()
    }
}
