//! Receipts as they are stored.

use std::time::Instant;

use devmason_domain::{Counts, Digest, Receipt, TestResult, TestSummary};

use crate::call::Call;

/// The stored form of a receipt.
pub(crate) fn written(receipt: &Receipt) -> String {
    // A receipt always serializes to JSON.
    serde_json::to_string(receipt).unwrap_or_default()
}

/// The receipt of an API document whose parsing began at this time.
pub(crate) fn document_receipt(
    call: &Call<'_>,
    began: Instant,
    steps: usize,
    tests: &[TestResult],
) -> String {
    let mut summary = TestSummary::default();
    summary.add(tests);
    written(&Receipt {
        format: Some(Receipt::DOCUMENT.to_owned()),
        recognized: Receipt::AS_SAID.to_owned(),
        bytes: Some(call.received().len() as u64),
        digest: Some(format!("sha256:{}", Digest::of(call.received()))),
        seconds: Some(began.elapsed().as_secs_f64()),
        steps: Some(steps as u64),
        tests: Some(Counts::from(&summary)),
        ..Receipt::default()
    })
}
