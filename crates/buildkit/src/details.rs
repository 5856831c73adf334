//! What an error says beside its words: the lines of a source that it is about (BuildKit's `errdefs`).

use prost::Message;
use tonic::Status;

use crate::proto::{Any, pb, rpc};

/// How BuildKit calls the message; it is no JSON, whatever the name says.
const SOURCE: &str = "github.com/moby/buildkit/errdefs.Source+json";

/// Lines of a file (`errdefs.Source`).
#[derive(Clone, PartialEq, Message)]
pub struct Source {
    /// The file.
    #[prost(message, optional, tag = "1")]
    pub info: Option<pb::SourceInfo>,
    /// The lines.
    #[prost(message, repeated, tag = "2")]
    pub ranges: Vec<pb::Range>,
}

/// An error with lines.
pub fn with_source(status: &Status, source: &Source) -> Status {
    let detail = Any { type_url: SOURCE.to_owned(), value: source.encode_to_vec() };
    let (code, message) = (status.code(), status.message().to_owned());
    let all = rpc::Status { code: code.into(), message: message.clone(), details: vec![detail] };
    Status::with_details(code, message, all.encode_to_vec().into())
}

/// The lines of an error; none if what it says beside its words can't be read.
pub fn sources(status: &Status) -> Vec<Source> {
    let Ok(all) = rpc::Status::decode(status.details()) else { return Vec::new() };
    let sources = all.details.iter().filter(|detail| detail.type_url == SOURCE);
    sources.filter_map(|detail| Source::decode(&*detail.value).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_travel_with_an_error() {
        let info =
            pb::SourceInfo { filename: "Dockerfile".into(), data: b"RUN x".to_vec(), ..Default::default() };
        let source = Source { info: Some(info), ranges: vec![pb::Range::default()] };
        let status = with_source(&Status::unknown("no"), &source);
        assert_eq!((status.message(), status.code()), ("no", tonic::Code::Unknown));
        assert_eq!(sources(&status), [source]);
        assert_eq!(sources(&Status::unknown("no")), []);
        assert_eq!(sources(&Status::with_details(tonic::Code::Unknown, "", vec![255].into())), []);
    }
}
