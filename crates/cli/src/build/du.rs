//! `berth builder du`: what the build cache takes, as BuildKit's clients show it.

use api::Action;
use buildkit::method;
use buildkit::proto::control::{DiskUsageRequest, DiskUsageResponse, UsageRecord};

use super::run::{connect, runtime};
use crate::command::Context;
use crate::error::{Error, Result};
use crate::flag::Matches;
use crate::flag::check::parse_duration;
use crate::format::list::{self, Columns, Row};
use crate::format::time::ago;
use crate::format::units::human_size;

/// Filters by when a record was used last, which the daemon is asked for by a number.
const AGES: [&str; 2] = ["until", "unused-for"];

const COLUMNS: Columns = Columns {
    headers: &[
        ("ID", "ID"),
        ("Reclaimable", "RECLAIMABLE"),
        ("Size", "SIZE"),
        ("LastUsedSince", "LAST ACCESSED"),
        ("Type", "TYPE"),
        ("Shared", "SHARED"),
        ("UsageCount", "USAGE"),
        ("Description", "DESCRIPTION"),
        ("Parents", "PARENTS"),
        ("Mutable", "MUTABLE"),
    ],
    default: "{{.ID}}\t{{.Reclaimable}}\t{{.Size}}\t{{.LastUsedSince}}",
    kind: "*formatter.buildCacheContext",
};

/// Lists the records, and sums them up.
pub(crate) fn du(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let (filter, unused) = filters(&matches.all("filter"))?;
    let mut records = records(context, DiskUsageRequest { filter, age_limit: unused })?;
    records.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    let sum = |wanted: &dyn Fn(&&UsageRecord) -> bool| -> i64 {
        records.iter().filter(wanted).map(|record| record.size).sum()
    };
    let shared = sum(&|record| record.shared);
    let private = sum(&|record| !record.shared);
    let reclaimable = sum(&|record| !record.in_use && !record.shared);
    if matches.bool("verbose") {
        records.iter().try_for_each(|record| context.out.line(&verbose(record)))?;
    } else {
        let rows: Vec<Row> = records.iter().map(row).collect();
        list::print(context.out, matches.get("format"), &COLUMNS, &rows)?;
        if !matches.get("format").is_empty() {
            return Ok(());
        }
    }
    // what images have, too, is theirs
    for (name, bytes) in
        [("Shared:", shared), ("Private:", private), ("Reclaimable:", reclaimable), ("Total:", private)]
    {
        context.out.line(&format!("{name:<16}{}", human_size(bytes)))?;
    }
    Ok(())
}

/// `name=value` in the daemon's language, all of which must hold; and for how many nanoseconds a record must not have
/// been used (`until`, `unused-for`), 0 for no matter how long. In the words of Docker's plug-in.
fn filters(given: &[&str]) -> Result<(Vec<String>, i64)> {
    let mut ages = given.iter().filter_map(|filter| {
        let (name, value) = filter.split_once('=')?;
        AGES.contains(&name).then_some((name, value))
    });
    let unused = match (ages.next(), ages.next()) {
        (None, _) => 0,
        (Some((name, value)), None) => parse_duration(value).map_err(|error| {
            Error::said(format!("\"{name}\" filter expects a duration (e.g., '24h'): {error}"))
        })?,
        (Some((one, _)), Some((other, _))) if one != other => {
            return Err(Error::said("conflicting filters \"until\" and \"unused-for\""));
        }
        _ => return Err(Error::said("filters expect only one value")),
    };
    let one = |filter: &&str| {
        let (name, value) = filter.split_once('=').unwrap_or((filter, ""));
        let quoted = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        match (name, value) {
            (name, "") => name.to_owned(),
            ("id", _) => format!("id~={quoted}"),
            (name, _) => format!("{name}=={quoted}"),
        }
    };
    let others =
        given.iter().filter(|filter| !filter.split_once('=').is_some_and(|(name, _)| AGES.contains(&name)));
    let all = others.map(one).collect::<Vec<_>>().join(",");
    Ok((if all.is_empty() { Vec::new() } else { vec![all] }, unused))
}

fn records(context: &Context<'_>, request: DiskUsageRequest) -> Result<Vec<UsageRecord>> {
    let control = context.client()?.call(Action::Grpc, "").upgrade("h2c")?.1;
    runtime()?.block_on(async {
        let channel = connect(control).await?;
        let answer = channel.ask::<_, DiskUsageResponse>(method::DISK_USAGE, request).await;
        answer.map(|answer| answer.record).map_err(|status| Error::said(status.message().to_owned()))
    })
}

fn row(record: &UsageRecord) -> Row {
    let used = record.last_used_at.as_ref().or(record.created_at.as_ref());
    Row {
        fields: vec![
            // as in BuildKit's clients, a star is for what may still change
            ("ID", format!("{}{}", record.id, if record.mutable { "*" } else { "" })),
            ("Reclaimable", (!record.in_use).to_string()),
            ("Size", format!("{}{}", human_size(record.size), if record.shared { "*" } else { "" })),
            ("LastUsedSince", used.map(|at| ago(at.seconds)).unwrap_or_default()),
            ("Type", record.record_type.clone()),
            ("Shared", record.shared.to_string()),
            ("UsageCount", record.usage_count.to_string()),
            ("Description", record.description.clone()),
            ("Parents", record.parents.join(", ")),
            ("Mutable", record.mutable.to_string()),
        ],
        ..Row::default()
    }
}

fn verbose(record: &UsageRecord) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<16}{value}\n");
    line("ID:", record.id.clone());
    if !record.parents.is_empty() {
        line("Parents:", record.parents.join(", "));
    }
    let moment = |at: &buildkit::proto::Timestamp| jiff::Timestamp::new(at.seconds, at.nanos).ok();
    if let Some(at) = record.created_at.as_ref().and_then(moment) {
        line("Created at:", at.to_string());
    }
    line("Mutable:", record.mutable.to_string());
    line("Reclaimable:", (!record.in_use).to_string());
    line("Shared:", record.shared.to_string());
    line("Size:", human_size(record.size));
    if !record.description.is_empty() {
        line("Description:", record.description.clone());
    }
    line("Usage count:", record.usage_count.to_string());
    if let Some(at) = &record.last_used_at {
        line("Last used:", ago(at.seconds));
    }
    line("Type:", record.record_type.clone());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_said_in_the_daemon_s_language() {
        assert_eq!(filters(&[]).unwrap(), (Vec::new(), 0));
        let given = ["type=regular", "id=ab", "shared", "description=a \"b\""];
        let said = "type==\"regular\",id~=\"ab\",shared,description==\"a \\\"b\\\"\"";
        assert_eq!(filters(&given).unwrap(), (vec![said.to_owned()], 0));
        let hour = 3_600_000_000_000;
        assert_eq!(filters(&["until=1h"]).unwrap(), (Vec::new(), hour));
        assert_eq!(filters(&["unused-for=1h", "shared"]).unwrap(), (vec!["shared".to_owned()], hour));
        for (wrong, why) in [
            (&["until=yesterday"][..], "expects a duration"),
            (&["until="], "expects a duration"),
            (&["until=1h", "unused-for=1h"], "conflicting"),
            (&["until=1h", "until=2h"], "only one value"),
        ] {
            assert!(filters(wrong).unwrap_err().to_string().contains(why), "{wrong:?}");
        }
    }
}
