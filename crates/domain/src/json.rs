//! Additional JSON from clients, stored as sent.

use serde::Deserializer;
use serde_json::value::RawValue;

use crate::Invalid;

/// The text of a JSON object. Its values are exactly the text that the client sent: every digit of
/// a number, the order of keys, duplicate keys in nested objects.
///
/// The empty text stands for an object without members, so a store has nothing to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonObject(String);

impl JsonObject {
    /// Joins members into an object.
    ///
    /// # Errors
    /// Never for members returned by a parser; serializing a name could fail only on I/O.
    pub fn from_members(members: &[(String, Box<RawValue>)]) -> Result<Self, Invalid> {
        if members.is_empty() {
            return Ok(Self::default());
        }
        let mut text = String::from("{");
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text +=
                &serde_json::to_string(name).map_err(|error| Invalid::new(error.to_string()))?;
            text.push(':');
            text += value.get();
        }
        text.push('}');
        Ok(Self(text))
    }

    /// An object read back from a store.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The object's text; empty if it has no members.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The members in the order sent.
    ///
    /// # Errors
    /// If the stored text is not JSON.
    pub fn members(&self) -> Result<Vec<(String, Box<RawValue>)>, Invalid> {
        struct Members(Vec<(String, Box<RawValue>)>);
        impl<'de> serde::Deserialize<'de> for Members {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct InOrder;
                impl<'de> serde::de::Visitor<'de> for InOrder {
                    type Value = Members;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<Members, A::Error> {
                        let mut members = Vec::new();
                        while let Some(member) = map.next_entry()? {
                            members.push(member);
                        }
                        Ok(Members(members))
                    }
                }
                deserializer.deserialize_map(InOrder)
            }
        }
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_str::<Members>(&self.0)
            .map(|members| members.0)
            .map_err(|error| Invalid::new(error.to_string()))
    }

    /// A member's value, if it is a string.
    pub fn member_string(&self, member: &str) -> Option<String> {
        let members = self.members().ok()?;
        let (_, value) = members.iter().find(|(name, _)| name == member)?;
        serde_json::from_str(value.get()).ok()
    }

    /// A member's value for comparisons: the text of a string, otherwise the JSON as sent. `None` if
    /// the member is null or absent.
    pub fn member_text(&self, member: &str) -> Option<String> {
        // Finds the first member of that name and ignores the rest.
        struct First<'a>(&'a str, &'a mut Option<Box<RawValue>>);
        impl<'de> serde::de::Visitor<'de> for First<'_> {
            type Value = ();
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                    if name == self.0 {
                        *self.1 = Some(map.next_value()?);
                        return Ok(());
                    }
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
                Ok(())
            }
        }
        let mut raw = None;
        // Ignore errors after it: parsing stops early.
        let _ =
            serde_json::Deserializer::from_str(&self.0).deserialize_map(First(member, &mut raw));
        let raw = raw?;
        match raw.get() {
            "null" => None,
            json => Some(serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())),
        }
    }
}
