//! ZIP archives as they lie in an upload: what their end says, and their members where it is missing.

use bytes::Bytes;

/// The signatures of a member's header, of what may follow its bytes, and of the end record
/// (APPNOTE.TXT, 4.3.7, 4.3.9 and 4.3.16).
const MEMBER: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const END: &[u8] = b"PK\x05\x06";

/// The length of a member's header before its name, in bytes.
const HEADER: usize = 30;

/// Where the next header's signature ends at most behind a member, in bytes: what may be between
/// them is a signature, a checksum and two lengths of 64 bits (4.3.9).
const BETWEEN: usize = 24 + MEMBER.len();

/// The maximum distance of a ZIP archive's end record from the end of the file, in bytes: a comment
/// may follow it.
const TAIL: usize = 22 + 0xffff;

pub(super) fn is_zip(body: &[u8]) -> bool {
    body.starts_with(MEMBER) || body.starts_with(END)
}

/// The number of files a ZIP archive claims to have (4.3.14 and 4.3.16): the maximum over everything
/// that looks like an end record.
pub(super) fn members_said(body: &[u8]) -> Option<u64> {
    let tail = body.get(body.len().saturating_sub(TAIL)..)?;
    let said = memchr::memmem::find_iter(tail, END).filter_map(|end| {
        let short = tail.get(end + 10..end + 12)?.try_into().ok().map(u16::from_le_bytes)?;
        let long = || {
            let locator = tail.get(end.checked_sub(20)?..end)?.strip_prefix(b"PK\x06\x07")?;
            let at = u64::from_le_bytes(locator.get(4..12)?.try_into().ok()?);
            let at = usize::try_from(at).ok()?;
            let count = body.get(at.checked_add(32)?..at.checked_add(40)?)?;
            Some(u64::from_le_bytes(count.try_into().ok()?))
        };
        Some(u64::from(short).max(long().unwrap_or(0)))
    });
    said.max()
}

/// How a member is compressed.
pub(super) enum Method {
    Stored,
    Deflated,
    /// It is encrypted, or compressed in another way.
    Other,
}

/// A member as its own header describes it.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) method: Method,
    /// Its packed bytes; if only decompression tells their length, the rest of the archive.
    pub(super) packed: Bytes,
}

/// The members of an archive in their order, by their own headers: the archive's directory is at its
/// end, and missing if it is truncated.
pub(super) struct Members {
    rest: Bytes,
    /// The length of the last member's packed bytes, if known.
    length: Option<usize>,
}

impl Members {
    pub(super) fn of(archive: &Bytes) -> Self {
        Self { rest: archive.clone(), length: None }
    }

    /// The next member; [`Self::skip`] moves behind it.
    pub(super) fn next(&mut self) -> Option<Member> {
        let header = self.rest.get(..HEADER).filter(|header| header.starts_with(MEMBER))?;
        let short = |at: usize| {
            let bytes = header.get(at..at + 2)?.try_into().ok()?;
            Some(usize::from(u16::from_le_bytes(bytes)))
        };
        let (flags, method, name, extra) = (short(6)?, short(8)?, short(26)?, short(28)?);
        let length = u32::from_le_bytes(header.get(18..22)?.try_into().ok()?);
        let end = HEADER + name;
        let name = String::from_utf8_lossy(self.rest.get(HEADER..end)?).into_owned();
        // Bit 0: it is encrypted (4.4.4).
        let method = match method {
            0 if flags & 1 == 0 => Method::Stored,
            8 if flags & 1 == 0 => Method::Deflated,
            _ => Method::Other,
        };
        let body = self.rest.slice((end + extra).min(self.rest.len())..);
        // Bit 3: its length follows it. The length of one above 4 GiB is elsewhere.
        let is_known = flags & 8 == 0 && length != u32::MAX;
        self.length = match method {
            _ if is_known => usize::try_from(length).ok(),
            Method::Deflated => None,
            Method::Stored | Method::Other => memchr::memmem::find(&body, DESCRIPTOR),
        };
        let packed = body.slice(..self.length.unwrap_or(body.len()).min(body.len()));
        self.rest = body;
        Some(Member { name, method, packed })
    }

    /// Moves behind the last member, of whose packed bytes so many were used. Returns whether it is
    /// whole: what follows one of unknown length tells that it ended.
    pub(super) fn skip(&mut self, used: usize) -> bool {
        let has = self.rest.len();
        let is_whole = self.length.map_or(used < has, |length| length <= has);
        let rest = self.rest.slice(self.length.unwrap_or(used).min(has)..);
        let near = rest.get(..rest.len().min(BETWEEN)).unwrap_or_default();
        let next = memchr::memmem::find(near, MEMBER).unwrap_or(rest.len());
        self.rest = rest.slice(next..);
        is_whole
    }
}
