//! Receipts of uploads, and for a time the uploads themselves, for reparsing.

mod reread;
mod stored;

use devmason_domain::{Build, BuildId, ProjectId};

use super::{Conn, Sql, Store, cases, counts, next, steps};
use crate::{KeptUpload, PackedBody, Receipts, Reread, Result, Updated, Uploads};

pub(super) use stored::{Part, add, count, forget_before, forget_beyond, number, remove};
use stored::{body, list, pack, receipts};

impl Uploads for Store {
    fn upload_pack(&self, body: &[u8]) -> PackedBody {
        pack(body)
    }
    fn receipt_list(&self, project: ProjectId, build: BuildId, most: u32) -> Result<Receipts> {
        self.read(|conn| receipts(conn, project, build, most))
    }
    fn upload_list(&self, project: ProjectId, build: BuildId) -> Result<Vec<KeptUpload>> {
        self.read(|conn| list(conn, project, build))
    }
    fn upload_body(&self, project: ProjectId, build: BuildId, nth: u32) -> Result<Option<Vec<u8>>> {
        self.read(|conn| body(conn, project, build, nth))
    }
    fn build_reread(&self, build: &Build, new: &Reread) -> Result<Updated<()>> {
        let cases = self.packed(build.project, &new.report.tests)?;
        self.write(|conn| reread::reread(conn, build, new, &cases))
    }
}
