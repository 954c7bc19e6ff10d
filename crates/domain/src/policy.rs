//! Access control: every permission is decided here.
//!
//! Handlers use these decisions to refuse requests; links and `Allow` use them to show what is
//! permitted. Both get the same answer.

use std::collections::HashSet;
use std::str::FromStr;

use crate::{Account, AccountId, Build, Invalid, Project, Reporting, Sender, Triage, Username};

/// Who may register projects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Registration {
    /// Anyone; a project registered without credentials has no owner.
    #[default]
    Open,
    /// Anyone who sends credentials.
    Authenticated,
    /// Administrators; users cannot be created over HTTP either.
    Closed,
}

/// Who may read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reading {
    /// Anyone.
    #[default]
    Open,
    /// Users.
    Authenticated,
}

impl FromStr for Registration {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "open" => Ok(Self::Open),
            "authenticated" => Ok(Self::Authenticated),
            "closed" => Ok(Self::Closed),
            _ => Err(Invalid::new("must be 'open', 'authenticated' or 'closed'")),
        }
    }
}

impl FromStr for Reading {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "open" => Ok(Self::Open),
            "authenticated" => Ok(Self::Authenticated),
            _ => Err(Invalid::new("must be 'open' or 'authenticated'")),
        }
    }
}

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// No credentials.
    Anonymous,
    /// An unknown user; a request that creates users may create this one.
    Stranger(Username),
    /// A user.
    User(AccountId, Username),
    /// A user configured as an administrator.
    Administrator(AccountId, Username),
}

impl Viewer {
    /// The user's id, if the viewer is a known user.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Anonymous | Self::Stranger(_) => None,
            Self::User(id, _) | Self::Administrator(id, _) => Some(*id),
        }
    }

    /// The name in the credentials.
    pub fn username(&self) -> Option<&Username> {
        match self {
            Self::Anonymous => None,
            Self::Stranger(name) | Self::User(_, name) | Self::Administrator(_, name) => Some(name),
        }
    }

    /// Whether it is an administrator.
    pub fn is_administrator(&self) -> bool {
        matches!(self, Self::Administrator(..))
    }
}

/// Why an operation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Credentials are needed, and none were sent.
    #[error("authentication required")]
    CredentialsRequired,
    /// The credentials are not sufficient; others might be.
    #[error("you don't have permission to do this")]
    NotPermitted,
}

type Verdict = Result<(), Refusal>;

/// The access control settings.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Who may register projects.
    pub registration: Registration,
    /// Who may read.
    pub reading: Reading,
    administrators: HashSet<String>,
}

impl Policy {
    /// A policy with these users as administrators.
    pub fn new(registration: Registration, reading: Reading, administrators: &[Username]) -> Self {
        let administrators = administrators.iter().map(Username::key).collect();
        Self { registration, reading, administrators }
    }

    /// The viewer for an account: a user or an administrator.
    pub fn viewer(&self, account: &Account) -> Viewer {
        let (id, username) = (account.id, account.username.clone());
        if self.administrators.contains(&username.key()) {
            Viewer::Administrator(id, username)
        } else {
            Viewer::User(id, username)
        }
    }

    /// Whether a user with this name may be created over HTTP.
    pub fn may_be_created(&self, username: &Username) -> bool {
        self.registration != Registration::Closed && !self.administrators.contains(&username.key())
    }

    /// For requests that create users: refuses an unknown user who may not be created.
    fn any_user(&self, viewer: &Viewer) -> Verdict {
        match viewer {
            Viewer::Anonymous => Err(Refusal::CredentialsRequired),
            Viewer::Stranger(name) if !self.may_be_created(name) => Err(Refusal::NotPermitted),
            Viewer::Stranger(_) | Viewer::User(..) | Viewer::Administrator(..) => Ok(()),
        }
    }

    /// Permission to read.
    pub fn read(&self, viewer: &Viewer) -> Verdict {
        match (self.reading, viewer) {
            (Reading::Open, _) => Ok(()),
            (Reading::Authenticated, Viewer::Anonymous) => Err(Refusal::CredentialsRequired),
            (Reading::Authenticated, Viewer::Stranger(_)) => Err(Refusal::NotPermitted),
            (Reading::Authenticated, _) => Ok(()),
        }
    }

    /// Permission to see what the server holds and does: administrators.
    pub fn administer(&self, viewer: &Viewer) -> Verdict {
        only(viewer, viewer.is_administrator())
    }

    /// Permission to register a project.
    pub fn register_project(&self, viewer: &Viewer) -> Verdict {
        match (self.registration, viewer) {
            (Registration::Open, Viewer::Anonymous) => Ok(()),
            (Registration::Closed, _) => match viewer {
                Viewer::Administrator(..) => Ok(()),
                _ => Err(refused(viewer)),
            },
            _ => self.any_user(viewer),
        }
    }

