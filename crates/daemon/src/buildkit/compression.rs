//! How layers are compressed, as exporters of images and of caches are told it.

use buildkit::Status;
use engine::build::Form;

/// What `compression` and `compression-level` of `what` mean; `None` when neither is said.
///
/// # Errors
/// There is no such compression, or it has no such level.
pub(super) fn form(what: &str, kind: Option<&str>, level: Option<&str>) -> Result<Option<Form>, Status> {
    let number = |most: i32| match level {
        None => Ok(None),
        Some(text) => match text.parse::<i32>() {
            Ok(level) if (0..=most).contains(&level) => Ok(Some(level)),
            _ => Err(Status::invalid_argument(format!("invalid value compression-level={text} of {what}"))),
        },
    };
    match kind {
        None if level.is_none() => Ok(None),
        None | Some("gzip") => Ok(Some(Form::Gzip(number(9)?.map(i32::cast_unsigned)))),
        Some("uncompressed") => number(0).map(|_| Some(Form::Plain)),
        Some("zstd") => Ok(Some(Form::Zstd(number(22)?))),
        Some(other) => Err(Status::unimplemented(format!(
            "attribute compression={other} of {what} is not supported by this version of Berth"
        ))),
    }
}
