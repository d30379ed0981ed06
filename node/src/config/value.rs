//! Types of configuration values: how each is read from TOML and from text, and written back.

use std::path::PathBuf;

use toml::de::DeValue;

/// A type that a key can have.
pub(super) trait Value: Sized {
    /// What a person must write, for errors and the reference.
    const EXPECTED: &'static str;

    /// Reads a value of a TOML file.
    fn from_toml(value: &DeValue<'_>) -> Option<Self>;

    /// Reads a value of an environment variable or a flag.
    fn from_text(text: &str) -> Option<Self>;

    /// The value as TOML.
    fn to_toml(&self) -> toml::Value;
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl Value for LogFormat {
    const EXPECTED: &'static str = "\"text\" or \"json\"";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::String(
            match self {
                Self::Text => "text",
                Self::Json => "json",
            }
            .to_owned(),
        )
    }
}

/// Headers in which trusted proxies tell of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeaders {
    /// `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Value for ProxyHeaders {
    const EXPECTED: &'static str = "\"x-forwarded\" or \"forwarded\"";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "x-forwarded" => Some(Self::XForwarded),
            "forwarded" => Some(Self::Forwarded),
            _ => None,
        }
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::String(
            match self {
                Self::XForwarded => "x-forwarded",
                Self::Forwarded => "forwarded",
            }
            .to_owned(),
        )
    }
}

impl Value for String {
    const EXPECTED: &'static str = "a text";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.clone())
    }
}

impl Value for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from(text))
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.display().to_string())
    }
}

impl Value for Option<PathBuf> {
    const EXPECTED: &'static str = "a path, or \"\" for none";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(PathBuf::from_text(text))
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.as_ref().map(|path| path.display().to_string()).unwrap_or_default())
    }
}

impl Value for Vec<PathBuf> {
    const EXPECTED: &'static str = "a list of paths";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_array()?.iter().map(|path| PathBuf::from_toml(path.get_ref())).collect()
    }

    /// Paths separated by commas.
    fn from_text(text: &str) -> Option<Self> {
        text.split(',').filter(|path| !path.is_empty()).map(PathBuf::from_text).collect()
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::Array(self.iter().map(PathBuf::to_toml).collect())
    }
}

impl Value for Vec<String> {
    const EXPECTED: &'static str = "a list of texts";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_array()?.iter().map(|text| String::from_toml(text.get_ref())).collect()
    }

    /// Texts separated by semicolons: names in directories have commas inside.
    fn from_text(text: &str) -> Option<Self> {
        Some(text.split(';').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect())
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::Array(self.iter().map(String::to_toml).collect())
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::Boolean(*self)
    }
}

macro_rules! numbers {
    ($($type:ty),+) => {
        $(impl Value for $type {
            const EXPECTED: &'static str = "a whole number";

            fn from_toml(value: &DeValue<'_>) -> Option<Self> {
                let number = value.as_integer()?;
                Self::from_str_radix(number.as_str(), number.radix()).ok()
            }

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn to_toml(&self) -> toml::Value {
                toml::Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        })+
    };
}

numbers!(u8, u32, u64);
