//! Receipts of report files, as they are printed.

use devmason_client::{About, Document, blocking};
use devmason_reports::Status;
use serde_json::Value;

use crate::settings::Settings;
use crate::{Problem, print, print_json};

/// The non-zero counts.
pub(crate) fn words(counts: &[(usize, &str)]) -> String {
    let words: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if words.is_empty() { "no cases".to_owned() } else { words.join(", ") }
}

/// Prints the server's receipt.
pub(super) fn show_receipt(settings: &Settings, about: &About) -> Result<(), Problem> {
    if settings.quiet && !settings.json {
        return Ok(());
    }
    let client = blocking::Client::new(settings.client()?)?;
    let build = client.get(&about.build)?;
    let receipt = client.follow(&build, "receipt")?;
    if settings.json {
        return print_json(&receipt);
    }
    print_receipt(&receipt, print)
}

/// Prints a receipt, one line per file and per note.
pub(super) fn print_receipt(
    receipt: &Document,
    print: impl Fn(&str) -> Result<(), Problem>,
) -> Result<(), Problem> {
    for upload in receipt.list("uploads") {
        let count = |word: &str| {
            upload.0.get("tests").and_then(|tests| tests.get(word)).and_then(Value::as_u64)
        };
        let counts = Status::ALL
            .map(|status| status.as_str())
            .map(|word| (usize::try_from(count(word).unwrap_or(0)).unwrap_or(usize::MAX), word));
        let file = upload.0.get("file").and_then(Value::as_str).unwrap_or("report");
        let format = upload.0.get("format").and_then(Value::as_str).unwrap_or("not a report");
        print(&format!("{file}: {format}, {}", words(&counts)))?;
        for note in upload.list("notes") {
            let line = note.0.get("line").and_then(Value::as_u64);
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            print(&format!("  {}: {line}{}", note.text("kind"), note.text("text")))?;
        }
    }
    Ok(())
}
