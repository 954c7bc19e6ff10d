//! The logs of steps.

use std::time::{Duration, Instant};

use crate::*;

conformance!(
    a_log_is_what_was_appended_to_it,
    a_piece_that_is_sent_again_is_stored_once,
    pieces_of_one_batch_follow_each_other,
    writers_at_once_keep_every_piece_once,
    a_step_ends_once_and_counts_then,
    a_build_that_ends_ends_its_running_steps,
    a_long_log_loses_its_middle_and_says_so,
    a_line_of_a_long_log_is_found,
    a_compacted_log_is_the_same_in_fewer_pieces,
    a_step_is_opened_once_for_each_key,
    reparsing_moves_a_log_with_its_step,
    a_deleted_build_or_project_leaves_no_log,
);

const MOST: u64 = 1 << 20;

fn entry(millis: u64, stream: LogStream, text: &str) -> LogEntry {
    LogEntry { millis, stream, text: text.to_owned() }
}

fn out(text: &str) -> Vec<LogEntry> {
    vec![entry(7, LogStream::Out, text)]
}

fn open_step(name: &str) -> Step {
    let started = at("2026-01-01T00:00:01Z");
    Step {
        output: String::new(),
        started,
        finished: started,
        log: StepLog::Open,
        ..step(name, true)
    }
}

fn new_step(project: &Project, build: BuildId, step: Step, claim: Option<Claim>) -> NewStep {
    NewStep { project: project.id, build, step, test_report: TestReport::default(), claim }
}

/// A running build with so many running steps; the place of its first.
fn begun(store: &Store, project: &Project, steps: u32) -> StepPlace {
    let new = running(project);
    let id = new.id;
    assert_eq!(store.record(new), Recorded::New);
    for nth in 0..steps {
        let step = new_step(project, id, open_step(&format!("s{nth}")), None);
        assert_eq!(store.step_append_many(&[step]).unwrap(), [Appended::Opened(nth)]);
    }
    StepPlace { project: project.id, build: id, step: 0 }
}

fn piece(place: StepPlace, offset: u64, entries: Vec<LogEntry>) -> NewPiece {
    NewPiece { place, offset, entries, most: MOST }
}

fn append(store: &Store, place: StepPlace, offset: u64, entries: Vec<LogEntry>) -> Logged {
    store.log_append_many(&[piece(place, offset, entries)]).unwrap().remove(0)
}

fn end(place: StepPlace, success: bool, digest: u8) -> StepEnd {
    StepEnd {
        place,
        success,
        finished: at("2026-01-01T00:01:00Z"),
        extras: None,
        test_report: TestReport::default(),
        bad_cases: 0,
        digest: Digest([digest; 32]),
    }
}

/// All of a log, as entries.
fn whole(store: &Store, place: StepPlace) -> Vec<LogEntry> {
    let (mut all, mut at) = (Vec::new(), 0);
    loop {
        let pieces = store.log_read(place, Seek::Byte(None, at)).unwrap();
        let Some(last) = pieces.last() else { return all };
        at = last.end.bytes;
        all.extend(pieces.into_iter().flat_map(|piece| piece.entries));
    }
}

fn text(entries: &[LogEntry]) -> String {
    entries.iter().map(|entry| entry.text.as_str()).collect()
}

/// A step with a log of 200 pieces, and the last of them.
fn many_pieces(store: &Store, project: &Project) -> NewPiece {
    let place = begun(store, project, 2);
    let pieces: Vec<NewPiece> =
        (0..200).map(|nth| piece(place, nth * 100, out(&format!("{nth:099}\n")))).collect();
    store.log_append_many(&pieces).unwrap();
    pieces.into_iter().next_back().unwrap()
}

/// Many logs, and a piece of one.
pub(crate) fn filled(store: &Store, project: &Project) -> NewPiece {
    let all: Vec<_> = (0..20).map(|_| many_pieces(store, project)).collect();
    all.last().unwrap().clone()
}