    /// Permission to change or delete a project: its owner and administrators. A project registered
    /// without credentials has no owner.
    pub fn change_project(&self, viewer: &Viewer, project: &Project) -> Verdict {
        only(viewer, viewer.is_administrator() || owns(viewer, project))
    }

    /// Permission to post a build to a project.
    pub fn report(&self, viewer: &Viewer, project: &Project) -> Verdict {
        match (project.reporting, viewer) {
            (Reporting::Anyone, Viewer::Anonymous) => Ok(()),
            (Reporting::Anyone | Reporting::Authenticated, _) => self.any_user(viewer),
            (Reporting::Owner, _) => self.change_project(viewer, project),
        }
    }

    /// Permission to send a step of an incremental build or to close it: anyone if the build was sent
    /// anonymously, otherwise those who may delete it.
    pub fn continue_build(&self, viewer: &Viewer, project: &Project, build: &Build) -> Verdict {
        match build.sender {
            Sender::Anonymous => Ok(()),
            Sender::Account(..) => self.delete_build(viewer, project, build),
        }
    }

    /// Permission to delete a build: its sender, the project's owner and administrators.
    pub fn delete_build(&self, viewer: &Viewer, project: &Project, build: &Build) -> Verdict {
        let sent = match build.sender {
            Sender::Anonymous => false,
            Sender::Account(sender, _) => viewer.account() == Some(sender),
        };
        only(viewer, sent || owns(viewer, project) || viewer.is_administrator())
    }

    /// Permission to create an issue of a project: its owner and administrators, or any user where the
    /// project says so.
    pub fn create_issue(&self, viewer: &Viewer, project: &Project) -> Verdict {
        match project.tracking.triage {
            Triage::Owner => self.change_project(viewer, project),
            Triage::Authenticated => self.any_user(viewer),
        }
    }

    /// Permission to change and delete the issues of a project: the same, but it creates no user.
    pub fn change_issue(&self, viewer: &Viewer, project: &Project) -> Verdict {
        match project.tracking.triage {
            Triage::Owner => self.change_project(viewer, project),
            Triage::Authenticated => only(viewer, viewer.account().is_some()),
        }
    }

    /// Permission to create a component or a component type.
    pub fn create_component(&self, viewer: &Viewer) -> Verdict {
        match (self.registration, viewer) {
            (Registration::Open, Viewer::Anonymous) => Ok(()),
            _ => self.any_user(viewer),
        }
    }

    /// Permission to change or delete a component or a component type: its creator and administrators;
    /// if it has no creator, anyone while registration is open.
    pub fn change_component(&self, viewer: &Viewer, creator: Option<AccountId>) -> Verdict {
        let permitted = match creator {
            None => self.registration == Registration::Open,
            Some(creator) => viewer.account() == Some(creator),
        };
        only(viewer, permitted || viewer.is_administrator())
    }

    /// Permission to create a user or change a password: that user only.
    pub fn put_user(&self, viewer: &Viewer, username: &Username) -> Verdict {
        self.any_user(viewer)?;
        only(viewer, is(viewer, username))
    }

    /// Permission to delete a user: that user and administrators.
    pub fn delete_user(&self, viewer: &Viewer, username: &Username) -> Verdict {
        let known = viewer.account().is_some();
        only(viewer, viewer.is_administrator() || known && is(viewer, username))
    }
}

fn is(viewer: &Viewer, username: &Username) -> bool {
    viewer.username().is_some_and(|name| name.key() == username.key())
}

fn owns(viewer: &Viewer, project: &Project) -> bool {
    match (&project.owner, viewer.account()) {
        (Some((owner, _)), Some(account)) => *owner == account,
        _ => false,
    }
}

fn refused(viewer: &Viewer) -> Refusal {
    match viewer {
        Viewer::Anonymous => Refusal::CredentialsRequired,
        _ => Refusal::NotPermitted,
    }
}

