//! The reference and the example file, generated from the list of keys.

use std::fmt::Write;

use super::settings::KEYS;

/// Every key with its default, what it takes, its environment variable and what it is for, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration\n\nA value is taken from, in rising order: the default, the file, the environment variable, \
         the flag `--set key=value`.\n\n| key | default | expected | environment | meaning |\n|---|---|---|---|---|\n",
    );
    for key in KEYS {
        writeln!(
            text,
            "| `{}` | `{}` | {} | `{}` | {} |",
            key.name,
            key.default_value(),
            key.expected.replace('|', "\\|"),
            key.variable(),
            key.doc.trim().replace('|', "\\|"),
        )
        .expect("a string takes any text");
    }
    text
}

/// A configuration file with every key at its default, commented out.
#[must_use]
pub fn example_toml() -> String {
    let mut text =
        String::from("# Configuration of a Regnode node. Every key stands here with its default, commented out.\n");
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            write!(text, "\n[{section}]").expect("a string takes any text");
        }
        write!(text, "\n{}\n# Expected: {}.\n#{name} = {}\n", wrapped(key.doc), key.expected, key.default_value())
            .expect("a string takes any text");
    }
    text
}

/// Sentences as comment lines of at most 100 characters.
fn wrapped(sentences: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in sentences.split_whitespace() {
        let line = lines.last_mut().expect("it begins with one line");
        if line.len() + 1 + word.len() > 100 {
            lines.push(format!("# {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, Sources, resolve};

    #[test]
    fn every_key_is_in_the_reference() {
        let text = reference();
        for key in KEYS {
            assert!(text.contains(&format!("| `{}` |", key.name)), "{} is missing", key.name);
            assert!(key.doc.trim().ends_with('.'), "{} is documented in sentences", key.name);
        }
    }

    #[test]
    fn the_example_holds_the_defaults() {
        let uncommented: String = example_toml()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if !key.starts_with(' ') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let sources = Sources { file: Some(("example.toml".into(), uncommented)), ..Sources::default() };
        let resolved = resolve(&sources).unwrap();
        assert_eq!(resolved.settings, Settings::default());
        assert_eq!(resolved.sources.len(), KEYS.len());
    }

    #[test]
    fn defaults_round_trip_through_text() {
        let variables = KEYS.iter().map(|key| (key.variable(), toml_text(&key.default_value()))).collect::<Vec<_>>();
        let resolved = resolve(&Sources { variables, ..Sources::default() }).unwrap();
        assert_eq!(resolved.settings, Settings::default());
    }

    /// The value as a person writes it into an environment variable.
    fn toml_text(value: &str) -> String {
        value.trim_matches(['"', '[', ']']).to_owned()
    }
}