fn a_log_is_what_was_appended_to_it(store: &Store) {
    let project = store.project("p");
    let place = begun(store, &project, 1);
    let entries = vec![
        entry(0, LogStream::Out, "a\nnul \0 \u{1b}[31m"),
        entry(3, LogStream::Err, "ü\n"),
        entry(9, LogStream::Out, "b"),
    ];
    assert_eq!(append(store, place, 0, entries.clone()), Logged::Done(17));
    assert_eq!(append(store, place, 17, out("\nc")), Logged::Done(19));
    let end = Position { bytes: 19, breaks: 3, out_bytes: 16, out_breaks: 2 };
    assert_eq!(store.log_state(place).unwrap(), Some(LogState { log: StepLog::Open, end }));
    assert_eq!(whole(store, place), [entries, out("\nc")].concat());
    let build = store.find(&project, place.build);
    assert_eq!(build.output_bytes, 19 + 128 + 2);
    let step = &store.steps(&build)[0];
    assert_eq!((step.output.as_str(), step.errout.as_str()), ("a\nnul \0 \u{1b}[31mb\nc", "ü\n"));
    assert_eq!(store.step_one(&build, 0).unwrap().as_ref(), Some(step));
    assert_eq!(store.step_head(&build, 0).unwrap().unwrap().output, "");
}

fn a_piece_that_is_sent_again_is_stored_once(store: &Store) {
    let project = store.project("p");
    let place = begun(store, &project, 1);
    assert_eq!(append(store, place, 0, out("one\n")), Logged::Done(4));
    assert_eq!(append(store, place, 4, out("two\n")), Logged::Done(8));
    for (offset, text, outcome) in [
        (0, "one\n", Logged::Known(8)),
        (4, "two\n", Logged::Known(8)),
        (0, "one\ntwo\n", Logged::Known(8)),
        (2, "e\nt", Logged::Known(8)),
        (4, "TWO\n", Logged::Differs),
        (4, "two\nthree", Logged::Elsewhere(8)),
        (9, "x", Logged::Elsewhere(8)),
        (8, "", Logged::Done(8)),
    ] {
        assert_eq!(append(store, place, offset, out(text)), outcome, "{offset} {text}");
    }
    assert_eq!(text(&whole(store, place)), "one\ntwo\n");
    assert_eq!(append(store, StepPlace { step: 1, ..place }, 0, out("x")), Logged::Gone);
}

fn pieces_of_one_batch_follow_each_other(store: &Store) {
    let project = store.project("p");
    let place = begun(store, &project, 2);
    let other = StepPlace { step: 1, ..place };
    let pieces = [
        piece(place, 0, out("a")),
        piece(other, 0, out("x")),
        piece(place, 1, out("b")),
        piece(place, 1, out("b")),
        piece(place, 5, out("c")),
    ];
    let outcomes = store.log_append_many(&pieces).unwrap();
    let expected =
        [Logged::Done(1), Logged::Done(1), Logged::Done(2), Logged::Known(2), Logged::Elsewhere(2)];
    assert_eq!(outcomes, expected);
    assert_eq!(text(&whole(store, place)), "ab");
}

fn writers_at_once_keep_every_piece_once(store: &Store) {
    let project = store.project("p");
    let place = begun(store, &project, 3);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                for nth in 0..20u64 {
                    // All writers send all pieces, in batches of several steps.
                    let steps = if writer % 2 == 0 { [0, 1, 2] } else { [2, 1, 0] };
                    let pieces = steps.map(|step| {
                        piece(StepPlace { step, ..place }, nth * 3, out(&format!("{nth:02}\n")))
                    });
                    loop {
                        let outcomes = store.log_append_many(&pieces);
                        if let Err(Error::Locked(_) | Error::Busy(_)) = outcomes {
                            continue;
                        }
                        let taken = outcomes.unwrap();
                        let is_taken =
                            |logged: &Logged| matches!(logged, Logged::Done(_) | Logged::Known(_));
                        assert!(taken.iter().all(is_taken), "{taken:?}");
                        break;
                    }
                }
            });
        }
    });
    let expected: String = (0..20).map(|nth| format!("{nth:02}\n")).collect();
    for step in 0..3 {
        assert_eq!(text(&whole(store, StepPlace { step, ..place })), expected);
    }
}

