//! What is being done: bars on a terminal, lines elsewhere. All of it goes to the error stream.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Reports steps, and remembers how long they took.
pub struct Progress {
    terminal: bool,
    bars: MultiProgress,
    finished: Mutex<Vec<(String, Duration)>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Looks whether the error stream is a terminal.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), bars: MultiProgress::new(), finished: Mutex::default() }
    }

    /// Prints a line, above the bars.
    pub fn note(&self, text: &str) {
        self.bars.suspend(|| eprintln!("{text}"));
    }

    /// Begins a step of about `total` parts; of unknown length where that is zero.
    pub fn step(&self, name: &str, total: u64) -> Step<'_> {
        let bar = if self.terminal {
            let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
            let template = if total == 0 {
                "{spinner} {msg} [{elapsed}]"
            } else {
                "{spinner} {msg} {wide_bar} {pos}/{len} [{elapsed}]"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            let bar = self.bars.add(bar);
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        } else {
            self.note(&format!("{name} ..."));
            ProgressBar::hidden()
        };
        Step { progress: self, name: name.to_owned(), start: Instant::now(), bar, total, done: 0, tenths: 0 }
    }

    /// The steps so far, with their durations.
    pub fn finished(&self) -> Vec<(String, Duration)> {
        self.finished.lock().map(|finished| finished.clone()).unwrap_or_default()
    }
}

/// A step that is under way. Dropped without [`Step::finish`], it has failed.
pub struct Step<'a> {
    progress: &'a Progress,
    name: String,
    start: Instant,
    bar: ProgressBar,
    total: u64,
    done: u64,
    tenths: u64,
}

impl Step<'_> {
    /// One more part is done. Without a terminal every tenth is a line.
    pub fn advance(&mut self) {
        self.done += 1;
        self.bar.set_position(self.done.min(self.total));
        let tenths = (self.done * 10).checked_div(self.total).unwrap_or(0).min(9);
        if !self.progress.terminal && tenths > self.tenths {
            self.tenths = tenths;
            self.progress.note(&format!("{}: {tenths}0 %", self.name));
        }
    }

    /// The step is done. `result` is what is worth saying of it.
    pub fn finish(self, result: &str) {
        let duration = self.start.elapsed();
        self.bar.finish_and_clear();
        let result = if result.is_empty() { String::new() } else { format!(": {result}") };
        let seconds = duration.as_secs_f64();
        self.progress.note(&format!("{}{result} [{seconds:.1} s]", self.name));
        if let Ok(mut finished) = self.progress.finished.lock() {
            finished.push((self.name.clone(), duration));
        }
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
