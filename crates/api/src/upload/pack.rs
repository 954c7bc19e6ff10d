//! Packing a report before its turn to be stored comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use devmason_domain::ProjectId;
use devmason_repository::{Cases, Error, RawBody, RawUpload, TestReport};

use crate::call::Call;
use crate::error::ApiError;
use crate::recorder::TURN;

/// Number of cases, and size of a body in bytes, that the recorder packs itself: that takes less
/// than passing them on.
const FEW_CASES: u64 = 100;

const SHORT: usize = 16 << 10;

/// Packs a report before its turn to be stored comes, so that nobody waits for that. Cases and body
/// are packed at the same time.
pub(crate) async fn pack(
    call: &Call<'_>,
    project: ProjectId,
    report: &mut TestReport,
) -> Result<(), ApiError> {
    let cases = async |cases: &mut Cases| {
        if cases.len() > FEW_CASES
            && let Cases::Given(tests) = std::mem::take(cases)
        {
            let (tests, since) = (Arc::new(tests), Instant::now());
            let packed = loop {
                let tests = tests.clone();
                let packed = call.ask(move |repository| repository.test_pack(project, &tests));
                match packed.await {
                    // As in the queue: the report waits for a project that somebody else has locked.
                    Err(ApiError::Store(error))
                        if matches!(*error, Error::Locked(_)) && since.elapsed() < TURN =>
                    {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    packed => break packed?,
                }
            };
            *cases = Cases::Packed(packed);
        }
        Ok::<_, ApiError>(())
    };
    let body = async |upload: Option<&mut RawUpload>| {
        if let Some(RawUpload { body, .. }) = upload
            && body.len() > SHORT
            && let RawBody::Given(given) = body
        {
            let given = given.clone();
            let packed = call.ask(move |repository| Ok(repository.upload_pack(&given))).await?;
            *body = RawBody::Packed(packed);
        }
        Ok::<_, ApiError>(())
    };
    futures_util::future::try_join(cases(&mut report.tests), body(report.upload.as_mut())).await?;
    Ok(())
}
