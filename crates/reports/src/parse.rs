//! Parsing a report with the parser of its format.

use std::io::BufRead;

use crate::doubled::Doubled;
use crate::fitted::Fitted;
use crate::input::Input;
use crate::model::{Fault, Note, NoteKind, ReadError, Sink};
use crate::verdict::{Cause, Reason};
use crate::{
    Format, allure, bazel, boost, catch2, check, cppunit, ctest, ctrf, cucumber, dart, go, gotext,
    gtest, jest, junit, libtest, ltp, meson, mocha, nunit, playwright, pytest, qttest, robot,
    rspec, subunit, tap, testng, trx, xunit,
};

/// Parses a report of that format to its end.
///
/// # Errors
/// The input is malformed, with the line; everything the sink received before is then void.
pub fn read(format: Format, input: &mut dyn BufRead, sink: &mut dyn Sink) -> Result<(), ReadError> {
    of_input(format, &mut Input::new(input)?, sink)
}

/// The same for a report in memory, which is faster.
///
/// # Errors
/// As [`read`].
pub fn read_slice(format: Format, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut rest = bytes;
    of_input(format, &mut Input::of_slice(&mut rest, bytes)?, sink)
}

fn of_input(format: Format, input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    // These parsers handle duplicate names themselves.
    let knows = matches!(format, Format::Junit | Format::Rspec | Format::Check);
    let doubled = (!knows).then(Doubled::default);
    let mut fitted = Fitted { sink, cases: 0, doubled };
    let sink = &mut fitted;
    let read = match format {
        Format::Junit => junit::read(input, sink),
        Format::Tap => tap::read(input, sink),
        Format::Go => go::read(input, sink),
        Format::GoText => gotext::read(input, sink),
        Format::Libtest => libtest::read(input, sink),
        Format::Ctrf => ctrf::read(input, sink),
        Format::Trx => trx::read(input, sink),
        Format::Xunit => xunit::read(input, sink),
        Format::Nunit => nunit::read(input, sink),
        Format::Ctest => ctest::read(input, sink),
        Format::Jest => jest::read(input, sink),
        Format::Mocha => mocha::read(input, sink),
        Format::Mochawesome => mocha::read_mochawesome(input, sink),
        Format::Playwright => playwright::read(input, sink),
        Format::Cucumber => cucumber::read(input, sink),
        Format::CucumberMessages => cucumber::read_messages(input, sink),
        Format::Allure => allure::read(input, sink),
        Format::Robot => robot::read(input, sink),
        Format::Rspec => rspec::read(input, sink),
        Format::Pytest => pytest::read(input, sink),
        Format::Subunit => subunit::read(input, sink),
        Format::Dart => dart::read(input, sink),
        Format::Meson => meson::read(input, sink),
        Format::Gtest => gtest::read(input, sink),
        Format::Catch2 => catch2::read(input, sink),
        Format::Boost => boost::read(input, sink),
        Format::Cppunit => cppunit::read(input, sink),
        Format::Check => check::read(input, sink),
        Format::Qttest => qttest::read(input, sink),
        Format::Testng => testng::read(input, sink),
        Format::Failsafe => testng::read_failsafe(input, sink),
        Format::Bazel => bazel::read(input, sink),
        Format::Ltp => ltp::read(input, sink),
    };
    match read {
        // The cases before the break are kept, and the truncation is reported.
        Err(error) if error.fault == Fault::Broken && fitted.cases > 0 => {
            let text = format!("the file is truncated: {error}");
            fitted.against(Reason::new(Cause::Cut, error.line, text));
        }
        read => read?,
    }
    if fitted.cases == 0 {
        let text = "no test cases found".to_owned();
        fitted.note(Note { line: None, kind: NoteKind::Odd, text });
    }
    let sink = &mut fitted;
    if input.replaced() > 0 {
        let text = format!("{} invalid byte sequences were replaced by U+FFFD", input.replaced());
        sink.note(Note { line: None, kind: NoteKind::Odd, text });
    }
    Ok(())
}
