//! The command line of namespaces: what is kept, for how long, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Subcommand, ValueEnum};
use node::admin::{NamedElsewhere, NamedResidency, OwnPlace, PolicyField, ReplicationFields};
use raft::policy::{Pattern, RetentionRule, Untagged};

use super::moving::{Forcing, NamespaceAside};
use super::{Ask, policy_text};

/// Text behind the help of `regnode namespace`.
const NAMESPACE_HELP: &str = "\
A namespace is the beginning of repository names, up to a slash: acme covers acme and acme/app, not acmeX. / is the root and
covers everything. What a namespace does not say, the next shorter one says; what the root does not say has a default.
Quotas are not inherited: each bounds everything below its own prefix.

Examples:
  regnode namespace set acme --immutable 'v*' --quota-bytes 500GiB
  regnode namespace set acme/ci --untagged collect=7d --retention 'tags=*,keep-last=20,pulled-within=30d'
  regnode namespace set acme --unset immutable
  regnode namespace set acme --home us --residency pinned
  regnode namespace set acme --residency replicated --copies us,asia --replicate-tags 'v*,latest'
  regnode namespace explain acme/app:v1.2    which rule applies to this tag, and why";

/// `regnode namespace`.
#[derive(Debug, Args)]
#[command(after_help = NAMESPACE_HELP)]
pub(crate) struct Namespace {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: NamespaceAction,
}

/// What `regnode namespace` does.
#[derive(Debug, Subcommand)]
pub(crate) enum NamespaceAction {
    /// Set some fields of a namespace's policy; the others stay as they are.
    Set(Box<NamespaceSet>),
    /// Show what a namespace says itself, what holds for it, and what it uses.
    Show(NamespaceNamed),
    /// List the namespaces that say something.
    List(NamespaceList),
    /// Let a namespace say nothing any more: what is below it inherits.
    Remove(NamespaceNamed),
    /// Say what a former home still has that the present one lacks, after a home was changed by force; or give that up.
    Aside(NamespaceAside),
    /// Say which rule of which namespace decides for a repository, or for one of its tags, and why.
    Explain(Explain),
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Where data may rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResidencyRule {
    /// In its home region; it can be read from elsewhere.
    Home,
    /// Only in its home region: never a copy, a shard or a name in a log elsewhere.
    Pinned,
    /// In its home region, with copies in the regions that --copies names.
    Replicated,
}

/// What becomes of requests in other regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Elsewhere {
    /// They are passed on to the home region, as a stream.
    Proxy,
    /// Reads are sent to the home region's public URL, everything else is passed on.
    Redirect,
    /// They are refused.
    Refuse,
}

