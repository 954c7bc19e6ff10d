//! `devmason report`: reports files written by test tools.

mod archive;
mod file;
mod found;
mod receipt;
mod steps;

use std::io::IsTerminal;

use devmason_client::{About, Document, Entry, Timestamp};
use devmason_domain::Receipt;
use indicatif::{ProgressBar, ProgressStyle};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::cli::Patience;
use crate::outbox::{self, Outbox};
use crate::settings::Settings;
use crate::{Problem, about, beginning, print, print_json, say, sent};
use archive::tar;
pub(crate) use file::read;
use file::{File, Kind};
use found::load;
pub(crate) use receipt::words;
use receipt::{print_receipt, show_receipt};
use steps::steps;
pub(crate) use steps::{Before, written};

/// Several files up to this total size, in bytes, are sent in one request.
const TOGETHER: usize = 16 << 20;

pub(crate) fn report(
    settings: &Settings,
    build: Option<&str>,
    id: Option<&str>,
    check: bool,
    patience: Patience,
    patterns: &[String],
) -> Result<u8, Problem> {
    let (files, is_all) = load(patterns, |_| true);
    if check {
        let is_bad = files.iter().any(|file| file.kind != Kind::Report);
        let receipts: Vec<Receipt> = files.into_iter().flat_map(|file| file.receipts).collect();
        let receipt = Document(json!({ "uploads": receipts }));
        if settings.json {
            print_json(&receipt)?
        } else {
            print_receipt(&receipt, print)?
        }
        return Ok(if is_all { u8::from(is_bad) } else { 2 });
    }
    if files.is_empty() {
        return Err(Problem::usage("nothing to report: no readable files"));
    }
    let receipts: Vec<Receipt> = files.iter().flat_map(|file| file.receipts.clone()).collect();
    let bytes: usize = files.iter().map(|file| file.body.len()).sum();
    let is_together = bytes <= TOGETHER;
    let (mut outbox, about, is_new) = match build.filter(|build| !build.is_empty()) {
        Some(build) => {
            let (outbox, about) = crate::resume(settings, build, patience)?;
            (outbox, about, false)
        }
        None => {
            let about = about(settings, id)?;
            (Outbox::begin(settings, about.clone(), !is_together, patience.wait())?, about, true)
        }
    };
    if is_new && is_together {
        outbox.push(together(settings, &about, files.as_slice())?);
    } else {
        if is_new {
            outbox.push(outbox::build(&about.build, &beginning(settings))?);
        }
        let bar = bar(settings, files.len());
        for (query, body) in steps(files) {
            outbox.push(outbox::file(&about.build, &query, body));
            bar.inc(1);
        }
        bar.finish_and_clear();
        if is_new {
            outbox.push(outbox::end(&about.build, None)?);
        }
    }
    let outcome = outbox.finish();
    let is_sent = outcome.is_sent();
    let code = sent(settings, &about, outcome)?;
    if is_sent {
        // It has been sent, even if its receipt cannot be read.
        if let Err(problem) = show_receipt(settings, &about) {
            say(&problem.text);
        }
    } else if !settings.quiet {
        let to_errors = |line: &str| {
            say(line);
            Ok(())
        };
        print_receipt(&Document(json!({ "uploads": receipts })), to_errors)?;
    }
    // Readable files are reported; errors of the others have been printed.
    Ok(if is_all { code } else { 2 })
}

/// A progress bar if there is a terminal.
fn bar(settings: &Settings, length: usize) -> ProgressBar {
    if settings.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} files {per_sec} {eta}");
    let bar = ProgressBar::new(length as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// All files as one build, in one request.
fn together(settings: &Settings, about: &About, files: &[File]) -> Result<Entry, Problem> {
    let mut query = Vec::new();
    let mut add = |name: &str, value: &str| {
        query.push(format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    };
    settings.tags.iter().for_each(|tag| add("tag", tag));
    for (name, value) in settings.place.record() {
        let Value::String(value) = value else { continue };
        match name.as_str() {
            "host" | "arch" | "user" => add(&name, &value),
            _ => add(&format!("client.{name}"), &value),
        }
    }
    // If it is sent later, it must not appear to have started then.
    if !files.iter().any(|file| file.has_time) {
        add("started", &Timestamp::now().to_rfc3339_utc());
    }
    let (media_type, body) = match files {
        [file] => {
            add("name", file.step());
            ("application/octet-stream", file.body.clone())
        }
        _ => {
            let named = files.iter().map(|file| (file.step().into(), file.body.as_slice()));
            ("application/x-tar", tar(named)?)
        }
    };
    Ok(Entry {
        opens: None,
        piece: None,
        method: "PUT".to_owned(),
        target: format!("{}?{}", about.build, query.join("&")),
        key: None,
        media_type: media_type.to_owned(),
        body,
    })
}
