//! Components and their types.

use devmason_domain::{Component, ComponentDetails, ComponentName, ComponentType};
use uuid::Uuid;

use crate::{Actor, Claim, Claimed, Listed, Listing, Result};

/// How a component or a component type is identified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Named {
    /// By its id.
    Id(Uuid),
    /// By its name; components of different types may share one.
    Name(String),
}

/// A UUID in the form written by the server is an id; anything else is a name.
impl From<&str> for Named {
    fn from(text: &str) -> Self {
        match Uuid::try_parse(text) {
            Ok(id) if id.to_string() == text.to_ascii_lowercase() => Self::Id(id),
            _ => Self::Name(text.to_owned()),
        }
    }
}

/// A reference from a build to a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// By its id.
    Id(Uuid),
    /// By its type and its name.
    OfType(Named, String),
}

/// A component type to create.
#[derive(Debug, Clone)]
pub struct NewComponentType {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: ComponentName,
    /// Its creator.
    pub creator: Actor,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// A component to create.
#[derive(Debug, Clone)]
pub struct NewComponent {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: ComponentName,
    /// Its type.
    pub component_type: Named,
    /// Its description.
    pub details: ComponentDetails,
    /// Its creator.
    pub creator: Actor,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// The outcome of creating a named object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created<T> {
    /// It was created.
    New(T),
    /// The name is taken.
    NameTaken,
    /// The component type does not exist.
    NoType,
    /// The new user's name was taken in the meantime.
    UsernameTaken,
    /// The request was made before.
    Claimed(Claimed),
}

/// The outcome of changing a named object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<T> {
    /// It was changed.
    Done(T),
    /// The name is taken.
    NameTaken,
    /// The component type does not exist.
    NoType,
    /// Another change was made first.
    Stale,
    /// It no longer exists.
    Gone,
}

/// The outcome of deleting an object that others may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It was deleted.
    Done,
    /// It is still in use.
    InUse,
    /// It was changed first.
    Stale,
    /// It does not exist.
    Gone,
}

/// Components and their types.
pub trait Components {
    /// Creates a component type.
    fn component_type_create(&self, new: &NewComponentType) -> Result<Created<ComponentType>>;
    /// The component type with that id or name.
    fn component_type_find(&self, named: &Named) -> Result<Option<ComponentType>>;
    /// The component types with these ids that exist.
    fn component_types_by_id(&self, ids: &[Uuid]) -> Result<Vec<ComponentType>>;
    /// A part of the list of component types.
    fn component_type_list(&self, listing: &Listing) -> Result<Listed<ComponentType>>;
    /// Renames a component type.
    fn component_type_update(
        &self,
        id: Uuid,
        name: &ComponentName,
        seen: Option<i64>,
    ) -> Result<Changed<ComponentType>>;
    /// Deletes a component type; its components too if `cascade` is set.
    fn component_type_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed>;
    /// Creates a component.
    fn component_create(&self, new: &NewComponent) -> Result<Created<Component>>;
    /// The ids of the components referred to, in order; `None` if one does not exist.
    fn component_resolve(&self, sought: &[Sought]) -> Result<Vec<Option<Uuid>>>;
    /// The components with that id or name.
    fn component_find(&self, named: &Named) -> Result<Vec<Component>>;
    /// A part of the list of components, optionally of one type.
    fn component_list(&self, of_type: Option<Uuid>, listing: &Listing)
    -> Result<Listed<Component>>;
    /// Changes a component; absent values are left unchanged.
    fn component_update(
        &self,
        id: Uuid,
        name: Option<&ComponentName>,
        component_type: Option<&Named>,
        details: &ComponentDetails,
        seen: Option<i64>,
    ) -> Result<Changed<Component>>;
    /// Deletes a component. If builds refer to it, this needs `cascade`; the builds stay without it.
    fn component_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed>;
}