fn a_step_ends_once_and_counts_then(store: &Store) {
    let project = store.project("p");
    let place = begun(store, &project, 1);
    append(store, place, 0, out("failed\n"));
    let before = store.find(&project, place.build);
    assert_eq!((before.steps, before.failed_steps), (1, 0));
    assert_eq!(store.steps(&before)[0].end(), None);
    let count = |conditions: &str| {
        let filter = parse_where(&devmason_domain::query::STEPS, conditions).unwrap();
        let selection = Selection { filter, sort: Vec::new() };
        store.step_query(&Listing { selection, offset: 0, limit: 9 }).unwrap().count
    };
    // A running step neither succeeded nor failed.
    assert_eq!((count("success:true"), count("success:false"), count("")), (0, 0, 1));

    let extras = JsonObject::from_stored(r#"{"exit_code":2}"#.into());
    let failed = StepEnd { extras: Some(extras.clone()), bad_cases: 3, ..end(place, false, 1) };
    assert_eq!(store.step_end(&failed).unwrap(), Ended::Done);
    assert_eq!(store.step_end(&failed).unwrap(), Ended::Known);
    assert_eq!(store.step_end(&end(place, true, 2)).unwrap(), Ended::Differs);
    let missing = StepPlace { step: 1, ..place };
    assert_eq!(store.step_end(&end(missing, true, 2)).unwrap(), Ended::Gone);
    assert_eq!(append(store, place, 7, out("x")), Logged::Closed);
    assert_eq!(append(store, place, 0, out("failed\n")), Logged::Known(7));

    let build = store.find(&project, place.build);
    assert_eq!((build.steps, build.failed_steps), (1, 1));
    assert_eq!(build.output_bytes, before.output_bytes);
    assert!(build.version > before.version);
    let step = &store.steps(&build)[0];
    assert_eq!(step.end(), Some((false, at("2026-01-01T00:01:00Z"))));
    assert_eq!(
        (&step.extras, step.bad_cases, step.output.as_str()),
        (&extras, Some(3), "failed\n")
    );
    assert_eq!((count("success:true"), count("success:false")), (0, 1));
}

fn a_build_that_ends_ends_its_running_steps(store: &Store) {
    let project = store.project("p");
    let now = at("2026-01-02T00:00:00Z");
    for (success, failed) in [(None, 2), (Some(false), 2), (Some(true), 0)] {
        let place = begun(store, &project, 3);
        append(store, place, 0, out("text"));
        let ended = StepPlace { step: 2, ..place };
        store.step_end(&end(ended, true, 1)).unwrap();
        let closing = Closing { success, finished: None };
        assert_eq!(store.build_close(project.id, place.build, closing, now).unwrap(), Closed::Done);
        let build = store.find(&project, place.build);
        assert_eq!(build.failed_steps, failed);
        let is_good = success.unwrap_or(false);
        assert!(matches!(build.outcome, Outcome::Finished { success, .. } if success == is_good));
        let steps = store.steps(&build);
        assert!(steps.iter().all(|step| step.log == StepLog::Closed));
        assert_eq!(steps[0].end(), Some((is_good, now)));
        assert_eq!(append(store, place, 4, out("x")), Logged::Closed);
        let abandoned = store.log_abandoned(project.id, place.build).unwrap();
        assert_eq!(abandoned.iter().map(|place| place.step).collect::<Vec<_>>(), [0, 1]);
    }
}

fn a_long_log_loses_its_middle_and_says_so(store: &Store) {
    let project = store.project("p");
    let place = begun(store, &project, 1);
    for nth in 0..100 {
        let piece =
            NewPiece { most: 3_000, ..piece(place, nth * 100, out(&format!("{nth:099}\n"))) };
        assert_eq!(store.log_append_many(&[piece]).unwrap(), [Logged::Done((nth + 1) * 100)]);
    }
    let (from, to) = store.log_gap(place).unwrap().unwrap();
    assert_eq!((from.bytes, from.breaks, to.bytes, to.breaks), (1_500, 15, 8_500, 85));
    let entries = whole(store, place);
    assert_eq!(text(&entries).len(), 3_000);
    // What was dropped counts as there.
    assert_eq!(append(store, place, 5_000, out(&"x".repeat(100))), Logged::Known(10_000));
    let output = store.steps(&store.find(&project, place.build)).remove(0).output;
    assert!(output.contains("7000 bytes with 70 line breaks are left out"), "{output}");
    assert!(output.ends_with(&format!("{:099}\n", 99)));
}

fn a_line_of_a_long_log_is_found(store: &Store) {
    let project = store.project("p");
    let place = begun(store, &project, 1);
    let mut offset = 0;
    for nth in 0..300u64 {
        let stream = if nth % 3 == 0 { LogStream::Err } else { LogStream::Out };
        // Lines do not end where pieces do.
        let piece = vec![entry(nth, stream, &format!("{nth}\n{nth}"))];
        let length = piece[0].text.len() as u64;
        assert_eq!(append(store, place, offset, piece), Logged::Done(offset + length));
        offset += length;
    }
    let found = store.log_read(place, Seek::Line(None, 250)).unwrap();
    assert!(found[0].start.breaks < 250 && found[0].end.breaks >= 250, "{:?}", found[0].start);
    for (stream, breaks) in [(LogStream::Out, 150), (LogStream::Err, 90)] {
        let found = store.log_read(place, Seek::Line(Some(stream), breaks)).unwrap();
        assert!(found[0].start.breaks_of(Some(stream)) < breaks);
        assert!(found[0].end.breaks_of(Some(stream)) >= breaks);
        let bytes = found[0].start.bytes_of(Some(stream));
        let by_bytes = store.log_read(place, Seek::Byte(Some(stream), bytes)).unwrap();
        assert!(by_bytes[0].start.bytes_of(Some(stream)) <= bytes);
    }
    assert_eq!(store.log_read(place, Seek::Line(None, 301)).unwrap(), []);
    assert_eq!(store.log_read(place, Seek::Byte(None, offset)).unwrap(), []);
}

fn a_compacted_log_is_the_same_in_fewer_pieces(store: &Store) {
    let project = store.project("p");
    let place = many_pieces(store, &project).place;
    let count = || {
        let mut at = 0;
        let mut count = 0;
        loop {
            let pieces = store.log_read(place, Seek::Byte(None, at)).unwrap();
            let Some(last) = pieces.last() else { return count };
            at = last.end.bytes;
            count += pieces.len();
        }
    };
    let before = whole(store, place);
    assert_eq!(count(), 200);
    store.step_end(&end(place, true, 1)).unwrap();
    store.log_compact(place).unwrap();
    assert_eq!(count(), 1);
    assert_eq!(text(&whole(store, place)), text(&before));
    let state = store.log_state(place).unwrap().unwrap();
    assert_eq!((state.log, state.end.bytes, state.end.breaks), (StepLog::Closed, 20_000, 200));
    assert_eq!(append(store, place, 300, out(&format!("{:099}\n", 3))), Logged::Known(20_000));
}

fn a_step_is_opened_once_for_each_key(store: &Store) {
    let project = store.project("p");
    let new = running(&project);
    let id = new.id;
    store.record(new);
    let claim = |scope| {
        let outcome = "201 /p/builds/b/steps/".to_owned();
        Some(Claim { outcome, ..claim(scope, 1).unwrap() })
    };
    let steps = [
        new_step(&project, id, step("classic", true), None),
        new_step(&project, id, open_step("a"), claim(1)),
        new_step(&project, id, open_step("a"), claim(1)),
        new_step(&project, id, open_step("b"), claim(2)),
    ];
    let told = |position| Claimed::Replayed(format!("201 /p/builds/b/steps/{position}"));
    let outcomes = store.step_append_many(&steps).unwrap();
    let expected =
        [Appended::Done, Appended::Opened(1), Appended::Claimed(told(1)), Appended::Opened(2)];
    assert_eq!(outcomes, expected);
    let again = store.step_append_many(&[steps[3].clone()]).unwrap();
    assert_eq!(again, [Appended::Claimed(told(2))]);
    assert_eq!(store.find(&project, id).steps, 3);
}

fn reparsing_moves_a_log_with_its_step(store: &Store) {
    let project = store.project("p");
    let place = begun(store, &project, 2);
    append(store, place, 0, out("first"));
    append(store, StepPlace { step: 1, ..place }, 0, out("second"));
    for step in 0..2 {
        store.step_end(&end(StepPlace { step, ..place }, true, 1)).unwrap();
    }
    let build = store.find(&project, place.build);
    let mut steps = store.steps(&build);
    // An upload that lay before them has now two steps.
    steps.splice(0..0, [step("report", true), step("report", true)]);
    let upload = KeptUpload { nth: 0, steps: Piece { first: 0, count: 2 }, ..kept_upload() };
    let reread = Reread {
        steps,
        report: TestReport::default(),
        uploads: vec![upload],
        success: None,
        now: Timestamp::now(),
    };
    assert_eq!(store.build_reread(&build, &reread).unwrap(), Updated::Done(()));
    let build = store.find(&project, place.build);
    let outputs: Vec<String> = store.steps(&build).into_iter().map(|step| step.output).collect();
    assert_eq!(outputs, ["output of report", "output of report", "first", "second"]);
    // The document that ended a step still does.
    let moved = StepPlace { step: 3, ..place };
    assert_eq!(store.step_end(&end(moved, true, 1)).unwrap(), Ended::Known);
}

fn kept_upload() -> KeptUpload {
    KeptUpload {
        nth: 0,
        steps: Piece::default(),
        tests: Piece::default(),
        receipts: Piece::default(),
        received: at("2026-01-01T00:00:00Z"),
        content_type: String::new(),
        said: String::new(),
        one_step: false,
        bytes: 0,
    }
}

fn a_deleted_build_or_project_leaves_no_log(store: &Store) {
    let project = store.project("p");
    let place = begun(store, &project, 1);
    append(store, place, 0, out("text"));
    store.build_delete(project.id, place.build, None).unwrap();
    assert_eq!(whole(store, place), []);
    let place = begun(store, &project, 1);
    append(store, place, 0, out("text"));
    store.project_delete(project.id, None).unwrap();
    while store.purge(Timestamp::now(), KEEP).unwrap() {}
    assert_eq!(whole(store, place), []);
}

#[test]
fn what_is_appended_at_one_server_is_news_at_another() {
    let store = Store::new(Backend::Postgres);
    let project = store.project("p");
    let place = begun(&store, &project, 1);
    let other = open(&store.database.url, &Options::default()).unwrap();
    let mut listener = other.log_listen().unwrap().unwrap();
    assert_eq!(listener.news(Duration::ZERO).unwrap(), [None]);
    append(&store, place, 0, out("text"));
    let wait = Duration::from_secs(30);
    assert_eq!(listener.news(wait).unwrap(), [Some(place)]);
    store.step_end(&end(place, true, 1)).unwrap();
    assert_eq!(listener.news(wait).unwrap(), [Some(place)]);
    // Nothing is told that is not new.
    append(&store, place, 0, out("text"));
    let asked = Instant::now();
    assert_eq!(listener.news(Duration::from_millis(200)).unwrap(), []);
    assert!(asked.elapsed() >= Duration::from_millis(200));
    let sqlite = Store::new(Backend::Sqlite);
    assert!(sqlite.log_listen().unwrap().is_none());
}
