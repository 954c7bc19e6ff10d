//! Load over HTTP/1.1: prepared requests, persistent connections and one thread, so that the
//! generator uses as little of the machine as possible.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The timing of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Closed loop: each connection sends its next request after the response to the last one.
    Closed,
    /// A fixed rate per second, regardless of response times. A request's time counts from when it was
    /// due, so waiting for an earlier slow response is included.
    Fixed(f64),
    /// Each request once, in the order of its connection's list, at a fixed rate or as a closed loop.
    InOrder(Option<f64>),
}

/// The result of a load run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outcome {
    /// 2xx and 3xx responses per second.
    pub(crate) rate: f64,
    /// Number of other responses.
    pub(crate) refused: u64,
    /// Response times, sorted, in microseconds.
    micros: Vec<u32>,
}

impl Outcome {
    /// The response time at this quantile, in milliseconds.
    pub(crate) fn millis(&self, part: f64) -> f64 {
        let last = self.micros.len().saturating_sub(1);
        let at = (last as f64 * part).round() as usize;
        f64::from(self.micros.get(at).copied().unwrap_or(0)) / 1e3
    }
}

/// A complete request in wire format.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        let length = body.len();
        if !headers.iter().any(|(name, _)| *name == "Content-Type") {
            text += "Content-Type: application/json\r\n";
        }
        text += &format!("Content-Length: {length}\r\n");
    }
    text += "\r\n";
    text += body;
    text.into_bytes()
}

/// Sends requests for a given time: each connection cycles through its own list.
pub(crate) fn run(
    address: &str,
    lists: Vec<Rc<Vec<Vec<u8>>>>,
    pace: Pace,
    time: Duration,
) -> Result<Outcome> {
    run_from(Ipv4Addr::UNSPECIFIED, address, lists, pace, time)
}

/// The same, from a given address of this machine; if unspecified, the system chooses it.
pub(crate) fn run_from(
    from: Ipv4Addr,
    address: &str,
    lists: Vec<Rc<Vec<Vec<u8>>>>,
    pace: Pace,
    time: Duration,
) -> Result<Outcome> {
    let address: SocketAddr = address.parse().map_err(Error::other)?;
    // All of them, however long that takes.
    let time = if matches!(pace, Pace::InOrder(None)) { Duration::MAX } else { time };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let connections = lists.len();
        let mut sockets = Vec::with_capacity(connections);
        for _ in 0..connections {
            let socket = TcpSocket::new_v4()?;
            socket.bind((from, 0).into())?;
            let socket = socket.connect(address).await?;
            socket.set_nodelay(true)?;
            sockets.push(socket);
        }
        let start = Instant::now();
        let tasks: Vec<_> = sockets
            .into_iter()
            .zip(lists)
            .enumerate()
            .map(|(nth, (socket, list))| {
                let client = Client { socket, buffer: Vec::with_capacity(64 << 10) };
                let due = match pace {
                    Pace::Closed => None,
                    Pace::InOrder(rate) => rate,
                    Pace::Fixed(rate) => Some(rate),
                };
                let due = due.map(|rate| (nth as f64 / rate, connections as f64 / rate));
                // Connections start at different requests.
                let (first, count) = match pace {
                    Pace::InOrder(_) => (0, list.len()),
                    Pace::Closed | Pace::Fixed(_) => (nth * 7 % list.len(), usize::MAX),
                };
                tokio::task::spawn_local(client.send_all(list, (first, count), due, start, time))
            })
            .collect();
        let mut outcome = Outcome::default();
        let mut answered = 0u64;
        for task in tasks {
            let (micros, refused) = task.await.map_err(Error::other)??;
            answered += micros.len() as u64 - refused;
            outcome.refused += refused;
            outcome.micros.extend(micros);
        }
        outcome.rate = answered as f64 / start.elapsed().as_secs_f64();
        outcome.micros.sort_unstable();
        Ok(outcome)
    })
}

/// Watchers that each read one endless response, such as a stream of events, until the time is up;
/// returns the number of bytes of all.
pub(crate) fn follow(
    address: &str,
    request: &[u8],
    watchers: usize,
    time: Duration,
) -> Result<u64> {
    let address: SocketAddr = address.parse().map_err(Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let tasks: Vec<_> = (0..watchers)
            .map(|_| {
                let request = request.to_vec();
                tokio::task::spawn_local(async move {
                    let mut socket = TcpStream::connect(address).await?;
                    socket.write_all(&request).await?;
                    let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0);
                    let end = tokio::time::Instant::now() + time;
                    while let Ok(read) =
                        tokio::time::timeout_at(end, socket.read(&mut buffer)).await
                    {
                        match read? {
                            0 => return Err(Error::other("the server closed the connection")),
                            n => bytes += n as u64,
                        }
                    }
                    Ok(bytes)
                })
            })
            .collect();
        let mut bytes = 0;
        for task in tasks {
            bytes += task.await.map_err(Error::other)??;
        }
        Ok(bytes)
    })
}

struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn send_all(
        mut self,
        list: Rc<Vec<Vec<u8>>>,
        (first, count): (usize, usize),
        due: Option<(f64, f64)>,
        start: Instant,
        time: Duration,
    ) -> Result<(Vec<u32>, u64)> {
        let (mut micros, mut refused) = (Vec::new(), 0);
        for (sent, request) in list.iter().cycle().skip(first).take(count).enumerate() {
            let began = match due {
                None => Instant::now(),
                Some((delay, every)) => {
                    let at = start + Duration::from_secs_f64(delay + every * sent as f64);
                    tokio::time::sleep_until(at.into()).await;
                    at
                }
            };
            if began.duration_since(start) >= time {
                break;
            }
            self.socket.write_all(request).await?;
            let status = self.answer().await?;
            micros.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
            if !(200..400).contains(&status) {
                refused += 1;
            }
        }
        Ok((micros, refused))
    }

    /// Reads one response to its end; returns its status.
    async fn answer(&mut self) -> Result<u16> {
        self.buffer.clear();
        loop {
            if let Some((status, end)) = whole(&self.buffer)
                && self.buffer.len() >= end
            {
                return Ok(status);
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(Error::other("the server closed the connection"));
            }
        }
    }
}

/// The status and length of the response in the buffer; `None` while incomplete.
fn whole(buffer: &[u8]) -> Option<(u16, usize)> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(buffer.get(..head)?).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if let Some(length) = header("content-length") {
        return Some((status, head + length.parse::<usize>().ok()?));
    }
    if header("transfer-encoding").is_some() {
        // Compressed responses are chunked; the last chunk is empty.
        return buffer.ends_with(b"0\r\n\r\n").then_some((status, buffer.len()));
    }
    Some((status, head))
}
