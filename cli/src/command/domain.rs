//! `regnode domain`: names of the registry that stand for a namespace.

use anyhow::Result;
use node::admin::{AddDomainRequest, DomainAnswer, DomainRequest, DomainsAnswer};

use super::identity_text::{age, told};
use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Domain, DomainAction};
use crate::figures::moment;

/// Does what is asked.
pub(crate) async fn domain(domain: Domain) -> Result<()> {
    match domain.action {
        DomainAction::Add(add) => {
            let namespace = if add.namespace == "/" { String::new() } else { add.namespace };
            let request = AddDomainRequest { domain: add.domain, namespace, force: add.force };
            let answer = admin_client::add_domain(&data_dir(&add.ask).await?, &request).await?;
            told(&add.ask, &answer, &added(&answer))
        }
        DomainAction::List(list) => {
            let answer = admin_client::domains(&data_dir(&list.ask).await?).await?;
            let text = format!("{}{}", page(&answer), age(answer.reading));
            told(&list.ask, &answer, text.trim_end())
        }
        DomainAction::Remove(remove) => {
            let request = DomainRequest { domain: remove.domain };
            let answer = admin_client::remove_domain(&data_dir(&remove.ask).await?, &request).await?;
            told(&remove.ask, &answer, &removed(&answer))
        }
    }
}

fn page(answer: &DomainsAnswer) -> String {
    if answer.domains.is_empty() {
        return "no domain stands for a namespace; add one with: regnode domain add\n".to_owned();
    }
    let mut rows = table(&["DOMAIN", "NAMESPACE", "SINCE"]);
    for entry in &answer.domains {
        rows.add_row([entry.domain.clone(), named(&entry.namespace).to_owned(), moment(entry.created_milliseconds)]);
    }
    trimmed(&format!("{rows}\n"))
}

fn added(answer: &DomainAnswer) -> String {
    let DomainAnswer { domain, namespace, .. } = answer;
    let mut text = if namespace.is_empty() {
        format!("{domain} is a name of the whole registry")
    } else {
        format!("{domain} stands for {namespace}: {domain}/app is the repository {namespace}/app")
    };
    if !answer.silent.is_empty() {
        text += "\nnot heard of it yet: ";
        text += &answer.silent.join(", ");
        text += "; let the name point to them only when regnode domain list shows it there";
    }
    text
}

fn removed(answer: &DomainAnswer) -> String {
    format!(
        "{} stands for {} no more: whoever still asks by it means the whole registry",
        answer.domain,
        named(&answer.namespace)
    )
}

fn named(namespace: &str) -> &str {
    if namespace.is_empty() { "/" } else { namespace }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use node::admin::{Confirmation, DomainEntry};

    use super::*;
    use crate::arguments::{Arguments, Command};

    #[test]
    fn domains_are_listed_with_what_they_stand_for() {
        let entry = |domain: &str, namespace: &str| DomainEntry {
            domain: domain.to_owned(),
            namespace: namespace.to_owned(),
            created_milliseconds: 1_700_000_000_000,
        };
        let reading = Confirmation { confirmed: true, as_of_milliseconds: 0 };
        let domains = vec![entry("registry.acme.example", "acme"), entry("registry.example.org", "")];
        let text = page(&DomainsAnswer { version: 1, reading, domains });
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
        assert_eq!(
            rows,
            [["DOMAIN", "NAMESPACE"], ["registry.acme.example", "acme"], ["registry.example.org", "/"]],
            "{text}"
        );
        let none = page(&DomainsAnswer { version: 1, reading, domains: Vec::new() });
        assert!(none.contains("regnode domain add"), "{none}");
    }

    #[test]
    fn what_was_done_is_said() {
        let answer = |namespace: &str, silent: &[&str]| DomainAnswer {
            version: 1,
            domain: "registry.acme.example".to_owned(),
            namespace: namespace.to_owned(),
            silent: silent.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(
            added(&answer("acme", &[])),
            "registry.acme.example stands for acme: registry.acme.example/app is the repository acme/app"
        );
        assert_eq!(added(&answer("", &[])), "registry.acme.example is a name of the whole registry");
        assert!(added(&answer("acme", &["n5"])).ends_with("only when regnode domain list shows it there"));
        assert!(removed(&answer("acme", &[])).contains("stands for acme no more"));
    }

    #[test]
    fn a_domain_needs_a_namespace() {
        let parsed = |words: &[&str]| Arguments::try_parse_from(["regnode", "domain"].iter().chain(words));
        let words = ["add", "registry.acme.example", "--namespace", "acme", "--force"];
        let Ok(Arguments { command: Command::Domain(Domain { action: DomainAction::Add(add) }), .. }) = parsed(&words)
        else {
            panic!("another command")
        };
        assert_eq!((add.domain.as_str(), add.namespace.as_str(), add.force), ("registry.acme.example", "acme", true));
        assert!(parsed(&["add", "registry.acme.example"]).is_err());
    }
}
