//! Reading builds and lists.

use std::rc::Rc;

use anyhow::Result;

use super::{Bench, FIELDS, Kind, Requests, figure, get, on, once};
use crate::fill::{self, Spread, build_id, slug};
use crate::load::{Pace, request};
use crate::report::{Figure, Goal};
use crate::sample::PROJECTS;
use crate::server::Server;
use crate::yardstick;

impl Bench {
    /// Goals 4, 5 and 11: reads of builds and of pages.
    pub(crate) fn reads(&self) -> Result<Vec<Figure>> {
        const BUILDS: u64 = 20_000;
        let url = self.database("reads", Kind::Postgres);
        fill::fill(&url, BUILDS, Spread::Even, 1224)?;
        self.cluster.sql(&url, "vacuum analyze");
        let server = Server::start(&self.program, &url)?;
        let path = |n: u64| format!("/{}/builds/{}", slug(1 + n % PROJECTS as u64), build_id(n));
        // More builds than the response cache holds.
        let many: Requests =
            Rc::new((1..=BUILDS).map(|n| get(&path(n * 7919 % BUILDS + 1))).collect());
        let one: Requests = Rc::new((1..=16).map(|n| get(&path(n))).collect());
        let etag = once(&server, &get(&path(1)), "etag")?;
        let known: Requests =
            Rc::new(vec![request("GET", &path(1), &[("If-None-Match", &etag)], "")]);
        // Pages at many positions, to miss the cache, and one page repeatedly.
        let pages = |query: &str| -> Requests {
            let page = |n: u64| {
                let after = build_id(BUILDS - n % 300 * PROJECTS as u64);
                get(&format!("/p1/builds?after={after}&page={}{query}", 2 + n / 300))
            };
            Rc::new((0..6000).map(page).collect())
        };
        let without_outputs = format!("&{FIELDS}");
        let (with, without) = (pages(""), pages(&without_outputs));
        let again: Requests = Rc::new(vec![get(&format!("/p1/builds?{FIELDS}"))]);
        let zipped: Requests = Rc::new(
            (1..=16)
                .map(|n| request("GET", &path(n), &[("Accept-Encoding", "gzip")], ""))
                .collect(),
        );
        let others = [Server::start(&self.program, &url)?, Server::start(&self.program, &url)?];
        let three = [&server, &others[0], &others[1]];
        let again_of_three = || -> Requests { Rc::new((1..=16).map(|n| get(&path(n))).collect()) };
        let bare = self.bare(&server, &path(1), false)?;
        let bare_zipped = self.bare(&server, &path(1), true)?;
        let mut of: [Vec<f64>; 14] = Default::default();
        for _ in 0..self.rounds {
            let rates = [
                self.pgbench(&url, &yardstick::read_build(BUILDS), 8)?,
                self.rate(&server, 16, &many)?,
                self.rate(&bare, 16, &one)?,
                self.rate(&server, 16, &one)?,
                self.rate(&server, 16, &known)?,
                self.rate_of_all(&three, &again_of_three)?,
                self.pgbench(&url, &yardstick::read_page(1, false), 8)?,
                self.rate(&server, 16, &without)?,
                self.pgbench(&url, &yardstick::read_page(1, true), 8)?,
                self.rate(&server, 16, &with)?,
                self.rate(&server, 16, &again)?,
                self.rate(&bare_zipped, 16, &zipped)?,
            ];
            for (figures, rate) in of.iter_mut().zip(rates) {
                figures.push(rate);
            }
            let zipped = self.load(&server, on(16, &zipped), Pace::Closed)?;
            of[12].push(zipped.rate);
            of[13].push(zipped.millis(0.5));
        }
        let [
            point,
            build,
            bare,
            cached,
            unchanged,
            of_three,
            rows,
            without,
            page,
            with,
            again,
            bare_zip,
            zip,
            median,
        ] = of;
        Ok(vec![
            figure("4", "GET a build from the database", build, point, 0.75),
            figure("4", "GET a build again", cached, bare.clone(), 0.7),
            figure("4", "GET a build, unchanged (304)", unchanged, bare.clone(), 0.7),
            Figure {
                goal: Goal::Shown,
                ..figure("4", "GET a build again, from three servers", of_three, bare, 0.7)
            },
            figure("5", "page of 25 without outputs", without, rows.clone(), 0.7),
            figure("5", "the same page again", again, rows, 0.7),
            figure("5", "page of 25 with outputs", with, page, 0.85),
            figure("11", "GET a build, gzip", zip, bare_zip, 0.5),
            Figure {
                nth: "11",
                what: "median latency of the above".to_owned(),
                unit: "ms",
                ours: median,
                yardstick: Vec::new(),
                goal: Goal::AtMost(3.0),
            },
        ])
    }
}
