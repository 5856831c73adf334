//! `berth builder history`

use api::Action;
use buildkit::method;
use buildkit::proto::control::{
    BuildHistoryEvent, BuildHistoryRecord, BuildHistoryRequest, StatusRequest, StatusResponse,
    UpdateBuildHistoryRequest, UpdateBuildHistoryResponse,
};

use super::display::{Display, Progress};
use super::run::{connect, runtime};
use crate::command::Context;
use crate::error::{Error, Result};
use crate::flag::Matches;
use crate::format::list::{self, Columns, Row};
use crate::format::time::ago;

const COLUMNS: Columns = Columns {
    headers: &[
        ("Ref", "BUILD ID"),
        ("Name", "NAME"),
        ("Status", "STATUS"),
        ("CreatedAt", "CREATED AT"),
        ("CompletedAt", "COMPLETED AT"),
        ("Duration", "DURATION"),
        ("TotalSteps", "STEPS"),
        ("CompletedSteps", "COMPLETED STEPS"),
        ("CachedSteps", "CACHED STEPS"),
    ],
    default: "{{.Ref}}\t{{.Name}}\t{{.Status}}\t{{.CreatedAt}}\t{{.Duration}}",
    kind: "*history.lsContext",
};
/// Longest name that is shown whole.
const MAX_NAME: usize = 36;
/// Words of Docker's plug-in that are about Docker Desktop, or about what no build leaves here.
const FOREIGN: [&str; 4] = ["open", "export", "import", "trace"];

