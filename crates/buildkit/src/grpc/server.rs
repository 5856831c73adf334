//! The answering end.

use std::convert::Infallible;
use std::future::Future;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{MAX_CALLS, MAX_MESSAGE, WINDOW};

/// A call as it comes.
pub type Asked = hyper::Request<Body>;
/// What goes back.
pub type Answer = hyper::Response<Body>;

/// Answers calls, by their path.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers one call.
    fn call(&self, asked: Asked) -> impl Future<Output = Answer> + Send;
}

/// Serves a connection to its end.
///
/// # Errors
/// The connection broke off.
pub async fn serve<I, S>(io: I, service: S) -> hyper::Result<()>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service,
{
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.call(request.map(Body::new)).await) }
    });
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .max_concurrent_streams(MAX_CALLS)
        .serve_connection(TokioIo::new(io), answer)
        .await
}

/// One question, one answer.
pub async fn answer<Q, A, F>(asked: Asked, handler: impl FnMut(Request<Q>) -> F) -> Answer
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    F: Future<Output = Result<Response<A>, Status>>,
{
    grpc::<A, Q>().unary(tower::service_fn(handler), asked).await
}

/// One question, many answers.
pub async fn server_stream<Q, A, F, S>(asked: Asked, handler: impl FnMut(Request<Q>) -> F) -> Answer
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
    F: Future<Output = Result<Response<S>, Status>>,
{
    grpc::<A, Q>().server_streaming(tower::service_fn(handler), asked).await
}

/// Many questions, many answers.
pub async fn bidirectional<Q, A, F, S>(
    asked: Asked,
    handler: impl FnMut(Request<Streaming<Q>>) -> F + Send,
) -> Answer
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
    F: Future<Output = Result<Response<S>, Status>> + Send,
{
    grpc::<A, Q>().streaming(tower::service_fn(handler), asked).await
}

/// Says that there is no such method.
#[must_use]
pub fn unimplemented(asked: &Asked) -> Answer {
    Status::unimplemented(format!("unknown method {}", asked.uri().path())).into_http()
}

fn grpc<A, Q>() -> Grpc<ProstCodec<A, Q>>
where
    A: Message + Send + 'static,
    Q: Message + Default + Send + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_MESSAGE)
}
