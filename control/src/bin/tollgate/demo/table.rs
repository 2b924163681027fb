//! What a demo shows while it runs: a table that is drawn anew each second in a terminal, a line a
//! second elsewhere.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// The state of everything at one moment.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Snapshot {
    /// How long the calls have lasted.
    pub(super) elapsed: Duration,
    /// Calls that are up, and calls there are to be.
    pub(super) up: usize,
    pub(super) calls: usize,
    /// RTP packets that the cores sent and accepted.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Octets heard that were not as they were said.
    pub(super) wrong: u64,
    /// Each call.
    pub(super) rows: Vec<Row>,
}

/// One call.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Row {
    /// The two endpoints.
    pub(super) endpoints: [String; 2],
    /// What is there besides the figures: `setting up`, or why the call failed.
    pub(super) note: Option<String>,
    /// What each end has seen and hears.
    pub(super) ends: [Figures; 2],
}

/// One end of a call: what its connection says (AUCX), and what its far end hears.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Figures {
    pub(super) received: Option<u32>,
    pub(super) lost: Option<u32>,
    pub(super) jitter_ms: Option<u32>,
    pub(super) delay: Option<Duration>,
    pub(super) level_dbm0: Option<f64>,
}

/// Where snapshots are shown.
pub(super) struct Screen {
    /// Lines to go up before the next drawing; `None` if this is no terminal.
    drawn: Option<usize>,
}

impl Screen {
    /// Standard output, as a table if it is a terminal that can be drawn on.
    pub(super) fn stdout() -> Self {
        Self { drawn: (io::stdout().is_terminal() && !crate::is_dumb()).then_some(0) }
    }

    /// Shows a snapshot.
    ///
    /// # Errors
    /// When nobody reads it any more.
    pub(super) fn show(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let Some(drawn) = &mut self.drawn else {
            return writeln!(out, "{}", line(snapshot));
        };
        let (columns, rows) = size();
        let text = table(snapshot, columns, rows);
        let mut screen = String::new();
        if *drawn > 0 {
            // Up to the first line of the last drawing, and clear from there.
            let _ = write!(screen, "\x1b[{drawn}A\r\x1b[J");
        }
        screen.push_str(&text);
        *drawn = text.lines().count();
        out.write_all(screen.as_bytes())?;
        out.flush()
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    let size = terminal_size::terminal_size();
    size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)))
}

/// Both ends of a call in 80 columns.
const HEAD: &str = "  from         to                received      lost jitter      delay    level";
const UNIT: &str = "                                  packets   packets     ms         ms     dBm0";

/// The snapshot in at most so many columns and rows.
fn table(snapshot: &Snapshot, columns: usize, rows: usize) -> String {
    let sum = Sum::of(snapshot);
    let (calls, packets) = head(snapshot, &sum);
    let mut lines = vec![calls, format!("        {packets}"), HEAD.to_owned(), UNIT.to_owned()];
    // Below the calls come a line for what does not fit, the sum, and the cursor.
    let room = rows.saturating_sub(lines.len() + 3).max(1);
    lines.extend(snapshot.rows.iter().take(room).map(row));
    if snapshot.rows.len() > room {
        lines.push(format!("  ... and {} calls more", snapshot.rows.len() - room));
    }
    lines.push(format!(
        "  {:<25} {:>13} {:>9} {:>6} {:>10} {:>8}",
        "all",
        sum.received,
        sum.lost,
        figure(sum.jitter_ms_max, 0),
        figure(sum.delay_ms_max, 1),
        figure(sum.level_dbm0, 0)
    ));
    let cut = |line: String| line.chars().take(columns.saturating_sub(1)).chain(['\n']).collect::<String>();
    lines.into_iter().map(cut).collect()
}

/// One call's row: each figure as the first and the second endpoint have it.
fn row(row: &Row) -> String {
    let [a, b] = &row.endpoints;
    let mut text = format!("  {a:<12} {b:<12}");
    if let Some(note) = &row.note {
        text.push_str("   ");
        text.push_str(note);
        return text;
    }
    let [one, other] = &row.ends;
    let count = |one: Option<u32>, other: Option<u32>| format!("{}/{}", figure(one, 0), figure(other, 0));
    let ms = |delay: Option<Duration>| delay.map(|delay| delay.as_secs_f64() * 1e3);
    let _ = write!(
        text,
        " {:>13} {:>9} {:>6} {:>10} {:>8}",
        count(one.received, other.received),
        count(one.lost, other.lost),
        count(one.jitter_ms, other.jitter_ms),
        format!("{}/{}", figure(ms(one.delay), 1), figure(ms(other.delay), 1)),
        format!("{}/{}", figure(one.level_dbm0, 0), figure(other.level_dbm0, 0)),
    );
    text
}

