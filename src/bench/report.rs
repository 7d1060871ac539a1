//! What a run prints: each figure beside the limit's from the same run, its bar, and whether it was met.

use serde_json::{Value, json};

use super::load::Lap;

/// How a figure is judged.
#[derive(Clone, Copy)]
pub enum Bar {
    None,
    AtLeast(f64),
    Below(f64),
}

struct Row {
    name: &'static str,
    unit: &'static str,
    value: Option<f64>,
    /// The group-commit base's figure.
    base: Option<f64>,
    bar: Bar,
}

#[derive(Default)]
pub struct Report {
    title: String,
    /// Why the figures must not be held against the bars.
    not_comparable: Vec<String>,
    rows: Vec<Row>,
}

impl Report {
    pub fn new(title: String) -> Report {
        Report { title, ..Report::default() }
    }

    pub fn weakened(&mut self, why: impl Into<String>) {
        self.not_comparable.push(why.into());
    }

    pub fn figure(&mut self, what: (&'static str, &'static str), value: Option<f64>, bar: Bar) {
        self.rows.push(Row { name: what.0, unit: what.1, value, base: None, bar });
    }

    pub fn beside(&mut self, what: (&'static str, &'static str), value: Option<f64>, base: Option<f64>) {
        self.rows.push(Row { name: what.0, unit: what.1, value, base, bar: Bar::None });
    }

    /// Rate, times and CPU of the server beside those of the base, and their ratio against its bar.
    pub fn laps(&mut self, mut own: Lap, mut base: Lap, least_percent: f64) {
        let (rate, limit) = (own.per_sec(), base.per_sec());
        self.beside(("rate", "requests/s"), Some(rate), Some(limit));
        self.figure(("of the group-commit base", "%"), Some(rate / limit * 100.0), Bar::AtLeast(least_percent));
        self.beside(("p50", "ms"), own.quantile_ms(0.5), base.quantile_ms(0.5));
        self.beside(("p99", "ms"), own.quantile_ms(0.99), base.quantile_ms(0.99));
        self.beside(("body, mean", "bytes"), Some(own.mean_bytes() as f64), Some(base.mean_bytes() as f64));
        let each = |lap: &Lap, secs: f64| secs * 1e6 / lap.requests.max(1) as f64;
        self.beside(("server CPU a request", "us"), own.cpu.map(|cpu| each(&own, cpu.0)), base.cpu.map(|cpu| each(&base, cpu.0)));
        self.beside(("client CPU a request", "us"), own.cpu.map(|cpu| each(&own, cpu.1)), base.cpu.map(|cpu| each(&base, cpu.1)));
        let cores = |lap: &Lap, secs: f64| secs / lap.wall.as_secs_f64().max(1e-9);
        self.beside(("server cores busy", ""), own.cpu.map(|cpu| cores(&own, cpu.0)), base.cpu.map(|cpu| cores(&base, cpu.0)));
        self.beside(("client cores busy", ""), own.cpu.map(|cpu| cores(&own, cpu.1)), base.cpu.map(|cpu| cores(&base, cpu.1)));
    }

    fn verdict(&self, row: &Row) -> &'static str {
        let met = match (row.bar, row.value) {
            (Bar::None, _) => return "",
            (_, None) => return "not measured",
            (Bar::AtLeast(least), Some(value)) => value >= least,
            (Bar::Below(most), Some(value)) => value < most,
        };
        match (self.not_comparable.is_empty(), met) {
            (false, _) => "not comparable",
            (true, true) => "met",
            (true, false) => "missed",
        }
    }

    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.title);
        for why in &self.not_comparable {
            text.push_str(&format!("not comparable: {why}\n"));
        }
        text.push_str(&format!("\n{:<34}{:>14}{:>14}  {:<12}{:<10}\n", "", "firth", "base", "", "bar"));
        for row in &self.rows {
            let base = row.base.map(number).unwrap_or_default();
            let value = row.value.map_or_else(|| "not measured".to_owned(), number);
            let bar = match row.bar {
                Bar::None => String::new(),
                Bar::AtLeast(least) => format!(">= {}", number(least)),
                Bar::Below(most) => format!("< {}", number(most)),
            };
            let line = format!("{:<34}{value:>14}{base:>14}  {:<12}{bar:<10}{}", row.name, row.unit, self.verdict(row));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let bar = match row.bar {
                Bar::None => Value::Null,
                Bar::AtLeast(least) => json!({"at_least": least}),
                Bar::Below(most) => json!({"below": most}),
            };
            json!({"name": row.name, "unit": row.unit, "value": row.value, "base": row.base, "bar": bar, "verdict": self.verdict(row)})
        });
        json!({"title": self.title, "not_comparable": self.not_comparable, "figures": rows.collect::<Vec<_>>()})
    }
}

/// As many digits as are worth reading.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        let digits = format!("{value:.0}");
        let mut out = String::new();
        for (n, digit) in digits.chars().enumerate() {
            if n > 0 && (digits.len() - n) % 3 == 0 && !out.ends_with('-') {
                out.push(',');
            }
            out.push(digit);
        }
        return out;
    }
    if value.abs() >= 10.0 || value.fract() == 0.0 { format!("{value:.1}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weakened_run_is_not_comparable_and_a_gap_is_said() {
        let mut report = Report::new("t".into());
        report.figure(("rate", "records/s"), Some(20_000.0), Bar::AtLeast(20_000.0));
        report.figure(("memory", "MB"), None, Bar::Below(100.0));
        assert!(report.text().contains("20,000") && report.text().contains("met") && report.text().contains("not measured"));
        report.weakened("100 patients");
        assert_eq!(report.json()["figures"][0]["verdict"], "not comparable");
    }
}
