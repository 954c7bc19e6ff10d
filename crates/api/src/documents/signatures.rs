//! Signatures: where equal failures were seen.

use std::collections::HashMap;

use actix_web::HttpResponse;
use devmason_domain::{Project, Signature, SignatureId, SignatureKey, Slug};
use devmason_hypermedia::document::{
    ExampleDocument, PlaceDocument, SignatureBranch, SignatureDocument, SignatureHost,
    SignatureTest, SignatureVariant,
};
use devmason_repository::{Beyond, Shared, Tracked};

use super::insight::findings::known;
use super::insight::read::other_project;
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::{Seen, SeenBeyond, stamp};
use crate::respond::Found;

/// Maximum number of tests, branches, variants and hosts that are listed.
const LISTED: usize = 100;

/// The names with how often each is there, the most frequent first.
fn counted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(String, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<_> =
        counts.into_iter().map(|(name, items)| (name.to_owned(), items)).collect();
    counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    counts.truncate(LISTED);
    counts
}

/// A signature of a project.
pub(crate) struct Read {
    pub(crate) etag: String,
    pub(crate) project: Project,
    pub(crate) document: SignatureDocument,
}

/// Reads where failures with a signature were seen.
pub(crate) async fn read(
    call: &Call<'_>,
    slug: &Slug,
    id: &SignatureId,
) -> Result<Found<Read>, ApiError> {
    let project = call.project(slug).await?;
    let of = project.id;
    let key = SignatureKey::of(id.as_str());
    let (stamp, beyond) = call
        .ask(move |repository| {
            let beyond = Beyond { project: of, since: None, is_credited: false };
            let beyond = SeenBeyond::of(repository, vec![key], beyond)?;
            // While builds are being prepared, more of them are found each time.
            let is_ready = repository.sightings_are_complete(of)?;
            let stamp = format!("{} {} {is_ready}", stamp(repository, of)?, beyond.stamp());
            Ok((stamp, beyond))
        })
        .await?;
    let etag = call.etag(&[&project.id.0, &project.version, &stamp]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    // Seeking one that nothing has takes as long as any.
    let _turn = call.body.turn(call.app, usize::MAX).await?;
    let (of, sought, hold) = (project.clone(), id.clone(), call.body.hold.clone());
    let seen = call.ask(move |repository| Seen::read(repository, &of, &sought, &hold)).await?;
    let document = seen.and_then(|seen| document(call, &project, id, (seen, beyond.get(key))));
    let document = document.ok_or(ApiError::NotFound("no failure with this signature found"))?;
    Ok(Found::New(Read { etag, project, document }))
}

fn document(
    call: &Call<'_>,
    project: &Project,
    id: &SignatureId,
    (seen, shared): (Seen, &[Shared]),
) -> Option<SignatureDocument> {
    let view = call.view();
    let sightings = &seen.sightings;
    let (newest, oldest) = (sightings.first()?, sightings.last()?);
    let place = |build: &Tracked| PlaceDocument {
        build: build.key.to_string(),
        started: build.started.to_rfc2822(),
    };
    let name = |test: &i64| seen.names.get(test).map_or("", String::as_str);
    let tests = counted(sightings.iter().map(|of| name(&of.case.test)));
    let branches = counted(sightings.iter().map(|of| of.build.track.branch.as_str()));
    let variants = counted(sightings.iter().map(|of| of.build.track.variant.as_str()));
    let hosts = counted(sightings.iter().filter_map(|of| of.build.host.as_deref()));
    Some(SignatureDocument {
        id: id.to_string(),
        version: Signature::VERSION,
        example: ExampleDocument {
            build: newest.build.key.to_string(),
            position: newest.case.position,
            full_name: name(&newest.case.test).to_owned(),
            failure: seen.example,
        },
        first_seen: place(&oldest.build),
        last_seen: place(&newest.build),
        counted: sightings.len(),
        complete: seen.is_whole,
        tests: tests
            .into_iter()
            .map(|(full_name, items)| SignatureTest {
                links: vec![view.history_link(project, &full_name)],
                full_name,
                items,
            })
            .collect(),
        branches: branches
            .into_iter()
            .map(|(branch, items)| SignatureBranch { branch, items })
            .collect(),
        variants: variants
            .into_iter()
            .map(|(variant, items)| SignatureVariant { variant, items })
            .collect(),
        hosts: hosts.into_iter().map(|(host, items)| SignatureHost { host, items }).collect(),
        projects: shared.iter().map(other_project).collect(),
        known: seen.known.iter().map(known).collect(),
        links: view.signature_links(project, id),
        title: seen.signature.title,
    })
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    id: &SignatureId,
) -> Result<HttpResponse, ApiError> {
    match read(call, slug, id).await? {
        Found::Ready(answer) => Ok(answer),
        Found::New(read) => call.ok(&read.etag, &read.document),
    }
}
