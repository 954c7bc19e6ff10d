//! Components and their types.

use devmason_domain::{Component, ComponentDetails, ComponentName, ComponentType};
use uuid::Uuid;

use crate::{Actor, Claim, Claimed, Listed, Listing, Result};

/// How a component or a component type is addressed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Named {
    /// By its id.
    Id(Uuid),
    /// By its name, which several components of different types may have.
    Name(String),
}

/// A component as a build names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// By its id.
    Id(Uuid),
    /// By its type, and its name.
    OfType(Named, String),
}

/// A component type to be created.
#[derive(Debug, Clone)]
pub struct NewComponentType {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: ComponentName,
    /// Who creates it.
    pub creator: Actor,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// A component to be created.
#[derive(Debug, Clone)]
pub struct NewComponent {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: ComponentName,
    /// Its type.
    pub component_type: Named,
    /// What is said of it.
    pub details: ComponentDetails,
    /// Who creates it.
    pub creator: Actor,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// What came of creating something with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created<T> {
    /// It is there now.
    New(T),
    /// Another has the name.
    NameTaken,
    /// There is no such component type.
    NoType,
    /// Somebody else took the newcomer's name meanwhile.
    UsernameTaken,
    /// The request was made before.
    Claimed(Claimed),
}

/// What came of changing something with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<T> {
    /// It is changed.
    Done(T),
    /// Another has the name.
    NameTaken,
    /// There is no such component type.
    NoType,
    /// Somebody else changed it before.
    Stale,
    /// It is not there any more.
    Gone,
}

/// What came of deleting something that others may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Done,
    /// Others need it.
    InUse,
    /// Somebody changed it before.
    Stale,
    /// It was gone before.
    Gone,
}

/// Components and their types.
pub trait Components {
    /// Creates a component type.
    fn component_type_create(&self, new: &NewComponentType) -> Result<Created<ComponentType>>;
    /// The component type of that id or name.
    fn component_type_find(&self, named: &Named) -> Result<Option<ComponentType>>;
    /// Component types by their ids, those that are there.
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
    /// Deletes a component type; with its components where `cascade` says so.
    fn component_type_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed>;
    /// Creates a component.
    fn component_create(&self, new: &NewComponent) -> Result<Created<Component>>;
    /// The ids of the components that are sought, in their order; `None` for one that is not there.
    fn component_resolve(&self, sought: &[Sought]) -> Result<Vec<Option<Uuid>>>;
    /// The components of that id or name.
    fn component_find(&self, named: &Named) -> Result<Vec<Component>>;
    /// A part of the list of components, of one type where one is given.
    fn component_list(&self, of_type: Option<Uuid>, listing: &Listing)
    -> Result<Listed<Component>>;
    /// Changes a component; what is not said stays.
    fn component_update(
        &self,
        id: Uuid,
        name: Option<&ComponentName>,
        component_type: Option<&Named>,
        details: &ComponentDetails,
        seen: Option<i64>,
    ) -> Result<Changed<Component>>;
    /// Deletes a component; where builds name it, only if `cascade` says so, and they stay without it.
    fn component_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed>;
}
