//! How long things took.

use std::fmt::Write as _;
use std::time::Duration;

/// Upper ends in seconds: Prometheus's own, which Docker has, and two below them, where starts lie here.
const BOUNDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts by duration.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    pub(super) fn observe(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        if let Some(at) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.buckets[at] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }

    /// Its lines; `labels` are written `name="value"`, with commas between them.
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut sum = 0;
        for (bound, count) in BOUNDS.iter().zip(self.buckets) {
            sum += count;
            let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {sum}");
        }
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}", self.count);
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(out, "{name}_sum{braces} {}", self.sum);
        let _ = writeln!(out, "{name}_count{braces} {}", self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_all_below() {
        let mut histogram = Histogram::default();
        for millis in [2, 20, 20_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let mut text = String::new();
        histogram.write(&mut text, "x", "a=\"b\"");
        for line in [
            "x_bucket{a=\"b\",le=\"0.001\"} 0",
            "x_bucket{a=\"b\",le=\"0.0025\"} 1",
            "x_bucket{a=\"b\",le=\"0.025\"} 2",
            "x_bucket{a=\"b\",le=\"10\"} 2",
            "x_bucket{a=\"b\",le=\"+Inf\"} 3",
            "x_sum{a=\"b\"} 20.022",
            "x_count{a=\"b\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
