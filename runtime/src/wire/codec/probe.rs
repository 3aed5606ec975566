//! Finds out the type of serde's own visitor.

use serde::{
    Deserializer,
    de::{self, DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};
use std::{any::TypeId, error, fmt};

/// Returns the type of the visitor with which serde makes a `T`.
///
/// The visitor of a `Vec<N>` takes the elements and does nothing else, and that of a `PathBuf`
/// takes the text. Any other visitor may do something of its own with them, even if it makes the
/// same type.
pub(super) fn visitor_of<T: DeserializeOwned>() -> Option<TypeId> {
    match T::deserialize(Probe) {
        Err(Asked(id)) => id,
        Ok(_) => None,
    }
}

/// A deserializer that fails every request with the type of the visitor.
struct Probe;

/// The type of the visitor that asked.
#[derive(Debug)]
struct Asked(Option<TypeId>);

impl<'de> Deserializer<'de> for Probe {
    type Error = Asked;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
        Err(Asked(Some(typeid::of::<V>())))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no value")
    }
}

impl error::Error for Asked {}

impl de::Error for Asked {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(None)
    }
}

#[cfg(test)]
mod tests {
    use super::visitor_of;
    use std::path::PathBuf;

    #[test]
    fn each_type_has_a_visitor_of_its_own() {
        let ids = [
            visitor_of::<Vec<u8>>(),
            visitor_of::<Vec<i8>>(),
            visitor_of::<Vec<f64>>(),
            visitor_of::<PathBuf>(),
            visitor_of::<String>(),
        ];
        assert!(ids.iter().all(Option::is_some));
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id));
        }
        assert_eq!(ids[2], visitor_of::<Vec<f64>>());
    }
}
