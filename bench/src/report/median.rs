//! Several runs of the same: of each figure the median, and between what it was.
//!
//! A machine with other work on it is never twice the same. The median of an odd number of runs is a figure
//! that was measured, and one hiccup does not move it. What there should be none of is no such figure: one run
//! that loses something is not undone by two that do not, so there the worst counts.

use super::section::{Course, Figure};
use super::{Report, Section, Value, Verdict};

impl Report {
    /// The medians of these runs, in the order they were made in.
    ///
    /// A run that has failed fails all: neither the harness nor the machine was to blame for it. Of the other
    /// verdicts it is the middle one, the worse of two; what each run came to is told beside.
    ///
    /// # Panics
    /// If there are none.
    pub(crate) fn median(mut runs: Vec<Self>) -> Self {
        let first = runs.first().expect("there is a run at least");
        let mut report = Self::new(first.bench, first.settings.clone());
        report.settings.push(("run", Value::Text(format!("median of {}", runs.len()))));
        report.sections = sections(&runs);
        report.sections.push(verdicts(&runs));
        report.verdict = verdict(&runs);
        report.faults = named(&runs, |run| run.faults.clone());
        report.last_words = named(&runs, |run| vec![run.last_words.clone()]).join("\n");
        for (n, run) in (1..).zip(&mut runs) {
            run.settings.push(("run", Value::Count(n)));
        }
        report.runs = runs;
        report
    }
}

/// All sections that any run has, and in each all figures that any has.
fn sections(runs: &[Report]) -> Vec<Section> {
    let all = || runs.iter().flat_map(|run| &run.sections);
    let titles = distinct(all().map(|section| section.title));
    titles.into_iter().map(|title| merged(title, runs)).collect()
}

fn merged(title: &'static str, runs: &[Report]) -> Section {
    let of = |run: &Report| run.sections.iter().find(|section| section.title == title).cloned();
    let own: Vec<(usize, Section)> = (1..).zip(runs).filter_map(|(n, run)| Some((n, of(run)?))).collect();
    let mut section = Section::new(title);
    for name in distinct(own.iter().flat_map(|(_, it)| &it.figures).map(|figure| figure.name.as_str())) {
        let same = own.iter().flat_map(|(_, it)| &it.figures).filter(|figure| figure.name == name);
        section.figures.push(median(&same.collect::<Vec<_>>()));
    }
    for (n, run) in &own {
        for (words, histogram) in &run.distributions {
            match section.distributions.iter_mut().find(|(other, _)| other == words) {
                Some((_, sum)) => sum.add(histogram).expect("all of them have the same range"),
                None => section.distributions.push((words.clone(), histogram.clone())),
            }
        }
        let course =
            |course: &Course| Course { words: format!("run {n}: {}", course.words), ..course.clone() };
        section.courses.extend(run.courses.iter().map(course));
    }
    section
}

/// The median of a figure; of words, all that differ; of what there should be none of, the most.
fn median(same: &[&Figure]) -> Figure {
    let figure = same[0].clone();
    let mut numbers: Vec<f64> = same.iter().filter_map(|figure| figure.value.number()).collect();
    numbers.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (numbers.first(), numbers.last()) else {
        let is_one = same.iter().all(|other| other.words == figure.words);
        let text =
            |it: &&Figure| if is_one { it.value.to_string() } else { format!("{}: {}", it.words, it.value) };
        let texts = distinct(same.iter().map(text));
        return Figure { value: Value::Text(texts.join(" | ")), ..figure };
    };
    let [below, above] = [(numbers.len() - 1) / 2, numbers.len() / 2].map(|place| numbers[place]);
    let value = match figure.value {
        Value::Count(_) if figure.is_fault => Value::Count(*most as u64),
        Value::Count(_) if below == above => Value::Count(below as u64),
        _ => Value::Number(below.midpoint(above)),
    };
    Figure { value, between: Some([*least, *most]), ..figure }
}

/// The reasons of all runs that failed; if none did, the middle verdict.
fn verdict(runs: &[Report]) -> Verdict {
    let failed = |run: &Report| match &run.verdict {
        Verdict::Fail(reasons) => reasons.clone(),
        Verdict::Pass | Verdict::Inconclusive(_) => Vec::new(),
    };
    if runs.iter().any(|run| matches!(run.verdict, Verdict::Fail(_))) {
        return Verdict::Fail(named(runs, failed));
    }
    let mut verdicts: Vec<_> = runs.iter().map(|run| &run.verdict).collect();
    verdicts.sort_by_key(|verdict| **verdict != Verdict::Pass);
    verdicts[verdicts.len() / 2].clone()
}

