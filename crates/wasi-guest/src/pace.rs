//! How often code asks whether somebody has interrupted it, where nobody can interrupt it: not so often that asking takes time, nor so seldom that
//! the answer comes late.

use std::time::Duration;

/// The most chances to ask that are let pass.
const MOST: i32 = 512;
/// After how long it should ask again.
const SOON: Duration = Duration::from_millis(1);

/// How many chances to ask are let pass: fewer where they come seldom.
#[derive(Debug)]
pub(crate) struct Pace(i32);

impl Pace {
    pub(crate) const fn new() -> Pace {
        Pace(1)
    }

    /// It has asked, so long after the last time.
    pub(crate) fn asked_after(&mut self, time: Duration) {
        self.0 = if time > SOON {
            let fewer = i128::from(self.0) * SOON.as_nanos().cast_signed() / time.as_nanos().cast_signed();
            i32::try_from(fewer).unwrap_or(MOST).max(1)
        } else {
            (self.0 * 2).min(MOST)
        };
    }

    /// How many chances come before the one at which it asks.
    pub(crate) fn next(&self) -> i32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_work_asks_at_each_chance_and_fast_work_seldom() {
        let mut pace = Pace::new();
        for _ in 0..20 {
            pace.asked_after(Duration::from_micros(10));
        }
        assert_eq!(pace.next(), MOST);
        // Each chance comes after 100 us now.
        pace.asked_after(Duration::from_micros(100) * MOST.cast_unsigned());
        assert_eq!(pace.next(), 10);
        pace.asked_after(Duration::from_secs(3600));
        assert_eq!(pace.next(), 1);
        pace.asked_after(Duration::MAX);
        assert_eq!(pace.next(), 1);
    }
}
