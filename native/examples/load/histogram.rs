//! Times by how often they were seen, in little room whatever their number.
//!
//! As HdrHistogram does it: buckets as wide as a tenth of a microsecond at first, and then, from
//! one power of two to the next, 128 of the same width. So no time is told wrong by more than a
//! tenth of a microsecond or 0.8 %, whichever is more.

/// What the buckets count in.
const UNIT_NS: u64 = 100;
/// The buckets of a power of two. What is below twice as many units has a bucket a unit.
const BUCKETS_PER_OCTAVE: u64 = 128;
const OCTAVE_BITS: u32 = BUCKETS_PER_OCTAVE.ilog2();
/// Every time that a `u64` of nanoseconds can tell has its place.
const BUCKETS: usize = place(u64::MAX / UNIT_NS) + 1;

/// A histogram of nanoseconds.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    min_ns: u64,
    max_ns: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, min_ns: u64::MAX, max_ns: 0 }
    }

    /// Records a time, `count` times over.
    pub fn record(&mut self, time_ns: u64, count: u64) {
        if count == 0 {
            return;
        }
        self.counts[place(time_ns / UNIT_NS)] += count;
        self.total += count;
        self.min_ns = self.min_ns.min(time_ns);
        self.max_ns = self.max_ns.max(time_ns);
    }

    /// The shortest time, exactly. `None` when there was none.
    pub fn min_ns(&self) -> Option<u64> {
        (self.total > 0).then_some(self.min_ns)
    }

    /// The longest time, exactly. `None` when there was none.
    pub fn max_ns(&self) -> Option<u64> {
        (self.total > 0).then_some(self.max_ns)
    }

    /// The least time that a share of all, 0.99 say, did not exceed. `None` when there was none.
    pub fn quantile_ns(&self, share: f64) -> Option<u64> {
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(middle_ns(place).clamp(self.min_ns, self.max_ns))
    }
}

/// The bucket of a time. The highest bits tell it: as many as an octave has buckets for.
const fn place(units: u64) -> usize {
    if units < BUCKETS_PER_OCTAVE {
        return units as usize;
    }
    let shift = units.ilog2() - OCTAVE_BITS;
    ((shift as u64 + 1) * BUCKETS_PER_OCTAVE + (units >> shift) - BUCKETS_PER_OCTAVE) as usize
}

/// What a bucket stands for: the middle of the times that fall into it.
const fn middle_ns(place: usize) -> u64 {
    let place = place as u64;
    let octave = place / BUCKETS_PER_OCTAVE;
    if octave == 0 {
        return place * UNIT_NS + UNIT_NS / 2;
    }
    let shift = octave - 1;
    let start = (place % BUCKETS_PER_OCTAVE + BUCKETS_PER_OCTAVE) << shift;
    (start as f64 * UNIT_NS as f64 + (UNIT_NS << shift) as f64 / 2.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers over many powers of two: a generator after Marsaglia.
    fn times() -> impl Iterator<Item = u64> {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> (state % 61)
        })
    }

    fn assert_near(found_ns: u64, exact_ns: u64, what: &str) {
        let allowed = (exact_ns as f64 / 100.0).max(UNIT_NS as f64);
        let error = found_ns.abs_diff(exact_ns) as f64;
        assert!(error <= allowed, "{what}: {found_ns} for {exact_ns}");
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        for length in [1, 2, 3, 10, 99, 100, 101, 1000, 12_345] {
            let mut sorted: Vec<u64> = times().take(length).collect();
            let mut histogram = Histogram::new();
            sorted.iter().for_each(|time| histogram.record(*time, 1));
            sorted.sort_unstable();
            for share in [0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 1.0] {
                let rank = ((length as f64 * share).ceil() as usize).max(1);
                let found = histogram.quantile_ns(share).unwrap();
                assert_near(found, sorted[rank - 1], &format!("{share} of {length}"));
            }
            assert_eq!(histogram.min_ns(), sorted.first().copied());
            assert_eq!(histogram.max_ns(), sorted.last().copied());
        }
    }

    #[test]
    fn each_time_falls_into_a_bucket_that_stands_for_it() {
        for time in times().take(100_000).chain([0, 99, 100, 25_599, 25_600, u64::MAX]) {
            assert_near(middle_ns(place(time / UNIT_NS)), time, "a bucket");
        }
    }

    #[test]
    fn buckets_follow_one_another() {
        let mut last = 0;
        for units in 0..1_000_000 {
            let place = place(units);
            assert!(place == last || place == last + 1, "{units} units");
            last = place;
        }
    }

    #[test]
    fn a_time_recorded_many_times_counts_as_many() {
        let mut histogram = Histogram::new();
        histogram.record(1_000, 99);
        histogram.record(1_000_000, 1);
        histogram.record(7, 0);
        assert_near(histogram.quantile_ns(0.99).unwrap(), 1_000, "p99");
        assert_near(histogram.quantile_ns(0.999).unwrap(), 1_000_000, "p99.9");
        assert_eq!(histogram.min_ns(), Some(1_000));
    }

    #[test]
    fn nothing_recorded_is_nothing_told() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantile_ns(0.5), None);
        assert_eq!((histogram.min_ns(), histogram.max_ns()), (None, None));
    }
}
