//! Figures with their yardsticks, and their output.

use serde::Serialize;

/// The target of a figure.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
    /// No target; only reported.
    Shown,
}

/// A row of the table: our figure, the yardstick's, and their ratio, each as the median over the
/// rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// The number of the goal.
    pub(crate) nth: &'static str,
    /// The measurement.
    pub(crate) what: String,
    /// The unit of `ours` and `yardstick`.
    pub(crate) unit: &'static str,
    /// Our figures, one per round.
    pub(crate) ours: Vec<f64>,
    /// The yardstick's figures from the same rounds; empty if the goal is an absolute limit.
    pub(crate) yardstick: Vec<f64>,
    /// The goal for the ratio, or for our figure if there is no yardstick.
    pub(crate) goal: Goal,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

impl Figure {
    fn ratios(&self) -> Vec<f64> {
        self.ours.iter().zip(&self.yardstick).map(|(ours, other)| ours / other).collect()
    }

    /// The value that the goal applies to.
    fn judged(&self) -> f64 {
        if self.yardstick.is_empty() { median(&self.ours) } else { median(&self.ratios()) }
    }

    fn reached(&self) -> Option<bool> {
        match self.goal {
            Goal::AtLeast(goal) => Some(self.judged() >= goal),
            Goal::AtMost(goal) => Some(self.judged() <= goal),
            Goal::Shown => None,
        }
    }
}

fn number(value: f64) -> String {
    if value >= 1000.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// A one-line description of the machine.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = after(&read("/proc/cpuinfo"), "model name").unwrap_or_default();
    let memory = after(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    format!("{cores} cores ({model}), {memory} of memory, load generator and databases on the same")
}

/// Formats the table as Markdown.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::from(
        "| # | scenario | ours | yardstick | ratio [range] | goal | |\n|---|---|---|---|---|---|---|\n",
    );
    for figure in figures {
        let unit = figure.unit;
        let ratio = match (figure.yardstick.is_empty(), figure.ratios()) {
            (true, _) => String::new(),
            (false, ratios) => {
                let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
                let most = ratios.iter().copied().fold(0.0, f64::max);
                format!("{:.2} [{least:.2}-{most:.2}]", median(&ratios))
            }
        };
        let yardstick = if figure.yardstick.is_empty() {
            String::new()
        } else {
            number(median(&figure.yardstick))
        };
        let goal = match figure.goal {
            Goal::AtLeast(goal) => format!(">= {goal}"),
            Goal::AtMost(goal) => format!("<= {goal}"),
            Goal::Shown => String::new(),
        };
        let reached = match figure.reached() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        text += &format!(
            "| {} | {} | {} {unit} | {yardstick} | {ratio} | {goal} | {reached} |\n",
            figure.nth,
            figure.what,
            number(median(&figure.ours)),
        );
    }
    text
}
