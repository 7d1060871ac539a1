//! The date vectors of a peer's suite, their expected sets recomputed from the R4 wording, and ours.

use super::date::{Bounds, DateRange, Prefix, When, bounds, matches};
use proptest::prelude::*;

/// Numbered 0 to 7; the eighth is a Period.
const STORED: [&str; 7] = ["1979-12-31", "1980", "1980-05", "1980-05-11", "1980-05-11T16:32:15", "1980-05-11T16:32:15.500", "1981-01-01"];

/// Prefix, then `value→numbers`; `T:15` is 1980-05-11T16:32:15.
const VECTORS: &[(&str, &str)] = &[
    (
        "eq",
        "1980→123457; 1980-01→; 1980-05→23457; 1980-05-10→; 1980-05-11→345; T:15→45; T:15.500→5; T:15.5000000→5; \
        T:15.5000001→; T:30→",
    ),
    (
        "ne",
        "1980→06; 1980-01→01234567; 1980-05→016; 1980-05-10→01234567; 1980-05-11→01267; T:15→012367; T:15.500→0123467; \
        T:15.5000000→0123467; T:15.5000001→01234567; T:30→01234567",
    ),
    (
        "lt",
        "1980→0; 1980-04→01; 1980-05→01; 1980-05-10→012; 1980-05-11→012; T:14→0123; T:15→0123; T:15.4999999→01234; \
        T:15.500→01234; T:15.5000000→01234; T:15.5000001→012345; T:16→012345; 1980-05-12→012345; 1980-06→0123457; \
        1981→0123457; 1981-01-01T00:00:00.0000001→01234567",
    ),
    (
        "gt",
        "1979-12-31T23:59:59.9999999→1234567; 1980→6; 1980-04→1234567; 1980-05→16; 1980-05-11→1267; T:14→1234567; \
        T:15→12367; T:15.4999999→1234567; T:15.500→123467; T:15.5000000→123467; T:15.5000001→123467; T:16→12367; \
        1980-05-12→1267; 1980-06→16; 1981-01-01T00:00:00.0000001→6",
    ),
    (
        "le",
        "1980→0123457; 1980-04→01; 1980-05→0123457; 1980-05-10→012; 1980-05-11→012345; T:14→0123; T:15→012345; \
        T:15.4999999→01234; T:15.500→012345; T:15.5000000→012345; T:15.5000001→012345; T:16→012345; 1980-05-12→012345; \
        1980-06→0123457; 1981→01234567; 1981-01-01T00:00:00.0000001→01234567",
    ),
    (
        "ge",
        "1979-12-31T23:59:59.9999999→1234567; 1980→1234567; 1980-04→1234567; 1980-05→1234567; 1980-05-11→1234567; \
        T:14→1234567; T:15→1234567; T:15.4999999→1234567; T:15.500→1234567; T:15.5000000→1234567; T:15.5000001→123467; \
        T:16→12367; 1980-05-12→1267; 1980-06→16; 1981-01-01T00:00:00.0000001→6",
    ),
    (
        "sa",
        "1980→6; 1980-04→234567; 1980-05→6; 1980-05-10→34567; 1980-05-11→67; T:14→4567; T:15→67; T:15.4999999→567; \
        T:15.500→67; T:15.5000000→67; T:15.5000001→67; T:16→67; 1980-05-12→67; 1980-06→6; 1981→; \
        1981-01-01T00:00:00.0000001→",
    ),
    (
        "eb",
        "1979-12-31T23:59:59.9999999→; 1980→0; 1980-04→0; 1980-05→0; 1980-05-11→0; T:14→0; T:15→0; T:15.4999999→0; \
        T:15.500→0; T:15.5000000→0; T:15.5000001→05; T:16→045; 1980-05-12→0345; 1980-06→023457; \
        1981-01-01T00:00:00.0000001→0123457",
    ),
];

fn stored(text: &str) -> DateRange {
    DateRange::stored(text).expect(text)
}

fn period(start: &str, end: &str) -> DateRange {
    DateRange { lo: stored(start).lo, hi: stored(end).hi }
}

