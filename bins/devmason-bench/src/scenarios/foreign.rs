//! Clients of other systems: a launch of ReportPortal, request by request.

use std::rc::Rc;

use anyhow::{Result, bail};
use serde_json::json;

use super::{Bench, CREDENTIALS, Kind, Requests, body_of, once};
use crate::load::{Pace, request};
use crate::report::{Figure, Goal};
use crate::sample;

/// The number of tests of a launch.
const ITEMS: usize = 10_000;

/// The number of connections of its agents.
const CONNECTIONS: usize = 8;

impl Bench {
    /// A launch from its start to its end, compared with adding steps.
    pub(crate) fn launch(&self, kind: Kind) -> Result<Figure> {
        let (server, _) = self.server(&format!("launch_{}", kind.name().to_lowercase()), kind)?;
        let mut figure = Figure {
            nth: "14",
            what: format!("requests of a launch of 10k items, {}, vs. adding steps", kind.name()),
            unit: "/s",
            ours: vec![],
            yardstick: vec![],
            goal: Goal::Shown,
        };
        let post = |path: &str, body: serde_json::Value| {
            request("POST", path, &[CREDENTIALS], &body.to_string())
        };
        let put = |path: &str, body: serde_json::Value| {
            request("PUT", path, &[CREDENTIALS], &body.to_string())
        };
        for round in 0..self.rounds {
            let launch = format!("launch-{round}");
            let start = json!({"name": "bench", "startTime": "1795629920000", "uuid": launch});
            once(&server, &post("/api/v2/p1/launch", start), "")?;
            let of = |connection: usize| -> Requests {
                let items = (connection..ITEMS).step_by(CONNECTIONS);
                let requests = items.flat_map(|nth| {
                    let uuid = format!("{launch}-{nth}");
                    let start = json!({"name": format!("test_{nth}"), "type": "STEP", "uuid": uuid, "launchUuid": launch,
                        "startTime": "1795629921000", "codeRef": "tests/test_bench.py:7"});
                    let end = json!({"launchUuid": launch, "status": "passed", "endTime": "1795629921100"});
                    [post("/api/v2/p1/item", start), put(&format!("/api/v2/p1/item/{uuid}"), end)]
                });
                Rc::new(requests.collect())
            };
            let lists = (0..CONNECTIONS).map(of).collect();
            figure.ours.push(self.load(&server, lists, Pace::InOrder(None))?.rate);
            let finish = format!("/api/v2/p1/launch/{launch}/finish");
            once(&server, &put(&finish, json!({"endTime": "1795629990000"})), "")?;
            self.is_made(&server)?;

            let steps: Vec<Requests> = (0..CONNECTIONS)
                .map(|_| {
                    let open =
                        request("POST", "/p2/builds", &[CREDENTIALS], r#"{"incremental":true}"#);
                    let progress = once(&server, &open, "location")?;
                    let step = |nth| {
                        request("POST", &progress, &[CREDENTIALS], &sample::step_document(nth))
                    };
                    Ok(Rc::new((0..ITEMS / CONNECTIONS).map(step).collect()))
                })
                .collect::<Result<_>>()?;
            figure.yardstick.push(self.load(&server, steps, Pace::InOrder(None))?.rate);
        }
        Ok(figure)
    }

    /// Waits until the newest launch is a finished build with all its tests.
    fn is_made(&self, server: &crate::server::Server) -> Result<()> {
        for _ in 0..300 {
            let list = body_of(server, "/p1/builds?per_page=1&fields=state,tests")?;
            let list: serde_json::Value = serde_json::from_str(&list)?;
            let build = &list["builds"][0];
            if build["state"] == "finished" && build["tests"]["passed"] == ITEMS {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        bail!("the launch did not become a build of {ITEMS} tests")
    }
}
