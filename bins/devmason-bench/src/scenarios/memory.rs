//! The memory of the server.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;

use super::{Bench, CREDENTIALS, Kind, get, on, once, posts, thousands};
use crate::load::{self, Pace, request};
use crate::report::{Figure, Goal};
use crate::sample;

impl Bench {
    /// Goal 9: memory.
    pub(crate) fn memory(&self, builds: u64) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let mut note = |what: String, value, goal| {
            figures.push(Figure {
                nth: "9",
                what,
                unit: "MiB",
                ours: vec![value],
                yardstick: vec![],
                goal,
            });
        };
        let (server, _) = self.server("memory", Kind::Postgres)?;
        note("memory (PSS) when idle".to_owned(), server.memory()?, Goal::Shown);
        let requests = posts(&[CREDENTIALS], None);
        let until = |count: u64, sent: &mut f64| -> Result<()> {
            while *sent < count as f64 {
                let time = Duration::from_secs(2);
                let outcome = load::run(&server.address, on(64, &requests), Pace::Closed, time)?;
                *sent += outcome.rate * time.as_secs_f64();
            }
            Ok(())
        };
        let mut sent = 0.0;
        until(builds, &mut sent)?;
        let before = server.memory()?;
        note(
            format!("after {} builds from 64 connections", thousands(builds)),
            before,
            Goal::AtMost(32.0),
        );
        until(builds * 5, &mut sent)?;
        let after = server.memory()?;
        note(
            format!("after {} builds", thousands(builds * 5)),
            after,
            Goal::AtMost((before + 2.0).max(32.0)),
        );
        let body = 64 * 1024;
        self.rate(&server, 64, &posts(&[CREDENTIALS], Some(body)))?;
        note(
            "after builds of 64 KiB from 64 connections".to_owned(),
            server.memory()?,
            Goal::AtMost(64.0),
        );
        self.rate(
            &server,
            64,
            &Rc::new(vec![request(
                "POST",
                "/p2/builds",
                &[CREDENTIALS],
                &sample::document(1, Some(1 << 20)),
            )]),
        )?;
        note("after builds of 1 MiB from 64 connections".to_owned(), server.memory()?, Goal::Shown);
        once(&server, &get("/p2/builds"), "")?;
        note(
            "after a page of those builds, with outputs".to_owned(),
            server.memory()?,
            Goal::Shown,
        );
        Ok(figures)
    }
}
