//! The log of a step: what a command wrote, in order, with times.

use std::ops::AddAssign;

/// One of the two streams of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl LogStream {
    /// Its name in documents and parameters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
        }
    }

    /// The stream with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "out" => Some(Self::Out),
            "err" => Some(Self::Err),
            _ => None,
        }
    }
}

/// A text that was written at once to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When, in milliseconds since the start of the step.
    pub millis: u64,
    /// To which stream.
    pub stream: LogStream,
    /// What.
    pub text: String,
}

/// A place in a log, counted for the whole log and for its standard output. The rest is standard
/// error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes before it.
    pub bytes: u64,
    /// Line breaks before it.
    pub breaks: u64,
    /// Bytes of standard output before it.
    pub out_bytes: u64,
    /// Line breaks of standard output before it.
    pub out_breaks: u64,
}

impl Position {
    /// The bytes before it of one stream, or of both.
    pub fn bytes_of(&self, stream: Option<LogStream>) -> u64 {
        match stream {
            None => self.bytes,
            Some(LogStream::Out) => self.out_bytes,
            Some(LogStream::Err) => self.bytes.saturating_sub(self.out_bytes),
        }
    }

    /// The line breaks before it in one stream, or in both.
    pub fn breaks_of(&self, stream: Option<LogStream>) -> u64 {
        match stream {
            None => self.breaks,
            Some(LogStream::Out) => self.out_breaks,
            Some(LogStream::Err) => self.breaks.saturating_sub(self.out_breaks),
        }
    }
}

impl AddAssign<&LogEntry> for Position {
    /// The place behind an entry.
    fn add_assign(&mut self, entry: &LogEntry) {
        let bytes = entry.text.len() as u64;
        let breaks = entry.text.bytes().filter(|byte| *byte == b'\n').count() as u64;
        self.bytes += bytes;
        self.breaks += breaks;
        if entry.stream == LogStream::Out {
            self.out_bytes += bytes;
            self.out_breaks += breaks;
        }
    }
}

/// The text that stands for a dropped part of a log, or of one of its streams; `None` if nothing of it
/// was dropped.
pub fn missing(from: Position, to: Position, of: Option<LogStream>) -> Option<String> {
    let bytes = to.bytes_of(of).saturating_sub(from.bytes_of(of));
    let breaks = to.breaks_of(of).saturating_sub(from.breaks_of(of));
    (bytes > 0).then(|| {
        format!("\n[{bytes} bytes with {breaks} line breaks are left out: the log is too long]\n")
    })
}

/// Sorts entries that arrived together by time. Entries of one stream keep their order, since what
/// a stream carries has an order of its own: one whose time goes back counts as written with its
/// predecessor.
pub fn in_order(entries: &mut [LogEntry]) {
    let mut latest = [0, 0];
    for entry in entries.iter_mut() {
        let latest = match entry.stream {
            LogStream::Out => &mut latest[0],
            LogStream::Err => &mut latest[1],
        };
        *latest = entry.millis.max(*latest);
        entry.millis = *latest;
    }
    entries.sort_by_key(|entry| entry.millis);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(millis: u64, stream: LogStream, text: &str) -> LogEntry {
        LogEntry { millis, stream, text: text.to_owned() }
    }

    #[test]
    fn entries_are_merged_by_time_and_a_stream_keeps_its_order() {
        use LogStream::{Err, Out};
        let mut entries = vec![
            entry(1, Out, "a"),
            entry(9, Out, "b"),
            entry(3, Out, "c"),
            entry(5, Err, "x"),
            entry(9, Err, "y"),
        ];
        in_order(&mut entries);
        let text: Vec<_> =
            entries.iter().map(|entry| (entry.millis, entry.text.as_str())).collect();
        assert_eq!(text, [(1, "a"), (5, "x"), (9, "b"), (9, "c"), (9, "y")]);
    }

    #[test]
    fn what_is_missing_is_said_for_each_stream() {
        let to = Position { bytes: 9, breaks: 2, out_bytes: 9, out_breaks: 2 };
        let text = missing(Position::default(), to, None);
        assert!(text.is_some_and(|text| text.contains("9 bytes with 2 line breaks")));
        assert_eq!(missing(Position::default(), to, Some(LogStream::Err)), None);
    }

    #[test]
    fn a_position_counts_bytes_and_lines_of_each_stream() {
        let mut at = Position::default();
        at += &entry(0, LogStream::Out, "ü\n");
        at += &entry(0, LogStream::Err, "a\nb\n");
        assert_eq!((at.bytes_of(None), at.breaks_of(None)), (7, 3));
        let [out, err] = [Some(LogStream::Out), Some(LogStream::Err)];
        assert_eq!((at.bytes_of(out), at.breaks_of(out)), (3, 1));
        assert_eq!((at.bytes_of(err), at.breaks_of(err)), (4, 2));
    }
}
