//! Who began a report: the script that must live for more of it to come.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process, told from any other that has its number before or after it, or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The boot of the machine, and the namespace in which the number counts.
    place: String,
    pid: u32,
    /// When it began, in ticks of the kernel since the boot.
    started: u64,
}

/// A process's parent and when it began (`/proc/PID/stat`, proc(5)); nothing where it is not there or dead.
fn stat(pid: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which ends with the last parenthesis: the third field.
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
    /// Whoever called this process; nothing where the system does not say who that is. A shell that was only forked, as for
    /// `$(cd x; …)`, is as good as the one that it was forked from.
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

    /// Whether it is dead for certain: of another machine's processes nothing is known here.
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