/// `regnode namespace set`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceSet {
    /// The namespace; / is the root.
    #[arg(value_name = "PREFIX", value_parser = policy_text::prefix)]
    pub(crate) prefix: String,
    /// Whether clients may delete tags, manifests and blobs.
    #[arg(long, value_name = "on|off")]
    pub(crate) deletes: Option<Switch>,
    /// What becomes of manifests without a tag: keep, or collect=DURATION, counted from when they lost it.
    #[arg(long, value_name = "keep|collect=7d", value_parser = policy_text::untagged)]
    pub(crate) untagged: Option<Untagged>,
    /// How long a blob that nothing needs stays at least since a client last heard of it.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) grace: Option<Duration>,
    /// How long deleted tags and manifests can be restored; 0s for not at all.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) restore: Option<Duration>,
    /// Tags that cannot be moved or deleted once they exist (* and ? are wildcards). May be repeated; replaces what was set.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) immutable: Vec<Pattern>,
    /// Who may move and delete them all the same: user:NAME or robot:NAME. May be repeated.
    #[arg(long, value_name = "PRINCIPAL", requires = "immutable")]
    pub(crate) immutable_except: Vec<String>,
    /// Most bytes below the namespace, each blob counted once, for example 10GiB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) quota_bytes: Option<ByteSize>,
    /// Most tags below the namespace.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) quota_tags: Option<u64>,
    /// Most repositories below the namespace.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) quota_repositories: Option<u64>,
    /// Most manifests below the namespace.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) quota_manifests: Option<u64>,
    /// A rule of which tags are kept, for example 'tags=*,keep-last=10,pushed-within=30d,pulled-within=90d'. May be
    /// repeated; a tag is kept if any rule says so, or if no rule's tags match it.
    #[arg(long, value_name = "RULE", value_parser = policy_text::rule, conflicts_with = "retention_file")]
    pub(crate) retention: Vec<RetentionRule>,
    /// The retention as a TOML file, all of its fields included.
    #[arg(long, value_name = "FILE")]
    pub(crate) retention_file: Option<PathBuf>,
    /// No tag is immutable here, whatever shorter namespaces say.
    #[arg(long, conflicts_with = "immutable")]
    pub(crate) no_immutable: bool,
    /// No tag goes by retention here, whatever shorter namespaces say.
    #[arg(long, conflicts_with_all = ["retention", "retention_file"])]
    pub(crate) no_retention: bool,
    /// Region whose catalog owns what is below the namespace. Its content moves there; naming the old one again takes that
    /// back as long as it has not ended.
    #[arg(long, value_name = "REGION")]
    pub(crate) home: Option<String>,
    /// Another home without the present one.
    #[command(flatten)]
    pub(crate) forcing: Forcing,
    /// Where its data may rest. Replicated: with copies in the regions that --copies names.
    #[arg(long, value_name = "home|pinned|replicated", requires_if("replicated", "copies"))]
    pub(crate) residency: Option<ResidencyRule>,
    /// Regions that have a copy, separated by commas; those that are not named lose theirs.
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    pub(crate) copies: Vec<String>,
    /// Tags that are copied, with all that they need, separated by commas (* and ? are wildcards); replaces what was set.
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub(crate) replicate_tags: Vec<Pattern>,
    /// Every tag is copied, and manifests without a tag too. That is so unless --replicate-tags was set.
    #[arg(long, conflicts_with = "replicate_tags")]
    pub(crate) replicate_everything: bool,
    /// Whether what is deleted at home goes from the copies too. Off unless set.
    #[arg(long, value_name = "on|off")]
    pub(crate) replicate_deletes: Option<Switch>,
    /// Which namespaces are copied first where several wait: 0 to 9, the higher the sooner. 5 unless set.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) replication_priority: Option<u8>,
    /// What becomes of requests about it in other regions.
    #[arg(long, value_name = "proxy|redirect|refuse")]
    pub(crate) elsewhere: Option<Elsewhere>,
    /// Fields to inherit again, by the names of their options, separated by commas.
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) unset: Vec<PolicyField>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

impl NamespaceSet {
    /// Where it is to rest. Copies are there where it is replicated, and nowhere else.
    pub(crate) fn place(&self) -> Result<OwnPlace, &'static str> {
        let residency = match self.residency {
            None if self.copies.is_empty() => None,
            Some(ResidencyRule::Home | ResidencyRule::Pinned) if !self.copies.is_empty() => {
                return Err("--copies goes with --residency replicated: a namespace that rests at home has no copies");
            }
            Some(ResidencyRule::Home) => Some(NamedResidency::Home),
            Some(ResidencyRule::Pinned) => Some(NamedResidency::Pinned),
            None | Some(ResidencyRule::Replicated) => Some(NamedResidency::Replicated(self.copies.clone())),
        };
        let elsewhere = self.elsewhere.map(|elsewhere| match elsewhere {
            Elsewhere::Proxy => NamedElsewhere::Proxy,
            Elsewhere::Redirect => NamedElsewhere::Redirect,
            Elsewhere::Refuse => NamedElsewhere::Refuse,
        });
        let tags = self.replicate_everything || !self.replicate_tags.is_empty();
        let replication = ReplicationFields {
            tags: tags.then(|| self.replicate_tags.clone()),
            deletes: self.replicate_deletes.map(|switch| switch == Switch::On),
            priority: self.replication_priority,
        };
        Ok(OwnPlace { home: self.home.clone(), residency, elsewhere, replication, ..OwnPlace::default() })
    }
}

/// A command about one namespace.
#[derive(Debug, Args)]
pub(crate) struct NamespaceNamed {
    /// The namespace; / is the root.
    #[arg(value_name = "PREFIX", value_parser = policy_text::prefix)]
    pub(crate) prefix: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode namespace list`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceList {
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode namespace explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A repository, or one of its tags. Neither has to exist.
    #[arg(value_name = "REPOSITORY[:TAG]", value_parser = policy_text::repository_and_tag)]
    pub(crate) what: policy_text::Named,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
