//! `regnode namespace`: what is kept below a prefix of repository names, for how long, and how much of it.

use std::path::Path;

use anyhow::{Context, Result};
use node::admin::{ExplainRequest, NamespaceRequest, OwnPlace, PageRequest, PolicyChangedAnswer, SetNamespaceRequest};
use raft::policy::{ImmutableRule, NamespacePolicy, Quota, RETENTION_EVERY_SECONDS, Retention, RetentionRule};

use super::moving::drive;
use super::node::data_dir;
use super::{aside, moving, namespace_text, place_text};
use crate::admin_client;
use crate::arguments::{
    Ask, Explain, Namespace, NamespaceAction, NamespaceList, NamespaceNamed, NamespaceSet, Switch, Target, root_or,
};
use crate::exit::{Code, Exit};
use crate::settings;

/// Graces below this are warned of, in seconds: pushes of large images take that long.
const GRACE_SECONDS_SAFE: u64 = 3600;

/// What is said where --force comes with anything else.
const FORCE_ALONE: &str = "--force changes the home and nothing else: set the other fields by themselves";

/// Does what is asked of namespaces.
pub(crate) async fn namespace(namespace: Namespace) -> Result<()> {
    match namespace.action {
        NamespaceAction::Set(set) => self::set(*set).await,
        NamespaceAction::Show(named) => show(named).await,
        NamespaceAction::List(list_all) => list(list_all).await,
        NamespaceAction::Remove(named) => remove(named).await,
        NamespaceAction::Aside(wanted) => aside::aside(wanted).await,
        NamespaceAction::Explain(what) => explain(what).await,
    }
}

async fn set(set: NamespaceSet) -> Result<()> {
    let file = match &set.retention_file {
        Some(path) => Some(retention_file(path).await?),
        None => None,
    };
    let request = request(&set, file).map_err(|message| Exit::new(Code::Usage, message))?;
    if request.set.is_empty() && request.place.is_empty() && request.unset.is_empty() {
        let message = "nothing is to be set: name a field, for example --grace 24h; see regnode namespace set --help";
        return Err(Exit::new(Code::Usage, message).into());
    }
    let data_dir = data_dir(&set.ask).await?;
    if set.forcing.force {
        return force(&data_dir, &set, request).await;
    }
    let answer = drive(|| admin_client::set_namespace(&data_dir, &request)).await?;
    changed(&set.ask, &answer, "set")?;
    if request.set.grace_seconds.is_some_and(|grace| grace < GRACE_SECONDS_SAFE) {
        warn_of_grace();
    }
    Ok(())
}

/// Another home by force: by itself, since nothing else is to be thought of then.
async fn force(data_dir: &Path, set: &NamespaceSet, request: SetNamespaceRequest) -> Result<()> {
    let alone = OwnPlace { home: request.place.home.clone(), ..OwnPlace::default() };
    let Some(to) = alone.home.clone().filter(|_| request.set.is_empty() && request.unset.is_empty()) else {
        return Err(Exit::new(Code::Usage, FORCE_ALONE).into());
    };
    if alone != request.place {
        return Err(Exit::new(Code::Usage, FORCE_ALONE).into());
    }
    let answer = moving::force(data_dir, &set.ask, set.forcing, &set.prefix, &to).await?;
    changed(&set.ask, &answer, &format!("at home in region {to}"))
}

/// A short grace is for tests, and for those who know how long their pushes take.
#[expect(clippy::print_stderr, reason = "advice stands apart from the command's output")]
fn warn_of_grace() {
    eprintln!(
        "mind: a push that takes longer than the grace can lose its first layers to the collection before its manifest \
         names them, and fails"
    );
}

/// What the options ask for.
fn request(set: &NamespaceSet, file: Option<Retention>) -> Result<SetNamespaceRequest, &'static str> {
    let rule =
        |tags: &raft::policy::Pattern| ImmutableRule { tags: tags.clone(), except: set.immutable_except.clone() };
    let immutable = (set.no_immutable || !set.immutable.is_empty()).then(|| set.immutable.iter().map(rule).collect());
    let typed = (set.no_retention || !set.retention.is_empty()).then(|| ruled(set.retention.clone()));
    let policy = NamespacePolicy {
        deletes: set.deletes.map(|switch| switch == Switch::On),
        untagged: set.untagged,
        grace_seconds: set.grace.map(|grace| grace.as_secs()),
        restore_seconds: set.restore.map(|restore| restore.as_secs()),
        immutable,
        retention: file.or(typed),
        quota: Quota {
            bytes: set.quota_bytes.map(|size| size.as_u64()),
            tags: set.quota_tags,
            repositories: set.quota_repositories,
            manifests: set.quota_manifests,
        },
    };
    Ok(SetNamespaceRequest { prefix: set.prefix.clone(), set: policy, place: set.place()?, unset: set.unset.clone() })
}

