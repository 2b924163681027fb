//! What a figure must be at least or at most: `--require 'core_cpu<=75'`.

use std::str::FromStr;

use crate::report::{Report, Value, Verdict};

/// What one figure of a report must be.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Requirement {
    figure: String,
    bound: Bound,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// Holds the figures of a report against what is required of them.
pub(crate) fn hold(report: &mut Report, requirements: &[Requirement]) {
    let short: Vec<_> = requirements.iter().filter_map(|it| it.shortfall(report)).collect();
    if short.is_empty() {
        return;
    }
    let known = report.verdict.reasons();
    let faults: Vec<_> = report.faults.iter().filter(|fault| !known.contains(fault)).cloned().collect();
    report.judge(if report.faults.is_empty() {
        Verdict::Fail(short)
    } else {
        Verdict::Inconclusive([short, faults].concat())
    });
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (figure, bound, number): (_, fn(f64) -> Bound, _) =
            match (text.split_once("<="), text.split_once(">=")) {
                (Some((figure, number)), None) => (figure, Bound::AtMost, number),
                (None, Some((figure, number))) => (figure, Bound::AtLeast, number),
                _ => return Err("a requirement is FIGURE<=NUMBER or FIGURE>=NUMBER".to_owned()),
            };
        let number = number.trim().parse().ok().filter(|number: &f64| number.is_finite());
        let number = number.ok_or("what is required of a figure is a number")?;
        Ok(Self { figure: figure.trim().to_owned(), bound: bound(number) })
    }
}

impl Requirement {
    /// In what a report falls short of it.
    fn shortfall(&self, report: &Report) -> Option<String> {
        let figure = &self.figure;
        let value = match report.figure(figure).map(Value::number) {
            Some(Some(number)) => number,
            Some(None) => return Some(format!("{figure} is no number")),
            None => return Some(format!("{figure} was not measured")),
        };
        // What is no number never holds.
        let (holds, words, bound) = match self.bound {
            Bound::AtMost(most) => (value <= most, "at most", most),
            Bound::AtLeast(least) => (value >= least, "at least", least),
        };
        (!holds).then(|| format!("{figure} is {value:.3}; required: {words} {bound}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Section;

    fn report() -> Report {
        let mut report = Report::new("density", Vec::new());
        let mut section = Section::new("figures");
        section.count("lost", "lost", 7, "packets");
        section.number("cpu", "CPU", 74.5, "%");
        section.number("ratio", "ratio", f64::NAN, "times");
        section.text("limit", "limit", "nothing");
        report.sections.push(section);
        report
    }

    fn shortfall(requirement: &str) -> Option<String> {
        requirement.parse::<Requirement>().expect("it is a requirement").shortfall(&report())
    }

    #[test]
    fn what_is_required_and_does_not_hold_fails_unless_the_harness_may_be_why() {
        let held = |faults: &[&str], requirement: &str| {
            let mut report = report();
            report.faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
            hold(&mut report, &[requirement.parse().expect("it is a requirement")]);
            report.verdict
        };
        assert_eq!(held(&["late"], "cpu<=75"), Verdict::Pass);
        assert!(matches!(held(&[], "cpu<=74"), Verdict::Fail(reasons) if reasons.len() == 1));
        assert!(matches!(held(&["late"], "cpu<=74"), Verdict::Inconclusive(reasons) if reasons.len() == 2));
    }

    #[test]
    fn a_figure_holds_up_to_its_bound_and_no_further() {
        assert_eq!(shortfall("lost<=7"), None);
        assert_eq!(shortfall("cpu >= 74.5"), None);
        assert_eq!(shortfall("lost<=6").as_deref(), Some("lost is 7.000; required: at most 6"));
        assert_eq!(shortfall("cpu>=75").as_deref(), Some("cpu is 74.500; required: at least 75"));
    }

    #[test]
    fn what_was_not_measured_or_is_no_number_never_holds() {
        assert!(shortfall("speed<=7").is_some());
        assert!(shortfall("limit<=7").is_some());
        assert!(shortfall("ratio<=7").is_some() && shortfall("ratio>=0").is_some());
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in ["", "cpu", "cpu<75", "cpu<=", "cpu<=many", "cpu<=NaN", "a<=1>=2"] {
            assert!(text.parse::<Requirement>().is_err(), "{text}");
        }
    }
}
