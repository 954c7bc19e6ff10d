//! Walking through JSON without holding it.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Handler, Object, Stop, Unread, Value};
use crate::{ReadError, Sink};

/// How many bytes of such a note are filled before the last name: the longest name always fits.
pub(super) const ROOM: usize = 400;

/// The maximum length of a reported name, in bytes: some names are data.
pub(super) const MAX_NAME: usize = 64;

pub(super) struct Walk<'w, 't, H> {
    pub(super) handler: &'w mut H,
    pub(super) sink: &'w mut dyn Sink,
    pub(super) unread: &'w mut Unread,
    pub(super) text: &'t str,
    /// The line on which it begins.
    pub(super) first: u64,
    /// How far lines were counted, and the line there.
    pub(super) counted: usize,
    pub(super) line: u64,
    /// The objects in progress.
    pub(super) open: Vec<Object<'t>>,
    /// The path from the innermost of them to the current member.
    pub(super) path: String,
    /// Why the handler or the sink stopped parsing.
    pub(super) stopped: Option<ReadError>,
}

impl<'w, 't, H: Handler> Walk<'w, 't, H> {
    pub(super) fn new(
        text: &'t str,
        line: u64,
        (sink, unread): (&'w mut dyn Sink, &'w mut Unread),
        handler: &'w mut H,
    ) -> Self {
        Self {
            handler,
            sink,
            unread,
            text,
            counted: 0,
            first: line,
            line,
            open: Vec::new(),
            path: String::new(),
            stopped: None,
        }
    }

    /// Parses a document. If it breaks off, the open objects are notified.
    pub(super) fn document(
        &mut self,
        json: &mut serde_json::Deserializer<serde_json::de::StrRead<'t>>,
    ) -> Result<(), Stop> {
        let Err(error) = (Member { walk: self, object: Some("") }).deserialize(json) else {
            return Ok(());
        };
        if let Some(error) = self.stopped.take() {
            return Err(Stop::Told(error));
        }
        let line = self.first + (error.line() as u64).saturating_sub(1);
        // It counts lines from the start of this text.
        let text = error.to_string();
        let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
        let broken = ReadError::new(Some(line), format!("invalid JSON: {problem}"));
        if self.open.is_empty() {
            return Err(Stop::Before(broken));
        }
        while let Some(object) = self.open.pop() {
            self.handler.cut(&object, &mut self.open, self.sink).map_err(Stop::Told)?;
        }
        Err(Stop::Within(broken))
    }

    /// The line of a slice of the text. For a copied slice, the line of the previous one.
    pub(super) fn line_of(&mut self, part: &str) -> u64 {
        let at = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if let Some(passed) = self.text.as_bytes().get(self.counted..at) {
            self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
            self.counted = at;
        }
        self.line
    }

    pub(super) fn begin<E: serde::de::Error>(&mut self, key: &'static str) -> Result<(), E> {
        let started = self.handler.start(key, &mut self.open, self.sink);
        self.open.push(Object { key, ..Object::default() });
        self.or_stop(started)
    }

    pub(super) fn end<E: serde::de::Error>(&mut self) -> Result<(), E> {
        let Some(object) = self.open.pop() else { return Ok(()) };
        let ended = self.handler.end(&object, &mut self.open, self.sink);
        self.or_stop(ended)
    }

    pub(super) fn or_stop<T, E: serde::de::Error>(
        &mut self,
        done: Result<T, ReadError>,
    ) -> Result<T, E> {
        done.map_err(|error| {
            let text = E::custom(&error.problem);
            self.stopped = Some(error);
            text
        })
    }

    pub(super) fn value(&mut self, value: Value<'t>) {
        let known = H::MEMBERS.iter().find(|name| **name == self.path);
        if let (Some(name), Some(object)) = (known, self.open.last_mut()) {
            object.add(name, value, self.sink);
        }
    }
}

/// Parses a value; an object to be emitted gets the name `object`.
pub(super) struct Member<'a, 'w, 't, H> {
    pub(super) walk: &'a mut Walk<'w, 't, H>,
    pub(super) object: Option<&'static str>,
}

impl<'t, H: Handler> DeserializeSeed<'t> for Member<'_, '_, 't, H> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t, H: Handler> Visitor<'t> for Member<'_, '_, 't, H> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        let walk = self.walk;
        // From here on, paths are relative to this object.
        let outer = match self.object {
            Some(key) => {
                walk.begin(key)?;
                Some(std::mem::take(&mut walk.path))
            }
            None => None,
        };
        let length = walk.path.len();
        while let Some(name) = map.next_key_seed(Name)? {
            let line = walk.line_of(&name);
            if let Some(object) = walk.open.last_mut().filter(|object| object.line == 0) {
                object.line = line;
            }
            walk.path.truncate(length);
            if length > 0 {
                walk.path.push('.');
            }
            walk.path += &name;
            let path = walk.path.as_str();
            let object = H::OBJECTS.iter().find(|known| **known == path).copied();
            let is_in = |known: &&&str| {
                known
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            let mut wanted = H::MEMBERS.iter().chain(H::OBJECTS);
            if wanted.any(|known| is_in(&known)) {
                map.next_value_seed(Member { walk: &mut *walk, object })?;
            } else {
                let says_any = map.next_value_seed(SaysAny)?;
                let object = walk.open.last().filter(|_| says_any);
                if let Some(object) = object {
                    walk.unread.add(object.key, &walk.path);
                }
            }
        }
        walk.path.truncate(length);
        if let Some(path) = outer {
            walk.path = path;
            walk.end()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { walk, object } = self;
        while list.next_element_seed(Member { walk: &mut *walk, object })?.is_some() {}
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<(), E> {
        self.walk.value(Value::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.walk.value(Value::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_bool<E>(self, is: bool) -> Result<(), E> {
        self.walk.value(Value::Is(is));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.walk.value(Value::Number(number));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.walk.value(Value::Number(number as f64));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.walk.value(Value::Number(number as f64));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A member's name, borrowed from the text if possible.
pub(super) struct Name;

impl<'t> DeserializeSeed<'t> for Name {
    type Value = Cow<'t, str>;
    fn deserialize<D: serde::Deserializer<'t>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for Name {
    type Value = Cow<'t, str>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }
    fn visit_borrowed_str<E>(self, name: &'t str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Skips a value, and returns whether it contains anything.
pub(super) struct SaysAny;

impl<'t> DeserializeSeed<'t> for SaysAny {
    type Value = bool;
    fn deserialize<D: serde::Deserializer<'t>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for SaysAny {
    type Value = bool;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut any = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(any)
    }
    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<bool, A::Error> {
        let mut any = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(any)
    }
    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(!text.is_empty())
    }
    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}
