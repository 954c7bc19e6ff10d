//! Logs of running steps: how long an append takes, what it costs on disk, and what watchers cost.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;

use super::{Bench, CREDENTIALS, Kind, Requests, once, slug};
use crate::load::{self, Pace, request};
use crate::report::{Figure, Goal};
use crate::sample::{self, PROJECTS};
use crate::server::Server;

/// The number of clients, each with a running step.
const CLIENTS: usize = 64;

/// The size of a piece in bytes. A client appends one a second.
const PIECE: usize = 4096;

/// The number of clients when each appends as fast as it can.
const FAST_CLIENTS: usize = 16;

/// The number of pieces that each of these appends.
const FAST_PIECES: usize = 250;

/// The number of watchers of one log.
const WATCHERS: usize = 100;

impl Bench {
    /// All figures about logs, on one database. Each client appends for half a minute for each second
    /// that other measurements take; there is one round, as a p99 of that long is steady.
    pub(crate) fn logs(&self, kind: Kind) -> Result<Vec<Figure>> {
        let (server, url) = self.server(&format!("logs_{}", kind.name().to_lowercase()), kind)?;
        let named = |what: &str| format!("{what}, {}", kind.name());
        let figure = |what: &str, unit, ours, yardstick, goal| Figure {
            nth: "13",
            what: named(what),
            unit,
            ours: vec![ours],
            yardstick,
            goal,
        };
        let seconds = 30 * self.time.as_secs() as usize;
        let time = Duration::from_secs(seconds as u64);

        let steps = adding(&server)?;
        let fast: Vec<Requests> = (0..FAST_CLIENTS)
            .map(|client| Ok(Appending::start(&server, client)?.pieces(FAST_PIECES)))
            .collect::<Result<_>>()?;
        let step_rate = self.load(&server, steps, Pace::InOrder(None))?.rate;
        let append_rate = self.load(&server, fast, Pace::InOrder(None))?.rate;

        let quiet = started(&server)?;
        let written = self.written(&server, &url, kind)?;
        let lists = quiet.iter().map(|log| log.pieces(seconds)).collect();
        let alone = load::run(&server.address, lists, Pace::InOrder(Some(CLIENTS as f64)), time)?;
        for log in &quiet {
            log.end(&server)?;
        }
        let written = self.written(&server, &url, kind)? - written;

        let watched = started(&server)?;
        let Some(first) = watched.first() else { bail!("nobody appends") };
        let follow = request("GET", &format!("{}/log?follow", first.step), &[], "");
        let address = server.address.clone();
        let watching = std::thread::spawn(move || load::follow(&address, &follow, WATCHERS, time));
        let lists = watched.iter().map(|log| log.pieces(seconds)).collect();
        let beside = load::run(&server.address, lists, Pace::InOrder(Some(CLIENTS as f64)), time)?;
        match watching.join() {
            // Each has to hear what was appended, apart from the last seconds.
            Ok(Ok(heard)) if heard as usize >= WATCHERS * PIECE * seconds.saturating_sub(5) => {}
            Ok(Ok(heard)) => bail!("{WATCHERS} watchers heard only {heard} bytes"),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => bail!("the watchers panicked"),
        }
        if alone.refused + beside.refused > 0 {
            bail!("{} appends were refused", alone.refused + beside.refused);
        }

        let bytes = (CLIENTS * PIECE * seconds) as f64;
        Ok(vec![
            figure(
                "append 4 KiB to logs, 16 connections, vs. adding steps of that size",
                "/s",
                append_rate,
                vec![step_rate],
                // The same, within the noise of such a machine.
                Goal::AtLeast(0.9),
            ),
            figure(
                "64 clients append 4 KiB a second, p99",
                "ms",
                alone.millis(0.99),
                vec![],
                Goal::Shown,
            ),
            figure(
                "the same, with 100 watchers of one log, vs. none",
                "ms",
                beside.millis(0.99),
                vec![alone.millis(0.99)],
                Goal::AtMost(2.0),
            ),
            figure(
                "written to disk for each byte of these logs",
                "bytes",
                written / bytes,
                vec![],
                Goal::Shown,
            ),
        ])
    }

    /// The number of bytes that this database's processes have written to disk so far.
    fn written(&self, server: &Server, url: &str, kind: Kind) -> Result<f64> {
        match kind {
            Kind::Sqlite => server.written(),
            // The log of changes, and the pages of tables that a checkpoint writes.
            Kind::Postgres => {
                self.cluster.sql(url, "checkpoint");
                let wal = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')";
                let pages = "select 8192 * (buffers_checkpoint + buffers_clean + buffers_backend) \
                             from pg_stat_bgwriter";
                Ok(self.number(url, wal)? + self.number(url, pages)?)
            }
        }
    }
}

/// A client with a running step.
struct Appending {
    /// The path of the step.
    step: String,
    seed: usize,
}

impl Appending {
    fn start(server: &Server, client: usize) -> Result<Self> {
        let progress = begin(server, client)?;
        let open = json!({"name": "make", "state": "running"}).to_string();
        let step = once(server, &request("POST", &progress, &[CREDENTIALS], &open), "location")?;
        Ok(Self { step, seed: client })
    }

    /// Appends of pieces, one a second.
    fn pieces(&self, count: usize) -> Requests {
        let append = |nth: usize| {
            let text = sample::log(self.seed * 1000 + nth, PIECE);
            let offset = (nth * PIECE).to_string();
            let headers = [CREDENTIALS, ("Upload-Offset", offset.as_str())];
            let body = json!([[nth * 1000, "out", text]]).to_string();
            request("POST", &format!("{}/log", self.step), &headers, &body)
        };
        Rc::new((0..count).map(append).collect())
    }

    fn end(&self, server: &Server) -> Result<()> {
        once(server, &request("PUT", &self.step, &[CREDENTIALS], r#"{"success":true}"#), "")?;
        Ok(())
    }
}

fn started(server: &Server) -> Result<Vec<Appending>> {
    (0..CLIENTS).map(|client| Appending::start(server, client)).collect()
}

/// Opens a build; returns the path to which its steps are posted.
fn begin(server: &Server, client: usize) -> Result<String> {
    let path = format!("/{}/builds", slug(1 + (client % PROJECTS) as u64));
    once(server, &request("POST", &path, &[CREDENTIALS], r#"{"incremental":true}"#), "location")
}

/// Steps with an output of a piece, as many as pieces are appended.
fn adding(server: &Server) -> Result<Vec<Requests>> {
    (0..FAST_CLIENTS)
        .map(|client| {
            let progress = begin(server, client)?;
            let step = |nth: usize| {
                let output = sample::log(client * 1000 + nth, PIECE);
                let body = json!({"name": "make", "success": true, "output": output}).to_string();
                request("POST", &progress, &[CREDENTIALS], &body)
            };
            Ok(Rc::new((0..FAST_PIECES).map(step).collect()))
        })
        .collect()
}
