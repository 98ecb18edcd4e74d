//! How long to pause before an attempt is made again.

use std::time::Duration;

/// A pause is never shorter: others need a moment to get in.
const SHORTEST: Duration = Duration::from_millis(10);
/// A pause grows at least up to this.
const LONGEST: Duration = Duration::from_secs(1);

/// The pause after the `failed`th attempt (from 1) at something that may block others for `timeout`.
///
/// It begins with a tenth of the timeout and doubles, up to twice the timeout: who queued up behind the attempt gets in
/// before the next one. `random`, from 0 to 1, takes away up to a half, so that two that failed together do not meet
/// again ("equal jitter" of "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[must_use]
pub fn pause(timeout: Duration, failed: u32, random: f64) -> Duration {
    let first = (timeout / 10).max(SHORTEST);
    let longest = timeout.saturating_mul(2).max(LONGEST);
    let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
    let whole = first.saturating_mul(doubled).min(longest);
    whole.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_twice_the_timeout() {
        let pauses: Vec<u128> = (1..8)
            .map(|failed| pause(5 * SECOND, failed, 0.0).as_millis())
            .collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn without_a_timeout_pauses_are_short() {
        assert_eq!(pause(Duration::ZERO, 1, 0.0), SHORTEST);
        assert_eq!(pause(Duration::ZERO, 100, 0.0), LONGEST);
    }

    proptest! {
        #[test]
        fn jitter_takes_at_most_a_half(ms in 0_u32..=i32::MAX as u32, failed in 1_u32..2_000, random in 0.0..=1.0) {
            let timeout = Duration::from_millis(ms.into());
            let (whole, found) = (pause(timeout, failed, 0.0), pause(timeout, failed, random));
            prop_assert!(found <= whole && found >= whole / 2);
            prop_assert!(found >= SHORTEST / 2 && found <= LONGEST.max(2 * timeout));
        }

        #[test]
        fn a_later_pause_is_no_shorter(ms in 0_u32..=i32::MAX as u32, failed in 1_u32..2_000) {
            let timeout = Duration::from_millis(ms.into());
            prop_assert!(pause(timeout, failed, 0.0) <= pause(timeout, failed + 1, 0.0));
        }
    }
}