/// Lists builds, tells of one, or forgets some.
pub(crate) fn history(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let words: Vec<&str> = matches.args.iter().map(String::as_str).collect();
    let word = words.first().copied().unwrap_or("ls");
    let accepted: &[&str] = match word {
        "ls" => &["filter", "format", "no-trunc", "quiet"],
        "inspect" => &["format"],
        "logs" => &["progress"],
        "rm" => &["all"],
        _ => &[],
    };
    for flag in ["all", "filter", "format", "no-trunc", "progress", "quiet"] {
        if matches.given(flag).is_some() && !accepted.contains(&flag) {
            return Err(Error::said(format!("builder history {word}: --{flag} is none of its options")));
        }
    }
    match words.as_slice() {
        [] | ["ls"] => list(context, matches),
        ["rm"] if matches.bool("all") => {
            let all: Vec<String> =
                records(context, Vec::new())?.into_iter().map(|record| record.r#ref).collect();
            forget(context, &all)
        }
        ["rm", _, ..] if matches.bool("all") => {
            Err(Error::said("builder history rm: builds are named, or --all is given, not both"))
        }
        ["rm", names @ ..] if !names.is_empty() => {
            // all are looked up before one goes
            let found = |name: &&str| Ok(found(context, Some(name))?.r#ref);
            forget(context, &names.iter().map(found).collect::<Result<Vec<_>>>()?)
        }
        ["rm"] => Err(Error::said("builder history rm: no build is named")),
        ["inspect", name @ ..] if name.len() < 2 => {
            inspect(context, matches.get("format"), &found(context, name.first().copied())?)
        }
        ["logs", name @ ..] if name.len() < 2 => {
            logs(context, matches, found(context, name.first().copied())?.r#ref)
        }
        ["ls" | "inspect" | "logs", ..] => {
            Err(Error::said(format!("builder history {word}: too many words")))
        }
        [other, ..] if FOREIGN.contains(other) => Err(Error::said(format!(
            "builder history {other} is not supported by this version of Berth: inspect and logs tell of a build"
        ))),
        [other, ..] => {
            Err(Error::said(format!("builder history: unknown command {other:?}: ls, inspect, logs or rm")))
        }
    }
}

/// `name=value` in the daemon's language, all of which must hold.
fn filters(given: &[&str]) -> Result<Vec<String>> {
    let one = |filter: &&str| {
        let end = filter.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(filter.len());
        let (name, rest) = filter.split_at(end);
        let operators = [("!=", "!="), (">=", ">="), ("<=", "<="), ("=", "=="), (">", ">"), ("<", "<")];
        let found = operators.iter().find(|(operator, _)| rest.starts_with(operator));
        let Some((operator, said)) = found else {
            return Err(Error::said(format!("invalid filter {filter:?}: NAME=VALUE, !=, <, <=, > or >=")));
        };
        let value = rest[operator.len()..].replace('\\', "\\\\").replace('"', "\\\"");
        Ok(format!("{name}{said}\"{value}\""))
    };
    let all = given.iter().map(one).collect::<Result<Vec<_>>>()?.join(",");
    Ok(if all.is_empty() { Vec::new() } else { vec![all] })
}

fn list(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let records = records(context, filters(&matches.all("filter"))?)?;
    if matches.bool("quiet") {
        return records.iter().try_for_each(|record| context.out.line(&record.r#ref));
    }
    let format = matches.get("format");
    let whole = matches.bool("no-trunc") || !matches!(format, "" | "table");
    let rows: Vec<Row> = records.iter().rev().map(|record| row(record, whole)).collect();
    list::print(context.out, format, &COLUMNS, &rows)
}

/// What a build is called: what it was of, and up to which stage.
fn name(record: &BuildHistoryRecord) -> String {
    let attr =
        |name: &str| record.frontend_attrs.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let of = attr("context").or_else(|| attr("filename")).unwrap_or("Dockerfile");
    attr("target").map_or_else(|| of.to_owned(), |target| format!("{of} ({target})"))
}

fn row(record: &BuildHistoryRecord, whole: bool) -> Row {
    let mut name = name(record);
    if !whole && name.chars().count() > MAX_NAME {
        name = name.chars().take(MAX_NAME - 1).chain(['…']).collect();
    }
    let at = |at: &Option<buildkit::proto::Timestamp>| {
        at.as_ref().and_then(|at| jiff::Timestamp::new(at.seconds, at.nanos).ok())
    };
    let exact = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let (created, completed) = (at(&record.created_at), at(&record.completed_at));
    let shown =
        if whole { exact(created) } else { created.map(|at| ago(at.as_second())).unwrap_or_default() };
    Row {
        fields: vec![
            ("Ref", record.r#ref.clone()),
            ("Name", name),
            ("Status", status(record).to_owned()),
            ("CreatedAt", shown),
            ("CompletedAt", exact(completed)),
            ("Duration", duration(record)),
            ("TotalSteps", record.num_total_steps.to_string()),
            ("CompletedSteps", record.num_completed_steps.to_string()),
            ("CachedSteps", record.num_cached_steps.to_string()),
        ],
        ..Row::default()
    }
}

/// The build of this name or of the only one that begins so; the last without a name, and before that `^1`, `^2` ….
fn found(context: &Context<'_>, name: Option<&str>) -> Result<BuildHistoryRecord> {
    let mut records = records(context, Vec::new())?;
    let Some(name) = name else {
        return records.pop().ok_or_else(|| Error::said("the history knows no build"));
    };
    if let Some(back) = name.strip_prefix('^') {
        // so many before the last
        let back = if back.is_empty() { Some(1) } else { back.parse::<usize>().ok() };
        let place = back.and_then(|back| records.len().checked_sub(back)?.checked_sub(1));
        let place = place.ok_or_else(|| Error::said(format!("the history has no build {name}")))?;
        return Ok(records.swap_remove(place));
    }
    if let Some(place) = records.iter().position(|record| record.r#ref == name) {
        return Ok(records.swap_remove(place));
    }
    records.retain(|record| record.r#ref.starts_with(name));
    match (records.pop(), records.is_empty()) {
        (Some(record), true) => Ok(record),
        (Some(_), false) => Err(Error::said(format!("more than one build begins with {name:?}"))),
        (None, _) => Err(Error::said(format!("build {name} is not in the history"))),
    }
}

fn inspect(context: &Context<'_>, format: &str, record: &BuildHistoryRecord) -> Result<()> {
    if !matches!(format, "" | "pretty") {
        return list::print(context.out, format, &COLUMNS, &[row(record, true)]);
    }
    let attr = |name: &str| record.frontend_attrs.get(name).map(String::as_str).unwrap_or_default();
    let started = record.created_at.as_ref().and_then(|at| jiff::Timestamp::from_second(at.seconds).ok());
    let (total, cached) = (record.num_total_steps, record.num_cached_steps);
    let share = if total > 0 { cached * 100 / total } else { 0 };
    let file = if attr("filename").is_empty() { "Dockerfile" } else { attr("filename") };
    let lines = [
        ("Name:", record.r#ref.clone()),
        ("Context:", attr("context").to_owned()),
        ("Dockerfile:", file.to_owned()),
        ("Target:", attr("target").to_owned()),
        ("Started:", started.map(|at| at.to_string()).unwrap_or_default()),
        ("Duration:", duration(record)),
        ("Build Steps:", format!("{}/{total} ({share}% cached)", record.num_completed_steps)),
        ("Status:", status(record).to_owned()),
        ("Error:", record.error.as_ref().map(|error| error.message.clone()).unwrap_or_default()),
        ("Image:", record.exporter_response.get("containerimage.digest").cloned().unwrap_or_default()),
    ];
    let told = lines.iter().filter(|(_, value)| !value.is_empty());
    told.into_iter().try_for_each(|(name, value)| context.out.line(&format!("{name:<16}{value}")))
}

/// How a build went, as it was shown then.
fn logs(context: &Context<'_>, matches: &Matches, name: String) -> Result<()> {
    let progress = match matches.get("progress") {
        "" | "auto" => "plain",
        other => other,
    };
    let mut display = Display::new(context.out, Progress::parse(progress)?)?;
    let control = context.client()?.call(Action::Grpc, "").upgrade("h2c")?.1;
    let failed = |status: buildkit::Status| Error::said(status.message().to_owned());
    runtime()?.block_on(async {
        let channel = connect(control).await?;
        let request = StatusRequest { r#ref: name };
        let mut messages =
            channel.subscribe::<_, StatusResponse>(method::STATUS, request).await.map_err(failed)?;
        while let Some(message) = messages.message().await.map_err(failed)? {
            display.tell(&message);
        }
        display.end();
        Ok(())
    })
}

fn status(record: &BuildHistoryRecord) -> &'static str {
    match (&record.completed_at, &record.error) {
        (None, _) => "Running",
        (_, None) => "Completed",
        (_, Some(error)) if error.code == i32::from(buildkit::Code::Cancelled) => "Canceled",
        _ => "Error",
    }
}

fn duration(record: &BuildHistoryRecord) -> String {
    match (&record.created_at, &record.completed_at) {
        (Some(from), Some(to)) => {
            let millis = (to.seconds - from.seconds) * 1000 + i64::from((to.nanos - from.nanos) / 1_000_000);
            format!("{}.{}s", millis / 1000, millis % 1000 / 100)
        }
        _ => String::new(),
    }
}

fn records(context: &Context<'_>, filter: Vec<String>) -> Result<Vec<BuildHistoryRecord>> {
    let control = context.client()?.call(Action::Grpc, "").upgrade("h2c")?.1;
    runtime()?.block_on(async {
        let channel = connect(control).await?;
        let request = BuildHistoryRequest { early_exit: true, filter, ..Default::default() };
        let failed = |status: buildkit::Status| Error::said(status.message().to_owned());
        let mut events = channel
            .subscribe::<_, BuildHistoryEvent>(method::LISTEN_BUILD_HISTORY, request)
            .await
            .map_err(failed)?;
        let mut records = Vec::new();
        while let Some(event) = events.message().await.map_err(failed)? {
            records.extend(event.record);
        }
        Ok(records)
    })
}

fn forget(context: &Context<'_>, names: &[String]) -> Result<()> {
    let control = context.client()?.call(Action::Grpc, "").upgrade("h2c")?.1;
    runtime()?.block_on(async {
        let channel = connect(control).await?;
        for name in names {
            let request =
                UpdateBuildHistoryRequest { r#ref: name.clone(), delete: true, ..Default::default() };
            channel
                .ask::<_, UpdateBuildHistoryResponse>(method::UPDATE_BUILD_HISTORY, request)
                .await
                .map_err(|status| Error::said(status.message().to_owned()))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_said_in_the_daemon_s_language() {
        assert_eq!(filters(&[]).unwrap(), [""; 0]);
        let given = ["status=error", "ref!=a\"b", "duration>30s", "startedAt<=24h"];
        let said = "status==\"error\",ref!=\"a\\\"b\",duration>\"30s\",startedAt<=\"24h\"";
        assert_eq!(filters(&given).unwrap(), [said]);
        assert!(filters(&["status"]).is_err());
    }

    #[test]
    fn a_build_is_called_by_what_it_was_of() {
        let mut record = BuildHistoryRecord::default();
        assert_eq!(name(&record), "Dockerfile");
        record.frontend_attrs.insert("filename".into(), "other".into());
        record.frontend_attrs.insert("target".into(), "stage".into());
        assert_eq!(name(&record), "other (stage)");
        let long = "https://h/".to_owned() + &"x".repeat(50);
        record.frontend_attrs.insert("context".into(), long.clone());
        let field = |whole| row(&record, whole).fields.into_iter().find(|(key, _)| *key == "Name").unwrap().1;
        assert_eq!((field(false).chars().count(), field(true)), (MAX_NAME, format!("{long} (stage)")));
    }
}
