//! Lists over all projects.

use devmason_domain::{Account, Build, Project};
use uuid::Uuid;

use super::{Store, cases, lists, projects, steps, tags, users};
use crate::{FoundTest, Listed, Listing, PlacedStep, Queries, Result, UsedTag};

impl Queries for Store {
    fn project_query(&self, listing: &Listing) -> Result<Listed<Project>> {
        self.read(|conn| projects::query(conn, listing))
    }
    fn user_query(&self, listing: &Listing) -> Result<Listed<Account>> {
        self.read(|conn| users::query(conn, listing))
    }
    fn build_query(&self, of_component: Option<Uuid>, listing: &Listing) -> Result<Listed<Build>> {
        self.read(|conn| lists::query(conn, of_component, listing))
    }
    fn step_query(&self, listing: &Listing) -> Result<Listed<PlacedStep>> {
        self.read(|conn| steps::query(conn, listing))
    }
    fn test_query(&self, listing: &Listing) -> Result<Listed<FoundTest>> {
        self.read(|conn| cases::query(conn, listing))
    }
    fn tag_query(&self, listing: &Listing) -> Result<Listed<UsedTag>> {
        self.read(|conn| tags::query(conn, listing))
    }
}
