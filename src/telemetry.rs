//! DOOR tracing: the log. One line a request (docs/logging.md), never a parameter value.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Starts the log on standard error as one JSON object a line. A bad filter falls back to `info`.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // A second start (in tests) keeps the first log.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts recording; the recorder is the process's, as the `metrics` crate has it.
pub fn record() {
    METRICS.get_or_init(|| PrometheusBuilder::new().install_recorder().ok());
}

/// What was recorded so far, as Prometheus text.
pub fn metrics() -> Option<String> {
    METRICS.get().and_then(Option::as_ref).map(PrometheusHandle::render)
}
