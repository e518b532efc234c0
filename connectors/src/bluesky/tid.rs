//! Names of records: 13 characters that sort by time.
//!
//! Owns their making. Must not read a clock. Invariant: the same moment and
//! the same publication give the same name.

use sha2::{Digest, Sha256};
use so_model::{Timestamp, id::PublicationId};

const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
/// Bits that tell makers apart within one microsecond.
const CLOCK_ID_BITS: u32 = 10;
/// Microseconds take 53 bits; the highest bit stays 0.
const MICROS_MASK: u64 = (1 << 53) - 1;

/// The name of a publication's record.
pub(super) fn tid(at: Timestamp, publication: PublicationId) -> String {
    let digest = Sha256::digest(publication.to_string());
    let clock_id =
        u64::from(u16::from_be_bytes([digest[0], digest[1]])) & ((1 << CLOCK_ID_BITS) - 1);
    let micros = u64::try_from(at.micros()).unwrap_or(0) & MICROS_MASK;
    encode(micros << CLOCK_ID_BITS | clock_id)
}

fn encode(bits: u64) -> String {
    (0..13)
        .rev()
        .map(|place| char::from(ALPHABET[(bits >> (5 * place) & 31) as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_thirteen_characters_and_sort_by_time() {
        let publication = PublicationId::from_parts(Timestamp::from_micros(0), [7; 10]);
        let at = |micros| tid(Timestamp::from_micros(micros), publication);
        let (early, late) = (at(1_780_000_000_000_000), at(1_780_000_000_000_001));
        assert_eq!(early.len(), 13);
        assert!(early < late);
        assert!("234567abcdefghij".contains(&early[..1]));
        assert_eq!(early, at(1_780_000_000_000_000));
    }

    #[test]
    fn bits_are_read_from_the_highest() {
        assert_eq!(encode(0), "2222222222222");
        assert_eq!(encode(1), "2222222222223");
        assert_eq!(encode(1 << 60), "3222222222222");
    }
}