fn when(text: &str) -> When {
    When::parse(text, 1_770_000_000_000).expect(text)
}

#[test]
fn the_peers_vectors() {
    let resources: Vec<DateRange> = STORED.iter().map(|text| stored(text)).chain([period("1980-05-16", "1980-05-17")]).collect();
    let mut cases = 0;
    for (prefix, vectors) in VECTORS {
        for (value, expected) in vectors.split("; ").filter_map(|vector| vector.split_once('→')) {
            let asked = when(&format!("{prefix}{}", value.replace("T:", "1980-05-11T16:32:")));
            let found: String = (0..8).filter(|place| asked.matches(resources[*place])).map(|place| place.to_string()).collect();
            assert_eq!(found, expected, "{prefix}{value}");
            cases += 1;
        }
    }
    assert_eq!(cases, 113);
}

#[test]
fn our_vectors() {
    let straddling = period("1980-05-10", "1980-05-11T12:00Z");
    for (asked, yes) in
        [("ge1980-05-11", false), ("le1980-05-10", false), ("gt1980-05-10", true), ("sa1980-05-09", true), ("ap1980-05-11", true)]
    {
        assert_eq!(when(asked).matches(straddling), yes, "{asked}");
    }
    assert!(when("gt2050").matches(DateRange { hi: DateRange::OPEN_HI, ..stored("1980-05-16") }));
    assert_eq!(stored("1980-05-11T16:32:15+02:00"), stored("1980-05-11T14:32:15Z"));
    assert_eq!(stored("1980-05-11T16:32"), DateRange { lo: stored("1980-05-11T16:32:00Z").lo, hi: stored("1980-05-11T16:33:00Z").lo });
    assert_eq!(stored("2016-12-31T23:59:60Z").lo, stored("2017-01-01").lo);
    assert_eq!((stored("9999").millis().1, stored("9999-12-31").millis().1), (253_402_300_800_000, 253_402_300_800_000));
    assert_eq!(stored("1980-05-11T16:32:15.500000000Z"), stored("1980-05-11T16:32:15.5Z"));
    assert_eq!(stored("1980-05-11T16:32:15.1234567891Z"), stored("1980-05-11T16:32:15.123456789Z"));
    assert_eq!(stored("1970-01-01T00:00:00.1234Z").millis(), (123, 124));
    assert_eq!(stored("1969-12-31T23:59:59.9996Z").millis(), (-1, 0));
    for text in [
        "1980-13",
        "1981-02-29",
        "1980-05-11T24:00Z",
        "1980-05-11T10:00:61Z",
        "1980-05-11T10:00.5Z",
        "1980-05-11T10:00:00.Z",
        "1980-05-11T10:00:00z",
        "1980-05-11T",
        "1980-05-11TZ",
        "1980-05-11T10:00+14:01",
        "1980-05-11-01",
        "-1980",
        "１980",
        "1980-05-11T10:00:00+é",
    ] {
        assert_eq!(DateRange::parse(text), None, "{text}");
    }
}

#[test]
fn about_widens_by_a_tenth_of_the_distance() {
    let now = stored("2020-01-01").millis().0;
    let asked = When::parse("ap2019-12-22", now).unwrap();
    assert_eq!(asked.range.lo, stored("2019-12-22").lo - 9 * 86_400_000_000_000 / 10);
    assert_eq!(When::parse("ap2020", now).unwrap().range, stored("2020"));
}

