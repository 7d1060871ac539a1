//! Time comes in by argument: `Clock::now` is the only place that asks the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// The machine's clock, or one that stands still until a test moves it.
#[derive(Clone, Default)]
pub struct Clock {
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    pub fn system() -> Clock {
        Clock::default()
    }

    pub fn fixed(at: Millis) -> Clock {
        Clock { fixed: Some(Arc::new(AtomicI64::new(at))) }
    }

    /// Moves a fixed clock; the machine's clock is left alone.
    pub fn advance(&self, by: Millis) {
        if let Some(at) = &self.fixed {
            at.fetch_add(by, Ordering::SeqCst);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Millis {
        match &self.fixed {
            Some(at) => at.load(Ordering::SeqCst),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis),
        }
    }
}
