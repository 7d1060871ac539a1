//! Parameters that shape the answer and do not select (https://hl7.org/fhir/R4/search.html#return).

use super::params::{CURSOR, Include, RESULT_PARAMS};
use super::parse::empty;
use super::query::{Query, Sort, Total};
use crate::error::{Error, Kind, Result};

pub(super) fn is_result(name: &str) -> bool {
    name == CURSOR || RESULT_PARAMS.iter().any(|known| known.name == name)
}

/// Reads one of them into the query.
pub(super) fn result(query: &mut Query, name: &str, value: &str) -> Result<()> {
    if value.is_empty() {
        return Err(empty());
    }
    let search = query.resource.search();
    match name {
        "_count" => query.count = count(value, Query::COUNT_MAX)?,
        "_sort" => {
            let sort = search.sorts.contains(&value).then(|| Sort::parse(value)).flatten();
            query.sort = Some(sort.ok_or_else(|| one_of("_sort", search.sorts))?);
        }
        "_total" => query.total = Some(Total::parse(value).ok_or_else(|| one_of("_total", &Total::ALL.map(Total::text)))?),
        "_include" => {
            let texts: Vec<&str> = search.includes.iter().map(|include| include.text).collect();
            // A third part may name the target's type; ours have one each.
            let wanted = |include: &Include| {
                value == include.text || value.strip_prefix(include.text) == Some(&format!(":{}", include.target.name()))
            };
            let include = search.includes.iter().copied().find(wanted).ok_or_else(|| one_of("_include", &texts))?;
            if !query.includes.contains(&include) {
                query.includes.push(include);
            }
        }
        CURSOR => query.cursor = Some(value.to_owned()),
        // `_format` is negotiated at the door, before the query is read.
        _ => {}
    }
    Ok(())
}

/// The value of `_count`, here and of a history.
pub fn count(value: &str, most: u32) -> Result<u32> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::new(Kind::Parameter, "_count is a whole number, 0 or more"));
    }
    // Digits that do not fit are more than the ceiling anyway.
    Ok(value.parse().unwrap_or(most).min(most))
}

fn one_of(name: &str, values: &[&str]) -> Error {
    Error::new(
        Kind::Parameter,
        match values {
            [] => format!("{name} has no value on this type"),
            _ => format!("{name} is one of {}", values.join(", ")),
        },
    )
}
