//! Serde's traits for types of this crate that travel. Written out here, because serde's derive
//! would have to be built before this crate.

/// Serializes a struct as the tuple of its fields, which must all be named.
macro_rules! as_tuple {
    ($name:ident $(<$lifetime:lifetime>)? { $($field:ident),* $(,)? }) => {
        impl $(<$lifetime>)? serde::Serialize for $name $(<$lifetime>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Self { $($field),* } = self;
                ($($field,)*).serialize(serializer)
            }
        }

        impl<'de $(, $lifetime)?> serde::Deserialize<'de> for $name $(<$lifetime>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let ($($field,)*) = serde::Deserialize::deserialize(deserializer)?;
                Ok(Self { $($field),* })
            }
        }
    };
}

/// Serializes an enum without fields as the name of the variant. All variants must be named.
macro_rules! as_name {
    ($name:ident { $($variant:ident),* $(,)? }) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(match self {
                    $(Self::$variant => stringify!($variant),)*
                })
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                match &*name {
                    $(stringify!($variant) => Ok(Self::$variant),)*
                    _ => Err(serde::de::Error::unknown_variant(
                        &name,
                        &[$(stringify!($variant)),*],
                    )),
                }
            }
        }
    };
}

pub(crate) use {as_name, as_tuple};
