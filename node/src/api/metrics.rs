//! Metrics of the requests. What distribution measures too goes out under its names as well, so that its dashboards
//! keep working.
//!
//! The table of counters is fixed at start: counting a request is a few atomic additions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use http::Method;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tracing::{Span, debug, warn};

use super::route::Kind;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];

/// Statuses that this program answers with; 499 stands for a client that went away before the answer.
const STATUSES: [u16; 23] =
    [200, 201, 202, 204, 206, 304, 307, 400, 401, 403, 404, 405, 408, 409, 413, 414, 416, 429, 499, 500, 503, 507, 0];

/// The client went away before it was answered.
const GONE: u16 = 499;

/// Bounds of the durations, in seconds: from a manifest out of memory to a large blob over a slow line.
const BOUNDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0, 300.0, 1800.0];

#[derive(Debug)]
struct Cell {
    requests: [AtomicU64; STATUSES.len()],
    durations: Histogram,
}

#[derive(Debug)]
struct Table {
    /// By kind, then by method.
    cells: Vec<Cell>,
    in_flight: Gauge<i64, AtomicI64>,
    received_bytes: Counter,
    sent_bytes: Counter,
}

/// Metrics of the requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    table: Arc<Table>,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::unregistered();
        let table = &metrics.table;
        registry.register_collector(Box::new(Requests(table.clone())));
        for name in ["regnode_node_api_requests_in_flight", "registry_http_in_flight_requests"] {
            registry.register(name, "Requests being worked on", table.in_flight.clone());
        }
        let received = table.received_bytes.clone();
        registry.register("regnode_node_api_received_bytes", "Bytes of request bodies taken in", received);
        let sent = table.sent_bytes.clone();
        registry.register("regnode_node_api_sent_bytes", "Bytes of response bodies handed out", sent);
        metrics
    }

    /// Metrics that nobody reads, for tests.
    pub(super) fn unregistered() -> Self {
        let cell = || Cell { requests: Default::default(), durations: Histogram::new(BOUNDS) };
        let cells = (0..Kind::ALL.len() * METHODS.len()).map(|_| cell()).collect();
        Self {
            table: Arc::new(Table {
                cells,
                in_flight: Gauge::default(),
                received_bytes: Counter::default(),
                sent_bytes: Counter::default(),
            }),
        }
    }

    /// Counts bytes of a request's body.
    pub fn received(&self, bytes: u64) {
        self.table.received_bytes.inc_by(bytes);
    }

    /// Begins to record a request.
    pub fn begin(&self, kind: Kind, method: &Method, span: Span) -> Recording {
        self.table.in_flight.inc();
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        let cell = kind as usize * METHODS.len() + method;
        Recording { metrics: self.clone(), cell, status: GONE, started: Instant::now(), sent_bytes: 0, span }
    }
}

/// One request from its head to the end of its answer. It is counted when this is dropped.
#[derive(Debug)]
pub struct Recording {
    metrics: Metrics,
    cell: usize,
    status: u16,
    started: Instant,
    sent_bytes: u64,
    span: Span,
}

impl Recording {
    /// The status is known.
    pub fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// Bytes of the answer's body went out.
    pub fn sent(&mut self, bytes: u64) {
        self.sent_bytes += bytes;
    }

    /// The answer could not be completed.
    pub fn aborted(&self, error: &dyn fmt::Display) {
        let sent_bytes = self.sent_bytes;
        self.span.in_scope(|| warn!(%error, sent_bytes, "answer aborted"));
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let table = &self.metrics.table;
        table.in_flight.dec();
        table.sent_bytes.inc_by(self.sent_bytes);
        let cell = &table.cells[self.cell];
        let status = STATUSES.iter().position(|status| *status == self.status).unwrap_or(STATUSES.len() - 1);
        cell.requests[status].fetch_add(1, Ordering::Relaxed);
        cell.durations.observe(elapsed.as_secs_f64());
        self.span.in_scope(|| debug!(status = self.status, sent_bytes = self.sent_bytes, ?elapsed, "request done"));
    }
}

/// Writes the table, once under our names and once under distribution's.
#[derive(Debug)]
struct Requests(Arc<Table>);

impl Requests {
    fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str, &Cell)> {
        let labels = Kind::ALL.into_iter().flat_map(|kind| METHODS.map(|method| (kind.name(), method)));
        labels.zip(&self.0.cells).map(|((kind, method), cell)| (kind, method, cell))
    }

    fn counters(&self, encoder: &mut DescriptorEncoder, name: &str, kind_label: &str) -> fmt::Result {
        let help = "Requests answered, by endpoint, method and status";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (kind, method, cell) in self.cells() {
            for (status, count) in STATUSES.into_iter().zip(&cell.requests) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let code = status.to_string();
                    let labels = [("method", method), (kind_label, kind), ("code", code.as_str())];
                    ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }

    fn durations(&self, encoder: &mut DescriptorEncoder, name: &str, kind_label: &str) -> fmt::Result {
        let help = "Time from the head of a request to the end of its answer";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (kind, method, cell) in self.cells() {
            if cell.requests.iter().any(|count| count.load(Ordering::Relaxed) > 0) {
                cell.durations.encode(family.encode_family(&[("method", method), (kind_label, kind)])?)?;
            }
        }
        Ok(())
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.counters(&mut encoder, "regnode_node_api_requests", "route")?;
        self.counters(&mut encoder, "registry_http_requests", "handler")?;
        self.durations(&mut encoder, "regnode_node_api_request_duration_seconds", "route")?;
        self.durations(&mut encoder, "registry_http_request_duration_seconds", "handler")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_counted_under_both_names() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let mut recording = metrics.begin(Kind::Blob, &Method::GET, Span::none());
        recording.answered(206);
        recording.sent(7);
        drop(recording);
        drop(metrics.begin(Kind::Manifest, &Method::OPTIONS, Span::none()));
        let running = metrics.begin(Kind::Base, &Method::GET, Span::none());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"regnode_node_api_requests_total{method="GET",route="blob",code="206"} 1"#,
            r#"registry_http_requests_total{method="GET",handler="blob",code="206"} 1"#,
            r#"regnode_node_api_requests_total{method="other",route="manifest",code="499"} 1"#,
            r#"regnode_node_api_request_duration_seconds_count{method="GET",route="blob"} 1"#,
            "regnode_node_api_requests_in_flight 1",
            "regnode_node_api_sent_bytes_total 7",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        drop(running);
    }
}
