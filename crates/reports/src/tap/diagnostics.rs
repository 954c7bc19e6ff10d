//! What follows a test: a YAML block, or comments.

use super::{MAX_OTHER, Tap};
use crate::input::Input;
use crate::{Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, number};

impl Tap {
    /// Parses a YAML block, which ends with `...` at the same indentation.
    pub(super) fn yaml(
        &mut self,
        input: &mut Input<'_>,
        indent: usize,
        begun: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let (mut lines, mut bytes, mut cut) = (Vec::new(), 0, false);
        loop {
            let Some(line) = input.next_line()? else {
                let text = "the file ends inside a YAML block".to_owned();
                sink.note(Note { line: Some(begun), kind: NoteKind::Odd, text });
                break;
            };
            if line.trim() == "..." {
                break;
            }
            bytes += line.len() + 32;
            if bytes <= MAX_OTHER {
                let text = line.get(indent.min(line.len())..).unwrap_or(line.trim_start());
                lines.push(text.to_owned());
            } else {
                cut = true;
            }
        }
        if cut {
            let text = format!("YAML block truncated to {MAX_OTHER} bytes");
            sink.note(Note { line: Some(begun), kind: NoteKind::Cut, text });
        }
        let Some((_, case)) = self.last.as_mut() else { return Ok(()) };
        let plain = |value: &str| value.trim().trim_matches(['\'', '"']).to_owned();
        let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
        // Some producers indent all members of the block.
        let outer =
            lines.iter().filter(|line| !line.trim().is_empty()).map(|line| depth(line)).min();
        let outer = outer.unwrap_or(0);
        let (mut message, mut is_place) = (None, false);
        for (nth, line) in lines.iter().enumerate() {
            let Some((key, value)) = line.split_once(':') else { continue };
            // Nested members hold the test's location only below `at`.
            if depth(line) == outer {
                is_place = key.trim() == "at";
            } else if !(is_place && matches!(key.trim(), "file" | "line")) {
                continue;
            }
            // A block scalar: the following lines with deeper indentation (YAML 1.2, 8.1).
            let is_block = matches!(value.trim(), "|" | ">" | "|-" | ">-" | "|+" | ">+");
            let block = || {
                let lines = lines.iter().skip(nth + 1);
                let lines = lines.take_while(|line| line.trim().is_empty() || depth(line) > outer);
                lines.map(|line| line.trim()).collect::<Vec<_>>().join("\n").trim_end().to_owned()
            };
            match key.trim() {
                "duration_ms" => {
                    case.micros =
                        value.trim().parse::<f64>().ok().and_then(|ms| number::micros(ms / 1e3));
                }
                "message" | "error" if message.is_none() && is_block => message = Some(block()),
                "message" | "error" if message.is_none() && !value.trim().is_empty() => {
                    message = Some(plain(value));
                }
                "file" => case.file = Some(plain(value)),
                "line" => case.line = value.trim().parse().ok(),
                "location" => {
                    let place = plain(value);
                    let mut parts = place.rsplitn(3, ':');
                    let (_, line, file) = (parts.next(), parts.next(), parts.next());
                    case.line = line.and_then(|line| line.parse().ok());
                    case.file = file.map(str::to_owned);
                }
                _ => {}
            }
        }
        if case.outcome() != Status::Passed {
            let failure = case.failure.get_or_insert_with(Failure::default);
            failure.message = message.or_else(|| failure.message.take());
            failure.text = Some(lines.join("\n"));
        }
        Ok(())
    }

    /// Looks whether a remark says more failures than the tests show: the sums of Test::More, of node's
    /// runner and tape, and of the kernel's tests, or that the script died.
    fn claims(&self, remark: &str, indent: usize, line: u64, sink: &mut dyn Sink) {
        let number = |text: &str| text.split(' ').next()?.parse::<u64>().ok();
        let after = |start: &str| remark.strip_prefix(start).and_then(number);
        let last = self.last.as_ref().is_some_and(|(_, case)| case.outcome().is_bad());
        let shown = self.bad + u64::from(last);
        if indent == 0
            && let Some(code) = after("Looks like your test exited with ")
            && code > 0
            && shown == 0
        {
            let text = format!("the script exited with {code}");
            sink.against(Reason::new(Cause::Aborted, Some(line), text));
        }
        let said = if let Some(sums) = remark.strip_prefix("Totals: ") {
            let of = |name: &str| {
                let sum = sums.split(' ').find_map(|sum| sum.strip_prefix(name)).and_then(number);
                sum.unwrap_or(0)
            };
            of("fail:") + of("error:")
        } else if indent == 0 {
            after("Looks like you failed ").or_else(|| after("fail ")).unwrap_or(0)
        } else {
            0
        };
        if said > shown + self.todos {
            let text = format!("'{remark}', but {shown} failed tests are there");
            sink.against(Reason::new(Cause::Claim, Some(line), text));
        }
    }

    /// Assigns a comment or other line to the last test, in KTAP to the next test, or to the report.
    pub(super) fn comment(
        &mut self,
        line: &str,
        rest: &str,
        indent: usize,
        number: u64,
        sink: &mut dyn Sink,
    ) {
        if rest.is_empty() || rest.starts_with("# Subtest:") || rest.starts_with("pragma ") {
            return;
        }
        let bare = rest.trim_start_matches('#').trim_start();
        let is_remark = rest.starts_with('#');
        let is_sum = bare.starts_with("Totals:") || bare.contains(": pass:");
        if is_remark {
            self.claims(bare, indent, number, sink);
        }
        let (text, to) = match (&mut self.before, &mut self.last) {
            (Some(_), _) if is_sum => (line, &mut self.other),
            (Some(before), _) => (if is_remark { bare } else { rest }, before),
            (None, Some((_, case))) if is_remark => (bare, &mut case.stdout),
            // Mocha writes a test's diagnostics below it, without a block.
            (None, Some((of, case))) if indent > *of && case.outcome().is_bad() => {
                let failure = case.failure.get_or_insert_default();
                failure.message.get_or_insert_with(|| rest.to_owned());
                (rest, failure.text.get_or_insert_default())
            }
            (None, Some((of, case))) if indent > *of => (rest, &mut case.stdout),
            _ => (line, &mut self.other),
        };
        if to.len() + text.len() < MAX_OTHER {
            to.push_str(text);
            to.push('\n');
        } else if !self.cut {
            self.cut = true;
            let text = format!("output that belongs to no test truncated to {MAX_OTHER} bytes");
            sink.note(Note { line: Some(number), kind: NoteKind::Cut, text });
        }
    }
}
