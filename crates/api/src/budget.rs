//! The memory that concurrent requests may use, in bytes, counted in its expanded form.
//!
//! The budget has four lanes, so that no kind of request starves another: small requests, arriving
//! bodies, work on received bodies (inflated text, parsed reports, queued batches), and responses
//! being written. A request that finds its lane full waits briefly, then gets 503. A single request
//! never draws more than its lane has; one that is larger than the whole lane runs alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::connection::network;
use crate::error::ApiError;
use crate::turns::{AtOnce, Turn, Turns, Waiting};

/// Lanes count in units of this many bytes.
const UNIT: usize = 1 << 10;

/// How long a request waits for room.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// Maximum length of a small request or response, in bytes.
pub(crate) const SMALL: usize = 64 << 10;

/// Memory used by a small request, as a multiple of its length: its document and its rows.
const SMALL_BECOMES: usize = 4;

/// What memory is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Small requests, once received.
    Small,
    /// Bodies of other requests while they arrive.
    Body,
    /// The inflated, parsed and queued forms of such a body.
    Work,
    /// Responses being read and written.
    Answer,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Small, Self::Body, Self::Work, Self::Answer];

    /// Its share of the budget, in sixteenths.
    fn share(self) -> usize {
        match self {
            Self::Small => 1,
            Self::Answer => 3,
            Self::Body => 4,
            Self::Work => 8,
        }
    }
}

/// The memory that concurrent requests may use.
pub(crate) struct Budget {
    bytes: usize,
    lanes: [(Arc<Semaphore>, u32); 4],
    /// Half of the cores, so that large reports never take them all.
    heavy: Arc<Turns>,
    shares: Shares,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let lanes = Lane::ALL.map(|lane| {
            let units = u32::try_from(bytes / UNIT / 16 * lane.share()).unwrap_or(u32::MAX >> 3);
            let units = units.max(1);
            (Arc::new(Semaphore::new(units as usize)), units)
        });
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Arc::new(Self {
            bytes,
            lanes,
            heavy: Turns::new(
                AtOnce::all((cores / 2).max(1)),
                Waiting { in_all: 1024, of_address: 512 },
            ),
            shares: Shares::default(),
        })
    }

    /// An empty hold for a client at this address.
    pub(crate) fn hold(self: &Arc<Self>, address: Option<IpAddr>) -> Hold {
        let address = address.map(network);
        Hold(Arc::new(Held { budget: self.clone(), address, drawn: Mutex::default() }))
    }

    /// Waits for a turn at work that keeps a core busy for long.
    pub(crate) async fn turn(&self, address: Option<IpAddr>) -> Result<Turn, ApiError> {
        self.heavy.take_within(address, WAIT).await
    }

    /// Number of bytes drawn.
    pub(crate) fn drawn(&self) -> u64 {
        let of_lane = |(lane, all): &(Arc<Semaphore>, u32)| {
            (*all as usize).saturating_sub(lane.available_permits()) as u64
        };
        self.lanes.iter().map(of_lane).sum::<u64>() * UNIT as u64
    }
}

#[derive(Default)]
struct Drawn {
    bytes: [usize; 4],
    /// Units taken from the address's shares.
    shares: [usize; 4],
    permits: [Option<OwnedSemaphorePermit>; 4],
}

struct Held {
    budget: Arc<Budget>,
    address: Option<IpAddr>,
    drawn: Mutex<Drawn>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let drawn = self.drawn.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (at, units) in drawn.shares.iter().enumerate().filter(|(_, units)| **units > 0) {
            self.budget.shares.give_back((self.address, at), *units);
        }
    }
}

/// How much the requests of each address have drawn from the lanes whose duration a client
/// controls. No address may use more than half of such a lane, unless a single request needs more.
#[derive(Default)]
struct Shares {
    units: Mutex<HashMap<(Option<IpAddr>, usize), usize>>,
    freed: Notify,
}

impl Shares {
    /// Takes more units, if the address has none but the request's own, or stays within its share.
    fn take(&self, key: (Option<IpAddr>, usize), own: usize, more: usize, most: usize) -> bool {
        let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = units.entry(key).or_default();
        let has_room = *of_address <= own || *of_address + more <= most;
        if has_room {
            *of_address += more;
        }
        has_room
    }

    fn give_back(&self, key: (Option<IpAddr>, usize), less: usize) {
        let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_address) = units.get_mut(&key) {
            *of_address = of_address.saturating_sub(less);
            if *of_address == 0 {
                units.remove(&key);
            }
        }
        drop(units);
        self.freed.notify_waiters();
    }
}

/// What one request has drawn; given back when its last copy is dropped.
#[derive(Clone)]
pub(crate) struct Hold(Arc<Held>);

