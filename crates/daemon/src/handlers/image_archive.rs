//! Images as archives: load, import, save. All of it is streamed.

use api::Version;
use api::progress::Message;
use engine::Stream;
use engine::image::{ImportOptions, ImportSource, Progress};
use futures_util::{StreamExt as _, stream};
use tokio_util::io::ReaderStream;

use super::image::{of_platform, platform};
use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// Bytes of an archive that are sent at once.
const STEP: usize = 64 << 10;

/// `POST /images/load`
pub(crate) async fn load(asked: Asked, body: RequestBody) -> Result<Response> {
    if let Some(wanted) = platform(&asked)?
        && !wanted.fits("linux", oci::Platform::host().architecture.as_str(), "")
    {
        return Err(ApiError::not_implemented(format!(
            "loading an image for another platform than the host's ({wanted}) is not supported by this version of Berth"
        )));
    }
    let quiet = asked.query.flag_or("quiet", true);
    let progress = asked.engine().image_load(body.begun().await.reader(), quiet).await?;
    // As in Docker a load has begun with its first byte: what is wrong with the archive is said in the stream.
    let version = asked.version;
    Ok(lines(progress, move |step| convert::load_progress(step, version)))
}

/// `POST /images/create`: import (`fromSrc`), or pull (`fromImage`).
pub(crate) async fn create(asked: Asked, body: RequestBody) -> Result<Response> {
    let query = &asked.query;
    if let Some(image) = query.text("fromImage") {
        return super::registry::pull(&asked, image).await;
    }
    let source = match query.get("fromSrc").unwrap_or_default() {
        "-" => ImportSource::Client(body.begun().await.reader()),
        "" => return Err(ApiError::bad_request("neither fromImage nor fromSrc is given")),
        url => ImportSource::Url(url.to_owned()),
    };
    let options = ImportOptions {
        repository: query.get("repo").unwrap_or_default().to_owned(),
        tag: query.get("tag").unwrap_or_default().to_owned(),
        message: query.get("message").unwrap_or_default().to_owned(),
        changes: query.all("changes").map(str::to_owned).collect(),
        platform: query.get("platform").unwrap_or_default().to_owned(),
    };
    let progress = asked.engine().image_import(source, options).await?;
    messages(progress, asked.version).await
}

/// `GET /images/{name}/get` and `GET /images/get`
pub(crate) async fn save(asked: Asked) -> Result<Response> {
    let names: Vec<_> = match asked.param.as_str() {
        // Several in one parameter is how older clients wrote it.
        "" => asked.query.all("names").flat_map(|names| names.split(',')).map(str::to_owned).collect(),
        name => vec![name.to_owned()],
    };
    if names.iter().all(String::is_empty) {
        return Err(ApiError::bad_request("no image is named to save"));
    }
    if platform(&asked)?.is_some() {
        for name in &names {
            of_platform(&asked, name).await?;
        }
    }
    let archive = asked.engine().image_save(names).await?;
    Ok(response::stream(response::TAR, ReaderStream::with_capacity(archive, STEP)))
}

/// A failure before the first message has a status; a later one is the last message.
pub(crate) async fn messages(mut progress: Stream<Progress>, version: Version) -> Result<Response> {
    let first = progress.next().await.transpose()?;
    Ok(lines(stream::iter(first.map(Ok)).chain(progress).boxed(), move |step| {
        convert::progress(step, version)
    }))
}

fn lines(progress: Stream<Progress>, convert: impl Fn(Progress) -> Message + Send + 'static) -> Response {
    response::lines(progress.map(move |step| match step {
        Ok(step) => convert(step),
        Err(error) => Message::error(error.to_string()),
    }))
}
