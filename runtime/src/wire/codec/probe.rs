//! Asking serde for the type of its own visitor.

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};
use std::{any::TypeId, error, fmt};

/// The type of the visitor by which serde makes a `Vec<N>`: it takes the elements as they come and does nothing else. What asks with
/// any other visitor may do something of its own with them, whatever type it makes.
pub(super) fn vec_visitor<N: DeserializeOwned>() -> Option<TypeId> {
    match Vec::<N>::deserialize(Probe) {
        Err(Asked(id)) => id,
        Ok(_) => None,
    }
}

/// Answers every question with the type of who asks.
struct Probe;

/// The type of the visitor that asked for a sequence, if one did.
#[derive(Debug)]
struct Asked(Option<TypeId>);

impl<'de> Deserializer<'de> for Probe {
    type Error = Asked;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
        Err(Asked(None))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
        Err(Asked(Some(typeid::of::<V>())))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was to be had")
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
    use super::vec_visitor;

    #[test]
    fn each_vector_has_a_visitor_of_its_own() {
        let ids = [
            vec_visitor::<u8>(),
            vec_visitor::<i8>(),
            vec_visitor::<f64>(),
        ];
        assert!(ids.iter().all(Option::is_some));
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[2], vec_visitor::<f64>());
    }
}