impl Hold {
    /// Draws more bytes, waiting briefly for room.
    ///
    /// # Errors
    /// [`ApiError::Overloaded`] if none became free.
    pub(crate) async fn draw(&self, lane: Lane, bytes: usize) -> Result<(), ApiError> {
        let at = lane as usize;
        let (semaphore, all) = &self.0.budget.lanes[at];
        let more = {
            let mut drawn = self.0.drawn.lock().unwrap_or_else(PoisonError::into_inner);
            drawn.bytes[at] = drawn.bytes[at].saturating_add(bytes);
            let units = u32::try_from(drawn.bytes[at].div_ceil(UNIT)).unwrap_or(u32::MAX);
            let had = drawn.permits[at].as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            (units.min(*all) as usize).saturating_sub(had)
        };
        let Ok(more @ 1..) = u32::try_from(more) else { return Ok(()) };
        if matches!(lane, Lane::Body | Lane::Answer) {
            let share = self.share(at, more as usize, *all as usize / 2);
            tokio::time::timeout(WAIT, share).await.map_err(|_| ApiError::Overloaded)?;
        }
        let permit = match semaphore.clone().try_acquire_many_owned(more) {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(WAIT, semaphore.clone().acquire_many_owned(more))
                .await
                .map_err(|_| ApiError::Overloaded)?
                .map_err(|_| ApiError::Interrupted)?,
        };
        let mut drawn = self.0.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut drawn.permits[at] {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }

    /// Waits for units from the address's share of a lane.
    async fn share(&self, at: usize, more: usize, most: usize) {
        let shares = &self.0.budget.shares;
        loop {
            let mut freed = pin!(shares.freed.notified());
            freed.as_mut().enable();
            {
                let mut drawn = self.0.drawn.lock().unwrap_or_else(PoisonError::into_inner);
                let own = drawn.shares[at];
                if shares.take((self.0.address, at), own, more, most) {
                    drawn.shares[at] += more;
                    return;
                }
            }
            freed.await;
        }
    }

    /// Draws enough to reach this many bytes in total, as [`Self::draw`] does.
    pub(crate) async fn draw_up_to(&self, lane: Lane, bytes: usize) -> Result<(), ApiError> {
        let drawn =
            self.0.drawn.lock().unwrap_or_else(PoisonError::into_inner).bytes[lane as usize];
        self.draw(lane, bytes.saturating_sub(drawn)).await
    }

    /// Like [`Self::draw`], but blocking, for threads outside the workers.
    pub(crate) fn draw_blocking(&self, lane: Lane, bytes: usize) -> Result<(), ApiError> {
        tokio::runtime::Handle::current().block_on(self.draw(lane, bytes))
    }

    /// Like [`Self::draw_blocking`], but fails if the total exceeds the whole budget, even when running
    /// alone.
    pub(crate) fn draw_whole_blocking(&self, lane: Lane, bytes: usize) -> Result<(), ApiError> {
        self.draw_blocking(lane, bytes)?;
        let drawn = self.0.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.bytes[lane as usize] > self.0.budget.bytes {
            let problem = "the report needs more memory than the server may use".to_owned();
            return Err(ApiError::TooMuch { problem });
        }
        Ok(())
    }

    /// Draws the memory that a small request needs.
    pub(crate) async fn draw_small(&self, bytes: usize) -> Result<(), ApiError> {
        self.draw(Lane::Small, bytes.saturating_mul(SMALL_BECOMES)).await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn what_is_drawn_comes_back_with_the_last_copy() {
        let budget = Budget::new(8 << 20);
        let hold = budget.hold(None);
        hold.draw(Lane::Work, 1 << 20).await.unwrap();
        hold.draw(Lane::Work, 1).await.unwrap();
        let copy = hold.clone();
        drop(hold);
        assert_eq!(budget.drawn(), (1 << 20) + 1024);
        drop(copy);
        assert_eq!(budget.drawn(), 0);
    }

    #[tokio::test]
    async fn one_that_is_larger_than_its_lane_has_it_alone() {
        let budget = Budget::new(8 << 20);
        let (huge, other) = (budget.hold(None), budget.hold(None));
        huge.draw(Lane::Work, 1 << 40).await.unwrap();
        assert_eq!(budget.drawn(), 4 << 20);
        // Other lanes are unaffected.
        other.draw_small(1000).await.unwrap();
        drop(huge);
        other.draw(Lane::Work, 1).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_keeps_half_of_the_bodies_to_others() {
        let budget = Budget::new(8 << 20);
        let at = |last: u8| budget.hold(Some(IpAddr::from([192, 0, 2, last])));
        let (first, second, other) = (at(1), at(1), at(2));
        first.draw(Lane::Body, 1 << 20).await.unwrap();
        let refused = second.draw(Lane::Body, 1 << 10).await;
        assert!(matches!(refused, Err(ApiError::Overloaded)));
        other.draw(Lane::Body, 1 << 20).await.unwrap();
        drop(first);
        at(1).draw(Lane::Body, 1 << 10).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_a_lane_empty_waits_and_is_then_sent_away() {
        let budget = Budget::new(8 << 20);
        let (huge, other) = (budget.hold(None), budget.hold(None));
        huge.draw(Lane::Answer, 2 << 20).await.unwrap();
        let refused = other.draw(Lane::Answer, 1).await;
        assert!(matches!(refused, Err(ApiError::Overloaded)));
    }
}
