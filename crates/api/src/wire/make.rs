//! Makes builds of all that their clients said of them.

use std::time::Duration;

use actix_web::web;
use devmason_domain::{Build, Closing, Receipt, State, Step, TestResult, Timestamp, limits};
use devmason_repository::{
    Cases, Error, ForeignBuild, Repository, Reread, Result, TestReport, Unmade, Updated,
};
use devmason_wire::{Derived, Part, derive};

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
pub(crate) async fn now(
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
                    tracing::warn!(error = %error.chain(), "a build was not made of what its client said");
                }
            }
            Ok(())
        };
        if let Err(error) = app.store.run(turn).await {
            tracing::warn!(error = %error.log(), "builds were not made of what their clients said");
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
            format: Some(foreign.protocol.clone()),
            recognized: Receipt::AS_SAID.to_owned(),
            ..Receipt::default()
        };
        receipt.note("dropped", "a part came after the time for which parts are kept");
        let receipt = written(&receipt);
        repository.receipt_add(foreign.project, foreign.build, &receipt, None)?;
        let events = repository.foreign_numbered(foreign.number)?.map_or(0, |found| found.events);
        repository.foreign_made(foreign.number, events, None)?;
        return Ok(true);
    }
    let corrupt = |error: String| Error::Corrupt(format!("what a client said: {error}").into());
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let derived = derive(&foreign.protocol, &bodies, is_final, build.received);
    let mut derived = derived.map_err(|error| corrupt(error.to_string()))?;
    drop(bodies);
    derived.part.receipt.bytes = Some(bytes as u64);
    let mut said = later(&project, &derived.part);
    said.members.extend(changed(&build, &derived));
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
    let (steps, tests, receipts) = whole(derived.part, derived.more, most_cases);
    let tests = Cases::Packed(repository.test_pack(build.project, &tests.into())?);
    let report = TestReport { tests, receipts, ..TestReport::default() };
    let new = Reread { steps, report, uploads: Vec::new(), success: Some(derived.success), now };
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

/// The members of the client record that are another now: what is said last counts.
fn changed(build: &Build, derived: &Derived) -> Vec<(String, Option<String>)> {
    let gone = derived.forgotten.iter().map(|name| (name.clone(), None));
    let differs = |(name, value): &&(String, String)| {
        let mut value = value.clone();
        limits::cut(&mut value, limits::MEMBER_NAME);
        build.client.0.member_text(name).is_some_and(|known| known != value)
    };
    let others = derived.part.client.iter().filter(differs).map(|(name, _)| (name.clone(), None));
    gone.chain(others).collect()
}

/// The steps, cases and receipts of all parts, with no more cases than a build may have.
fn whole(
    part: Part,
    more: Vec<Part>,
    most_cases: usize,
) -> (Vec<Step>, Vec<TestResult>, Vec<String>) {
    let (mut steps, mut tests, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
    for mut part in std::iter::once(part).chain(more) {
        let left = most_cases - tests.len();
        if part.tests.len() > left {
            let dropped = part.tests.len() - left;
            part.receipt.note("dropped", format!("{dropped} test cases beyond {most_cases}"));
            part.tests.truncate(left);
        }
        steps.extend(part.step);
        tests.append(&mut part.tests);
        receipts.push(written(&part.receipt));
    }
    (steps, tests, receipts)
}
