//! The owner of a report: the script that must be alive for more of it to come.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process, distinguished from any other with the same number, at other times or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The boot of the machine, and the namespace of the process number.
    place: String,
    pid: u32,
    /// Its start time, in kernel ticks since boot.
    started: u64,
}

/// A process's parent and start time (`/proc/PID/stat`, proc(5)); `None` if it does not exist or is
/// dead.
fn stat(pid: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Skips the name, which ends at the last parenthesis: the third field follows.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some((parent, started))
}

fn command_line(pid: u32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())
}

fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

impl Owner {
    /// The caller of this process; `None` if the system does not tell. A forked shell, as for `$(cd x;
    /// …)`, counts as the shell it was forked from.
    pub fn of_this_process() -> Option<Self> {
        let (mut pid, _) = stat(std::process::id())?;
        while let Some((parent, _)) = stat(pid)
            && let (Some(own), Some(above)) = (command_line(pid), command_line(parent))
            && own == above
        {
            pid = parent;
        }
        let (_, started) = stat(pid)?;
        Some(Self { place: place()?, pid, started })
    }

    /// Whether it is certainly dead: processes of other machines are unknown here.
    pub(crate) fn is_dead(&self) -> bool {
        place().as_ref() == Some(&self.place)
            && stat(self.pid).is_none_or(|(_, started)| started != self.started)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_process_is_dead_when_it_is_gone_and_unknown_elsewhere() {
        let owner = Owner::of_this_process().unwrap();
        assert!(!owner.is_dead());
        assert!(Owner { started: owner.started + 1, ..owner.clone() }.is_dead());
        assert!(Owner { pid: u32::MAX, ..owner.clone() }.is_dead());
        assert!(!Owner { place: "elsewhere".to_owned(), pid: u32::MAX, ..owner }.is_dead());
    }
}
