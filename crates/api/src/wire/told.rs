//! What clients say of builds that can only be made of all of it.

use devmason_domain::{Build, Digest, Project, Timestamp};
use devmason_repository::{EVENT_BYTES, EVENTS, ForeignBuild, NewEvent, Told};
use serde::Serialize;

use super::{make, silence};
use crate::call::Call;
use crate::error::ApiError;

/// Up to this many events, a build is made anew before a request is answered that comes after its end.
const AT_ONCE: u32 = 1_000;

/// A build that this client may continue.
pub(super) struct Running {
    pub(super) project: Project,
    pub(super) build: Build,
}

/// What there is to know of an event, beside what it says.
pub(super) struct Said {
    /// The same again is the same event.
    pub(super) digest: Digest,
    /// What it starts, by which it can be found.
    pub(super) item: Option<String>,
    /// Whether the build would only lack texts without it.
    pub(super) is_bulk: bool,
    /// Whether the build ends with it.
    pub(super) is_last: bool,
    /// Whether the build is made of it before the request is answered, although it goes on.
    pub(super) at_once: bool,
}

/// Keeps an event. If the build is over, it is made anew. Returns the build, when the same request came
/// before, and the number of events.
pub(super) async fn tell(
    call: &Call<'_>,
    of: &Running,
    event: &impl Serialize,
    said: Said,
    gone: ApiError,
) -> Result<(ForeignBuild, Option<Timestamp>, u32), ApiError> {
    let body =
        serde_json::to_vec(event).map_err(|error| ApiError::Unwritable(error.to_string()))?;
    let received = Timestamp::now();
    let bytes = body.len();
    let new = NewEvent {
        project: of.project.id,
        build: of.build.id,
        digest: said.digest,
        item: said.item,
        received,
        body,
        is_bulk: said.is_bulk,
        is_last: said.is_last,
        ends: silence::end(call.app, received),
    };
    let told = call.app.recorder.event(new, bytes, call.body.hold.clone());
    match call.app.store.patiently(told).await?? {
        Told::Kept { foreign, events, is_over, before } => {
            if (is_over || said.at_once) && events <= AT_ONCE {
                make::now(call, foreign.clone()).await?;
            }
            Ok((foreign, before, events))
        }
        Told::Gone => Err(gone),
        Told::Full => {
            let problem = format!(
                "a build is limited to {EVENTS} such requests, and to {EVENT_BYTES} bytes of logs and files"
            );
            Err(ApiError::TooMuch { problem })
        }
    }
}
