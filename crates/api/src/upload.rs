//! Report files: turns the one or more files of a request body into a build or a step, each with a
//! receipt.

mod file;
mod pack;
mod parse;
mod receipt;
mod receive;
mod recognize;
mod report;

use devmason_domain::limits;
use devmason_hypermedia::document::ComponentRef;

use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
pub(crate) use pack::pack;
pub(crate) use receipt::{document_receipt, written};
pub(crate) use receive::{read, read_again};
pub(crate) use report::Upload;

/// Refuses more test cases than an upload may have.
pub(crate) fn not_too_many(call: &Call<'_>, cases: usize) -> Result<(), ApiError> {
    let most = call.app.settings.max_cases;
    if cases > most {
        let problem = format!("more than {most} test cases");
        return Err(ApiError::TooMuch { problem });
    }
    Ok(())
}

/// The components named in the request's parameters, by id or as `type:name`.
pub(crate) fn components(params: &Params) -> Result<Vec<ComponentRef>, ApiError> {
    let bad = || ApiError::BadValue {
        name: "component",
        problem: "specify a component as an id or as 'type:name'".to_owned(),
    };
    let one = |text: &str| -> Result<ComponentRef, ApiError> {
        match uuid::Uuid::try_parse(text) {
            Ok(id) => Ok(ComponentRef::Id(id)),
            Err(_) => {
                let (component_type, name) = text.split_once(':').ok_or_else(bad)?;
                Ok(ComponentRef::Name {
                    component_type: component_type.parse().map_err(|_| bad())?,
                    name: name.parse().map_err(|_| bad())?,
                })
            }
        }
    };
    let mut all = params.all("component").map(one).collect::<Result<Vec<_>, ApiError>>()?;
    let mut seen = std::collections::HashSet::new();
    all.retain(|component| seen.insert(component.clone()));
    if all.len() > limits::COMPONENTS {
        let problem = format!("a build may have at most {} components", limits::COMPONENTS);
        return Err(ApiError::BadValue { name: "component", problem });
    }
    Ok(all)
}
