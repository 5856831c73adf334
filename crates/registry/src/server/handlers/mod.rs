//! One file for each noun of the specification, and the way from a route to its handler.

mod blobs;
mod catalog;
mod manifests;
mod page;
mod referrers;
mod tags;
mod token;
mod ui;
mod uploads;

use hyper::header;
use hyper::{Method, StatusCode};

use super::auth::{Action, Need};
use super::error::{Code, Error, Result};
use super::events::{self, Event, Target};
use super::http::answer::{self, Answer};
use super::http::call::Call;
use super::http::route::Route;
use super::name::Name;

/// Answers a request.
pub(crate) async fn handle(call: Call, route: Route) -> Result<Answer> {
    let method = call.method.clone();
    if let Some(upstream) = &call.registry.upstream {
        upstream.refuse_pushes(&method, &route)?;
    }
    match (method, route) {
        (Method::GET | Method::HEAD, Route::Base) => {
            Ok(answer::status(StatusCode::OK).json(&serde_json::json!({})))
        }
        (Method::GET | Method::POST, Route::Token) => token::issue(call).await,
        (Method::GET | Method::HEAD, Route::Page(name)) => ui::page(&call, name.as_ref()).await,
        (Method::GET, Route::Catalog) => catalog::list(&call).await,
        (Method::GET, Route::Tags(name)) => tags::list(&call, &name).await,
        (Method::GET | Method::HEAD, Route::Manifest(name, reference)) => {
            manifests::get(&call, &name, &reference).await
        }
        (Method::PUT, Route::Manifest(name, reference)) => manifests::put(call, &name, reference).await,
        (Method::DELETE, Route::Manifest(name, reference)) => {
            manifests::delete(&call, &name, &reference).await
        }
        (Method::GET | Method::HEAD, Route::Blob(name, digest)) => blobs::get(&call, &name, &digest).await,
        (Method::DELETE, Route::Blob(name, digest)) => blobs::delete(&call, &name, &digest).await,
        (Method::POST, Route::Uploads(name)) => uploads::begin(call, &name).await,
        (Method::GET | Method::HEAD, Route::Upload(name, id)) => uploads::status(&call, &name, id).await,
        (Method::PATCH, Route::Upload(name, id)) => uploads::append(call, &name, id).await,
        (Method::PUT, Route::Upload(name, id)) => uploads::finish(call, &name, id).await,
        (Method::DELETE, Route::Upload(name, id)) => uploads::cancel(&call, &name, id).await,
        (Method::GET, Route::Referrers(name, digest)) => referrers::list(&call, &name, &digest).await,
        (_, route) => Err(unsupported(&route)),
    }
}

/// What a request needs: known before anything is looked up.
pub(crate) fn need<'a>(method: &Method, route: &'a Route) -> Option<Need<'a>> {
    const PULL: &[Action] = &[Action::Pull];
    const PUSH: &[Action] = &[Action::Push];
    const DELETE: &[Action] = &[Action::Delete];
    Some(match route {
        Route::Token => return None,
        Route::Base => Need::Base,
        Route::Catalog | Route::Page(None) => Need::Catalog,
        Route::Uploads(name) | Route::Upload(name, _) => Need::Repository(name, PUSH),
        Route::Tags(name) | Route::Referrers(name, _) | Route::Page(Some(name)) => {
            Need::Repository(name, PULL)
        }
        Route::Manifest(name, _) | Route::Blob(name, _) => match *method {
            Method::GET | Method::HEAD => Need::Repository(name, PULL),
            Method::DELETE => Need::Repository(name, DELETE),
            _ => Need::Repository(name, PUSH),
        },
    })
}

fn unsupported(route: &Route) -> Error {
    let allow = match route {
        Route::Base | Route::Page(_) => "GET, HEAD",
        Route::Catalog | Route::Tags(_) | Route::Referrers(..) => "GET",
        Route::Token => "GET, POST",
        Route::Manifest(..) => "GET, HEAD, PUT, DELETE",
        Route::Blob(..) => "GET, HEAD, DELETE",
        Route::Uploads(_) => "POST",
        Route::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
    };
    Error::new(Code::Unsupported, "the operation is unsupported").header(header::ALLOW, allow)
}

/// Deleting is switched on.
fn deletable(call: &Call) -> Result<()> {
    if call.registry.config.storage.delete {
        return Ok(());
    }
    Err(Error::new(
        Code::Unsupported,
        "this registry deletes nothing: storage.delete is false in its configuration",
    ))
}

/// Tells that something was done.
fn tell(call: &Call, action: events::Action, repository: &Name, target: Target) {
    call.registry.events.tell(Event {
        at: jiff::Timestamp::now(),
        action,
        repository: repository.clone(),
        target,
        user: call.caller.user().map(str::to_owned),
        peer: call.peer,
        agent: call.header(&header::USER_AGENT).map(str::to_owned),
    });
}
