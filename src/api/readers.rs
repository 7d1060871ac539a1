//! The threads that answer requests without a body: few, for such a request is work and not waiting.
//!
//! A thread for each request in flight made the machine change between threads more than work; requests with a
//! body wait for their client and have threads of their own.

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// Handing over is enough: it stops when it is dropped.
pub struct Readers(Option<Runtime>);

impl Readers {
    pub fn start(threads: usize) -> Result<Readers> {
        let runtime = Builder::new_current_thread().max_blocking_threads(threads).thread_name("firth-reader").build();
        Ok(Readers(Some(runtime.map_err(Error::bug)?)))
    }

    /// Runs `work` when its turn comes.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match &self.0 {
            Some(runtime) => runtime.spawn_blocking(work),
            None => tokio::task::spawn_blocking(work),
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        // Waiting for the threads is not allowed here; they have nothing left to do.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
