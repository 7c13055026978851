//! A figure: samples of libpglite and of its baselines, taken in rounds, and the goals.

use std::collections::BTreeMap;

use postgres_build::stock::Flavour;

/// Who was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// libpglite.
    Ours,
    /// A stock server.
    Stock(Flavour),
}

/// All of them, in the order of a round.
pub(crate) const SIDES: [Side; 3] = [Side::Ours, Side::Stock(Flavour::Gcc), Side::Stock(Flavour::Clang)];

/// The baseline of goals and of the figures in a report.
pub(crate) const BASELINE: Flavour = Flavour::Gcc;

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// This value, in the figure's unit.
    Value(f64),
    /// This ratio to the baseline.
    Ratio(f64),
    /// A smaller ratio than this.
    Below(f64),
}

/// Numbers of one side, one a round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// The value that this fraction of the numbers does not exceed, interpolated.
    fn quantile(&self, fraction: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
        let at = fraction * last as f64;
        let below = sorted[at as usize];
        let above = sorted[(at as usize + 1).min(last)];
        below + (above - below) * at.fract()
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The first and third quartile.
    pub(crate) fn quartiles(&self) -> [f64; 2] {
        [self.quantile(0.25), self.quantile(0.75)]
    }

    pub(crate) fn numbers(&self) -> &[f64] {
        &self.0
    }
}

/// The numbers of all sides, by the name that a measurement gives them.
#[derive(Default)]
pub(crate) struct Samples(BTreeMap<String, BTreeMap<Side, Sample>>);

/// What one measurement gives.
pub(crate) type Values = BTreeMap<String, f64>;

impl Samples {
    pub(crate) fn add(&mut self, side: Side, values: Values) {
        for (name, value) in values {
            self.0.entry(name).or_default().entry(side).or_default().0.push(value);
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> BTreeMap<Side, Sample> {
        self.0.remove(name).unwrap_or_default()
    }
}

/// One line of the report.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// What must be.
    pub(crate) at_least: Option<Goal>,
    /// What is wanted.
    pub(crate) aim: Option<Goal>,
    pub(crate) samples: BTreeMap<Side, Sample>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, samples: BTreeMap<Side, Sample>) -> Self {
        Self { name: name.into(), unit, better: Better::Lower, at_least: None, aim: None, samples }
    }

    pub(crate) fn higher_is_better(self) -> Self {
        Self { better: Better::Higher, ..self }
    }

    pub(crate) fn goals(self, at_least: Goal, aim: Goal) -> Self {
        Self { at_least: Some(at_least), aim: Some(aim), ..self }
    }

    pub(crate) fn at_least(self, goal: Goal) -> Self {
        Self { at_least: Some(goal), ..self }
    }

    pub(crate) fn side(&self, side: Side) -> Option<&Sample> {
        self.samples.get(&side)
    }

    /// Ours by that of a baseline, round by round: what slows the machine down for a while slows both.
    pub(crate) fn ratio(&self, flavour: Flavour) -> Option<Sample> {
        let (ours, theirs) = (self.side(Side::Ours)?, self.side(Side::Stock(flavour))?);
        Some(Sample(ours.0.iter().zip(&theirs.0).map(|(ours, theirs)| ours / theirs).collect()))
    }

    /// Whether a goal is met; `None` where it was not measured.
    pub(crate) fn meets(&self, goal: Goal) -> Option<bool> {
        let (found, wanted) = match goal {
            Goal::Value(wanted) => (self.side(Side::Ours)?.median(), wanted),
            Goal::Ratio(wanted) => (self.ratio(BASELINE)?.median(), wanted),
            Goal::Below(limit) => return Some(self.ratio(BASELINE)?.median() < limit),
        };
        Some(match self.better {
            Better::Lower => found <= wanted,
            Better::Higher => found >= wanted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: &[f64], gcc: &[f64]) -> Figure {
        let mut samples = Samples::default();
        let one = |value: &f64| Values::from([("x".to_owned(), *value)]);
        ours.iter().for_each(|value| samples.add(Side::Ours, one(value)));
        gcc.iter().for_each(|value| samples.add(Side::Stock(Flavour::Gcc), one(value)));
        Figure::new("figure", "ms", samples.take("x"))
    }

    #[test]
    fn medians_and_quartiles() {
        let odd = Sample(vec![5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!((odd.median(), odd.quartiles()), (3.0, [2.0, 4.0]));
        assert_eq!(Sample(vec![1.0, 2.0]).median(), 1.5);
        assert_eq!(Sample(vec![7.0]).quartiles(), [7.0, 7.0]);
        assert!(Sample::default().median().is_nan());
    }

    #[test]
    fn ratios_are_of_pairs() {
        // The machine was slow in the second round: the ratio of the medians would be 0.75.
        let figure = figure(&[1.0, 100.0, 3.0], &[2.0, 200.0, 4.0]);
        assert_eq!(figure.ratio(Flavour::Gcc).unwrap().median(), 0.5);
        assert!(figure.ratio(Flavour::Clang).is_none());
    }

    #[test]
    fn goals() {
        let time = figure(&[10.0], &[20.0]);
        assert_eq!(time.meets(Goal::Value(10.0)), Some(true));
        assert_eq!(time.meets(Goal::Value(9.9)), Some(false));
        assert_eq!(time.meets(Goal::Ratio(0.5)), Some(true));
        assert_eq!(time.meets(Goal::Below(0.5)), Some(false));
        let rate = figure(&[19.0], &[20.0]).higher_is_better();
        assert_eq!(rate.meets(Goal::Ratio(0.95)), Some(true));
        assert_eq!(rate.meets(Goal::Ratio(1.0)), Some(false));
        assert_eq!(figure(&[1.0], &[]).meets(Goal::Value(2.0)), Some(true));
        assert_eq!(figure(&[], &[]).meets(Goal::Value(2.0)), None);
    }
}
