//! `berth builder history`

use api::Action;
use buildkit::method;
use buildkit::proto::control::{
    BuildHistoryEvent, BuildHistoryRecord, BuildHistoryRequest, UpdateBuildHistoryRequest,
    UpdateBuildHistoryResponse,
};

use super::run::{connect, runtime};
use crate::command::Context;
use crate::error::{Error, Result};
use crate::flag::Matches;

/// Lists builds, or forgets some.
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
        [other, ..] => Err(Error::said(format!("builder history: unknown command {other:?}: ls or rm"))),
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
