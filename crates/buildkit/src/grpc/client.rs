//! The asking end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::http::uri::{PathAndQuery, Uri};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{MAX_MESSAGE, WINDOW};

/// A connection on which nothing comes is asked so often, and given up after so long.
const PROBE: std::time::Duration = std::time::Duration::from_secs(20);
const PROBE_ANSWER: std::time::Duration = std::time::Duration::from_secs(20);

/// Calls over one connection; clones share it.
#[derive(Clone, Debug)]
pub struct Channel {
    sender: http2::SendRequest<Body>,
}

/// A connection's work: it goes on while this is polled, and ends with the connection.
pub type Connected = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Greets the other end.
///
/// # Errors
/// The connection broke off.
pub async fn connect<I>(io: I) -> hyper::Result<(Channel, Connected)>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .keep_alive_interval(PROBE)
        .keep_alive_timeout(PROBE_ANSWER)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(io))
        .await?;
    Ok((Channel { sender }, Box::pin(connection)))
}

impl Channel {
    /// One question, one answer.
    ///
    /// # Errors
    /// The other end's status, or `unavailable` when the connection is gone.
    pub async fn ask<Q, A>(&self, method: &'static str, question: Q) -> Result<A, Status>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        self.ask_with(method, Request::new(question)).await
    }

    /// The same, with metadata.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn ask_with<Q, A>(&self, method: &'static str, question: Request<Q>) -> Result<A, Status>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready().await?;
        let path = PathAndQuery::from_static(method);
        let codec = ProstCodec::<Q, A>::default();
        grpc.unary(question, path, codec).await.map(tonic::Response::into_inner)
    }

    /// One question, many answers.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn subscribe<Q, A>(&self, method: &'static str, question: Q) -> Result<Streaming<A>, Status>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        self.subscribe_with(method, Request::new(question)).await
    }

    /// The same, with metadata.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn subscribe_with<Q, A>(
        &self,
        method: &'static str,
        question: Request<Q>,
    ) -> Result<Streaming<A>, Status>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready().await?;
        let path = PathAndQuery::from_static(method);
        let codec = ProstCodec::<Q, A>::default();
        grpc.server_streaming(question, path, codec).await.map(tonic::Response::into_inner)
    }

    /// Many questions, many answers, and metadata before the first.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn converse<S, A>(
        &self,
        method: &'static str,
        questions: Request<S>,
    ) -> Result<Streaming<A>, Status>
    where
        S: Stream + Send + 'static,
        S::Item: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready().await?;
        let path = PathAndQuery::from_static(method);
        let codec = ProstCodec::<S::Item, A>::default();
        grpc.streaming(questions, path, codec).await.map(tonic::Response::into_inner)
    }

    async fn ready(&self) -> Result<Grpc<Self>, Status> {
        let origin = Uri::from_static("http://localhost");
        let mut grpc = Grpc::with_origin(self.clone(), origin).max_decoding_message_size(MAX_MESSAGE);
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(format!("the connection is gone: {error}")))?;
        Ok(grpc)
    }
}

impl tower::Service<hyper::Request<Body>> for Channel {
    type Response = hyper::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}
