//! `berth search`

use api::Action;
use api::image::SearchResult;

use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::format::list::{self, Columns, Row, ellipsis};
use crate::login;
use crate::opts::filter;

pub(crate) static COMMAND: Command =
    Command::new("search", "[OPTIONS] TERM", "Search a registry for images", Arity::Exactly(1), run).flags(
        &[&[
            Flag::filter().short('f'),
            Flag::string("format", "How to print each entry: this Go template"),
            Flag::int("limit", "The most results"),
            Flag::bool("no-trunc", "Don't shorten what is long"),
        ]],
    );

const COLUMNS: Columns = Columns {
    headers: &[
        ("Name", "NAME"),
        ("Description", "DESCRIPTION"),
        ("StarCount", "STARS"),
        ("IsOfficial", "OFFICIAL"),
    ],
    default: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
    kind: "*registry.searchContext",
};

/// Columns of a description.
const WIDTH: usize = 45;

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let term = matches.arg(0);
    // What has no registry in front is asked of Docker Hub.
    let domain = match term.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => oci::DEFAULT_DOMAIN,
    };
    let limit =
        matches.given("limit").filter(|limit| *limit != "0" && !limit.starts_with('-')).unwrap_or_default();
    let results: Vec<SearchResult> = context
        .client()?
        .call(Action::ImageSearch, "")
        .query("term", term)
        .given("limit", limit)
        .given("filters", &filter::encode(&matches.all("filter")))
        .header(login::header_of(&context.choice.config_dir, domain)?)
        .fetch()?;
    let whole = matches.bool("no-trunc");
    let format = matches.get("format");
    let table = format.is_empty() || format.starts_with("table");
    let rows: Vec<Row> = results.iter().map(|result| row(result, whole, table)).collect();
    list::print(context.out, format, &COLUMNS, &rows)
}

fn row(result: &SearchResult, whole: bool, table: bool) -> Row {
    let description = result.description.replace(['\n', '\r'], " ");
    let official = match (table, result.is_official) {
        (true, true) => "[OK]".to_owned(),
        (true, false) => String::new(),
        (false, official) => official.to_string(),
    };
    Row {
        fields: vec![
            ("Name", result.name.clone()),
            ("Description", if whole { description } else { ellipsis(&description, WIDTH) }),
            ("StarCount", result.star_count.to_string()),
            ("IsOfficial", official),
        ],
        ..Row::default()
    }
}
