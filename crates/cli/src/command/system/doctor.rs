//! `berth system doctor`

use crate::command::{Arity, Command, Context};
use crate::doctor::{self, Check, Status};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::json::Json;
use crate::format::template::{Data, Format};

pub(crate) static COMMAND: Command = Command::new(
    "doctor",
    "[OPTIONS]",
    "Examine this machine: what containers need, what is missing, what to do",
    Arity::None,
    run,
)
.flags(&[&[
    Flag::format_object(),
    Flag::bool("no-daemon", "Look at the machine alone, and ask no daemon"),
    Flag::bool("quiet", "Only what is not as it should be").short('q'),
]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let client = if matches.bool("no-daemon") { None } else { Some(context.client()?) };
    let mut checks = doctor::examine(client);
    let worst = checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok);
    if matches.bool("quiet") {
        checks.retain(|check| check.status != Status::Ok);
    }
    match matches.get("format") {
        "" => context.out.text(&words(&checks))?,
        "json" => context.out.line(&document(&checks, worst).compact())?,
        template => {
            let format = Format::parse(template)?;
            for check in &checks {
                context.out.line(&format.render(Data::from_json(&object(check)))?)?;
            }
        }
    }
    if worst == Status::Fail { Err(Error::Exit(1)) } else { Ok(()) }
}

fn words(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        text.push_str(&format!("{:<4}  {:<width$}  {}\n", check.status.word(), check.name, check.found));
        if !check.advice.is_empty() {
            text.push_str(&format!("{:<4}  {:<width$}  → {}\n", "", "", check.advice));
        }
    }
    text
}

fn object(check: &Check) -> Json {
    let text = |text: &str| Json::String(text.to_owned());
    Json::Object(vec![
        ("Name".to_owned(), text(check.name)),
        ("Status".to_owned(), text(check.status.word())),
        ("Found".to_owned(), text(&check.found)),
        ("Advice".to_owned(), text(&check.advice)),
    ])
}

fn document(checks: &[Check], worst: Status) -> Json {
    Json::Object(vec![
        ("Status".to_owned(), Json::String(worst.word().to_owned())),
        ("Checks".to_owned(), Json::Array(checks.iter().map(object).collect())),
    ])
}
