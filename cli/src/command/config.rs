//! `regnode config`: what can be configured, and what is in force.

use std::fmt::Write as _;

use anyhow::Result;
use node::config::{self, KEYS, Resolved};

use crate::arguments::{Config, ConfigAction};
use crate::settings;

/// Shows or checks the configuration.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn config(config: Config) -> Result<()> {
    match config.action {
        ConfigAction::Reference => print!("{}", config::reference()),
        ConfigAction::Example => print!("{}", config::example_toml()),
        ConfigAction::Check(options) => {
            let resolved = settings::of_node(&settings::environment(), &options).await?;
            println!("the configuration is right: {} of {} keys are set", resolved.sources.len(), KEYS.len());
        }
        ConfigAction::Show(options) => {
            print!("{}", in_force(&settings::of_node(&settings::environment(), &options).await?));
        }
    }
    Ok(())
}

/// Every key with its value and where it comes from, as TOML.
fn in_force(resolved: &Resolved) -> String {
    let mut text = String::new();
    for key in KEYS {
        let value = key.value(&resolved.settings);
        let source = resolved.sources.get(key.name).map_or_else(|| "default".to_owned(), ToString::to_string);
        writeln!(text, "{} = {value}  # {source}", key.name).expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_a_configuration_again() {
        let sources = config::Sources {
            flags: vec![("node.zone".to_owned(), "rack-1".to_owned())],
            ..config::Sources::default()
        };
        let resolved = config::resolve(&sources).unwrap();
        let text = in_force(&resolved);
        assert!(text.contains("node.zone = \"rack-1\"  # flag"));
        let again = config::Sources { file: Some(("x.toml".into(), text)), ..config::Sources::default() };
        assert_eq!(config::resolve(&again).unwrap().settings, resolved.settings);
    }
}
