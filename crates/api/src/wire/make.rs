//! Makes builds of the events of their launches.

use std::time::Duration;

use actix_web::web;
use devmason_domain::{Closing, Receipt, State, Timestamp};
use devmason_repository::{
    Error, ForeignBuild, Repository, Reread, Result, TestReport, Unmade, Updated,
};
use devmason_wire::reportportal::{Event, PROTOCOL, derive};

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::upload::written;
use crate::wire::later;

/// How often builds are made of events that have come, if there were enough of them.
const SOON: Duration = Duration::from_secs(1);

/// After so many of these times, a few events are enough.
const LATER: u32 = 30;

/// The most builds made in one turn.
const TURN: u32 = 20;

/// Makes a build before its request is answered.
pub(super) async fn now(
    call: &Call<'_>,
    foreign: ForeignBuild,
) -> std::result::Result<(), ApiError> {
    let most = call.app.settings.max_cases;
    let turn = call.app.budget.turn(call.client).await?;
    let make = move |repository: &dyn Repository| {
        let _turn = turn;
        make(repository, &foreign, false, most)
    };
    match call.ask(make).await {
        // Others make it at the same time, and one of them of all; else it is made soon.
        Ok(_) | Err(ApiError::Store(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes builds while the server runs.
pub(crate) async fn keep_making(app: web::Data<App>) {
    let mut turns = 0u32;
    loop {
        tokio::time::sleep(SOON).await;
        turns = turns.wrapping_add(1);
        let (is_later, most) = (turns.is_multiple_of(LATER), app.settings.max_cases);
        let turn = move |repository: &dyn Repository| {
            for unmade in repository.foreign_unmade(TURN)? {
                let is_due = is_later || is_due(&unmade);
                // One launch must not keep the others waiting.
                if is_due && let Err(error) = make(repository, &unmade.foreign, false, most) {
                    tracing::warn!(error = %error.chain(), "a launch was not made into a build");
                }
            }
            Ok(())
        };
        if let Err(error) = app.store.run(turn).await {
            tracing::warn!(error = %error.log(), "launches were not made into builds");
        }
    }
}

/// Whether enough has come to make a build anew: a long launch is made of all its events each time.
fn is_due(unmade: &Unmade) -> bool {
    unmade.is_over || unmade.events - unmade.made_of > unmade.made_of / 4
}

/// Makes a build of the events of its launch. If `is_final`, nothing more is expected. Returns whether
/// that was possible: another change may come first.
pub(crate) fn make(
    repository: &dyn Repository,
    foreign: &ForeignBuild,
    is_final: bool,
    most_cases: usize,
) -> Result<bool> {
    let Some((project, mut build)) = repository.foreign_held(foreign)? else { return Ok(true) };
    let (bodies, lacks_some) = repository.event_list(foreign.project, foreign.build)?;
    let now = Timestamp::now();
    let of = u32::try_from(bodies.len()).unwrap_or(u32::MAX);
    if lacks_some {
        // What came first is no longer kept, so the build stays as it is.
        let mut receipt = Receipt {
            format: Some(PROTOCOL.to_owned()),
            recognized: Receipt::AS_SAID.to_owned(),
            ..Receipt::default()
        };
        receipt.note("dropped", "a part came after the time for which parts are kept");
        let receipt = written(&receipt);
        repository.receipt_add(foreign.project, foreign.build, &receipt, "")?;
        let events = repository.foreign_numbered(foreign.number)?.map_or(0, |found| found.events);
        repository.foreign_made(foreign.number, events, None)?;
        return Ok(true);
    }
    let corrupt = |error: String| Error::Corrupt(format!("an event of a launch: {error}").into());
    let events = bodies.iter().map(|body| serde_json::from_slice::<Event>(body));
    let events = events.collect::<std::result::Result<Vec<_>, _>>();
    let events = events.map_err(|error| corrupt(error.to_string()))?;
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    drop(bodies);
    let derived =
        derive(events, is_final, build.received).map_err(|error| corrupt(error.to_string()))?;
    let mut part = derived.part;
    part.receipt.bytes = Some(bytes as u64);
    if part.tests.len() > most_cases {
        let dropped = part.tests.len() - most_cases;
        part.receipt.note("dropped", format!("{dropped} test cases beyond {most_cases}"));
        part.tests.truncate(most_cases);
    }
    let said = later(&project, &part);
    if repository.build_tell(build.project, build.id, &said, now)? {
        match repository.foreign_held(foreign)? {
            Some((_, told)) => build = told,
            None => return Ok(true),
        }
    }
    let was_finished = build.outcome.state() == State::Finished;
    let ends = derived.is_complete || is_final;
    if was_finished && !ends {
        repository.build_reopen(build.project, build.id, now)?;
        return make(repository, foreign, is_final, most_cases);
    }
    let tests =
        devmason_repository::Cases::Packed(repository.test_pack(build.project, &part.tests)?);
    let report =
        TestReport { tests, receipts: vec![written(&part.receipt)], ..TestReport::default() };
    let new = Reread {
        steps: part.step.into_iter().collect(),
        report,
        uploads: Vec::new(),
        success: Some(derived.success),
        now,
    };
    match repository.build_reread(&build, &new)? {
        Updated::Done(()) => {}
        Updated::Stale => return Ok(false),
        Updated::Gone => return Ok(true),
    }
    if ends && !was_finished {
        let closing = Closing { success: Some(derived.success), finished: Some(derived.finished) };
        repository.build_close(build.project, build.id, closing, now)?;
    }
    let until = if ends { None } else { foreign.ends };
    repository.foreign_made(foreign.number, of, until)?;
    Ok(true)
}
