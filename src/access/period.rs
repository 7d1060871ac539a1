//! What holds for a time, seen at one moment.

use crate::clock::Millis;

/// From its start until before its end; an open end is None.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    pub start: Option<Millis>,
    pub end: Option<Millis>,
}

/// A moment, and until when all that was asked about it is answered the same.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    now: Millis,
    until: Option<Millis>,
}

impl Moment {
    pub fn new(now: Millis) -> Moment {
        Moment { now, until: None }
    }

    pub fn now(&self) -> Millis {
        self.now
    }

    /// The first moment at which an answer may be another; None when none will.
    pub fn until(&self) -> Option<Millis> {
        self.until
    }

    pub fn covered_by(&mut self, period: Period) -> bool {
        for change in [period.start, period.end].into_iter().flatten() {
            self.ends(change);
        }
        period.start.is_none_or(|start| start <= self.now) && period.end.is_none_or(|end| self.now < end)
    }

    /// Something is so until then.
    pub fn ends(&mut self, at: Millis) {
        if at > self.now {
            self.until = Some(self.until.map_or(at, |known| known.min(at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_change_is_the_first_that_is_still_to_come() {
        let mut moment = Moment::new(100);
        let period = |start, end| Period { start, end };
        assert!(moment.covered_by(period(None, None)));
        assert_eq!(moment.until(), None);
        assert!(moment.covered_by(period(Some(100), Some(300))) && !moment.covered_by(period(None, Some(100))));
        assert_eq!(moment.until(), Some(300));
        assert!(!moment.covered_by(period(Some(200), None)));
        assert_eq!(moment.until(), Some(200));
    }
}
