//! BuildKit's messages as `docker build --progress=rawjson` prints them: one JSON object a line, by Go's field names.

use buildkit::proto::Timestamp;
use buildkit::proto::control::StatusResponse;
use serde_json::{Map, Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) fn line(message: &StatusResponse) -> String {
    let vertexes = message.vertexes.iter().map(|vertex| {
        object([
            ("digest", vertex.digest.clone().into()),
            ("inputs", some(!vertex.inputs.is_empty(), || json!(vertex.inputs))),
            ("name", some(!vertex.name.is_empty(), || json!(vertex.name))),
            ("started", time(vertex.started.as_ref())),
            ("completed", time(vertex.completed.as_ref())),
            ("cached", some(vertex.cached, || json!(true))),
            ("error", some(!vertex.error.is_empty(), || json!(vertex.error))),
        ])
    });
    let statuses = message.statuses.iter().map(|status| {
        object([
            ("id", status.id.clone().into()),
            ("vertex", status.vertex.clone().into()),
            ("name", status.name.clone().into()),
            ("total", some(status.total != 0, || json!(status.total))),
            ("current", status.current.into()),
            ("timestamp", time(status.timestamp.as_ref())),
            ("started", time(status.started.as_ref())),
            ("completed", time(status.completed.as_ref())),
        ])
    });
    let logs = message.logs.iter().map(|log| {
        object([
            ("vertex", log.vertex.clone().into()),
            ("stream", log.stream.into()),
            ("data", STANDARD.encode(&log.msg).into()),
            ("timestamp", time(log.timestamp.as_ref())),
        ])
    });
    let warnings = message.warnings.iter().map(|warning| {
        object([
            ("vertex", warning.vertex.clone().into()),
            ("level", warning.level.into()),
            ("short", STANDARD.encode(&warning.short).into()),
            ("detail", json!(warning.detail.iter().map(|line| STANDARD.encode(line)).collect::<Vec<_>>())),
            ("url", some(!warning.url.is_empty(), || json!(warning.url))),
        ])
    });
    let lists: [(&str, Vec<Value>); 4] = [
        ("vertexes", vertexes.collect()),
        ("statuses", statuses.collect()),
        ("logs", logs.collect()),
        ("warnings", warnings.collect()),
    ];
    let all = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let all: Map<String, Value> = all.map(|(name, list)| (name.to_owned(), list.into())).collect();
    format!("{}\n", Value::from(all))
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn some(is: bool, value: impl FnOnce() -> Value) -> Value {
    if is { value() } else { Value::Null }
}

fn time(at: Option<&Timestamp>) -> Value {
    at.and_then(|at| jiff::Timestamp::new(at.seconds, at.nanos).ok())
        .map_or(Value::Null, |at| at.to_string().into())
}
