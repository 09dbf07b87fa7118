//! The bytes that the generator sends, and those that it expects.

/// The period of HTTP bodies, which the servers make too: a prime, so that no buffer's length is a
/// multiple of it.
const COUNTING_PERIOD: usize = 251;
/// The period of echoed messages: so many in a row all differ, and none passes for another.
const NOISE_PERIOD: usize = 65_521;

/// Bytes that depend only on the number of their request.
pub struct Content {
    /// Long enough to hold a whole body from any byte of the first period on.
    table: Vec<u8>,
    pub length: usize,
    /// Request n begins at byte n % period; with a period of 1 all are the same.
    period: usize,
}

impl Content {
    /// The same bytes for all requests.
    pub fn fixed(bytes: impl Into<Vec<u8>>) -> Self {
        let table = bytes.into();
        Self { length: table.len(), table, period: 1 }
    }

    /// Byte i of request n is i % 251, or (i + n) % 251 when it shifts.
    pub fn counting(length: usize, shifts: bool) -> Self {
        let table = (0..length + COUNTING_PERIOD).map(|at| (at % COUNTING_PERIOD) as u8).collect();
        Self { table, length, period: if shifts { COUNTING_PERIOD } else { 1 } }
    }

    /// Bytes without an order, the same in each run; of ASCII when they are text.
    pub fn noise(length: usize, is_text: bool) -> Self {
        // Knuth's linear congruential generator; its high bits are good.
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if is_text { b' ' + (state >> 59) as u8 } else { (state >> 56) as u8 }
        };
        let period: Vec<u8> = std::iter::repeat_with(next).take(NOISE_PERIOD).collect();
        let table = period.iter().copied().cycle().take(NOISE_PERIOD + length).collect();
        Self { table, length, period: NOISE_PERIOD }
    }

    /// The same with the bytes that `of` makes of these.
    pub fn map(&self, of: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        Self { table: of(&self.table), ..*self }
    }

    /// Whether the bytes are the same for each request.
    pub const fn is_constant(&self) -> bool {
        self.period == 1
    }

    /// The bytes of a request.
    pub fn of(&self, number: u64) -> &[u8] {
        let start = (number % self.period as u64) as usize;
        &self.table[start..start + self.length]
    }

    /// Compares received bytes with those that are expected from `offset` on.
    pub fn verify(&self, number: u64, offset: usize, came: &[u8]) -> Result<(), String> {
        let Some(wanted) = self.of(number).get(offset..offset + came.len()) else {
            return Err(format!("More than {} bytes came", self.length));
        };
        if wanted == came {
            return Ok(());
        }
        let at = wanted.iter().zip(came).position(|(one, other)| one != other).unwrap_or(0);
        let (wanted, came) = (wanted[at], came[at]);
        Err(format!("Byte {} is 0x{came:02x} instead of 0x{wanted:02x}", offset + at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_noise_differ_from_those_in_flight_with_them() {
        let content = Content::noise(8, false);
        let mut messages: Vec<_> = (0..NOISE_PERIOD as u64).map(|each| content.of(each)).collect();
        messages.sort_unstable();
        messages.dedup();
        assert_eq!(messages.len(), NOISE_PERIOD);
    }
}
