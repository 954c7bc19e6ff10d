//! Databases of any size, filled through the repository's bulk path.

use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use devmason_domain::{
    BuildId, PasswordHash, ProjectId, Reporting, Tag, TagSet, Timestamp, Tracking,
};
use devmason_repository::{
    Actor, NewAccount, NewBuild, NewProject, Options, Recorded, Registered, Repository, open,
};
use uuid::Uuid;

use crate::sample::{self, PROJECTS};

/// Builds per transaction.
const BATCH: u64 = 64;

/// The maximum number of storing threads: as many as the server has writers.
const THREADS: u64 = 2;

/// The name of the nth project.
pub(crate) fn slug(project: u64) -> String {
    format!("p{project}")
}

/// The id of the nth build: consecutive numbers, so that the existing ids are known.
pub(crate) fn build_id(n: u64) -> Uuid {
    Uuid::from_u64_pair(n, 1 << 63)
}

/// The distribution of builds over projects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spread {
    /// Evenly over all projects.
    Even,
    /// The first project has half of all builds; the others share the rest.
    FirstHasHalf,
}

/// Creates the projects (numbered from 1) and builds 1 to `count`, with a sender; returns the
/// number of builds stored per second.
///
/// The tags cover every case that a filter may meet: `common`, `early`/`late` (disjoint halves),
/// `even`/`odd` (alternating and disjoint), one of ten `ten-n`, `rare` (one in ten thousand), `old`
/// (only the first hundredth).
pub(crate) fn fill(url: &str, count: u64, spread: Spread, output: usize) -> Result<f64> {
    let repository = open(url, &Options::default())?;
    let sender = account(&*repository)?;
    for project in 1..=PROJECTS as u64 {
        let new = NewProject {
            slug: slug(project).parse()?,
            name: slug(project).parse()?,
            reporting: Reporting::Anyone,
            tracking: Tracking::default(),
            repository: None,
            tags: TagSet::default(),
            owner: sender.clone(),
        };
        if !matches!(repository.project_register(&new)?, Registered::New(_)) {
            return Err(anyhow!("a project already exists"));
        }
    }
    let threads = THREADS.min(repository.writers() as u64);
    let start = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let (repository, sender) = (&*repository, &sender);
                scope.spawn(move || -> Result<()> {
                    let batches = count.div_ceil(BATCH);
                    for batch in (thread..batches).step_by(threads as usize) {
                        let numbers = batch * BATCH + 1..=((batch + 1) * BATCH).min(count);
                        let builds = numbers
                            .map(|n| numbered(n, count, spread, sender, output))
                            .collect::<Result<Vec<_>>>()?;
                        let outcomes = repository.build_record_many(&builds)?;
                        if outcomes.iter().any(|outcome| *outcome != Recorded::New) {
                            bail!("a build was not stored");
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for handle in handles {
            handle.join().map_err(|_| anyhow!("a filling thread panicked"))??;
        }
        Ok(())
    })?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// The sender of these builds. No one signs in as this user.
fn account(repository: &dyn Repository) -> Result<Actor> {
    let new = NewAccount {
        username: "filler".parse()?,
        password_hash: PasswordHash::from_stored("none".to_owned()),
    };
    let account = repository.user_create(&new)?.context("the user already exists")?;
    Ok(Actor::Account(account.id))
}

fn numbered(n: u64, count: u64, spread: Spread, sender: &Actor, output: usize) -> Result<NewBuild> {
    let project = match spread {
        Spread::Even => 1 + n % PROJECTS as u64,
        Spread::FirstHasHalf if n.is_multiple_of(2) => 1,
        Spread::FirstHasHalf => 2 + n / 2 % (PROJECTS as u64 - 1),
    };
    let started = Timestamp::from_parts(1_700_000_000_000_000 + n as i64 * 1_000_000, 0)
        .context("no such time")?;
    let half = if n <= count / 2 { "early" } else { "late" };
    let turn = if (n / 2).is_multiple_of(2) { "even" } else { "odd" };
    let third = if n / 2 % 10_000 == 5 {
        "rare".to_owned()
    } else if n <= count / 100 {
        "old".to_owned()
    } else {
        format!("ten-{}", n / 2 % 10)
    };
    let tags: Vec<Tag> = ["common", half, turn, &third]
        .iter()
        .map(|tag| tag.parse())
        .collect::<std::result::Result<_, _>>()?;
    let project = ProjectId(project as i64);
    let build = sample::build(project, started, n as usize, &tags, sender.clone(), output)?;
    Ok(NewBuild { id: BuildId(build_id(n)), ..build })
}