/// All calls' figures in one.
struct Sum {
    received: u64,
    lost: u64,
    jitter_ms_max: Option<u32>,
    delay_ms_max: Option<f64>,
    level_dbm0: Option<f64>,
}

impl Sum {
    fn of(snapshot: &Snapshot) -> Self {
        let ends = || snapshot.rows.iter().filter(|row| row.note.is_none()).flat_map(|row| &row.ends);
        let levels: Vec<f64> = ends().filter_map(|end| end.level_dbm0).collect();
        Self {
            received: ends().filter_map(|end| end.received).map(u64::from).sum(),
            lost: ends().filter_map(|end| end.lost).map(u64::from).sum(),
            jitter_ms_max: ends().filter_map(|end| end.jitter_ms).max(),
            delay_ms_max: ends().filter_map(|end| end.delay).max().map(|delay| delay.as_secs_f64() * 1e3),
            level_dbm0: (!levels.is_empty()).then(|| levels.iter().sum::<f64>() / levels.len() as f64),
        }
    }
}

/// The calls', and the gateway's, figures.
fn head(snapshot: &Snapshot, sum: &Sum) -> (String, String) {
    let Snapshot { elapsed, up, calls, sent, received, wrong, .. } = snapshot;
    let share = 100.0 * sum.lost as f64 / (sum.lost + sum.received).max(1) as f64;
    (
        format!("{:>4} s  {up}/{calls} calls up, {wrong} octets wrong", elapsed.as_secs()),
        format!("RTP {sent} sent, {received} received, {} lost ({share:.2} %)", sum.lost),
    )
}

/// All of it in a line.
fn line(snapshot: &Snapshot) -> String {
    let sum = Sum::of(snapshot);
    let (calls, packets) = head(snapshot, &sum);
    format!(
        "{calls}; {packets}; jitter {} ms, delay {} ms, level {} dBm0",
        figure(sum.jitter_ms_max, 0),
        figure(sum.delay_ms_max, 1),
        figure(sum.level_dbm0, 1),
    )
}

/// A figure, or a dash where there is none.
fn figure<T: Into<f64>>(figure: Option<T>, decimals: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{:.decimals$}", figure.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(rows: usize) -> Snapshot {
        let end = Figures {
            received: Some(1_000),
            lost: Some(1),
            jitter_ms: Some(2),
            delay: Some(Duration::from_millis(45)),
            level_dbm0: Some(-20.25),
        };
        let row = Row {
            endpoints: ["e1-1/1".to_owned(), "e1-3/1".to_owned()],
            note: None,
            ends: [end, Figures::default()],
        };
        Snapshot { up: rows, calls: rows, rows: vec![row; rows], ..Snapshot::default() }
    }

    #[test]
    fn a_table_fits_its_terminal() {
        let text = table(&snapshot(62), 60, 24);
        assert_eq!(text.lines().count(), 23, "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 60), "{text}");
        assert!(text.contains("  ... and 45 calls more\n"), "{text}");
    }

    #[test]
    fn a_row_has_the_figures_of_both_ends() {
        let text = row(&snapshot(1).rows[0]);
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words, ["e1-1/1", "e1-3/1", "1000/-", "1/-", "2/-", "45.0/-", "-20/-"]);
    }

    #[test]
    fn the_line_sums_up() {
        let text = line(&snapshot(2));
        assert!(text.contains("2/2 calls up, 0 octets wrong"), "{text}");
        assert!(text.contains(" 2 lost (0.10 %)"), "{text}");
        assert!(text.contains("delay 45.0 ms"), "{text}");
    }

    #[test]
    fn a_call_that_is_not_up_has_a_note() {
        let mut row_ = snapshot(1).rows.remove(0);
        row_.note = Some("refused: 403".to_owned());
        assert!(row(&row_).ends_with("refused: 403"));
    }

    #[test]
    fn figures_of_a_long_call_fit_a_terminal_of_80_columns() {
        let mut snapshot = snapshot(1);
        let end = Figures { received: Some(180_000), lost: Some(9_999), ..snapshot.rows[0].ends[0] };
        snapshot.rows[0].endpoints = ["ds/ds1-63/24".to_owned(), "ds/ds1-64/24".to_owned()];
        snapshot.rows[0].ends = [Figures { lost: Some(99), ..end }, end];
        let widest = row(&snapshot.rows[0]);
        assert!(widest.len() < 80 && widest.len() == HEAD.len(), "{}: {widest}", widest.len());
        assert!(HEAD.len() == UNIT.len());
    }
}
