//! Medians, and the table they are printed in.

use std::{
    fmt::Write,
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

/// Something whose time is taken.
pub(crate) type Work<'a> = dyn FnMut() + 'a;

/// Runs each work so many times, by turns; returns their medians in microseconds.
pub(crate) fn alternate<const N: usize>(times: usize, mut works: [&mut Work<'_>; N]) -> [f64; N] {
    let mut taken: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::with_capacity(times));
    for work in &mut works {
        work();
    }
    for _ in 0..times {
        for (work, taken) in works.iter_mut().zip(&mut taken) {
            let begun = Instant::now();
            work();
            taken.push(begun.elapsed());
        }
    }
    taken.each_mut().map(|taken| median(taken))
}

/// The median in microseconds.
pub(crate) fn median(taken: &mut [Duration]) -> f64 {
    taken.sort_unstable();
    taken
        .get(taken.len() / 2)
        .map_or(f64::NAN, |middle| middle.as_secs_f64() * 1e6)
}

/// One work and its yardstick, each in microseconds.
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) took: f64,
    pub(crate) yardstick: &'static str,
    pub(crate) yardstick_took: f64,
    pub(crate) goal: f64,
}

/// The rows, and what others take for the same work.
pub(crate) struct Table {
    rows: Vec<Row>,
    others: Vec<(String, f64)>,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            rows: Vec::new(),
            others: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn add_other(&mut self, who: String, took: f64) {
        self.others.push((who, took));
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints the table, and writes it to a file of this name.
    pub(crate) fn finish(self, name: &str) -> io::Result<()> {
        let mut text = String::new();
        let head = ["work", "us", "yardstick", "us", "ratio", "goal", "verdict"];
        line(&mut text, &head.map(str::to_owned));
        line(&mut text, &head.map(|title| "-".repeat(title.len())));
        for row in self.rows {
            let ratio = row.took / row.yardstick_took;
            let verdict = if ratio <= row.goal { "met" } else { "missed" };
            line(
                &mut text,
                &[
                    row.work.to_owned(),
                    figure(row.took),
                    row.yardstick.to_owned(),
                    figure(row.yardstick_took),
                    format!("{ratio:.2}"),
                    format!("{:.2}", row.goal),
                    verdict.to_owned(),
                ],
            );
        }
        if !self.others.is_empty() {
            text.push('\n');
            line(
                &mut text,
                &["the same by others".to_owned(), "us".to_owned()],
            );
            line(&mut text, &["-".to_owned(), "-".to_owned()]);
        }
        for (who, took) in self.others {
            line(&mut text, &[who, figure(took)]);
        }
        for note in self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.md"));
        fs::write(&path, &text)?;
        print!("{text}");
        println!("\nalso in {}", path.display());
        Ok(())
    }
}

fn line(text: &mut String, fields: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |", fields.join(" | "));
}

/// Microseconds, to three digits at least.
fn figure(took: f64) -> String {
    let digits = if took < 10.0 { 3 } else { 1 };
    format!("{took:.digits$}")
}