fn only(viewer: &Viewer, permitted: bool) -> Verdict {
    if permitted { Ok(()) } else { Err(refused(viewer)) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{ProjectId, Timestamp};

    const NEEDS: Verdict = Err(Refusal::CredentialsRequired);
    const NO: Verdict = Err(Refusal::NotPermitted);

    fn name(text: &str) -> Username {
        text.parse().unwrap()
    }
    fn user(id: i64) -> Viewer {
        Viewer::User(AccountId(id), name(&format!("user{id}")))
    }
    fn admin() -> Viewer {
        Viewer::Administrator(AccountId(99), name("root"))
    }
    fn stranger() -> Viewer {
        Viewer::Stranger(name("new"))
    }
    fn project(owner: Option<i64>, reporting: Reporting) -> Project {
        let now = Timestamp::now();
        Project {
            id: ProjectId(1),
            slug: "p".parse().unwrap(),
            name: "P".parse().unwrap(),
            owner: owner.map(|id| (AccountId(id), name(&format!("user{id}")))),
            reporting,
            tracking: crate::Tracking::default(),
            repository: None,
            tags: crate::TagSet::default(),
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }
    fn policy(registration: Registration) -> Policy {
        Policy::new(registration, Reading::Open, &[name("Root")])
    }

    #[test]
    fn registration_says_who_may_register() {
        use Registration::{Authenticated, Closed, Open};
        for (mode, anonymous, new, known) in [
            (Open, Ok(()), Ok(()), Ok(())),
            (Authenticated, NEEDS, Ok(()), Ok(())),
            (Closed, NEEDS, NO, NO),
        ] {
            let policy = policy(mode);
            assert_eq!(policy.register_project(&Viewer::Anonymous), anonymous);
            assert_eq!(policy.register_project(&stranger()), new);
            assert_eq!(policy.register_project(&user(1)), known);
            assert_eq!(policy.register_project(&admin()), Ok(()));
        }
    }

    #[test]
    fn an_administrators_name_is_never_created() {
        let policy = policy(Registration::Open);
        assert_eq!(policy.register_project(&Viewer::Stranger(name("ROOT"))), NO);
        assert_eq!(policy.put_user(&Viewer::Stranger(name("root")), &name("root")), NO);
    }

    #[test]
    fn only_the_owner_and_administrators_change_a_project() {
        let policy = policy(Registration::Open);
        let owned = project(Some(1), Reporting::Anyone);
        assert_eq!(policy.change_project(&Viewer::Anonymous, &owned), NEEDS);
        assert_eq!(policy.change_project(&stranger(), &owned), NO);
        assert_eq!(policy.change_project(&user(2), &owned), NO);
        assert_eq!(policy.change_project(&user(1), &owned), Ok(()));
        assert_eq!(policy.change_project(&admin(), &owned), Ok(()));
        assert_eq!(policy.change_project(&user(1), &project(None, Reporting::Anyone)), NO);
    }

    #[test]
    fn a_project_says_who_may_report() {
        let policy = policy(Registration::Open);
        for (mode, anonymous, new, other) in [
            (Reporting::Anyone, Ok(()), Ok(()), Ok(())),
            (Reporting::Authenticated, NEEDS, Ok(()), Ok(())),
            (Reporting::Owner, NEEDS, NO, NO),
        ] {
            let project = project(Some(1), mode);
            assert_eq!(policy.report(&Viewer::Anonymous, &project), anonymous);
            assert_eq!(policy.report(&stranger(), &project), new);
            assert_eq!(policy.report(&user(2), &project), other);
            assert_eq!(policy.report(&user(1), &project), Ok(()));
        }
    }

    #[test]
    fn a_stranger_is_no_sender_where_users_are_not_created() {
        let closed = policy(Registration::Closed);
        assert_eq!(closed.report(&stranger(), &project(None, Reporting::Anyone)), NO);
        assert_eq!(closed.report(&Viewer::Anonymous, &project(None, Reporting::Anyone)), Ok(()));
    }

    #[test]
    fn a_component_is_changed_by_who_created_it() {
        let open = policy(Registration::Open);
        assert_eq!(open.create_component(&Viewer::Anonymous), Ok(()));
        assert_eq!(open.change_component(&Viewer::Anonymous, None), Ok(()));
        assert_eq!(open.change_component(&Viewer::Anonymous, Some(AccountId(1))), NEEDS);
        assert_eq!(open.change_component(&user(2), Some(AccountId(1))), NO);
        assert_eq!(open.change_component(&user(1), Some(AccountId(1))), Ok(()));
        assert_eq!(open.change_component(&admin(), Some(AccountId(1))), Ok(()));
        let authenticated = policy(Registration::Authenticated);
        assert_eq!(authenticated.create_component(&Viewer::Anonymous), NEEDS);
        assert_eq!(authenticated.create_component(&stranger()), Ok(()));
        assert_eq!(authenticated.change_component(&user(1), None), NO);
        assert_eq!(authenticated.change_component(&admin(), None), Ok(()));
    }

    #[test]
    fn a_user_is_put_by_itself_and_deleted_by_itself_or_an_administrator() {
        let policy = policy(Registration::Open);
        assert_eq!(policy.put_user(&user(1), &name("USER1")), Ok(()));
        assert_eq!(policy.put_user(&user(2), &name("user1")), NO);
        assert_eq!(policy.put_user(&admin(), &name("user1")), NO);
        assert_eq!(policy.put_user(&Viewer::Anonymous, &name("user1")), NEEDS);
        assert_eq!(policy.delete_user(&admin(), &name("user1")), Ok(()));
        assert_eq!(policy.delete_user(&stranger(), &name("new")), NO);
    }

    #[test]
    fn reading_may_be_for_users_only() {
        let policy = Policy::new(Registration::Open, Reading::Authenticated, &[]);
        assert_eq!(policy.read(&Viewer::Anonymous), NEEDS);
        assert_eq!(policy.read(&stranger()), NO);
        assert_eq!(policy.read(&user(1)), Ok(()));
    }
}
