//! A value together with where in the file it was written.

use std::{cmp::Ordering, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::Spanned;

/// A value and its bytes in the file. Compared, ordered and described as the value alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Located<T> {
    pub(super) value: T,
    /// Empty at 0 when the file does not say it and the default stands.
    pub(super) span: Range<usize>,
}

/// A text of the file.
pub(super) type Text = Located<String>;

// === impl Located ===

impl<T> Located<T> {
    /// A default: it stands nowhere in the file.
    pub(super) fn unwritten(value: T) -> Self {
        Self { value, span: 0..0 }
    }

    /// Whether the file says it.
    pub(super) fn is_written(&self) -> bool {
        !self.span.is_empty()
    }
}

/// A default list.
pub(super) fn texts(values: &[&str]) -> Located<Vec<Text>> {
    let texts = values.iter();
    let texts = texts.map(|value| Located::unwritten((*value).to_owned()));
    Located::unwritten(texts.collect())
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        let span = spanned.span();
        Ok(Self { value: spanned.into_inner(), span })
    }
}

impl<T: Serialize> Serialize for Located<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Located<T> {}

impl<T: PartialOrd> PartialOrd for Located<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Located<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}
