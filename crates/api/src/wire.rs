//! How Go's `encoding/json` differs from serde's habits, in one place.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares structs whose every field may be absent or `null`, as Go decodes them.
///
/// Fields after `..` are flattened into the struct's own JSON object.
macro_rules! wire {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* pub $field:ident : $type:ty, )*
            $( .. pub $flat:ident : $flat_type:ty, )*
        }
    )*) => { $(
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        $(#[$meta])*
        pub struct $name {
            $( #[serde(flatten)] pub $flat: $flat_type, )*
            $(
                $(#[$field_meta])*
                #[serde(deserialize_with = "crate::wire::or_default")]
                pub $field: $type,
            )*
        }
    )* };
}

/// A set of strings as Go writes it: an object whose values are `{}`.
pub type StringSet = BTreeMap<String, Empty>;

/// Go's `struct{}`: written as `{}`, read from anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Empty;

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        serializer.serialize_map(Some(0))?.end()
    }
}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Reads `null` as the type's default.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Writes an empty list as `null`, as Go writes a nil slice.
pub(crate) fn null_if_empty<S: Serializer, T: Serialize>(
    list: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if list.is_empty() { serializer.serialize_none() } else { list.serialize(serializer) }
}

/// Writes an empty map as `null`, as Go writes a nil map.
pub(crate) fn null_if_empty_map<S: Serializer, T: Serialize>(
    map: &BTreeMap<String, T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if map.is_empty() { serializer.serialize_none() } else { map.serialize(serializer) }
}

/// Go's `omitempty` for anything that has a zero value.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Docker's `strslice`: a list of words, read also from one string (a list of one). `None` is `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub Option<Vec<String>>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(Option::<Form>::deserialize(deserializer)?.map(|form| match form {
            Form::One(word) => vec![word],
            Form::Many(words) => words,
        })))
    }
}

impl From<Vec<String>> for Words {
    fn from(words: Vec<String>) -> Self {
        Self(Some(words))
    }
}

#[cfg(test)]
mod tests {
    #![expect(unreachable_pub, reason = "the macro declares public structs")]

    use super::*;

    wire! {
        /// A sample.
        #[serde(rename_all = "PascalCase")]
        pub struct Inner {
            pub count: i64,
        }
        /// A sample with a flattened part.
        #[serde(rename_all = "PascalCase")]
        pub struct Outer {
            #[serde(serialize_with = "null_if_empty")]
            pub list: Vec<String>,
            pub set: StringSet,
            .. pub inner: Inner,
        }
    }

    #[test]
    fn null_and_absent_are_the_default() {
        let outer: Outer = serde_json::from_str(r#"{"List":null,"Count":null,"Unknown":[1]}"#).unwrap();
        assert_eq!(outer, Outer::default());
    }

    #[test]
    fn a_wrong_type_in_a_flattened_part_is_an_error() {
        assert!(serde_json::from_str::<Outer>(r#"{"Count":"x"}"#).is_err());
    }

    #[test]
    fn empty_values_are_written_as_go_does() {
        let mut outer = Outer::default();
        outer.set.insert("80/tcp".into(), Empty);
        assert_eq!(serde_json::to_string(&outer).unwrap(), r#"{"Count":0,"List":null,"Set":{"80/tcp":{}}}"#);
    }
}
