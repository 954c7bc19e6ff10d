//! Length-limited lists. Items beyond the limit are refused during parsing and never held in
//! memory.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A list of at most `MOST` items.
pub(super) struct Bounded<T, const MOST: usize>(pub(super) Vec<T>);

impl<T, const MOST: usize> Default for Bounded<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Bounded<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<T, const MOST: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Each<T, MOST> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(next) = list.next_element()? {
                    if all.len() == MOST {
                        return Err(A::Error::custom(format!("there are more than {MOST}")));
                    }
                    all.push(next);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Each::<T, MOST>(PhantomData)).map(Self)
    }
}

/// The distinct values of a list, at most `MOST` of them, each with its first position in the list.
pub(super) struct Distinct<T, const MOST: usize>(pub(super) Vec<(usize, T)>);

impl<'de, T: Deserialize<'de> + Hash + Eq + Clone, const MOST: usize> Deserialize<'de>
    for Distinct<T, MOST>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<T, const MOST: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Hash + Eq + Clone, const MOST: usize> Visitor<'de>
            for Each<T, MOST>
        {
            type Value = Vec<(usize, T)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let (mut all, mut seen, mut at) = (Vec::new(), HashSet::new(), 0);
                while let Some(next) = list.next_element::<T>()? {
                    if !seen.contains(&next) {
                        if all.len() == MOST {
                            let problem = format!("there are more than {MOST} different ones");
                            return Err(A::Error::custom(problem));
                        }
                        seen.insert(next.clone());
                        all.push((at, next));
                    }
                    at += 1;
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Each::<T, MOST>(PhantomData)).map(Self)
    }
}
