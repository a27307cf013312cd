//! Kubernetes quantities, such as `500m`, `2Gi` and `1e3`, as whole numbers (`k8s.io/apimachinery`,
//! `pkg/api/resource/quantity.go`).

/// A text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a quantity, such as 500m, 2Gi or 1.5")]
pub struct NotAQuantity(String);

/// The longest text that is read as a quantity, or shown in an error, in bytes.
const LONGEST: usize = 64;

/// Digits that count. What follows only rounds up.
const DIGITS: u32 = 19;

/// Thousandths, rounded up: `MilliValue()`.
pub fn milli(text: &str) -> Result<i64, NotAQuantity> {
    scaled(text, 3)
}

/// Whole units, rounded up: `Value()`.
pub fn whole(text: &str) -> Result<i64, NotAQuantity> {
    scaled(text, 0)
}

/// The amount of a resource as [`Resources`](super::model::Resources) has it: milli-cores of CPU, whole
/// units of everything else.
pub fn amount(resource: &str, text: &str) -> Result<i64, NotAQuantity> {
    // A quota has names of its own.
    match resource {
        "cpu" | "requests.cpu" | "limits.cpu" => milli(text),
        _ => whole(text),
    }
}

/// What a suffix multiplies by: a power of two and a power of ten.
fn factor(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        exponent => (0, exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

/// The value times this power of ten, rounded away from zero. One that is too large is the largest.
fn scaled(text: &str, power: i32) -> Result<i64, NotAQuantity> {
    let refused = || NotAQuantity(text.chars().take(LONGEST).collect());
    if text.len() > LONGEST {
        return Err(refused());
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let end = unsigned.find(|c| !is_number(c)).unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at_checked(end).ok_or_else(refused)?;
    let (binary, decimal) = factor(suffix).ok_or_else(refused)?;
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (integer.is_empty() && fraction.is_empty()) {
        return Err(refused());
    }

    let digit_of = |is_fraction| move |digit: char| (digit.to_digit(10), is_fraction);
    let integer = integer.chars().map(digit_of(false));
    let fraction = fraction.chars().map(digit_of(true));
    let mut digits: u128 = 0;
    let mut exponent = decimal.saturating_add(power);
    let mut is_cut_off = false;
    for (digit, is_fraction) in integer.chain(fraction) {
        let digit = digit.ok_or_else(refused)?;
        if digits < 10_u128.pow(DIGITS) {
            digits = digits * 10 + u128::from(digit);
            exponent = exponent.saturating_sub(i32::from(is_fraction));
        } else {
            is_cut_off |= digit != 0;
            exponent = exponent.saturating_add(i32::from(!is_fraction));
        }
    }
    // Below 2^67 times at most 2^60.
    let digits = (digits + u128::from(is_cut_off)) << binary;
    let power_of_ten = 10_u128.checked_pow(exponent.unsigned_abs());
    let magnitude = match (exponent >= 0, power_of_ten) {
        _ if digits == 0 => Some(0),
        (true, power) => power.and_then(|power| digits.checked_mul(power)),
        (false, Some(power)) => Some(digits.div_ceil(power)),
        (false, None) => Some(1),
    };
    let magnitude = magnitude.and_then(|magnitude| i64::try_from(magnitude).ok());
    let magnitude = magnitude.unwrap_or(i64::MAX);
    Ok(if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_rounded_up_to_milli_and_to_whole_units() {
        for (text, milli_value, value) in [
            ("0", 0, 0),
            ("1", 1_000, 1),
            ("+3", 3_000, 3),
            ("-1.5", -1_500, -2),
            ("500m", 500, 1),
            ("1500m", 1_500, 2),
            ("0.5", 500, 1),
            (".5", 500, 1),
            ("2.", 2_000, 2),
            ("1n", 1, 1),
            ("1000001n", 2, 1),
            ("100u", 1, 1),
            ("1e3", 1_000_000, 1_000),
            ("1E3", 1_000_000, 1_000),
            ("12e-3", 12, 1),
            ("1e+2", 100_000, 100),
            ("1e-99", 1, 1),
            ("0e99", 0, 0),
            ("1k", 1_000_000, 1_000),
            ("1M", 1_000_000_000, 1_000_000),
            ("2Ki", 2_048_000, 2_048),
            ("1.5Gi", 1_610_612_736_000, 1_610_612_736),
            ("0.1Ki", 102_400, 103),
            ("1Ti", 1_099_511_627_776_000, 1_099_511_627_776),
            ("7E", i64::MAX, 7_000_000_000_000_000_000),
            ("1Ei", i64::MAX, 1 << 60),
            ("16Ei", i64::MAX, i64::MAX),
            ("-16Ei", -i64::MAX, -i64::MAX),
            ("1e99", i64::MAX, i64::MAX),
            ("0.0000000000000000000000001", 1, 1),
            ("1.00000000000000000000000001", 1_001, 2),
            (
                "100000000000000000000000000n",
                i64::MAX,
                100_000_000_000_000_000,
            ),
            ("00000000000000000000000000005", 5_000, 5),
        ] {
            assert_eq!(milli(text), Ok(milli_value), "{text}");
            assert_eq!(whole(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_quantity_is_refused() {
        for text in [
            "", "m", ".", "-", "--1", "1.2.3", "1 Gi", " 1", "1gi", "1GiB", "Gi", "1e", "1e1.5",
            "0x10", "1,5", "∞", "1i", "NaN",
        ] {
            assert_eq!(whole(text), Err(NotAQuantity(text.to_owned())), "{text}");
        }
        assert_eq!(
            milli("a lot").unwrap_err().to_string(),
            r#""a lot" is not a quantity, such as 500m, 2Gi or 1.5"#
        );
        let long = "1".repeat(1_000_000);
        assert!(milli(&long).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn cpu_is_counted_in_milli_cores_also_by_a_quota() {
        for (resource, expect) in [
            ("cpu", 1_500),
            ("requests.cpu", 1_500),
            ("limits.cpu", 1_500),
            ("memory", 2),
            ("example.com/cpu", 2),
        ] {
            assert_eq!(amount(resource, "1.5"), Ok(expect), "{resource}");
        }
    }
}
