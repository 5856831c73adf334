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

/// Lists builds, tells of one, or forgets some.
pub(crate) fn history(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let words: Vec<&str> = matches.args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["ls"] => list(context, matches.bool("quiet")),
        ["rm"] if matches.bool("all") => {
            let all: Vec<String> = records(context)?.into_iter().map(|record| record.r#ref).collect();
            forget(context, &all)
        }
        ["rm", names @ ..] if !names.is_empty() => {
            forget(context, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        }
        ["rm"] => Err(Error::said("builder history rm: no build is named")),
        ["inspect", name @ ..] if name.len() < 2 => inspect(context, &found(context, name.first().copied())?),
        ["logs", name @ ..] if name.len() < 2 => {
            logs(context, matches, found(context, name.first().copied())?.r#ref)
        }
        ["inspect" | "logs", ..] => Err(Error::said("builder history: one build at a time")),
        [other, ..] => {
            Err(Error::said(format!("builder history: unknown command {other:?}: ls, inspect, logs or rm")))
        }
    }
}

fn list(context: &Context<'_>, quiet: bool) -> Result<()> {
    let records = records(context)?;
    if quiet {
        return records.iter().try_for_each(|record| context.out.line(&record.r#ref));
    }
    context.out.line(&format!("{:<34}{:<12}{:<10}{:<9}TARGET", "BUILD ID", "STATUS", "DURATION", "STEPS"))?;
    for record in records.iter().rev() {
        let steps = format!("{}/{}", record.num_completed_steps, record.num_total_steps);
        let attrs = &record.frontend_attrs;
        let target =
            attrs.get("target").or_else(|| attrs.get("filename")).map_or("Dockerfile", String::as_str);
        context.out.line(&format!(
            "{:<34}{:<12}{:<10}{steps:<9}{target}",
            record.r#ref,
            status(record),
            duration(record)
        ))?;
    }
    Ok(())
}

/// The build of this name or of the only one that begins so; without a name the last.
fn found(context: &Context<'_>, name: Option<&str>) -> Result<BuildHistoryRecord> {
    let mut records = records(context)?;
    let Some(name) = name else {
        return records.pop().ok_or_else(|| Error::said("the history knows no build"));
    };
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

fn inspect(context: &Context<'_>, record: &BuildHistoryRecord) -> Result<()> {
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

fn records(context: &Context<'_>) -> Result<Vec<BuildHistoryRecord>> {
    let control = context.client()?.call(Action::Grpc, "").upgrade("h2c")?.1;
    runtime()?.block_on(async {
        let channel = connect(control).await?;
        let request = BuildHistoryRequest { early_exit: true, ..Default::default() };
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
