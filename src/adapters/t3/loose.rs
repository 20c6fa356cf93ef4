//! Reading JSON of which anything may be anything, and going on behind it. Only what is no JSON fails.

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What of any value something follows from; the rest is skipped, however deep it is.
pub trait OfAnything: Default {
    fn of_nothing() -> Self {
        Self::default()
    }

    fn of_flag(_: bool) -> Self {
        Self::default()
    }

    fn of_text(_: &str) -> Self {
        Self::default()
    }

    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

/// Reads any value at all.
pub fn anything<'de, D: Deserializer<'de>, T: OfAnything>(deserializer: D) -> Result<T, D::Error> {
    struct Anything<T>(PhantomData<T>);
    impl<'de, T: OfAnything> Visitor<'de> for Anything<T> {
        type Value = T;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("anything")
        }

        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::of_nothing())
        }

        fn visit_bool<E>(self, flag: bool) -> Result<T, E> {
            Ok(T::of_flag(flag))
        }

        fn visit_str<E>(self, text: &str) -> Result<T, E> {
            Ok(T::of_text(text))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
            T::of_list(list)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::of_map(map)
        }

        fn visit_i64<E>(self, _: i64) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_u64<E>(self, _: u64) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_f64<E>(self, _: f64) -> Result<T, E> {
            Ok(T::default())
        }
    }
    deserializer.deserialize_any(Anything(PhantomData))
}

/// A text; anything else is nothing.
#[derive(Debug, Default)]
pub struct Loose(pub Option<String>);

impl From<Loose> for String {
    fn from(loose: Loose) -> Self {
        loose.0.unwrap_or_default()
    }
}

impl OfAnything for Loose {
    fn of_text(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        anything(deserializer)
    }
}

/// An object; anything else but null is one of which nothing is known.
struct Part<T>(Option<T>);

impl<T: Default> Default for Part<T> {
    fn default() -> Self {
        Self(Some(T::default()))
    }
}

impl<T: DeserializeOwned + Default> OfAnything for Part<T> {
    fn of_nothing() -> Self {
        Self(None)
    }

    fn of_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|part| Self(Some(part)))
    }
}

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        anything(deserializer)
    }
}

/// An object or null; anything else is an object of which nothing is known.
pub fn part<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<Option<T>, D::Error> {
    Part::deserialize(deserializer).map(|Part(part)| part)
}

/// An object that is not there although it, or null, has to be.
pub fn missing<T: Default>() -> Option<T> {
    Some(T::default())
}

/// A list of objects, which has to be one.
pub fn items<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = Vec::<Part<T>>::deserialize(deserializer)?;
    Ok(items.into_iter().map(|Part(item)| item.unwrap_or_default()).collect())
}

/// A list of which only a summary is kept: one item at a time is in memory.
pub fn take_each<'de, A: SeqAccess<'de>, T: DeserializeOwned + Default>(
    list: &mut A,
    mut take: impl FnMut(T),
) -> Result<(), A::Error> {
    while let Some(Part(item)) = list.next_element()? {
        take(item.unwrap_or_default());
    }
    Ok(())
}

/// A text, empty for anything else.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Loose::deserialize(deserializer).map(String::from)
}

/// A text; `None` for anything else.
pub fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Loose::deserialize(deserializer).map(|Loose(text)| text)
}

/// One of several words, the empty one for anything but a text.
pub fn word<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(text(deserializer)?.into_deserializer())
}

/// A boolean; `None` for anything else.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Default)]
    struct Flag(Option<bool>);
    impl OfAnything for Flag {
        fn of_flag(flag: bool) -> Self {
            Self(Some(flag))
        }
    }
    anything(deserializer).map(|Flag(flag)| flag)
}

/// Null or something.
pub fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

/// A time; `None` for anything else, since T3 shows whatever it was sent.
pub fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(optional_text(deserializer)?.and_then(|text| text.parse().ok()))
}
