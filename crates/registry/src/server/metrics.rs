//! Numbers, in the text form of Prometheus (version 0.0.4). Labels have few values by construction: what clients choose
//! (names, tags, agents) is in none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::gc::Report;
use super::{Registry, limits};

/// Upper ends of the buckets of times, in milliseconds.
const BUCKETS: [u64; 10] = [5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000];

/// How many may ask for numbers at once.
const AT_ONCE: usize = 16;

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), Times>>,
    sent: AtomicU64,
    received: AtomicU64,
    passes: AtomicU64,
    failed_passes: AtomicU64,
    collected_blobs: AtomicU64,
    collected_bytes: AtomicU64,
    damaged: AtomicU64,
    delivered: AtomicU64,
    undelivered: AtomicU64,
}

/// How long requests of one kind took.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

fn add(to: &AtomicU64, count: u64) {
    to.fetch_add(count, Ordering::Relaxed);
}

impl Metrics {
    /// A request was answered (but for its body).
    pub(crate) fn answered(&self, method: &Method, route: &'static str, status: StatusCode, took: Duration) {
        let method = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let times = requests.entry((method, route, status.as_u16())).or_default();
        times.count += 1;
        times.sum += took;
        for (bucket, end) in times.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(took <= Duration::from_millis(end));
        }
    }

    /// Bytes of blobs went out.
    pub(crate) fn sent(&self, bytes: u64) {
        add(&self.sent, bytes);
    }

    /// Bytes of uploads came in.
    pub(crate) fn received(&self, bytes: u64) {
        add(&self.received, bytes);
    }

    /// Garbage was collected.
    pub(crate) fn collected(&self, report: &Report) {
        add(&self.passes, 1);
        add(&self.collected_blobs, report.blobs);
        add(&self.collected_bytes, report.bytes);
        self.damaged.store(report.damaged, Ordering::Relaxed);
    }

    /// Garbage could not be collected.
    pub(crate) fn collection_failed(&self) {
        add(&self.failed_passes, 1);
    }

    /// A webhook took an event.
    pub(crate) fn delivered(&self) {
        add(&self.delivered, 1);
    }

    /// A webhook did not get events.
    pub(crate) fn undelivered(&self, count: u64) {
        add(&self.undelivered, count);
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        head(&mut text, "request_seconds", "histogram", "From a request's head to that of its answer.");
        for ((method, route, code), times) in requests {
            let labels = format!("method=\"{method}\",route=\"{route}\",code=\"{code}\"");
            times.write(&mut text, &labels);
        }
        for (name, help, value) in [
            ("blob_sent_bytes_total", "Bytes of blobs that went out.", &self.sent),
            ("blob_received_bytes_total", "Bytes of uploads that came in.", &self.received),
            ("gc_passes_total", "Collections of garbage.", &self.passes),
            ("gc_failed_passes_total", "Collections that could not be ended.", &self.failed_passes),
            ("gc_blobs_total", "Blobs that were collected.", &self.collected_blobs),
            ("gc_bytes_total", "Bytes of blobs that were collected.", &self.collected_bytes),
            ("webhook_delivered_total", "Events that webhooks took.", &self.delivered),
            ("webhook_undelivered_total", "Events that webhooks did not get.", &self.undelivered),
        ] {
            head(&mut text, name, "counter", help);
            line(&mut text, name, "", value.load(Ordering::Relaxed));
        }
        let help = "Manifests that the last collection could not read.";
        head(&mut text, "damaged_manifests", "gauge", help);
        line(&mut text, "damaged_manifests", "", self.damaged.load(Ordering::Relaxed));
        text
    }
}

impl Times {
    fn write(&self, text: &mut String, labels: &str) {
        for (bucket, end) in self.buckets.iter().zip(BUCKETS) {
            let end = Duration::from_millis(end).as_secs_f64();
            line(text, "request_seconds_bucket", &format!("{labels},le=\"{end}\""), bucket);
        }
        line(text, "request_seconds_bucket", &format!("{labels},le=\"+Inf\""), self.count);
        line(text, "request_seconds_sum", labels, self.sum.as_secs_f64());
        line(text, "request_seconds_count", labels, self.count);
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // writing to a string does not fail
    let _ = writeln!(text, "# HELP berth_registry_{name} {help}\n# TYPE berth_registry_{name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(text, "berth_registry_{name}{labels} {value}");
}

/// Tells numbers to whoever asks there, until it is dropped.
pub async fn serve(registry: Arc<Registry>, listener: TcpListener) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("cannot accept a connection that asks for numbers: {error}");
                tokio::time::sleep(limits::ACCEPT_AGAIN).await;
                continue;
            }
        };
        let registry = Arc::clone(&registry);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(&registry, &request);
                async move { Ok::<_, std::convert::Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits::HEAD_TIME)
                // an answer that nobody takes keeps a place for no longer than this
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            drop(tokio::time::timeout(limits::HEAD_TIME, connection).await);
            drop(slot);
        });
    }
}

fn answer<T>(registry: &Registry, request: &Request<T>) -> Response<Full<Bytes>> {
    let (status, kind, text) = if request.uri().path() != "/metrics" {
        (StatusCode::NOT_FOUND, "text/plain", "numbers are told at /metrics\n".to_owned())
    } else if request.method() != Method::GET {
        (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "numbers are told to GET\n".to_owned())
    } else {
        (StatusCode::OK, "text/plain; version=0.0.4", registry.metrics.text())
    };
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_a_histogram() {
        let metrics = Metrics::default();
        for milliseconds in [3, 30, 90_000] {
            let took = Duration::from_millis(milliseconds);
            metrics.answered(&Method::GET, "blob", StatusCode::OK, took);
        }
        metrics.received(7);
        let text = metrics.text();
        let labels = r#"method="GET",route="blob",code="200""#;
        for line in [
            "# TYPE berth_registry_request_seconds histogram".to_owned(),
            format!("berth_registry_request_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            format!("berth_registry_request_seconds_bucket{{{labels},le=\"0.05\"}} 2"),
            format!("berth_registry_request_seconds_bucket{{{labels},le=\"30\"}} 2"),
            format!("berth_registry_request_seconds_bucket{{{labels},le=\"+Inf\"}} 3"),
            format!("berth_registry_request_seconds_sum{{{labels}}} 90.033"),
            "berth_registry_blob_received_bytes_total 7".into(),
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }
}
