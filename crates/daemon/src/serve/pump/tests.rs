use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::*;

/// A container whose ends are in the test's hands.
struct Container {
    input: DuplexStream,
    output: mpsc::UnboundedSender<engine::Result<Chunk>>,
}

impl Container {
    fn say(&self, source: Source, text: &'static str) {
        self.output.send(Ok(Chunk { source, data: Bytes::from_static(text.as_bytes()) })).unwrap();
    }
}

fn attached(tty: bool) -> (Attached, Container) {
    let (ours, input) = duplex(1 << 16);
    let (output, mut chunks) = mpsc::unbounded_channel();
    let stream = futures_util::stream::poll_fn(move |cx| chunks.poll_recv(cx)).boxed();
    (Attached { tty, input: Some(Box::new(ours)), output: stream }, Container { input, output })
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("it hangs")
}

fn start(
    early: &'static str,
    framing: Framing,
) -> (UnixStream, Container, tokio::task::JoinHandle<io::Result<()>>) {
    let (attached, container) = attached(framing == Framing::Raw);
    let (ours, client) = UnixStream::pair().unwrap();
    let task = tokio::spawn(run(Box::new(ours), Bytes::from_static(early.as_bytes()), attached, framing));
    (client, container, task)
}

#[tokio::test]
async fn early_bytes_come_first_and_half_close_ends_the_input() {
    let (mut client, mut container, task) = start("early ", Framing::Raw);
    client.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = String::new();
    within(container.input.read_to_string(&mut heard)).await.unwrap();
    assert_eq!(heard, "early late");
    // The client still hears what comes, until the end.
    container.say(Source::Stdout, "answer");
    drop(container);
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "answer");
    within(task).await.unwrap().unwrap();
}

#[tokio::test]
async fn frames_tell_the_streams_apart() {
    let (mut client, container, _task) = start("", Framing::Multiplexed);
    container.say(Source::Stdout, "out");
    container.say(Source::Stderr, "err");
    container.output.send(Err(engine::Error::system("lost"))).unwrap();
    let mut all = Vec::new();
    within(client.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all, b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x03err\x03\0\0\0\0\0\0\x04lost");
}

#[tokio::test]
async fn a_client_that_is_gone_ends_it_although_the_container_is_silent() {
    let (client, container, task) = start("", Framing::Raw);
    drop(client);
    within(task).await.unwrap().unwrap();
    assert!(container.output.is_closed());
}

#[tokio::test]
async fn unread_input_does_not_cost_the_client_the_output() {
    let (mut client, container, task) = start("", Framing::Raw);
    container.say(Source::Stdout, "the end");
    client.write_all(&[0; 100_000]).await.unwrap();
    drop(container);
    within(task).await.unwrap().unwrap();
    let mut all = String::new();
    within(client.read_to_string(&mut all)).await.unwrap();
    assert_eq!(all, "the end");
}
