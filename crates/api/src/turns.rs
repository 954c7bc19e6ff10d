//! Turns at expensive work. Only a few run at a time, and addresses alternate, so that one with
//! many requests doesn't delay the others.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::connection::network;
use crate::error::ApiError;

/// Maximum number of waiting requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) in_all: usize,
    pub(crate) of_address: usize,
}

/// Number of concurrent turns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtOnce {
    pub(crate) in_all: usize,
    pub(crate) of_address: usize,
}

impl AtOnce {
    /// All turns may go to one address if no other waits.
    pub(crate) fn all(in_all: usize) -> Self {
        Self { in_all, of_address: in_all }
    }
}

#[derive(Default)]
struct State {
    taken: usize,
    taken_by: HashMap<Option<IpAddr>, usize>,
    waiting: usize,
    queues: HashMap<Option<IpAddr>, VecDeque<oneshot::Sender<Turn>>>,
    /// Addresses with queued requests, next one first.
    order: VecDeque<Option<IpAddr>>,
}

impl State {
    /// The next address with fewer turns than the maximum.
    fn next(&mut self, most: usize) -> Option<Option<IpAddr>> {
        let has_room = |address| self.taken_by.get(address).is_none_or(|taken| *taken < most);
        let at = self.order.iter().position(has_room)?;
        self.order.remove(at)
    }

    fn give_back(&mut self, address: Option<IpAddr>) {
        self.taken -= 1;
        if let Some(taken) = self.taken_by.get_mut(&address) {
            *taken -= 1;
            if *taken == 0 {
                self.taken_by.remove(&address);
            }
        }
    }
}

/// A limited number of turns.
pub(crate) struct Turns {
    at_once: AtOnce,
    waiting: Waiting,
    state: Mutex<State>,
}

/// A turn, held until dropped.
pub(crate) struct Turn(Arc<Turns>, Option<IpAddr>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.lock().give_back(self.1);
        self.0.give();
    }
}

impl Turns {
    pub(crate) fn new(at_once: AtOnce, waiting: Waiting) -> Arc<Self> {
        Arc::new(Self { at_once, waiting, state: Mutex::default() })
    }

    /// The state is consistent between any two statements.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn, unless too many are waiting.
    pub(crate) async fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Turn, ApiError> {
        let address = address.map(network);
        let (sender, turn) = oneshot::channel();
        {
            let mut state = self.lock();
            let of_address = state.queues.get(&address).map_or(0, VecDeque::len);
            if state.waiting >= self.waiting.in_all || of_address >= self.waiting.of_address {
                return Err(ApiError::Overloaded);
            }
            state.waiting += 1;
            if of_address == 0 {
                state.order.push_back(address);
            }
            state.queues.entry(address).or_default().push_back(sender);
        }
        self.give();
        turn.await.map_err(|_| ApiError::Interrupted)
    }

    /// Like `take`, with a timeout.
    pub(crate) async fn take_within(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        time: Duration,
    ) -> Result<Turn, ApiError> {
        let turn = tokio::time::timeout(time, self.take(address)).await;
        turn.map_err(|_| ApiError::Overloaded)?
    }

    /// Assigns free turns to waiting requests.
    fn give(self: &Arc<Self>) {
        loop {
            let (sender, address) = {
                let mut state = self.lock();
                if state.taken >= self.at_once.in_all {
                    return;
                }
                let Some(address) = state.next(self.at_once.of_address) else { return };
                let Some(queue) = state.queues.get_mut(&address) else { continue };
                let sender = queue.pop_front();
                if queue.is_empty() {
                    state.queues.remove(&address);
                } else {
                    state.order.push_back(address);
                }
                let Some(sender) = sender else { continue };
                state.waiting -= 1;
                state.taken += 1;
                *state.taken_by.entry(address).or_default() += 1;
                (sender, address)
            };
            // If the client disconnected, the returned turn is dropped here and goes to the next.
            let _ = sender.send(Turn(self.clone(), address));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use futures_util::FutureExt;

    use super::*;

    const WAITING_OF_ADDRESS: usize = 32;
    const ONE: AtOnce = AtOnce { in_all: 1, of_address: 1 };
    const WAITING: Waiting = Waiting { in_all: 256, of_address: WAITING_OF_ADDRESS };

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[tokio::test]
    async fn an_address_that_asks_for_many_keeps_no_other_waiting() {
        let turns = Turns::new(ONE, WAITING);
        let first = turns.take(address(1)).await.unwrap();
        let mut many: Vec<_> = (0..10).map(|_| Box::pin(turns.take(address(1)))).collect();
        for one in &mut many {
            assert!(one.as_mut().now_or_never().is_none());
        }
        let mut other = Box::pin(turns.take(address(2)));
        assert!(other.as_mut().now_or_never().is_none());
        drop(first);
        let second = many[0].as_mut().now_or_never().unwrap().unwrap();
        drop(second);
        assert!(other.as_mut().now_or_never().is_some(), "the other address is next");
    }

    #[tokio::test]
    async fn an_address_never_has_all_turns() {
        let turns = Turns::new(AtOnce { in_all: 3, of_address: 2 }, WAITING);
        let first = turns.take(address(1)).await.unwrap();
        let _second = turns.take(address(1)).await.unwrap();
        let mut third = Box::pin(turns.take(address(1)));
        assert!(third.as_mut().now_or_never().is_none());
        let _other = turns.take(address(2)).now_or_never().unwrap().unwrap();
        drop(first);
        assert!(third.as_mut().now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_turn_of_one_who_went_away_goes_to_the_next() {
        let turns = Turns::new(ONE, WAITING);
        let first = turns.take(address(1)).await.unwrap();
        let mut gone = Box::pin(turns.take(address(1)));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        let mut next = Box::pin(turns.take(address(1)));
        assert!(next.as_mut().now_or_never().is_none());
        drop(first);
        assert!(next.as_mut().now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn an_address_has_a_bound_of_its_own() {
        let turns = Turns::new(ONE, WAITING);
        let _first = turns.take(address(1)).await.unwrap();
        let mut waiting: Vec<_> =
            (0..WAITING_OF_ADDRESS).map(|_| Box::pin(turns.take(address(1)))).collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        assert!(turns.take(address(1)).now_or_never().unwrap().is_err());
        assert!(turns.take(address(2)).now_or_never().is_none(), "it waits");
    }
}
