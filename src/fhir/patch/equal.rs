//! Equality of JSON values: RFC 6902 section 4.6. Numbers are equal by value, objects whatever the order of members.

use std::collections::HashMap;

use crate::fhir::validate::{Node, Object};

pub(super) fn equal(a: &Node, b: &Node) -> bool {
    match (a, b) {
        (Node::Number(a), Node::Number(b)) => same_number(a, b),
        (Node::List(a), Node::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Node::Object(a), Node::Object(b)) => same_members(a, b),
        _ => a == b,
    }
}

fn same_members(a: &Object, b: &Object) -> bool {
    if a.members.len() != b.members.len() {
        return false;
    }
    if a.members().zip(b.members()).all(|((a, _), (b, _))| a == b) {
        return a.members().zip(b.members()).all(|((_, a), (_, b))| equal(a, b));
    }
    let others: HashMap<&str, &Node> = b.members().collect();
    a.members().all(|(name, node)| others.get(name).is_some_and(|other| equal(node, other)))
}

/// `1.0`, `1` and `10e-1` are one number; `-0` is `0`. No float: all digits count.
pub(super) fn same_number(a: &str, b: &str) -> bool {
    a == b || matches!((Value::of(a), Value::of(b)), (Some(a), Some(b)) if a == b)
}

/// A JSON number: its digits without zeros at either end, and the power of ten of the last one.
#[derive(PartialEq, Eq)]
struct Value {
    negative: bool,
    digits: String,
    power: i128,
}

impl Value {
    /// None for a power that no number of this universe has.
    fn of(text: &str) -> Option<Value> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (number, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let all = format!("{whole}{part}");
        let without = all.trim_end_matches('0');
        let digits = without.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Value { negative: false, digits, power: 0 });
        }
        let power: i64 = power.parse().ok()?;
        let power = i128::from(power) - part.len() as i128 + (all.len() - without.len()) as i128;
        Some(Value { negative, digits, power })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "10e-1"),
            ("0", "-0.00"),
            ("100", "1E+2"),
            ("-1.50", "-15e-1"),
            ("0e99999999999999999999", "0"),
            ("0.10", "0.1"),
        ] {
            assert!(same_number(a, b), "{a} {b}");
        }
        let long = format!("1{}", "0".repeat(400));
        assert!(same_number(&long, "1e400"));
        for (a, b) in [("1", "-1"), ("1", "10"), ("0.1", "0.10000000000000000001"), ("1e99999999999999999999", "1e99999999999999999998")] {
            assert!(!same_number(a, b), "{a} {b}");
        }
    }
}
