//! Connections that go on in gRPC: `POST /session`, on which the daemon asks, and `POST /grpc`, on which it answers.

use std::sync::Arc;

use api::Action;
use buildkit::grpc::Rewound;
use bytes::Bytes;
use hyper::header::UPGRADE;
use hyper::{HeaderMap, StatusCode};
use tokio::io::AsyncWriteExt as _;

use super::Transport;
use super::head::Head;
use super::hijack::{common_headers, write_whole};
use crate::app::App;
use crate::authz::Case;
use crate::buildkit::{Control, sessions};
use crate::error::{ApiError, Result};
use crate::router;

/// Serves the request if its connection goes on in gRPC; otherwise gives the connection back.
pub(super) async fn serve(
    app: &Arc<App>,
    mut io: Box<dyn Transport>,
    head: &Head,
    held: &Bytes,
    case: &mut Option<Case>,
) -> Option<Box<dyn Transport>> {
    let target = &head.target;
    let found =
        router::find(Arc::clone(app), &head.method, target.path(), target.query(), head.headers.clone());
    let action = match &found {
        Ok((action @ (Action::Session | Action::Grpc), _)) => *action,
        _ => return Some(io),
    };
    let admitted = match case {
        Some(case) => admit(case).await,
        None => Ok(()),
    };
    let outcome = match admitted.and_then(|()| open(app, action, head)) {
        Ok(opened) => {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{}\r\n",
                common_headers()
            );
            match io.write_all(answer.as_bytes()).await {
                Ok(()) => go_on(Arc::clone(app), opened, Rewound::new(held.to_vec(), io)).await,
                Err(error) => Err(error.to_string()),
            }
        }
        Err(error) => {
            let body = serde_json::to_vec(&error.body()).unwrap_or_default();
            write_whole(&mut io, error.status(), true, &body).await.map_err(|error| error.to_string())
        }
    };
    if let Err(error) = outcome {
        tracing::debug!("connection to {} ended: {error}", target.path());
    }
    None
}

/// What travels on the connection is for nobody else to see: it is judged before it begins.
async fn admit(case: &mut Case) -> Result<()> {
    case.admit_bytes(&[]).await?;
    case.release_head(StatusCode::SWITCHING_PROTOCOLS, &HeaderMap::new(), &[]).await
}

/// What the connection is for.
enum Opened {
    Session(sessions::Offer),
    Control,
}

fn open(app: &Arc<App>, action: Action, head: &Head) -> Result<Opened> {
    if !head.lists(&UPGRADE, "h2c") {
        return Err(ApiError::bad_request(format!(
            "{} needs a connection that is upgraded: the headers \"Connection: Upgrade\" and \"Upgrade: h2c\"",
            action.route().pattern
        )));
    }
    match action {
        Action::Session => Ok(Opened::Session(app.sessions.offer(&head.headers)?)),
        _ => Ok(Opened::Control),
    }
}

async fn go_on(
    app: Arc<App>,
    opened: Opened,
    io: Rewound<Box<dyn Transport>>,
) -> std::result::Result<(), String> {
    match opened {
        Opened::Control => {
            buildkit::grpc::serve(io, Control::new(app)).await.map_err(|error| error.to_string())
        }
        Opened::Session(offer) => {
            let (channel, connected) =
                buildkit::grpc::connect(io).await.map_err(|error| error.to_string())?;
            let session = offer.accept(channel);
            let ended = connected.await;
            drop(session);
            ended.map_err(|error| error.to_string())
        }
    }
}
