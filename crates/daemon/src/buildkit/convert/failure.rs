//! A failed build, with the lines that it is about.

use buildkit::details::{self, Source};
use buildkit::{Status, proto::pb};
use engine::build::RemoteFailure;

/// As BuildKit says it.
pub(crate) fn failure(failure: &RemoteFailure) -> Status {
    let status = Status::unknown(failure.error.to_string());
    let Some(place) = &failure.place else { return status };
    let info = pb::SourceInfo {
        filename: place.file.clone(),
        data: place.text.clone(),
        language: "Dockerfile".to_owned(),
        ..Default::default()
    };
    let at = |line: usize| Some(pb::Position { line: i32::try_from(line).unwrap_or(i32::MAX), character: 0 });
    let range = pb::Range { start: at(place.lines.0), end: at(place.lines.1) };
    details::with_source(&status, &Source { info: Some(info), ranges: vec![range] })
}
