//! The id of a row, a transaction, a cluster or a server.

use std::fmt;

/// A UUID. In two halves: a `u128` has a larger alignment and would make every value larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u64; 2]);

impl Uuid {
    /// What servers send where they have no id.
    pub const ZERO: Self = Self([0; 2]);

    /// Reads the usual form, 8-4-4-4-12 hexadecimal digits in either case; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let well_formed = bytes.len() == 36
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        if !well_formed {
            return None;
        }
        let digits = bytes.iter().filter(|byte| **byte != b'-');
        let halves = digits.fold([0; 2], |[high, low], byte| {
            let digit = char::from(*byte).to_digit(16).unwrap_or_default();
            [high << 4 | low >> 60, low << 4 | u64::from(digit)]
        });
        Some(Self(halves))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([high, low]) = *self;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_what_display_writes_and_nothing_else() {
        let text = "0a1b2c3d-0000-4222-8333-44445555666f";
        assert_eq!(Uuid::parse(text).unwrap().to_string(), text);
        assert_eq!(
            Uuid::ZERO.to_string(),
            "00000000-0000-0000-0000-000000000000"
        );
        for bad in [
            "",
            "0a1b2c3d",
            "0a1b2c3d-0000-4222-8333-44445555666",
            "0a1b2c3d-0000-4222-8333-44445555666g",
            "0a1b2c3d00000-4222-8333-44445555666f",
            "0a1b2c3d-0000-4222-8333-4444555566ßf",
        ] {
            assert_eq!(Uuid::parse(bad), None, "{bad}");
        }
    }
}
