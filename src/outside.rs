//! What others are asked for over the network: a few requests at once, so that one who does not answer holds up nobody but
//! those who wait for it, and few of these.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Millis};
use crate::error::{Error, Kind, Result};

/// How long who gave nothing is left alone.
const LEFT_ALONE: Millis = 10_000;
/// So many wait for what somebody else is asking for.
const WAITING: usize = 8;

#[track_caller]
fn full() -> Error {
    Error::new(Kind::Busy, "Too many wait for somebody else's answer.")
}

/// Turns at something that takes long.
pub struct Turns(AtomicUsize);

/// One turn; it is given back when it is dropped.
pub struct Turn<'a>(&'a AtomicUsize);

impl Turns {
    pub const fn new(at_once: usize) -> Turns {
        Turns(AtomicUsize::new(at_once))
    }

    /// Does not wait: `Kind::Busy` when there is none.
    pub fn take(&self) -> Result<Turn<'_>> {
        let taken = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(1));
        taken.map(|_| Turn(&self.0)).map_err(|_| full())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What somebody publishes, as it was when it was last asked for. One caller asks, and holds no lock meanwhile; a few others
/// wait, and take what comes.
pub struct Published<T> {
    state: Mutex<State<T>>,
    bell: Condvar,
}

struct State<T> {
    /// When it was asked for, and what came.
    kept: Option<(Millis, Arc<T>)>,
    failed_at: Option<Millis>,
    asking: bool,
    /// How often somebody has asked to the end.
    rounds: u64,
    waiting: usize,
}

impl<T> Default for Published<T> {
    fn default() -> Published<T> {
        Published { state: Mutex::new(State { kept: None, failed_at: None, asking: false, rounds: 0, waiting: 0 }), bell: Condvar::new() }
    }
}

/// Whatever becomes of who asks, the others do not wait for ever.
struct Asking<'a, T>(&'a Published<T>);

impl<T> Drop for Asking<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        (state.asking, state.rounds) = (false, state.rounds + 1);
        drop(state);
        self.0.bell.notify_all();
    }
}

impl<T> Published<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept, if it is `good` at its age, else what `ask` brings. None: it gave nothing a moment ago. `Kind::Busy`
    /// when too many wait for it, or there is no turn. Blocks the calling thread.
    pub fn get(
        &self,
        with: (&Clock, &Turns),
        good: impl Fn(Millis, &T) -> bool,
        ask: impl FnOnce() -> Result<T>,
    ) -> Result<Option<Arc<T>>> {
        let (clock, turns) = with;
        let mut state = self.state();
        let now = clock.now();
        if let Some((_, kept)) = state.kept.as_ref().filter(|(at, kept)| good(*at, kept)) {
            return Ok(Some(Arc::clone(kept)));
        }
        if state.asking {
            if state.waiting == WAITING {
                return Err(full());
            }
            let round = state.rounds;
            state.waiting += 1;
            state = self.bell.wait_while(state, |state| state.rounds == round).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
            // It came a moment ago, whether or not it may be kept.
            return Ok(state.kept.as_ref().filter(|_| state.failed_at.is_none()).map(|(_, kept)| Arc::clone(kept)));
        }
        if state.failed_at.is_some_and(|at| now < at + LEFT_ALONE) {
            return Ok(None);
        }
        let _turn = turns.take()?;
        // Until it has answered it counts as failed, should asking end in a panic.
        (state.asking, state.failed_at) = (true, Some(now));
        drop(state);
        let asking = Asking(self);
        let came = ask().map(Arc::new);
        let mut state = self.state();
        match &came {
            Ok(came) => (state.kept, state.failed_at) = (Some((now, Arc::clone(came))), None),
            Err(_) => state.failed_at = Some(clock.now()),
        }
        drop(state);
        drop(asking);
        came.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gave_nothing_is_left_alone_for_a_while() {
        let (clock, turns, published) = (Clock::fixed(0), Turns::new(1), Published::<u8>::default());
        let ask =
            |answer: Result<u8>| published.get((&clock, &turns), |at, _| clock.now() < at + 5, || answer).map(|got| got.map(|got| *got));
        let gone = || Err(Error::new(Kind::Unauthenticated, "gone"));
        assert_eq!(ask(gone()).map_err(|e| e.kind), Err(Kind::Unauthenticated));
        assert_eq!(ask(Ok(7)).unwrap(), None);
        clock.advance(LEFT_ALONE);
        assert_eq!(ask(Ok(7)).unwrap(), Some(7));
        assert_eq!(ask(Ok(8)).unwrap(), Some(7), "it is kept as long as it is good");
        clock.advance(5);
        let held = turns.take().unwrap();
        assert_eq!(ask(Ok(8)).map_err(|e| e.kind), Err(Kind::Busy));
        drop(held);
        assert_eq!(ask(Ok(8)).unwrap(), Some(8), "who had no turn has not failed");
    }
}
