//! The same client for programs without an async runtime.

use std::future::Future;

use devmason_domain::{BuildKey, Slug};

use crate::client::{Answer, Outgoing};
use crate::document::{Document, Report, Step};
use crate::error::{Error, Result};

/// A blocking connection to a server, for one user. Must not be used within a runtime.
#[derive(Debug)]
pub struct Client {
    inner: crate::Client,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// A blocking client.
    ///
    /// # Errors
    /// The runtime could not be created.
    pub fn new(inner: crate::Client) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Invalid(format!("cannot start the async runtime: {error}")))?;
        Ok(Self { inner, runtime })
    }

    /// The async client behind this one.
    pub fn inner(&self) -> &crate::Client {
        &self.inner
    }

    /// Blocks on any future of the client.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// As [`crate::Client::send`].
    ///
    /// # Errors
    /// Likewise.
    pub fn send(&self, outgoing: &Outgoing) -> Result<Answer> {
        self.wait(self.inner.send(outgoing))
    }

    /// As [`crate::Client::get`].
    ///
    /// # Errors
    /// Likewise.
    pub fn get(&self, target: &str) -> Result<Document> {
        self.wait(self.inner.get(target))
    }

    /// As [`crate::Client::get_unless`].
    ///
    /// # Errors
    /// Likewise.
    pub fn get_unless(
        &self,
        target: &str,
        etag: Option<&str>,
    ) -> Result<Option<(Document, Option<String>)>> {
        self.wait(self.inner.get_unless(target, etag))
    }

    /// As [`crate::Client::follow`].
    ///
    /// # Errors
    /// Likewise.
    pub fn follow(&self, document: &Document, rel: &str) -> Result<Document> {
        self.wait(self.inner.follow(document, rel))
    }

    /// As [`crate::Client::project`].
    ///
    /// # Errors
    /// Likewise.
    pub fn project(&self, project: &Slug) -> Result<Document> {
        self.wait(self.inner.project(project))
    }

    /// As [`crate::Client::create_project`].
    ///
    /// # Errors
    /// Likewise.
    pub fn create_project(&self, project: &Slug, name: &str) -> Result<bool> {
        self.wait(self.inner.create_project(project, name))
    }

    /// As [`crate::Client::put_project`].
    ///
    /// # Errors
    /// Likewise.
    pub fn put_project(&self, project: &Slug, name: &str) -> Result<Answer> {
        self.wait(self.inner.put_project(project, name))
    }

    /// As [`crate::Client::report`].
    ///
    /// # Errors
    /// Likewise.
    pub fn report(&self, project: &Slug, id: &BuildKey, report: &Report) -> Result<String> {
        self.wait(self.inner.report(project, id, report))
    }

    /// As [`crate::Client::step`].
    ///
    /// # Errors
    /// Likewise.
    pub fn step(&self, progress: &str, step: &Step) -> Result<()> {
        self.wait(self.inner.step(progress, step))
    }

    /// As [`crate::Client::end`].
    ///
    /// # Errors
    /// Likewise.
    pub fn end(&self, progress: &str, success: Option<bool>) -> Result<()> {
        self.wait(self.inner.end(progress, success))
    }
}
