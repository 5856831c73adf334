//! Images, apart from archives of them.

use engine::image::ImageListOptions;
use hyper::StatusCode;

use crate::convert;
use crate::error::Result;
use crate::request::Asked;
use crate::response::{self, Response};

/// `GET /images/json`
pub(crate) async fn list(asked: Asked) -> Result<Response> {
    let mut filters = convert::filters(&asked.filters()?);
    // Before 1.41 a name could be given beside the filters.
    if let Some(name) = asked.query.text("filter").filter(|_| !asked.since(41)) {
        filters.add("reference", name);
    }
    let options = ImageListOptions { all: asked.query.flag("all"), filters };
    let images = asked.engine().image_list(options).await?;
    let list: Vec<_> = images.iter().map(|image| convert::image_summary(image, asked.version)).collect();
    Ok(response::ok(&list))
}

/// `GET /images/{name}/json`
pub(crate) async fn inspect(asked: Asked) -> Result<Response> {
    let image = asked.engine().image_inspect(&asked.param).await?;
    Ok(response::ok(&convert::image_inspect(&image, asked.version)))
}

/// `GET /images/{name}/history`
pub(crate) async fn history(asked: Asked) -> Result<Response> {
    let history = asked.engine().image_history(&asked.param).await?;
    let list: Vec<_> = history.into_iter().map(convert::history).collect();
    Ok(response::ok(&list))
}

/// `POST /images/{name}/tag`
pub(crate) async fn tag(asked: Asked) -> Result<Response> {
    let query = &asked.query;
    let (repository, tag) = (query.get("repo").unwrap_or_default(), query.get("tag").unwrap_or_default());
    asked.engine().image_tag(&asked.param, repository, tag).await?;
    Ok(response::empty(StatusCode::CREATED))
}

/// `DELETE /images/{name}`
pub(crate) async fn remove(asked: Asked) -> Result<Response> {
    let query = &asked.query;
    let removed =
        asked.engine().image_remove(&asked.param, query.flag("force"), query.flag("noprune")).await?;
    let list: Vec<_> = removed.into_iter().map(convert::removed).collect();
    Ok(response::ok(&list))
}