/// A retention of these rules, everything else as it is when a file leaves it out.
fn ruled(rules: Vec<RetentionRule>) -> Retention {
    Retention {
        rules,
        always_keep: Vec::new(),
        keep_signed: true,
        keep_referenced: true,
        every_seconds: RETENTION_EVERY_SECONDS,
    }
}

/// A retention that was written into a file.
async fn retention_file(path: &Path) -> Result<Retention> {
    let environment = settings::environment();
    let (files, owned) = (environment.files, path.to_owned());
    let text = environment.exec.run(move || files.read(&owned)).await;
    let text = text.with_context(|| format!("reading {}", path.display()))?;
    let text = String::from_utf8(text).with_context(|| format!("{} is no text", path.display()))?;
    toml::from_str(&text).map_err(|error| Exit::new(Code::Usage, format!("{}: {error}", path.display())).into())
}

async fn remove(named: NamespaceNamed) -> Result<()> {
    let request = NamespaceRequest { prefix: named.prefix };
    let data_dir = data_dir(&named.ask).await?;
    let answer = drive(|| admin_client::remove_namespace(&data_dir, &request)).await?;
    changed(&named.ask, &answer, "removed: what is below it inherits")
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn changed(ask: &Ask, answer: &PolicyChangedAnswer, what: &str) -> Result<()> {
    if ask.json {
        println!("{}", serde_json::to_string_pretty(answer)?);
        return Ok(());
    }
    let force = if answer.in_force {
        "it is in force"
    } else {
        "it comes into force as soon as the catalogs of the regions have taken it up, by themselves; see regnode status"
    };
    println!("namespace {} is {what}; {force}", root_or(&answer.prefix));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn show(named: NamespaceNamed) -> Result<()> {
    let request = NamespaceRequest { prefix: named.prefix };
    let answer = admin_client::namespace(&data_dir(&named.ask).await?, &request).await?;
    if named.ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", namespace_text::show(&answer));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn list(list: NamespaceList) -> Result<()> {
    let data_dir = data_dir(&list.ask).await?;
    let mut namespaces = Vec::new();
    let mut after = None;
    let last = loop {
        let mut page = admin_client::namespaces(&data_dir, &PageRequest { after }).await?;
        namespaces.append(&mut page.namespaces);
        if page.next.is_none() {
            break page;
        }
        after = page.next;
    };
    if list.ask.json {
        println!("{}", serde_json::to_string_pretty(&namespaces)?);
    } else {
        print!("{}{}", namespace_text::list(&namespaces), place_text::age(last.confirmed, last.as_of_milliseconds));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn explain(explain: Explain) -> Result<()> {
    let tag = match explain.what.target {
        Some(Target::Tag(tag)) => Some(tag),
        _ => None,
    };
    let request = ExplainRequest { repository: explain.what.repository, tag };
    let answer = admin_client::explain(&data_dir(&explain.ask).await?, &request).await?;
    if explain.ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", namespace_text::explain(&answer));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;
    use node::admin::{NamedElsewhere, NamedResidency, PolicyField, ReplicationFields};
    use raft::policy::Untagged;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parsed(options: &[&str]) -> Result<SetNamespaceRequest, clap::Error> {
        let line = ["regnode", "namespace", "set"].iter().chain(options);
        let Command::Namespace(Namespace { action: NamespaceAction::Set(set) }) =
            Arguments::try_parse_from(line)?.command
        else {
            panic!("another command");
        };
        request(&set, None).map_err(|message| clap::Error::raw(ErrorKind::ArgumentConflict, message))
    }

    #[test]
    fn each_option_sets_its_field() {
        let options = [
            "acme/",
            "--deletes",
            "off",
            "--untagged",
            "collect=7d",
            "--grace",
            "36h",
            "--restore",
            "0s",
            "--immutable",
            "v*",
            "--immutable",
            "r?",
            "--immutable-except",
            "robot",
            "--quota-bytes",
            "10GiB",
            "--quota-tags",
            "5",
            "--retention",
            "tags=*,keep-last=3",
            "--home",
            "us",
            "--residency",
            "pinned",
            "--elsewhere",
            "refuse",
            "--unset",
            "quota-manifests,quota-repositories",
        ];
        let request = parsed(&options).unwrap();
        assert_eq!(request.prefix, "acme");
        assert_eq!(request.unset, [PolicyField::QuotaManifests, PolicyField::QuotaRepositories]);
        let place = OwnPlace {
            home: Some("us".to_owned()),
            residency: Some(NamedResidency::Pinned),
            elsewhere: Some(NamedElsewhere::Refuse),
            ..OwnPlace::default()
        };
        assert_eq!(request.place, place);
        let policy = request.set;
        assert_eq!(
            (policy.deletes, policy.grace_seconds, policy.restore_seconds),
            (Some(false), Some(129_600), Some(0))
        );
        assert_eq!(policy.untagged, Some(Untagged::Collect { after_seconds: 604_800 }));
        let immutable = policy.immutable.unwrap();
        assert_eq!(
            (immutable.len(), immutable[1].tags.as_str(), &immutable[1].except),
            (2, "r?", &vec!["robot".to_owned()])
        );
        assert_eq!(policy.quota, Quota { bytes: Some(10 << 30), tags: Some(5), ..Quota::default() });
        assert_eq!(policy.retention.unwrap().rules[0].keep_last, Some(3));
        assert!(parsed(&["/"]).unwrap().set.is_empty());
    }

    #[test]
    fn copies_are_named_with_what_is_copied() {
        let replicated = ["--residency", "replicated", "--copies", "us,asia"];
        let tags = ["--replicate-tags", "v*,latest", "--replicate-deletes", "on", "--replication-priority", "9"];
        let place = parsed(&[&["acme"], &replicated[..], &tags].concat()).unwrap().place;
        let copies = NamedResidency::Replicated(vec!["us".to_owned(), "asia".to_owned()]);
        let patterns = vec!["v*".parse().unwrap(), "latest".parse().unwrap()];
        let replication = ReplicationFields { tags: Some(patterns), deletes: Some(true), priority: Some(9) };
        assert_eq!(place, OwnPlace { residency: Some(copies.clone()), replication, ..OwnPlace::default() });
        let place = parsed(&["acme", "--copies", "us,asia"]).unwrap().place;
        assert_eq!(place.residency, Some(copies), "only what is replicated has copies");
        let everything = parsed(&["acme", "--replicate-everything"]).unwrap().place.replication;
        assert_eq!(everything, ReplicationFields { tags: Some(Vec::new()), ..ReplicationFields::default() });
        assert_eq!(parsed(&["acme", "--unset", "replication"]).unwrap().unset, [PolicyField::Replication]);
    }

    #[test]
    fn what_is_inherited_can_be_ended() {
        let policy = parsed(&["acme", "--no-immutable", "--no-retention"]).unwrap().set;
        assert_eq!(policy.immutable, Some(Vec::new()));
        assert!(policy.retention.is_some_and(|retention| retention.rules.is_empty()));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            &["acme", "--no-immutable", "--immutable", "v*"][..],
            &["acme", "--no-retention", "--retention", "tags=*,keep-last=1"],
            &["acme", "--retention-file", "x", "--retention", "tags=*,keep-last=1"],
            &["acme", "--immutable-except", "robot"],
            &["acme", "--unset", "quota"],
            &["acme", "--quota-bytes", "much"],
            &["acme", "--residency", "replicated"],
            &["acme", "--residency", "pinned", "--copies", "us"],
            &["acme", "--replicate-tags", "v*", "--replicate-everything"],
            &["acme", "--replication-priority", "10"],
            &["acme", "--immutable", "a b"],
            &["acme", "--force"],
            &["acme", "--home", "us", "--without-copy"],
            &["acme", "--home", "us", "--yes"],
            &["Acme"],
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line:?}: {error}");
        }
    }

    #[test]
    fn a_retention_file_has_the_fields_of_the_handbook() {
        let text = "always_keep = [\"latest\"]\nevery_seconds = 3600\n\n[[rules]]\ntags = \"pr-*\"\nkeep_last = 20\n";
        let retention: Retention = toml::from_str(text).unwrap();
        let typed = ruled(vec![retention.rules[0].clone()]);
        let always_keep = vec!["latest".parse().unwrap()];
        assert_eq!(retention, Retention { always_keep, every_seconds: 3600, ..typed });
        let error = toml::from_str::<Retention>("[[rules]]\ntags = \"*\"\nkeep = 3\n").unwrap_err().to_string();
        assert!(error.contains("keep_last"), "{error}");
    }
}
