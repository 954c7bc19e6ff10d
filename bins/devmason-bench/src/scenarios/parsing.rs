//! How fast reports are parsed.

use anyhow::{Result, anyhow};
use devmason_reports::Format;

use super::Bench;
use crate::report::{Figure, Goal};
use crate::sample;
use crate::yardstick;

impl Bench {
    /// How fast JUnit XML is parsed, compared with a library that only tokenizes it.
    pub(crate) fn reports(&self) -> Result<Vec<Figure>> {
        let case = |n: usize| {
            let body = match n % 10 {
                0 => format!("<failure message=\"no\">{}</failure>", sample::log(n, 600)),
                1 => format!("<system-out>{}</system-out>", sample::log(n, 300)),
                _ => String::new(),
            };
            format!(
                "<testcase classname=\"a.b.C{}\" name=\"case {n}\" time=\"0.{n:03}\">{body}</testcase>\n",
                n % 97
            )
        };
        let cases: String = (0..100_000).map(case).collect();
        let text = format!("<testsuite name=\"s\" tests=\"100000\">{cases}</testsuite>");
        let (mut read, mut held, mut yardstick) = (vec![], vec![], vec![]);
        let rate = |start: std::time::Instant, cases: usize| match cases {
            100_000 => Ok(text.len() as f64 / 1e6 / start.elapsed().as_secs_f64()),
            _ => Err(anyhow!("a case was lost")),
        };
        for _ in 0..self.rounds {
            yardstick.push(yardstick::xml(&text)?);
            let start = std::time::Instant::now();
            let mut counted = Counted::default();
            devmason_reports::read_slice(Format::Junit, text.as_bytes(), &mut counted)?;
            read.push(rate(start, counted.cases)?);
            let start = std::time::Instant::now();
            let whole = devmason_reports::Read::from_bytes(text.as_bytes(), None)?;
            held.push(rate(start, whole.cases.len())?);
        }
        let figure = |what: &str, ours, goal| Figure {
            nth: "-",
            what: what.to_owned(),
            unit: "MB/s",
            ours,
            yardstick: yardstick.clone(),
            goal,
        };
        Ok(vec![
            figure(
                "JUnit XML with 100k cases, parsed, vs. scanning it",
                read,
                Goal::AtLeast(1.0 / 3.0),
            ),
            figure("the same, all cases held in memory", held, Goal::Shown),
        ])
    }
}

/// A sink that counts cases and keeps none.
#[derive(Default)]
struct Counted {
    cases: usize,
}

impl devmason_reports::Sink for Counted {
    fn suite(
        &mut self,
        suite: devmason_reports::Suite,
    ) -> std::result::Result<(), devmason_reports::ReadError> {
        std::hint::black_box(suite);
        Ok(())
    }
    fn case(
        &mut self,
        case: devmason_reports::Case,
    ) -> std::result::Result<(), devmason_reports::ReadError> {
        self.cases += 1;
        std::hint::black_box(case);
        Ok(())
    }
    fn note(&mut self, note: devmason_reports::Note) {
        std::hint::black_box(note);
    }
    fn against(&mut self, reason: devmason_reports::Reason) {
        std::hint::black_box(reason);
    }
}
