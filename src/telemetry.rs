//! DOOR tracing: the log. One line a request (docs/logging.md), never a parameter value.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What `FIRTH_LOG` says, if it is a filter. A bare word would be a module's name, and a misspelt level the name of a
/// module that does not exist: a log that stays empty.
pub fn filter(text: &str) -> Result<String, String> {
    // Nothing at all would be taken for `error`.
    let level = |part: &str| !part.trim().is_empty() && part.trim().parse::<LevelFilter>().is_ok();
    let bare = |part: &str| !part.contains(['=', '[', ']']) && !level(part);
    if EnvFilter::try_new(text).is_err() || text.split(',').any(bare) {
        return Err("must be off, error, warn, info, debug, trace or a filter such as warn,firth=debug".to_owned());
    }
    Ok(text.to_owned())
}

/// Starts the log on standard error as one JSON object a line. `filter` has judged the filter; another falls back to `info`.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // A second start (in tests) keeps the first log.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}

/// Upper bounds of latencies, and of group sizes.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts recording; the recorder is the process's, as the `metrics` crate has it.
pub fn record() {
    METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(SIZES).ok()?;
        builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS).ok()?.install_recorder().ok()
    });
}

/// Folds what was recorded into the buckets, so that it does not pile up between scrapes.
pub fn fold() {
    if let Some(handle) = METRICS.get().and_then(Option::as_ref) {
        handle.run_upkeep();
    }
}

/// What was recorded so far, as Prometheus text.
pub fn metrics() -> Option<String> {
    METRICS.get().and_then(Option::as_ref).map(PrometheusHandle::render)
}
