//! Parses report files and prints their contents: `cargo run -p devmason-reports --example
//! read_report -- junit.xml`

use std::error::Error;

use devmason_reports::{Read, Status};

fn main() -> Result<(), Box<dyn Error>> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let read = Read::from_bytes(&bytes, None).map_err(|error| format!("{path}: {error}"))?;
        let counts = Status::ALL.map(|status| {
            let count = read.cases.iter().filter(|case| case.outcome() == status).count();
            format!("{count} {}", status.as_str())
        });
        println!("{path}: {}, {}", read.format.as_str(), counts.join(", "));
        for case in read.cases.iter().filter(|case| case.outcome() != Status::Passed) {
            let reason = case.failure.as_ref().and_then(|failure| failure.message.as_deref());
            let reason = reason.and_then(|text| text.lines().next()).unwrap_or_default();
            println!("  {} {} {}: {reason}", case.outcome().as_str(), case.group(), case.name);
        }
        for note in &read.notes {
            let line = note.line.map_or_else(String::new, |line| format!("line {line}, "));
            println!("  {line}{}: {}", note.kind.as_str(), note.text);
        }
    }
    Ok(())
}
