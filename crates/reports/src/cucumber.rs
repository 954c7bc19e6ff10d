//! Cucumber's JSON in all languages, and behave's JSON.

mod messages;
mod outcome;

use std::sync::Arc;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::within;
use crate::number;
use crate::{Case, ReadError, Sink, Status, Suite};
pub(crate) use messages::read_messages;
use outcome::{Nth, Outcome};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    json::walk(&input.rest()?, sink, &mut Cucumber::default())
}

#[derive(Default)]
struct Cucumber {
    /// The scenarios of the current feature, whose name may come after them.
    held: Vec<Case>,
    outcome: Outcome,
    /// The steps of a background count for the next scenario.
    background: Option<Outcome>,
    attached: u32,
}

impl Cucumber {
    fn step(&mut self, step: &Object<'_>, open: &[Object<'_>]) {
        let keyword = step.get("keyword").unwrap_or(step.key).trim();
        let name = step.get("name").unwrap_or_default();
        let name = format!("{keyword} {name}");
        let status = step.get("result.status").unwrap_or_default();
        // behave reports seconds, all others nanoseconds.
        let is_behave = open.last().is_some_and(|element| element.get("location").is_some());
        let micros = step
            .number("result.duration")
            .and_then(|duration| number::micros(if is_behave { duration } else { duration / 1e9 }));
        let said = step.lines("result.error_message");
        self.outcome.step(status, said.as_deref(), name.trim(), micros);
    }

    fn element(&mut self, element: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut outcome = std::mem::take(&mut self.outcome);
        let attached = std::mem::take(&mut self.attached);
        if element.get("type") == Some("background") {
            // behave lists the background once, as written, without results.
            let is_run = outcome.skipped < outcome.steps || element.get("location").is_none();
            self.background = Some(outcome).filter(|_| is_run);
            return Ok(());
        }
        if let Some(background) = self.background.take() {
            if background.status > outcome.status {
                outcome.failure = background.failure;
            }
            outcome.status = outcome.status.max(background.status);
            outcome.steps += background.steps;
            outcome.micros = outcome.micros.or(Some(0)).zip(background.micros).map(|(a, b)| a + b);
        }
        let line = element.count("line").or_else(|| {
            let (_, line) = element.get("location")?.rsplit_once(':')?;
            line.parse().ok()
        });
        let mut status = outcome.status();
        // behave reports the scenario's own status: the steps of a scenario that was not run don't show it.
        match element.get("status") {
            Some("failed") if !status.is_bad() => status = Status::Failed,
            Some("error" | "hook_error" | "cleanup_error") => status = Status::Error,
            _ => {}
        }
        let mut properties: Vec<(String, String)> = Vec::new();
        let tags = element.all("tags").chain(element.all("tags.name"));
        properties.extend(tags.map(|tag| ("tag".to_owned(), tag.to_owned())));
        if attached > 0 {
            properties.push(("attachments".to_owned(), attached.to_string()));
        }
        sink.room(self.held.len())?;
        self.held.push(Case {
            name: element.get("name").unwrap_or_default().to_owned(),
            status: Some(status),
            micros: outcome.micros,
            started: element.get("start_timestamp").and_then(|date| date.parse().ok()),
            failure: outcome.failure,
            properties,
            line: line.and_then(|line| line.try_into().ok()),
            report_line: Some(element.line),
            ..Case::default()
        });
        Ok(())
    }

    fn feature(&mut self, feature: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut cases = std::mem::take(&mut self.held);
        let file = feature.get("uri").or_else(|| {
            feature
                .get("location")
                .map(|place| place.rsplit_once(':').map_or(place, |(file, _)| file))
        });
        let file = file.map(|file| file.strip_prefix("file:").unwrap_or(file));
        // Two features may have the same name.
        let name = file.or(feature.get("name")).unwrap_or_default();
        let suites = within(&[name], &mut Arc::default(), Some(feature.line), sink);
        let says_bad = matches!(feature.get("status"), Some("failed" | "error" | "hook_error"));
        if says_bad && !cases.iter().any(|case| case.outcome().is_bad()) {
            cases.push(Case {
                name: "the feature itself".to_owned(),
                status: Some(Status::Error),
                report_line: Some(feature.line),
                ..Case::default()
            });
        }
        let mut nth = Nth::default();
        for case in cases {
            sink.case(Case {
                suites: suites.clone(),
                name: nth.name(&case.name),
                file: file.map(str::to_owned),
                ..case
            })?;
        }
        sink.suite(Suite { path: suites, ..Suite::default() })
    }
}

impl Handler for Cucumber {
    const OBJECTS: &'static [&'static str] =
        &["elements", "steps", "before", "after", "embeddings"];
    const MEMBERS: &'static [&'static str] = &[
        "uri",
        "name",
        "keyword",
        "type",
        "line",
        "location",
        "status",
        "tags",
        "tags.name",
        "start_timestamp",
        "result.status",
        "result.duration",
        "result.error_message",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match object.key {
            "steps" | "before" | "after" => self.step(object, open),
            "embeddings" => self.attached = self.attached.saturating_add(1),
            "elements" => self.element(object, sink)?,
            _ => self.feature(object, sink)?,
        }
        Ok(())
    }

    fn cut(
        &mut self,
        object: &Object<'_>,
        _: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match object.key {
            "" => self.feature(object, sink),
            "elements" => {
                self.outcome = Outcome::default();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