/// Ends on whole milliseconds and beside them.
fn range() -> impl Strategy<Value = DateRange> {
    let end = || (-3..4_i128, prop::sample::select(vec![-1, 0, 0, 1, 500_000])).prop_map(|(milli, beside)| milli * 1_000_000 + beside);
    (end(), end()).prop_map(|(a, b)| DateRange { lo: a.min(b), hi: a.max(b).max(a.min(b) + 1) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn a_match_keeps_the_bounds(prefix in prop::sample::select(Prefix::ALL), search in range(), resource in range()) {
        if matches(prefix, search, resource) {
            prop_assert!(bounds(prefix, search).admits(resource));
        }
    }

    #[test]
    fn bounds_combine(ends in prop::collection::vec(prop::option::of(-3..3_i64), 8), resource in range()) {
        let of = |ends: &[Option<i64>]| Bounds { lo_min: ends[0], lo_max: ends[1], hi_min: ends[2], hi_max: ends[3] };
        let (a, b) = (of(&ends[..4]), of(&ends[4..]));
        prop_assert_eq!(a.and(b).admits(resource), a.admits(resource) && b.admits(resource));
        prop_assert!(a.or(b).admits(resource) || !(a.admits(resource) || b.admits(resource)));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9TZ:. +eqgtsa-]{0,32}|\\PC{0,20}", now: i64) {
        let _ = When::parse(&text, now);
    }

    #[test]
    fn ranges_are_compared_as_their_moments_are(prefix in prop::sample::select(Prefix::ALL), asked in moment(), start in moment(), end in prop::option::of(moment())) {
        let search = DateRange::parse(&asked).unwrap();
        let whole = |range: DateRange, last: &str| DateRange { hi: stored(last).hi, ..range };
        let [first, last] = ends(&start, 9);
        let (resource, there) = match end.filter(|end| ends(end, 9)[1] > first) {
            Some(end) => (whole(stored(&start), &end), [first, ends(&end, 9)[1].clone()]),
            None => (stored(&start), [first, last]),
        };
        prop_assert_eq!(matches(prefix, search, resource), holds(prefix, &ends(&asked, 3), &there), "{}{} {:?}", prefix.text(), asked, there);
        prop_assert!(!matches(prefix, search, resource) || bounds(prefix, search).admits(resource));
    }
}

/// Dates of every precision that lie near each other.
fn moment() -> impl Strategy<Value = String> {
    let day = || prop::sample::select(vec!["2023-12-31", "2024-01-01", "2024-02-29"]);
    let minute = || prop::sample::select(vec!["00:00", "12:30", "23:59"]);
    let second = || prop::sample::select(vec!["00", "59"]);
    let fraction = prop::sample::select(vec!["0", "5", "50", "123", "1230", "1234", "123000001", "999", "9990", "9999", "999999999"]);
    prop_oneof![
        prop::sample::select(vec!["2023", "2024", "2023-12", "2024-01", "2024-02"]).prop_map(str::to_owned),
        day().prop_map(str::to_owned),
        (day(), minute()).prop_map(|(day, minute)| format!("{day}T{minute}")),
        (day(), minute(), second()).prop_map(|(day, minute, second)| format!("{day}T{minute}:{second}Z")),
        (day(), minute(), second(), fraction).prop_map(|(day, minute, second, fraction)| format!("{day}T{minute}:{second}.{fraction}")),
    ]
}

/// The first and the last nanosecond of a date, as texts that order as they do. Noughts are left out of a fraction up to
/// so many digits.
fn ends(text: &str, digits: usize) -> [String; 2] {
    let mut text = text.trim_end_matches('Z').to_owned();
    if text.contains('.') {
        text = format!("{text:0<width$}", width = text.len().max("2024-01-01T00:00:00.".len() + digits));
    }
    let last_day = if text.get(5..7) == Some("02") { "29" } else { "31" };
    let filled = |rest: &str| format!("{text}{}", &rest[text.len()..]);
    [filled("0000-01-01T00:00:00.000000000"), filled(&format!("9999-12-{last_day}T23:59:59.999999999"))]
}

/// What R4 says of each prefix, moment by moment.
fn holds(prefix: Prefix, asked: &[String; 2], there: &[String; 2]) -> bool {
    let ([asked_first, asked_last], [first, last]) = (asked, there);
    let within = asked_first <= first && last <= asked_last;
    match prefix {
        Prefix::Eq => within,
        Prefix::Ne => !within,
        Prefix::Gt => last > asked_last,
        Prefix::Lt => first < asked_first,
        Prefix::Ge => within || last > asked_last,
        Prefix::Le => within || first < asked_first,
        Prefix::Sa => first > asked_last,
        Prefix::Eb => last < asked_first,
        Prefix::Ap => first <= asked_last && asked_first <= last,
    }
}
