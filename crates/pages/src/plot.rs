//! Plots as SVG: small, with axes, units and tooltips, each point a link. Plotting libraries
//! support more kinds of plots, but no links, and no colours that follow the reader's preference.

use std::fmt::Write;

use devmason_domain::{Build, Slug};

use crate::Standing;
use crate::site::{Site, duration, micros_of};
use crate::text::xml;

const WIDTH: usize = 480;
const HEIGHT: usize = 160;
/// Margins for labels: left, below, above.
const LEFT: usize = 64;
const BELOW: usize = 22;
const ABOVE: usize = 10;

/// Number of builds in the moving average of the pass rate.
const WINDOW: usize = 10;

fn axes(svg: &mut String, top: &str, middle: &str, count: usize) {
    let (bottom, right) = (HEIGHT - BELOW, WIDTH - 4);
    let half = usize::midpoint(ABOVE, bottom);
    for (at, label) in [(ABOVE, top), (half, middle), (bottom, "0")] {
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at}\" y2=\"{at}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6,
            at + 4
        );
    }
    let below = HEIGHT - 6;
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{below}\">{count} builds ago</text>\
         <text x=\"{right}\" y=\"{below}\" text-anchor=\"end\">latest</text>"
    );
}

fn begin(label: &str) -> String {
    format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"group\" aria-label=\"{label}\">"
    )
}

fn across(nth: usize, of: usize) -> f64 {
    let room = (WIDTH - LEFT - 4) as f64;
    LEFT as f64 + room * (nth as f64 + 0.5) / of.max(1) as f64
}

/// Rounds up to a convenient axis mark, in microseconds.
fn round_up(micros: u64) -> u64 {
    // In milliseconds: up to a second, then in seconds, minutes and hours.
    const MARKS: [u64; 24] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000,
        300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000,
    ];
    const DAY: u64 = 86_400_000;
    let millis = micros.div_ceil(1000);
    let mark = MARKS.into_iter().find(|mark| *mark >= millis);
    mark.unwrap_or_else(|| millis.div_ceil(DAY) * DAY) * 1000
}

/// A plot of build durations, oldest build first.
pub(crate) fn durations(site: &Site<'_>, project: &Slug, builds: &[Build]) -> String {
    let longest = builds.iter().filter_map(micros_of).max().unwrap_or(0);
    let top = round_up(longest);
    let mut svg = begin("Build duration");
    axes(&mut svg, &duration(top), &duration(top / 2), builds.len());
    let room = (HEIGHT - BELOW - ABOVE) as f64;
    let width = ((WIDTH - LEFT - 4) as f64 / builds.len().max(1) as f64 - 1.0).clamp(1.0, 12.0);
    for (nth, build) in builds.iter().rev().enumerate() {
        let Some(micros) = micros_of(build) else { continue };
        let height = (room * micros as f64 / top as f64).max(2.0);
        let (x, y) = (across(nth, builds.len()) - width / 2.0, (HEIGHT - BELOW) as f64 - height);
        let state = Standing::of(build);
        let _ = write!(
            svg,
            "<a href=\"{}\"><title>{}: {} in {}</title><rect class=\"{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/></a>",
            xml(&site.build(project, build)),
            xml(build.key().as_str()),
            state.as_str(),
            duration(micros),
            state.as_str(),
        );
    }
    svg + "</svg>"
}

/// A plot of the pass rate, averaged over each build and the ones before it, oldest build first.
pub(crate) fn pass_rate(builds: &[Build]) -> String {
    let passed: Vec<bool> = builds
        .iter()
        .rev()
        .map(Standing::of)
        .filter(|state| *state != Standing::Running)
        .map(|state| state == Standing::Success)
        .collect();
    let mut svg = begin("Pass rate (10-build moving average)");
    axes(&mut svg, "100%", "50%", passed.len());
    let room = (HEIGHT - BELOW - ABOVE) as f64;
    let mut points = String::new();
    let mut titles = String::new();
    for nth in 0..passed.len() {
        let window = passed.get(nth.saturating_sub(WINDOW - 1)..=nth).unwrap_or_default();
        let share = window.iter().filter(|passed| **passed).count() * 100 / window.len().max(1);
        let (x, y) =
            (across(nth, passed.len()), ABOVE as f64 + room * (100 - share) as f64 / 100.0);
        let _ = write!(points, "{x:.1},{y:.1} ");
        let _ = write!(
            titles,
            "<circle class=\"point\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" fill-opacity=\"0\"><title>{share}% of {} builds</title></circle>",
            window.len()
        );
    }
    let _ =
        write!(svg, "<polyline class=\"line\" points=\"{}\"/>{titles}</svg>", points.trim_end());
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_mark_is_a_round_number_above() {
        let rounded =
            [0, 1, 1_500, 7_000, 900_000, 1_000_001, 61_000_000, 86_400_000_001].map(round_up);
        for (given, round) in [0, 1, 1_500, 7_000, 900_000, 1_000_001, 61_000_000, 86_400_000_001]
            .into_iter()
            .zip(rounded)
        {
            assert!(round >= given && round > 0, "{given} {round}");
        }
        assert_eq!(rounded[5], 2_000_000);
        assert_eq!(rounded[6], 120_000_000);
        assert_eq!(rounded[7], 172_800_000_000);
    }
}
