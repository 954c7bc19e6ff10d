//! The same requests on databases of different sizes.

use std::rc::Rc;

use anyhow::{Context, Result};

use super::{Bench, CREDENTIALS, FIELDS, Kind, Requests, body_of, get, once, posts, thousands};
use crate::fill::{self, Spread, build_id};
use crate::load::request;
use crate::report::{Figure, Goal};
use crate::server::Server;

impl Bench {
    /// Goals 6 and 7: the cost of reads and posts at each size, compared with the first size.
    pub(crate) fn scale(&self, sizes: &[u64], kind: Kind) -> Result<Vec<Figure>> {
        let mut servers = Vec::new();
        let mut figures = Vec::new();
        for size in sizes {
            let url = self.database(&format!("scale_{size}"), kind);
            let filled = fill::fill(&url, *size, Spread::FirstHasHalf, 64)?;
            if matches!(kind, Kind::Postgres) {
                self.cluster.sql(&url, "vacuum analyze");
            }
            let start = std::time::Instant::now();
            let server = Server::start(&self.program, &url)?;
            let ready = start.elapsed().as_secs_f64();
            let shown = |what: &str, unit, value, goal| Figure {
                nth: "6",
                what: format!("{what}, {} builds, {kind:?}", thousands(*size)),
                unit,
                ours: vec![value],
                yardstick: Vec::new(),
                goal,
            };
            figures.push(shown("filled through the repository", "/s", filled, Goal::Shown));
            figures.push(shown("start-up to ready", "s", ready, Goal::AtMost(1.0)));
            servers.push((*size, server));
        }
        let deep = |server: &Server| -> Result<String> {
            // The link of a page far into the list: its position is the id of the previous build.
            let body = body_of(server, "/p1/builds?page=40&per_page=25&fields=id")?;
            let document: serde_json::Value = serde_json::from_str(&body)?;
            let links = document["links"].as_array().context("no links")?;
            let next = links.iter().find(|link| link["rel"] == "next").context("no next page")?;
            let href = next["href"].as_str().context("no href")?;
            Ok(href.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default())
        };
        let tagged = |tags: &str| format!("/p1/tags/{tags}?{FIELDS}");
        let cases: Vec<(&str, &str, Goal)> = vec![
            ("6", "first page", Goal::AtLeast(0.9)),
            ("6", "a page 1,000 builds deep, by link", Goal::AtLeast(0.9)),
            ("6", "latest", Goal::AtLeast(0.9)),
            ("6", "count (a page of one)", Goal::AtLeast(0.9)),
            ("6", "GET a build", Goal::AtLeast(0.9)),
            ("6", "GET a build, unchanged (304)", Goal::AtLeast(0.9)),
            ("6", "a user's builds", Goal::AtLeast(0.9)),
            ("6", "POST a build", Goal::AtLeast(0.9)),
            ("7", "tags common;even", Goal::AtLeast(0.12)),
            ("7", "tags rare;common", Goal::AtLeast(0.12)),
            ("7", "tags common;old", Goal::AtLeast(0.12)),
            ("7", "tags early;late (disjoint halves)", Goal::AtLeast(0.12)),
            ("7", "tags even;odd (alternating), a page", Goal::Shown),
            ("7", "tags common;even;ten-2", Goal::AtLeast(0.08)),
        ];
        let mut rates = vec![vec![Vec::new(); cases.len()]; servers.len()];
        for _ in 0..self.rounds {
            for ((size, server), rates) in servers.iter().zip(&mut rates) {
                let build = |n: u64| format!("/p1/builds/{}", build_id(n / 2 * 2));
                let builds: Requests =
                    Rc::new((0..5000).map(|n| get(&build(2 + n * 7919 % (size - 2)))).collect());
                let etag = once(server, &get(&build(2)), "etag")?;
                let known: Requests =
                    Rc::new(vec![request("GET", &build(2), &[("If-None-Match", &etag)], "")]);
                // Each differs slightly, so that no response comes from the cache.
                let path = |path: &str| -> Requests {
                    let mark = if path.contains('?') { '&' } else { '?' };
                    Rc::new((0..3000).map(|n| get(&format!("{path}{mark}n={n}"))).collect())
                };
                let requests = [
                    path(&format!("/p1/builds?{FIELDS}")),
                    path(&deep(server)?),
                    path("/p1/builds/latest"),
                    path("/p1/builds?per_page=1&fields=id"),
                    builds,
                    known,
                    path(&format!("/users/filler/builds?{FIELDS}")),
                    posts(&[CREDENTIALS], None),
                    path(&tagged("common;even")),
                    path(&tagged("rare;common")),
                    path(&tagged("common;old")),
                    path(&tagged("early;late")),
                    path(&tagged("even;odd")),
                    path(&tagged("common;even;ten-2")),
                ];
                for (rates, requests) in rates.iter_mut().zip(&requests) {
                    rates.push(self.rate(server, 4, requests)?);
                }
            }
        }
        let first = rates.first().cloned().unwrap_or_default();
        for ((size, _), of_size) in servers.iter().zip(&rates).skip(1) {
            for (at, (nth, what, goal)) in cases.iter().enumerate() {
                // Tag filters are compared with the unfiltered page at the same size.
                let yardstick = if *nth == "7" { &of_size[0] } else { &first[at] };
                figures.push(Figure {
                    nth,
                    what: format!("{what}, {} builds, {kind:?}", thousands(*size)),
                    unit: "/s",
                    ours: of_size[at].clone(),
                    yardstick: yardstick.clone(),
                    goal: *goal,
                });
            }
        }
        Ok(figures)
    }
}
