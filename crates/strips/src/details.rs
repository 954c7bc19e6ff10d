//! The details of a strip: what only some of its cases say.
//!
//! Version 1, compressed, in columns of the cases that have details:
//!
//! 1. their number, and a byte for each that says what it has;
//! 2. the files, each once, and for each case that has one its place among them, as the difference
//!    from the one before; then the lines, likewise;
//! 3. the numbers of retries;
//! 4. the properties: their number, names and values;
//! 5. standard outputs, then standard errors.

use std::collections::HashMap;

use devmason_domain::TestDetails;

use crate::bytes::{Reader, compress, decompress, put, put_difference, put_text};
use crate::{CASES, Corrupt, DETAILS};

const VERSION: u8 = 1;

/// Bits of a case's byte.
const STDOUT: u8 = 1;
const STDERR: u8 = 1 << 1;
const PROPERTIES: u8 = 1 << 2;
const RETRIES: u8 = 1 << 3;
const FILE: u8 = 1 << 4;
const LINE: u8 = 1 << 5;

/// The details of a strip never are longer: a single case may say as much as fits into a request.
const MOST: usize = 1 << 30;

/// The columns of a strip that is being filled.
#[derive(Default)]
pub(crate) struct Columns {
    kinds: Vec<u8>,
    files: Vec<u8>,
    file_of: HashMap<String, i64>,
    last_file: i64,
    places: Vec<u8>,
    last_line: i64,
    lines: Vec<u8>,
    retries: Vec<u8>,
    properties: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Columns {
    /// Appends a case's details; whether it has any.
    pub(crate) fn push(&mut self, details: &TestDetails) -> bool {
        if details.is_none() {
            return false;
        }
        let mut kind = 0;
        if !details.stdout.is_empty() {
            kind |= STDOUT;
            put_text(&mut self.stdout, &details.stdout);
        }
        if !details.stderr.is_empty() {
            kind |= STDERR;
            put_text(&mut self.stderr, &details.stderr);
        }
        if !details.properties.is_empty() {
            kind |= PROPERTIES;
            put(&mut self.properties, details.properties.len() as u64);
            for (name, value) in &details.properties {
                put_text(&mut self.properties, name);
                put_text(&mut self.properties, value);
            }
        }
        if details.retries > 0 {
            kind |= RETRIES;
            put(&mut self.retries, details.retries.into());
        }
        if let Some(file) = &details.file {
            kind |= FILE;
            let place = match self.file_of.get(file) {
                Some(place) => *place,
                None => {
                    let next = self.file_of.len() as i64;
                    put_text(&mut self.files, file);
                    self.file_of.insert(file.clone(), next);
                    next
                }
            };
            put_difference(&mut self.places, place - self.last_file);
            self.last_file = place;
        }
        if let Some(line) = details.line {
            kind |= LINE;
            put_difference(&mut self.lines, i64::from(line) - self.last_line);
            self.last_line = line.into();
        }
        self.kinds.push(kind);
        true
    }

    /// Whether these fit in beside what has been appended; alone, any do.
    pub(crate) fn has_room_for(&self, details: &TestDetails) -> bool {
        let properties = details.properties.iter().map(|(name, value)| name.len() + value.len());
        let file = details.file.as_ref().map_or(0, String::len);
        let texts = details.stdout.len() + details.stderr.len() + file;
        self.kinds.is_empty() || self.bytes() + texts + properties.sum::<usize>() < DETAILS
    }

    /// The size of what has been appended.
    fn bytes(&self) -> usize {
        let columns = [
            &self.kinds,
            &self.files,
            &self.places,
            &self.lines,
            &self.retries,
            &self.properties,
            &self.stdout,
            &self.stderr,
        ];
        columns.iter().map(|column| column.len()).sum()
    }

    pub(crate) fn pack(self) -> Option<Vec<u8>> {
        if self.kinds.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(self.bytes() + 20);
        put(&mut out, self.kinds.len() as u64);
        out.extend(&self.kinds);
        put(&mut out, self.file_of.len() as u64);
        for column in [
            &self.files,
            &self.places,
            &self.lines,
            &self.retries,
            &self.properties,
            &self.stdout,
            &self.stderr,
        ] {
            out.extend(column);
        }
        Some(compress(VERSION, &out))
    }
}

/// Unpacks the details of a strip: of each case that has any, in order.
///
/// # Errors
/// Bytes that are none.
pub fn unpack_details(stored: &[u8]) -> Result<Vec<TestDetails>, Corrupt> {
    let bytes = decompress(VERSION, stored, MOST)?;
    let mut reader = Reader(&bytes);
    let cases = reader.count()?;
    if cases > CASES {
        return Err(Corrupt("too many cases"));
    }
    let kinds = reader.bytes(cases)?;
    if kinds.iter().any(|kind| *kind == 0 || *kind >= LINE << 1) {
        return Err(Corrupt("a detail is unknown"));
    }
    let mut all = vec![TestDetails::NONE; cases];
    let having = |all: &mut Vec<TestDetails>,
                  bit: u8,
                  read: &mut dyn FnMut(&mut TestDetails) -> Result<(), Corrupt>| {
        let mut these = all.iter_mut().zip(kinds).filter(|(_, kind)| *kind & bit != 0);
        these.try_for_each(|(details, _)| read(details))
    };
    let count = reader.count()?;
    let files = (0..count).map(|_| reader.text()).collect::<Result<Vec<_>, _>>()?;
    let mut place = 0i64;
    having(&mut all, FILE, &mut |details| {
        place = place.wrapping_add(reader.difference()?);
        let file = usize::try_from(place).ok().and_then(|place| files.get(place));
        details.file = Some((*file.ok_or(Corrupt("a file is missing"))?).to_owned());
        Ok(())
    })?;
    let mut line = 0i64;
    having(&mut all, LINE, &mut |details| {
        line = line.wrapping_add(reader.difference()?);
        details.line = Some(u32::try_from(line).map_err(|_| Corrupt("a line is none"))?);
        Ok(())
    })?;
    having(&mut all, RETRIES, &mut |details| {
        let retries = u32::try_from(reader.number()?);
        details.retries = retries.map_err(|_| Corrupt("too many retries"))?;
        Ok(())
    })?;
    having(&mut all, PROPERTIES, &mut |details| {
        for _ in 0..reader.count()? {
            let name = reader.text()?.to_owned();
            details.properties.push((name, reader.text()?.to_owned()));
        }
        Ok(())
    })?;
    having(&mut all, STDOUT, &mut |details| {
        details.stdout = reader.text()?.to_owned();
        Ok(())
    })?;
    having(&mut all, STDERR, &mut |details| {
        details.stderr = reader.text()?.to_owned();
        Ok(())
    })?;
    reader.end()?;
    Ok(all)
}
