//! Limits on connections, in total and per address, and closing of connections that are too slow.
//!
//! If an address is at its limit, a new connection replaces its connection that has been idle
//! longest, that is, without a request being answered. If all are busy, the new one is closed
//! immediately.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::settings::Bound;

/// How long a client may read nothing of what is written to it.
const STALLED: Duration = Duration::from_secs(30);

/// What counts as one address: for IPv6 a /64 network, which is what one client has.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        address => address,
    }
}

/// A count of something, in total and per address, with limits.
pub(crate) struct Counts {
    bound: Bound,
    counts: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

impl Counts {
    pub(crate) fn new(bound: Bound) -> Arc<Self> {
        Arc::new(Self { bound, counts: Mutex::default() })
    }

    /// Counts one more from this address; `None` at the limit.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Counted> {
        let address = address.map(network);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address =
            address.and_then(|address| counts.1.get(&address)).copied().unwrap_or_default();
        if counts.0 >= self.bound.all || of_address >= self.bound.of_address {
            return None;
        }
        counts.0 += 1;
        if let Some(address) = address {
            *counts.1.entry(address).or_default() += 1;
        }
        Some(Counted { of: self.clone(), address })
    }
}

/// One counted item, until it is dropped.
pub(crate) struct Counted {
    of: Arc<Counts>,
    address: Option<IpAddr>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.of.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.0 = counts.0.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(count) = counts.1.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.1.remove(&address);
            }
        }
    }
}

/// The state of a connection that decides whether it may be closed.
pub(crate) struct Connection {
    /// Number of requests being answered on it.
    busy: AtomicUsize,
    /// When it was last busy, in milliseconds since the server started; 0 if it hasn't answered a
    /// request yet.
    active: AtomicU64,
    closed: AtomicBool,
    waker: AtomicWaker,
}

impl Connection {
    /// Closes the connection, even if it is busy.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.waker.wake();
    }

    fn check(&self, context: &Context<'_>) -> io::Result<()> {
        self.waker.register(context.waker());
        if self.closed.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Marks a request on it as being answered until the returned value is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(self.clone())
    }

    /// Marks a request being answered on it as waiting for the client.
    pub(crate) fn idle(self: &Arc<Self>) -> Idle {
        self.busy.fetch_sub(1, Ordering::AcqRel);
        Idle(self.clone())
    }
}

/// A request being answered that waits for its client, until this is dropped.
pub(crate) struct Idle(Arc<Connection>);

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.busy.fetch_add(1, Ordering::AcqRel);
    }
}

/// A request being answered.
pub(crate) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.active.store(now(), Ordering::Release);
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Milliseconds since the first call.
fn now() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
}

type ByAddress = HashMap<Option<IpAddr>, Vec<Arc<Connection>>>;

/// All open connections.
pub(crate) struct Connections {
    bound: Bound,
    all: Mutex<(usize, ByAddress)>,
}

impl Connections {
    pub(crate) fn new(bound: Bound) -> Arc<Self> {
        Arc::new(Self { bound, all: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, (usize, ByAddress)> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of open connections.
    pub(crate) fn count(&self) -> usize {
        self.lock().0
    }

    /// Admits a new connection; `None` if there is no room. Connections from a proxy are limited only
    /// in total.
    pub(crate) fn enter(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        is_proxy: bool,
    ) -> Option<Entered> {
        let address = address.map(network);
        let mut all = self.lock();
        let of_address = all.1.get(&address).map_or(0, Vec::len);
        if !is_proxy && of_address >= self.bound.of_address {
            close_idle(all.1.get(&address)?)?;
        } else if all.0 >= self.bound.all {
            // The address with the most connections gives one up.
            let most = all.1.values().max_by_key(|connections| connections.len())?;
            close_idle(most)?;
        }
        let connection = Arc::new(Connection {
            busy: AtomicUsize::new(0),
            active: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        all.0 += 1;
        all.1.entry(address).or_default().push(connection.clone());
        Some(Entered { all: self.clone(), address, connection })
    }
}

/// Closes the connection that has been idle longest. Connections that never answered a request come
/// first, in order of arrival. A closed connection is counted until it has ended, which is soon.
fn close_idle(connections: &[Arc<Connection>]) -> Option<()> {
    let idle = connections.iter().filter(|connection| {
        connection.busy.load(Ordering::Acquire) == 0 && !connection.closed.load(Ordering::Acquire)
    });
    idle.min_by_key(|connection| connection.active.load(Ordering::Acquire))?.close();
    Some(())
}

/// An admitted connection, until it is dropped.
pub(crate) struct Entered {
    all: Arc<Connections>,
    address: Option<IpAddr>,
    pub(crate) connection: Arc<Connection>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        all.0 = all.0.saturating_sub(1);
        if let Some(connections) = all.1.get_mut(&self.address) {
            connections.retain(|connection| !Arc::ptr_eq(connection, &self.connection));
            if connections.is_empty() {
                all.1.remove(&self.address);
            }
        }
    }
}

/// A stream that ends when its connection is closed or its client stops reading.
pub(crate) struct Guarded<T> {
    io: T,
    entered: Entered,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> Guarded<T> {
    pub(crate) fn new(io: T, entered: Entered) -> Self {
        Self { io, entered, stalled: None }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.entered.connection
    }

    /// Adds a timeout to the result of a write that has to wait.
    fn written<R>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.entered.connection.check(context)?;
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.entered.connection.check(context)?;
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.entered.connection.check(context)?;
        let written = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.entered.connection.check(context)?;
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.written(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(context);
        self.written(context, shut)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn is_closed(entered: &Entered) -> bool {
        entered.connection.closed.load(Ordering::Acquire)
    }

    #[test]
    fn an_address_at_its_bound_gives_up_its_longest_idle_connection() {
        let all = Connections::new(Bound { all: 10, of_address: 2 });
        let first = all.enter(address(1), false).unwrap();
        let busy = first.connection.busy();
        let second = all.enter(address(1), false).unwrap();
        let third = all.enter(address(1), false).unwrap();
        assert!(!is_closed(&first) && is_closed(&second) && !is_closed(&third));
        drop(second);
        let others = third.connection.busy();
        assert!(all.enter(address(1), false).is_none(), "all of its connections are busy");
        assert!(all.enter(address(2), false).is_some(), "another address has its own");
        assert!(all.enter(address(1), true).is_some(), "a proxy speaks for many");
        drop((busy, others));
        assert_eq!(all.count(), 2);
    }

    #[test]
    fn at_the_bound_of_all_whoever_has_most_gives_one_up() {
        let all = Connections::new(Bound { all: 3, of_address: 3 });
        let one = all.enter(address(1), false).unwrap();
        let two = [(); 2].map(|()| all.enter(address(2), false).unwrap());
        let _new = all.enter(address(3), false).unwrap();
        assert!(!is_closed(&one) && is_closed(&two[0]));
    }

    #[test]
    fn an_address_is_a_network_of_64_bits_in_ipv6() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn what_is_counted_is_bounded_in_all_and_for_each_address() {
        let counts = Counts::new(Bound { all: 3, of_address: 2 });
        let one = [(); 2].map(|()| counts.enter(address(1)).unwrap());
        assert!(counts.enter(address(1)).is_none());
        let _other = counts.enter(address(2)).unwrap();
        assert!(counts.enter(address(2)).is_none(), "there are three in all");
        drop(one);
        assert!(counts.enter(address(1)).is_some());
    }
}
