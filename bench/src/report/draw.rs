//! Drawings: distributions of times, and what changed over time. SVG, as text.

use hdrhistogram::Histogram;
use plotters::prelude::*;

use super::section::Course;
use crate::Failure;

/// How often each time was seen, up to the 99.9th percentile: the few that are longer would leave no room.
pub(super) fn distribution(histogram: &Histogram<u64>) -> Result<String, Failure> {
    let bars = bars(histogram);
    let (from, to) = (bars.first().map_or(0.0, |bar| bar.from_ms), bars.last().map_or(1.0, |bar| bar.to_ms));
    let most = bars.iter().map(|bar| bar.percent).fold(0.0, f64::max);
    drawn(|root| {
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(from..to, 0.0..most * 1.05)?;
        chart
            .configure_mesh()
            .max_light_lines(0)
            .label_style(LABELS)
            .x_desc("ms")
            .y_desc("% of all")
            .draw()?;
        let rectangle =
            |bar: &Bar| Rectangle::new([(bar.from_ms, 0.0), (bar.to_ms, bar.percent)], BLUE.filled());
        chart.draw_series(bars.iter().map(rectangle))?;
        Ok(())
    })
}

/// How long the longest part of all was, down to the very longest: each step to the right is a tenth of it.
pub(super) fn tail(histogram: &Histogram<u64>) -> Result<String, Failure> {
    let nines = (histogram.len().max(10) as f64).log10();
    let steps = (nines / TAIL_STEP).ceil() as u32;
    let point = |step: u32| {
        let nines = (f64::from(step) * TAIL_STEP).min(nines);
        (nines, histogram.value_at_quantile(1.0 - 10_f64.powf(-nines)) as f64 / 1e3)
    };
    drawn(|root| {
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..nines, 0.0..histogram.max() as f64 / 1e3 * 1.05 + 1e-3)?;
        let percent = |nines: &f64| {
            let nines = nines.round();
            format!("{:.1$}", 100.0 - 100.0 / 10_f64.powf(nines), (nines as usize).saturating_sub(2))
        };
        chart
            .configure_mesh()
            .max_light_lines(0)
            .label_style(LABELS)
            .x_labels(nines as usize + 1)
            .x_label_formatter(&percent)
            .x_desc("% of all are not longer")
            .y_desc("ms")
            .draw()?;
        chart.draw_series(LineSeries::new((0..=steps).map(point), BLUE.stroke_width(2)))?;
        Ok(())
    })
}

/// What changed over time.
pub(super) fn course(course: &Course) -> Result<String, Failure> {
    let end = course.points.iter().map(|point| point.0).fold(0.0, f64::max);
    let most = course.points.iter().map(|point| point.1).fold(0.0, f64::max);
    drawn(|root| {
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..end.max(1e-3), 0.0..most * 1.05 + 1e-3)?;
        chart
            .configure_mesh()
            .max_light_lines(0)
            .label_style(LABELS)
            .x_desc("s")
            .y_desc(course.unit)
            .draw()?;
        chart.draw_series(LineSeries::new(course.points.iter().copied(), BLUE.stroke_width(2)))?;
        Ok(())
    })
}

/// A part of a distribution.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Bar {
    from_ms: f64,
    to_ms: f64,
    percent: f64,
}

/// The bars of a distribution of times in us.
fn bars(histogram: &Histogram<u64>) -> Vec<Bar> {
    let (from, to) = (histogram.min(), histogram.value_at_quantile(0.999));
    let width = ((to - from.min(to)) / BARS).max(1);
    let mut counts = vec![0; ((to - from.min(to)) / width + 1) as usize];
    for value in histogram.iter_recorded() {
        let place = (value.value_iterated_to().max(from) - from) / width;
        if let Some(count) = counts.get_mut(place as usize) {
            *count += value.count_since_last_iteration();
        }
    }
    let bar = |(place, count): (u64, u64)| Bar {
        from_ms: (from + place * width) as f64 / 1e3,
        to_ms: (from + (place + 1) * width) as f64 / 1e3,
        percent: 100.0 * count as f64 / histogram.len().max(1) as f64,
    };
    (0..).zip(counts).map(bar).collect()
}

type Root<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn drawn(draw: impl FnOnce(&Root<'_>) -> Result<(), Failure>) -> Result<String, Failure> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        draw(&root)?;
        root.present()?;
    }
    Ok(svg)
}

/// Bars of a distribution, or one more.
const BARS: u64 = 80;

/// How far a point of a tail is from the next: a tenth of a tenth.
const TAIL_STEP: f64 = 0.1;

/// The letters of all that is written.
const LABELS: (&str, f64) = ("sans-serif", 13.0);

/// Width and height of a drawing.
const SIZE: (u32, u32) = (620, 300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::histogram;

    #[test]
    fn bars_have_all_but_the_longest_thousandth() {
        let mut times = histogram();
        (0..10_000_u64).for_each(|n| times.record(1_000 + n % 500).expect("it is in range"));
        times.record_n(1_000_000, 5).expect("it is in range");
        let bars = bars(&times);
        assert!(bars.len() as u64 <= 2 * BARS, "{}", bars.len());
        assert!((bars.iter().map(|bar| bar.percent).sum::<f64>() - 99.95).abs() < 0.1);
        assert!((bars[0].from_ms - 1.0).abs() < 1e-9 && bars[bars.len() - 1].to_ms < 2.0);
    }

    #[test]
    fn anything_can_be_drawn() {
        let mut times = histogram();
        let course_of = |points| Course { words: "rate".to_owned(), unit: "calls/s", points };
        for n in [0, 7, 60_000_000] {
            for svg in [
                distribution(&times),
                tail(&times),
                course(&course_of(Vec::new())),
                course(&course_of(vec![(1.0, n as f64)])),
            ] {
                let svg = svg.expect("it can be drawn");
                assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            }
            times.record(n).expect("it is in range");
        }
    }
}