/// What each run came to.
fn verdicts(runs: &[Report]) -> Section {
    let mut section = Section::new("the runs");
    for (n, run) in (1..).zip(runs) {
        let (word, reasons) = run.verdict.words();
        let words = [&[word.to_owned()], reasons].concat().join("; ");
        section.text(&format!("run_{n}_verdict"), &format!("run {n}"), &words);
    }
    section
}

/// What the runs have of something, each with the number of its run.
fn named(runs: &[Report], of: impl Fn(&Report) -> Vec<String>) -> Vec<String> {
    let own =
        |(n, run)| of(run).into_iter().filter(|it| !it.is_empty()).map(move |it| format!("run {n}: {it}"));
    (1..).zip(runs).flat_map(own).collect()
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut distinct, one| {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
        distinct
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::histogram;

    fn run(lost: u64, cpu: f64, verdict: Verdict) -> Report {
        let mut report = Report::new("density", vec![("ds0", Value::Count(480))]);
        let mut section = Section::new("packets");
        section.count("sent", "sent", 1_000 + lost, "packets");
        section.fault("lost", "lost", lost, "packets");
        section.share("cpu", "its CPU", cpu);
        section.text("limit", "limit", if lost > 0 { "the machine" } else { "nothing" });
        let mut times = histogram();
        times.record(lost + 1).expect("it is in range");
        section.distributions.push(("delay".to_owned(), times));
        report.sections.push(section);
        report.verdict = verdict;
        report
    }

    #[test]
    fn each_figure_is_the_median_and_says_between_what_it_was() {
        let report = Report::median(vec![
            run(0, 0.25, Verdict::Pass),
            run(7, 0.5, Verdict::Fail(vec!["lost".to_owned()])),
            run(0, 0.75, Verdict::Pass),
        ]);
        assert_eq!(report.figure("sent"), Some(&Value::Count(1_000)));
        assert_eq!(report.figure("cpu"), Some(&Value::Number(50.0)));
        assert_eq!(report.figure("limit"), Some(&Value::Text("nothing | the machine".to_owned())));
        assert_eq!(report.sections[0].distributions[0].1.len(), 3);
        let mut json = Vec::new();
        report.write_json(&mut json).expect("a Vec takes it");
        let json = String::from_utf8(json).expect("it is text");
        let line = r#"{"bench":"density","ds0":480,"run":2,"figure":"lost","value":7,"unit":"packets"}"#;
        assert!(json.contains(line), "{json}");
        let line =
            r#""run":"median of 3","figure":"sent","value":1000,"min":1000,"max":1007,"unit":"packets"}"#;
        assert!(json.contains(line), "{json}");
    }

    #[test]
    fn one_run_that_failed_fails_all_and_what_it_lost_is_the_figure() {
        let lost = Verdict::Fail(vec!["lost".to_owned()]);
        let passed = || run(0, 0.2, Verdict::Pass);
        let report = Report::median(vec![passed(), run(7, 0.2, lost), passed()]);
        assert_eq!(report.verdict, Verdict::Fail(vec!["run 2: lost".to_owned()]));
        assert_eq!(report.figure("lost"), Some(&Value::Count(7)));
        assert_eq!(report.figure("run_2_verdict"), Some(&Value::Text("FAIL; lost".to_owned())));
        assert_eq!(
            Report::median(vec![passed(), run(9, 0.2, Verdict::Pass)]).figure("lost"),
            Some(&Value::Count(9))
        );
    }

    #[test]
    fn of_runs_that_passed_and_runs_that_say_nothing_two_of_three_decide() {
        let passed = || run(0, 0.2, Verdict::Pass);
        let vague = || run(0, 0.2, Verdict::Inconclusive(vec!["late".to_owned()]));
        assert_eq!(Report::median(vec![vague(), passed(), passed()]).verdict, Verdict::Pass);
        assert_eq!(Report::median(vec![passed(), vague()]).verdict, vague().verdict);
        assert_eq!(Report::median(vec![vague(), passed(), vague()]).verdict, vague().verdict);
    }
}
