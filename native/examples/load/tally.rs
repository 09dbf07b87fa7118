//! What a run has seen, and the line that it prints in the end.

use std::fmt::Write;

use crate::failure::Failure;
use crate::histogram::Histogram;

const NS_PER_US: f64 = 1e3;

/// The counts of a run.
pub struct Tally {
    /// Answers that were right and in time.
    pub requests: u64,
    /// Answers that were right, and came after the end.
    pub late: u64,
    pub failures: u64,
    first_failure: Option<Failure>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub times: Histogram,
}

impl Tally {
    pub fn new() -> Self {
        Self {
            requests: 0,
            late: 0,
            failures: 0,
            first_failure: None,
            bytes_in: 0,
            bytes_out: 0,
            times: Histogram::new(),
        }
    }

    pub fn fail(&mut self, failure: Failure) {
        self.failures += 1;
        self.first_failure.get_or_insert(failure);
    }

    pub const fn first_failure(&self) -> Option<&Failure> {
        self.first_failure.as_ref()
    }

    /// One line of JSON. What was never seen is null.
    pub fn json(&self, connections: usize, seconds: f64, seconds_since: f64) -> String {
        let mut line = String::new();
        let first = self.first_failure.as_ref().map(Failure::to_string);
        let quantile = |share| us(self.times.quantile_ns(share));
        let fields = [
            ("requests", self.requests.to_string()),
            ("seconds", format!("{seconds:.6}")),
            ("secondsSince", format!("{seconds_since:.6}")),
            ("failures", self.failures.to_string()),
            ("firstFailure", first.map_or("null".into(), |text| json_string(&text))),
            ("late", self.late.to_string()),
            ("connections", connections.to_string()),
            ("bytesIn", self.bytes_in.to_string()),
            ("bytesOut", self.bytes_out.to_string()),
            ("minUs", us(self.times.min_ns())),
            ("p50Us", quantile(0.5)),
            ("p90Us", quantile(0.9)),
            ("p99Us", quantile(0.99)),
            ("p999Us", quantile(0.999)),
            ("maxUs", us(self.times.max_ns())),
        ];
        for (name, value) in fields {
            let before = if line.is_empty() { '{' } else { ',' };
            // Writing to a string cannot fail.
            let _ = write!(line, "{before}\"{name}\":{value}");
        }
        line + "}"
    }
}

fn us(time_ns: Option<u64>) -> String {
    time_ns.map_or("null".into(), |time_ns| format!("{:.1}", time_ns as f64 / NS_PER_US))
}

fn json_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\0'..='\x1f' => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            _ => quoted.push(letter),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_was_seen() {
        let mut tally = Tally::new();
        tally.requests = 2;
        tally.times.record(1_234, 2);
        tally.fail(Failure::new("Cannot read \"a\\b\"\u{1}"));
        tally.fail(Failure::new("second"));
        let line = tally.json(64, 1.5, 0.25);
        let wanted = r#"{"requests":2,"seconds":1.500000,"secondsSince":0.250000,"failures":2,"firstFailure":"Cannot read \"a\\b\"\u0001","late":0,"connections":64,"bytesIn":0,"bytesOut":0,"minUs":1.2,"p50Us":1.2,"p90Us":1.2,"p99Us":1.2,"p999Us":1.2,"maxUs":1.2}"#;
        assert_eq!(line, wanted);
    }

    #[test]
    fn times_that_were_never_seen_are_null() {
        let line = Tally::new().json(1, 0.0, 0.0);
        assert!(line.contains(r#""firstFailure":null"#), "{line}");
        assert!(line.ends_with(r#""p999Us":null,"maxUs":null}"#), "{line}");
    }
}
