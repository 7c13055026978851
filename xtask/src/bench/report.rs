//! The table, and the file of figures.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use postgres_build::stock::Flavour;
use serde_json::{Value, json};

use super::figure::{BASELINE, Better, Figure, Goal, Sample, Side};
use super::lab::Lab;

/// What the table's columns are.
pub(crate) const LEGEND: &str = "\
Each value is the median of its rounds, with the quartiles in brackets. A ratio is ours by stock's, the median of the rounds' ratios: below 1 is
good for times and sizes, above 1 for rates. Goals with an `x` are ratios to stock gcc; + is met, - is not.";

const HEADINGS: [&str; 9] =
    ["figure", "unit", "ours", "stock, gcc -O2", "ratio", "stock, clang -O2 -flto", "ratio", "at least", "aim"];

/// All figures, as text.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(figures.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for (line, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if line == 0 {
            let rule: usize = widths.iter().map(|width| width + 2).sum();
            let _ = writeln!(text, "{}", "-".repeat(rule - 2));
        }
    }
    text
}

fn row(figure: &Figure) -> [String; 9] {
    let side = |side| figure.side(side).map_or(String::new(), with_spread);
    let ratio = |flavour| figure.ratio(flavour).map_or(String::new(), |ratio| with_spread(&ratio));
    [
        figure.name.clone(),
        figure.unit.into(),
        side(Side::Ours),
        side(Side::Stock(Flavour::Gcc)),
        ratio(Flavour::Gcc),
        side(Side::Stock(Flavour::Clang)),
        ratio(Flavour::Clang),
        goal(figure, figure.at_least),
        goal(figure, figure.aim),
    ]
}

fn goal(figure: &Figure, goal: Option<Goal>) -> String {
    let Some(goal) = goal else { return String::new() };
    let bound = if figure.better == Better::Lower { "<=" } else { ">=" };
    let text = match goal {
        Goal::Value(value) => format!("{bound} {}", number(value)),
        Goal::Ratio(ratio) => format!("{bound} {}x", number(ratio)),
        Goal::Below(ratio) => format!("< {}x", number(ratio)),
    };
    match figure.meets(goal) {
        Some(true) => format!("{text} +"),
        Some(false) => format!("{text} -"),
        None => text,
    }
}

fn with_spread(sample: &Sample) -> String {
    let [low, high] = sample.quartiles();
    match sample.numbers() {
        [_] => number(sample.median()),
        _ => format!("{} [{}..{}]", number(sample.median()), number(low), number(high)),
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || value == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.995 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Writes all figures.
pub(crate) fn write(figures: &[Figure], lab: &Lab, file: &Path) -> Result<()> {
    let figures: Vec<Value> = figures.iter().map(value).collect();
    let mut report = lab.describe()?;
    report["figures"] = figures.into();
    let text = serde_json::to_string_pretty(&report)? + "\n";
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn value(figure: &Figure) -> Value {
    let median = |side| figure.side(side).map(Sample::median);
    let baseline = |flavour: Flavour| {
        let sample = figure.side(Side::Stock(flavour))?;
        Some(json!({
            "name": flavour.name(),
            "value": sample.median(),
            "ratio": figure.ratio(flavour).map(|ratio| ratio.median()),
            "ratio_quartiles": figure.ratio(flavour).map(|ratio| ratio.quartiles()),
            "rounds": sample.numbers(),
        }))
    };
    let goal = |goal: Option<Goal>| {
        let goal = goal?;
        let (kind, bound) = match goal {
            Goal::Value(value) => ("value", value),
            Goal::Ratio(ratio) => ("ratio", ratio),
            Goal::Below(ratio) => ("ratio below", ratio),
        };
        Some(json!({ "of": kind, "bound": bound, "met": figure.meets(goal) }))
    };
    let baselines: Vec<Value> = [Flavour::Gcc, Flavour::Clang].into_iter().filter_map(baseline).collect();
    json!({
        "name": figure.name,
        "unit": figure.unit,
        "better": if figure.better == Better::Lower { "lower" } else { "higher" },
        "value": median(Side::Ours),
        "quartiles": figure.side(Side::Ours).map(Sample::quartiles),
        "rounds": figure.side(Side::Ours).map(Sample::numbers),
        "baseline": figure.side(Side::Stock(BASELINE)).map(|_| BASELINE.name()),
        "baseline_value": median(Side::Stock(BASELINE)),
        "ratio": figure.ratio(BASELINE).map(|ratio| ratio.median()),
        "baselines": baselines,
        "at_least": goal(figure.at_least),
        "aim": goal(figure.aim),
    })
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Samples, Values};
    use super::*;

    fn figure() -> Figure {
        let mut samples = Samples::default();
        for (side, numbers) in [(Side::Ours, [10.0, 12.0, 11.0]), (Side::Stock(Flavour::Gcc), [22.0, 22.0, 22.0])] {
            numbers.into_iter().for_each(|number| samples.add(side, Values::from([("x".to_owned(), number)])));
        }
        Figure::new("latency", "us", samples.take("x")).goals(Goal::Value(11.5), Goal::Ratio(0.4))
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [1234.5, 123.4, 12.34, 1.234, 0.1234, 5.0, 0.0, 0.999, -0.5].map(number);
        assert_eq!(shown, ["1234", "123", "12.3", "1.23", "0.123", "5", "0", "1", "-0.5"]);
    }

    #[test]
    fn a_row_has_values_spread_ratio_and_goals() {
        let table = table(&[figure()]);
        let line = table.lines().last().unwrap();
        for part in ["latency", "us", "11 [10.5..11.5]", "22 [22..22]", "0.5 [0.477..0.523]", "<= 11.5 +", "<= 0.4x -"]
        {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    #[test]
    fn the_file_has_what_a_reader_needs() {
        let value = value(&figure());
        assert_eq!((&value["name"], &value["unit"], &value["value"]), (&json!("latency"), &json!("us"), &json!(11.0)));
        assert_eq!(value["baseline"], "stock, gcc -O2");
        assert_eq!((&value["baseline_value"], &value["ratio"]), (&json!(22.0), &json!(0.5)));
        assert_eq!((&value["at_least"]["met"], &value["aim"]["met"]), (&json!(true), &json!(false)));
        assert_eq!(value["baselines"].as_array().unwrap().len(), 1);
    }
}
