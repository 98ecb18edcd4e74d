//! How many rows the next batch of a backfill takes.

use std::time::Duration;

/// Fewer would cost more in commits than in rows.
const SMALLEST: u32 = 10;
/// More would be a long transaction whatever the target says.
const LARGEST: u32 = 1_000_000;

/// The size of the batch after one of `size` rows that took `elapsed`, for batches to take `target`.
///
/// In proportion, but at most doubled and at least halved at once, so that one slow batch (a checkpoint, a lock) does
/// not undo what was learned: the multiplicative step that online schema change tools use for their chunk time
/// (pt-online-schema-change, `--chunk-time`).
#[must_use]
pub fn next_size(size: u32, elapsed: Duration, target: Duration) -> u32 {
    let elapsed = elapsed.as_secs_f64().max(1e-6);
    let factor = (target.as_secs_f64() / elapsed).clamp(0.5, 2.0);
    let next = (f64::from(size) * factor).round();
    // In range: the clamp's bounds are.
    (next as u32).clamp(SMALLEST, LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TARGET: Duration = Duration::from_millis(500);

    #[test]
    fn a_batch_on_target_is_repeated() {
        assert_eq!(next_size(1_000, TARGET, TARGET), 1_000);
    }

    #[test]
    fn a_fast_batch_at_most_doubles_and_a_slow_one_at_most_halves() {
        assert_eq!(next_size(1_000, Duration::ZERO, TARGET), 2_000);
        assert_eq!(next_size(1_000, 100 * TARGET, TARGET), 500);
        assert_eq!(next_size(1_000, TARGET * 4 / 5, TARGET), 1_250);
    }

    proptest! {
        #[test]
        fn sizes_stay_within_bounds(size in 1_u32.., ms in 0_u64..10_000_000) {
            let next = next_size(size, Duration::from_millis(ms), TARGET);
            prop_assert!((SMALLEST..=LARGEST).contains(&next));
        }

        #[test]
        fn with_a_steady_rate_batches_come_to_take_the_target(rate in 100_u32..150_000, first in 1_u32..100_000) {
            let mut size = first;
            for _ in 0..40 {
                size = next_size(size, Duration::from_secs_f64(f64::from(size) / f64::from(rate)), TARGET);
            }
            let wanted = f64::from(rate) / 2.0;
            prop_assert!((f64::from(size) - wanted).abs() <= wanted * 0.1 + 2.0, "{size} for {wanted}");
        }
    }
}
