//! The macro that turns the one list of keys into typed settings and into a table of keys.

use toml::de::DeValue;

use super::settings::Settings;
use super::value::Value;

/// A value as it was given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given<'a> {
    /// In a file.
    Toml(&'a DeValue<'a>),
    /// In a variable or a flag.
    Text(&'a str),
}

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Full name, `section.key`.
    pub name: &'static str,
    /// What it is for; sentences.
    pub doc: &'static str,
    /// What a person must write.
    pub expected: &'static str,
    pub(super) set: fn(&mut Settings, Given<'_>) -> Option<()>,
    pub(super) get: fn(&Settings) -> toml::Value,
}

impl Key {
    /// Its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("REGNODE_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Its value in these settings, as TOML.
    #[must_use]
    pub fn value(&self, settings: &Settings) -> String {
        (self.get)(settings).to_string()
    }

    /// Its default, as TOML.
    #[must_use]
    pub fn default_value(&self) -> String {
        self.value(&Settings::default())
    }
}

/// Reads a value and applies the key's own check.
pub(super) fn read<V: Value>(given: Given<'_>, check: impl Fn(&V) -> bool) -> Option<V> {
    let value = match given {
        Given::Toml(value) => V::from_toml(value),
        Given::Text(text) => V::from_text(text),
    };
    value.filter(check)
}

/// Declares the settings: `top { key: type = default; }`, then `section: Type { key: type = default, expected "…" where check; }`.
macro_rules! settings {
    (
        top { $( $(#[doc = $root_doc:literal])+ $root:ident: $root_type:ty = $root_default:expr; )+ }
        $(
            $(#[doc = $section_doc:literal])+
            $section:ident: $struct:ident {
                $(
                    $(#[doc = $doc:literal])+
                    $key:ident: $type:ty = $default:expr $(, expected $expected:literal where $check:expr)?;
                )+
            }
        )+
    ) => {
        /// All settings of a node.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            $( $(#[doc = $root_doc])+ pub $root: $root_type, )+
            $( $(#[doc = $section_doc])+ pub $section: $struct, )+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $( $root: $root_default, )+ $( $section: $struct::default(), )+ }
            }
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $struct {
                $( $(#[doc = $doc])+ pub $key: $type, )+
            }

            impl Default for $struct {
                fn default() -> Self {
                    Self { $( $key: $default, )+ }
                }
            }
        )+

        /// Every key, in the order of the reference.
        pub const KEYS: &[Key] = &[
            $( Key {
                name: stringify!($root),
                doc: concat!($($root_doc),+),
                expected: <$root_type as Value>::EXPECTED,
                set: |settings, given| {
                    settings.$root = read(given, |_: &$root_type| true)?;
                    Some(())
                },
                get: |settings| settings.$root.to_toml(),
            }, )+
            $( $( Key {
                name: concat!(stringify!($section), ".", stringify!($key)),
                doc: concat!($($doc),+),
                expected: settings!(@expected $type $(, $expected)?),
                set: |settings, given| {
                    settings.$section.$key = read(given, settings!(@check $type $(, $check)?))?;
                    Some(())
                },
                get: |settings| settings.$section.$key.to_toml(),
            }, )+ )+
        ];
    };
    (@expected $type:ty, $expected:literal) => { $expected };
    (@expected $type:ty) => { <$type as Value>::EXPECTED };
    (@check $type:ty, $check:expr) => { $check };
    (@check $type:ty) => { |_: &$type| true };
}

pub(super) use settings;
