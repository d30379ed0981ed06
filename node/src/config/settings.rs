//! The list of keys: name, type, default, meaning. The reference, the example and the settings come from it.

use std::path::PathBuf;
use std::time::Duration;

use super::challenge::AcmeChallenge;
use super::networks::Networks;
use super::schema::{Key, read, settings};
use super::value::{LogFormat, ProxyHeaders, Value};
use crate::web::{Plaintext, check_url};

settings! {
    top {
        /// Directory of everything that the node keeps: identity, logs, metadata, and the shard files unless
        /// `storage.directories` names other places.
        data_dir: PathBuf = PathBuf::from("/var/lib/regnode");
    }

    /// This node.
    node: NodeSettings {
        /// Name of the node, unique in the cluster, for people. Empty: one is made up when the node is set up.
        name: String = String::new(), expected "letters, digits, '.', '_' and '-', at most 63" where |name: &String| is_name_or_empty(name);
        /// Rack or room. Shards and voters are spread over zones.
        zone: String = "default".to_owned(), expected "letters, digits, '.', '_' and '-', at most 63" where |name: &String| is_name(name);
    }

    /// Shard files.
    storage: StorageSettings {
        /// Data directories, one for each disk. Empty: `disk` inside `data_dir`.
        directories: Vec<PathBuf> = Vec::new();
        /// Share of each file system that is left free: uploads are refused before it is touched.
        reserve_percent: u8 = 5, expected "a whole number from 0 to 50" where |percent: &u8| *percent <= 50;
        /// `regnode status` calls a disk nearly full when less than this share of it is left above the reserve. 0: only
        /// once it is full.
        low_space_percent: u8 = 10, expected "a whole number from 0 to 50" where |percent: &u8| *percent <= 50;
        /// Size of a shard's block, the unit of checking and coding.
        block_size_bytes: u32 = 256 << 10, expected "a power of two from 65536 to 1048576" where
            |size: &u32| size.is_power_of_two() && (64 << 10..=1 << 20).contains(size);
    }

    /// The registry as clients see it.
    api: ApiSettings {
        /// Address that clients connect to.
        listen: String = "127.0.0.1:5000".to_owned(), expected "host:port" where
            |address: &String| is_address(address);
        /// URL at which clients reach this node, shown to people. Empty: made of `api.listen`.
        public_url: String = String::new();
        /// Certificate chain of the registry, PEM, the node's own first. Read again when it changes.
        tls_certificate: Option<PathBuf> = None;
        /// Private key of the certificate, PEM. Read again when it changes.
        tls_key: Option<PathBuf> = None;
        /// Directory of more certificates: each `NAME.crt` with its `NAME.key`, PEM, for the domains that the certificate
        /// itself names, wildcards as well. Clients that ask for another domain, or for none, see `api.tls_certificate`, or
        /// the first of these. Followed while the node runs: pairs may come, change and go.
        tls_directory: Option<PathBuf> = None;
        /// Authorities whose certificates clients may log in with, PEM. Nobody has to show one. Read again when it changes.
        client_ca: Option<PathBuf> = None;
        /// Time for which browsers are told to use only TLS with this host (HSTS), on all its ports. 0: they are not told.
        hsts_seconds: u64 = 0, expected "a whole number from 0 to 315360000" where |seconds: &u64| *seconds <= 315_360_000;
        /// Networks of the proxies in front: what they tell of a client counts, from all others it is ignored. Only such
        /// proxies that set the headers of `api.proxy_headers` themselves on every request.
        trusted_proxies: Networks = Networks::default();
        /// Headers in which trusted proxies tell of the client: those of `X-Forwarded-*`, or `Forwarded` (RFC 7239). The
        /// others are ignored, since a proxy passes on what it does not know.
        proxy_headers: ProxyHeaders = ProxyHeaders::XForwarded;
        /// Trusted proxies begin each connection with the PROXY protocol, version 1 or 2. Then all of them must.
        proxy_protocol: bool = false;
        /// Networks that clients may come from, and trusted proxies. Others are let go before anything is said. Empty: all.
        allow: Networks = Networks::default();
        /// Serve plain HTTP although `api.listen` is not a loopback address, for instance behind a proxy that ends
        /// TLS.
        allow_plaintext: bool = false;
        /// Connections served at the same time. More wait to be accepted.
        max_connections: u32 = 4096, expected "a whole number from 1 to 1000000" where
            |connections: &u32| (1..=1_000_000).contains(connections);
        /// A request whose body makes no progress for so long is ended.
        idle_body_timeout_seconds: u64 = 60, expected "a whole number from 1 to 3600" where
            |seconds: &u64| (1..=3600).contains(seconds);
    }

    /// Certificates of the registry from an ACME authority, made and renewed by one node for all. The same on all nodes.
    acme: AcmeSettings {
        /// URL of the authority's directory. With it clients are served over TLS, without a file of
        /// `api.tls_certificate` too. Empty: no authority is asked.
        directory: String = String::new();
        /// What signs the authority's own certificate, PEM. Empty: what the system trusts.
        authority: Option<PathBuf> = None;
        /// Mail addresses at which the authority reaches the operator, told when the account is made.
        contact: Vec<String> = Vec::new();
        /// Domains that get a certificate each, besides those of `regnode domain`. Clients that name no domain see
        /// that of the first.
        domains: Vec<String> = Vec::new();
        /// How the authority is shown that a domain is ours: over HTTP on port 80, by a TLS handshake on port 443, or by
        /// a record of the DNS.
        challenge: AcmeChallenge = AcmeChallenge::Http01;
        /// That the authority's terms of service are agreed to.
        terms_agreed: bool = false;
        /// Id of the key that binds the account to a customer of the authority (EAB).
        eab_key_id: String = String::new();
        /// File with that key, base64url.
        eab_key_file: Option<PathBuf> = None;
        /// Program that changes the DNS for `dns-01`, called as `HOOK present|cleanup DOMAIN RECORD VALUE`. It ends when the
        /// TXT record can be seen, or is gone.
        dns_hook: Option<PathBuf> = None;
        /// Address of a plain HTTP listener that answers the authority and sends everybody else to TLS, such as
        /// `0.0.0.0:80`. Empty: none.
        http_listen: String = String::new(), expected "host:port, or \"\"" where
            |address: &String| address.is_empty() || is_address(address);
        /// Days before its end at which a certificate is renewed. 0: when a third of its life is left.
        renew_before_days: u32 = 0, expected "a whole number from 0 to 365" where |days: &u32| *days <= 365;
    }

    /// People whose passwords are kept elsewhere.
    access: AccessSettings {
        /// File of names and bcrypt hashes, as `htpasswd -B` writes it: who is in it may log in. Read again when it changes.
        htpasswd: Option<PathBuf> = None;
        /// Personal access keys of people who log in elsewhere (htpasswd, LDAP, an issuer) stop so many days after they were
        /// last there; with the next login they go on. 0: keys go on for ever, whatever becomes of their owner there. The
        /// same on all nodes.
        people_keys_days: u64 = 0, expected "0, or a whole number up to 3650" where |days: &u64| *days <= 3650;
    }

    /// People of an LDAP directory. The same on all nodes.
    ldap: LdapSettings {
        /// Its servers, `ldaps://host[:port]`, or `ldap://host[:port]`, which is upgraded to TLS (StartTLS). One that does
        /// not answer is passed over for the next. Empty: nobody logs in by LDAP.
        servers: Vec<String> = Vec::new();
        /// Authorities that sign the servers' certificates, PEM. Empty: those that the system trusts.
        authority: Option<PathBuf> = None;
        /// The node's own account there, which finds people and their groups. Empty: it asks without one.
        bind_dn: String = String::new();
        /// File with the password of `ldap.bind_dn`.
        bind_password_file: Option<PathBuf> = None;
        /// Entry below which people are.
        user_base: String = String::new();
        /// Filter that finds a person, `{name}` is the name that he has typed.
        user_filter: String = "(uid={name})".to_owned();
        /// Attribute with a person's name as people read it.
        display_attribute: String = "cn".to_owned();
        /// Entry below which groups are. Empty: nobody's groups are asked for.
        group_base: String = String::new();
        /// Filter that finds the groups of a person or a group: `{dn}` is its distinguished name, `{name}` the name that the
        /// person has typed. Active Directory finds groups inside groups by
        /// `(member:1.2.840.113556.1.4.1941:={dn})`; `ldap.group_depth` is 1 then.
        group_filter: String = "(member={dn})".to_owned();
        /// Attribute with the name of a group.
        group_attribute: String = "cn".to_owned();
        /// Groups inside each other that are followed. 1: only those that a person is in himself.
        group_depth: u32 = 5, expected "a whole number from 1 to 20" where |depth: &u32| (1..=20).contains(depth);
        /// Which of their groups is which of the cluster's: `THEIRS=OURS`, where theirs is a distinguished name or a value
        /// of `ldap.group_attribute`. `["*"]`: each is the cluster's group of the same name. In a variable, semicolons stand
        /// between them. Empty: none.
        groups: Vec<String> = Vec::new();
        /// Time that a server has for one login. Then the next is asked.
        timeout_seconds: u64 = 5, expected "a whole number from 1 to 60" where |seconds: &u64| (1..=60).contains(seconds);
    }

    /// The other nodes.
    peer: PeerSettings {
        /// Address that other nodes connect to.
        listen: String = "127.0.0.1:7000".to_owned(), expected "host:port" where
            |address: &String| is_address(address);
        /// `host:port` at which other nodes reach this one. Empty: `peer.listen`, which must name a host then.
        advertise: String = String::new(), expected "host:port, or \"\"" where
            |address: &String| address.is_empty() || is_address(address);
    }

    /// Metrics.
    metrics: MetricsSettings {
        /// Address of a listener of its own for `/metrics`, `/livez` and `/readyz`, plain HTTP. Empty: they are served
        /// on `api.listen`, `/metrics` to clients of this machine only, since it names namespaces.
        listen: String = String::new(), expected "host:port, or \"\"" where
            |address: &String| address.is_empty() || is_address(address);
        /// Networks from which connections to `metrics.listen` are taken. Empty: all. Needs `metrics.listen`.
        allow: Networks = Networks::default();
    }

    /// Administration over the network: what operators ask the local socket for, for whom the rules let. Never without TLS, but
    /// on this machine, at 127.0.0.1 or localhost, if no proxy and no public URL is set. The local socket is there besides.
    admin: AdminSettings {
        /// Whether it is served at all. Who has no rights has none here either.
        enabled: bool = true;
        /// Address of a listener of its own for it, with the certificates of `api`. Empty: it is served on `api.listen`, below
        /// `/admin/v1/`.
        listen: String = String::new(), expected "host:port, or \"\"" where
            |address: &String| address.is_empty() || is_address(address);
        /// Networks from which it is taken, by the client's address as trusted proxies tell it. Empty: all.
        allow: Networks = Networks::default();
        /// A login with `regnode login` lasts so many hours. Then people log in again.
        session_hours: u64 = 12, expected "a whole number from 1 to 720" where |hours: &u64| (1..=720).contains(hours);
    }

    /// What one caller may ask of this node. 0: no limit. An anonymous caller's identity is his address; an IPv6 network of
    /// 64 bits is one address.
    limits: LimitSettings {
        /// Requests of one identity in each second. Five seconds' worth may come at once.
        requests_per_second: u32 = 0;
        /// Uploads of one identity that bring bytes at the same time.
        uploads: u32 = 0;
        /// Bytes of one identity in each second, pushed and pulled.
        bytes_per_second: u64 = 0, expected "0, or a whole number of at least 65536" where
            |bytes: &u64| *bytes == 0 || *bytes >= 64 << 10;
        /// Requests from one address in each second, whoever sends them. Five seconds' worth may come at once.
        address_requests_per_second: u32 = 0;
        /// Uploads from one address that bring bytes at the same time.
        address_uploads: u32 = 0;
        /// Bytes from and to one address in each second.
        address_bytes_per_second: u64 = 0, expected "0, or a whole number of at least 65536" where
            |bytes: &u64| *bytes == 0 || *bytes >= 64 << 10;
        /// Connections from one address at the same time; trusted proxies have as many as they like.
        address_connections: u32 = 1024;
    }

    /// Logs, on standard error.
    log: LogSettings {
        /// `text` for people, `json` for machines.
        format: LogFormat = LogFormat::Text;
        /// Least level that is written, for all (`info`) or by module (`info,node::gateway=debug`).
        level: String = "info".to_owned();
    }

    /// Tokens that clients are given.
    tokens: TokensSettings {
        /// An access token counts for so long. Clients ask for a new one by themselves.
        lifetime_seconds: u64 = 300, expected "a whole number from 60 to 3600" where
            |seconds: &u64| (60..=3600).contains(seconds);
        /// A refresh token, which `docker login` may keep instead of the password, counts for so long.
        refresh_days: u64 = 30, expected "a whole number from 1 to 365" where |days: &u64| (1..=365).contains(days);
    }

    /// Uploads.
    upload: UploadSettings {
        /// An upload session without progress for so long is ended and its bytes are freed.
        lifetime_seconds: u64 = 7 * 24 * 3600, expected "a whole number from 60 to 2592000" where
            |seconds: &u64| (60..=30 * 24 * 3600).contains(seconds);
    }

    /// Manifests.
    manifest: ManifestSettings {
        /// Largest manifest that is taken.
        max_size_bytes: u64 = 4 << 20, expected "a whole number from 65536 to 16777216" where
            |size: &u64| (64 << 10..=16 << 20).contains(size);
    }

    /// Consensus.
    raft: RaftSettings {
        /// Time between two heartbeats of a catalog's leader.
        heartbeat_milliseconds: u64 = 250, expected "a whole number from 10 to 10000" where
            |time: &u64| (10..=10_000).contains(time);
        /// Least time without a leader before an election. At least three heartbeats.
        election_min_milliseconds: u64 = 1000, expected "a whole number from 30 to 60000" where
            |time: &u64| (30..=60_000).contains(time);
        /// Most time without a leader before an election. A leader that is lost is replaced after one to two of these.
        election_max_milliseconds: u64 = 2000, expected "a whole number from 40 to 120000" where
            |time: &u64| (40..=120_000).contains(time);
        /// The same for the directory, whose voters are in several regions: more than a round trip between any two of
        /// them, or its leader is confirmed by nobody. The same on all nodes.
        directory_heartbeat_milliseconds: u64 = 800, expected "a whole number from 10 to 10000" where
            |time: &u64| (10..=10_000).contains(time);
        /// Least time without a leader before an election in the directory. At least three of its heartbeats.
        directory_election_min_milliseconds: u64 = 2400, expected "a whole number from 30 to 60000" where
            |time: &u64| (30..=60_000).contains(time);
        /// Most time without a leader before an election in the directory. A leader that is lost is replaced after one to
        /// two of these.
        directory_election_max_milliseconds: u64 = 3200, expected "a whole number from 40 to 120000" where
            |time: &u64| (40..=120_000).contains(time);
        /// Entries of a log after which a snapshot is taken and the log is cut.
        snapshot_after_entries: u64 = 20_000, expected "a whole number from 100 to 10000000" where
            |entries: &u64| (100..=10_000_000).contains(entries);
    }

    /// What is lost and rebuilt. The same on all nodes: the leader's count.
    repair: RepairSettings {
        /// A node may be away for so long before its shards are rebuilt on others. A disk that fails is given the same
        /// time. A node that was removed, and a disk that an operator gave up, are given none.
        node_grace_seconds: u64 = 600, expected "a whole number from 1 to 604800" where
            |seconds: &u64| (1..=604_800).contains(seconds);
        /// A lost shard for which no other node has a place is waited for so long. Then its extent is written anew as a
        /// smaller cluster would, which takes more space and more time. One day at first.
        rewrite_grace_seconds: u64 = 24 * 3600, expected "a whole number from 0 to 31536000" where
            |seconds: &u64| *seconds <= 31_536_000;
        /// Bytes that repair, drain and rebalance may read and write in each second, together. 0: no limit. They yield
        /// to clients besides: while any node serves some, each job rests as long as it works.
        bytes_per_second: u64 = 256 << 20;
    }

    /// Disks kept equally full.
    rebalance: RebalanceSettings {
        /// Shards are moved when a disk is fuller or emptier than its share of all bytes by more than this, in percent of
        /// its size.
        band_percent: u8 = 5, expected "a whole number from 1 to 50" where |percent: &u8| (1..=50).contains(percent);
    }

    /// What was deleted and what nobody needs. The same on all nodes: the leader's count.
    garbage: GarbageSettings {
        /// Things that are taken out of the catalog in each second once their grace is over, tags that deletion jobs
        /// delete, and shards that are unlinked, each. 0: no limit. They yield to the clients of the leading node
        /// besides.
        items_per_second: u64 = 2000;
        /// Bytes that are needed no more stay so long for pulls that have begun.
        reader_grace_seconds: u64 = 600, expected "a whole number from 0 to 600" where |seconds: &u64| *seconds <= 600;
    }

    /// Shards read again before anybody needs them, and files that nobody needs.
    scrub: ScrubSettings {
        /// Every block on this node's disks is read and checked once within so long. Two weeks at first.
        period_seconds: u64 = 14 * 24 * 3600, expected "a whole number from 60 to 31536000" where
            |seconds: &u64| (60..=31_536_000).contains(seconds);
        /// A shard file that the catalog does not know is unlinked after so long, counted from the first inventory
        /// that found it. One day at first.
        orphan_grace_seconds: u64 = 24 * 3600, expected "a whole number from 60 to 31536000" where
            |seconds: &u64| (60..=31_536_000).contains(seconds);
    }

    /// Copies of namespaces of other regions. The same on all nodes: the leader's count.
    replication: ReplicationSettings {
        /// Blobs that are fetched from each region at the same time. How many bytes may come in each second is the region's to
        /// say: `regnode region set --inbound`.
        parallel: u32 = 4, expected "a whole number from 1 to 16" where |parallel: &u32| (1..=16).contains(parallel);
    }

    /// Proof of where data rests.
    residency: ResidencySettings {
        /// Every region's disks and catalog are gone through once in so many hours, and what may not rest there is an alarm.
        /// 0: only when an operator asks for it. The same on all nodes: the leader's count.
        audit_hours: u32 = 24, expected "a whole number from 0 to 8760" where |hours: &u32| *hours <= 8760;
    }

    /// Who did what: the audit log, `audit` in `data_dir`.
    audit: AuditSettings {
        /// Records older than so many days are removed, up to a day later.
        retention_days: u32 = 90, expected "a whole number from 1 to 36500" where |days: &u32| (1..=36_500).contains(days);
        /// Most bytes that the log takes; the oldest records go first. 10 GiB at first.
        max_bytes: u64 = 10 << 30, expected "a whole number of at least 16777216" where |bytes: &u64| *bytes >= 16 << 20;
        /// Whether each pull is a record too.
        pulls: bool = true;
        /// What happens while the log cannot be written, for instance on a full disk. `false`: requests go on without records, which
        /// are counted and reported. `true`: requests wait or are refused, and nothing happens unrecorded.
        required: bool = false;
        /// Syslog receiver of all records: `tls://host:port` (RFC 5425) or `tcp://host:port`. Empty: none.
        syslog: String = String::new(), expected "tls://host:port, tcp://host:port, or \"\"" where
            |text: &String| text.is_empty() || is_syslog(text);
        /// Authorities that the syslog receiver's certificate may come from, PEM, instead of the system's.
        syslog_authority: Option<PathBuf> = None;
        /// URL that gets all records by POST, in batches of JSON lines. Empty: none.
        http: String = String::new(), expected "https://…, http://…, or \"\"" where
            |url: &String| url.is_empty() || check_url(url, Plaintext::Allowed).is_ok();
        /// Authorities that the HTTP receiver's certificate may come from, PEM, instead of the system's.
        http_authority: Option<PathBuf> = None;
        /// File with header fields for the HTTP receiver, `Name: value` in each line, for instance `Authorization`. Read again each
        /// time.
        http_header_file: Option<PathBuf> = None;
    }

    /// Encryption of what the node keeps. With one of the first three set, the node's keyring is wrapped with the key that
    /// it gives, and what the node writes is encrypted. See the handbook's page on encryption.
    encryption: EncryptionSettings {
        /// File with the key: 32 random bytes, as 64 hexadecimal digits, as base64 or as they are. Readable by the node
        /// alone, or a credential of systemd's. Not on the disks that it protects. It is read at the start.
        key_file: Option<PathBuf> = None;
        /// File with a passphrase of at least 12 characters, which the key is computed from (argon2id).
        passphrase_file: Option<PathBuf> = None;
        /// Program that writes the key to its standard output, with its arguments: what unseals it with a TPM, or fetches
        /// it elsewhere. No shell reads it. In a variable, semicolons stand between the words. It is run at the start.
        key_command: Vec<String> = Vec::new();
        /// Time that `encryption.key_command` has.
        key_command_timeout_seconds: u64 = 30, expected "a whole number from 1 to 300" where
            |seconds: &u64| (1..=300).contains(seconds);
        /// Encrypt databases and shard files as well, and not only the secrets of node and cluster. What is there already
        /// is rewritten in the background, as it is when this is turned off again.
        content: bool = true;
        /// Bytes of each second that are rewritten in the background on one disk, after this was changed or
        /// the key was. 0: no limit.
        rewrite_bytes_per_second: u64 = 32 << 20;
    }

    /// Clocks.
    clock: ClockSettings {
        /// A leader whose clock is so far from those of the other nodes hands over its office and says so.
        max_offset_seconds: u64 = 30, expected "a whole number from 1 to 3600" where
            |seconds: &u64| (1..=3600).contains(seconds);
    }

    /// Shutdown.
    shutdown: ShutdownSettings {
        /// Time that requests in progress have to finish.
        drain_seconds: u64 = 30, expected "a whole number from 0 to 3600" where |seconds: &u64| *seconds <= 3600;
    }
}

impl Settings {
    /// The data directories of the node's disks.
    #[must_use]
    pub fn disk_directories(&self) -> Vec<PathBuf> {
        if self.storage.directories.is_empty() {
            vec![self.data_dir.join("disk")]
        } else {
            self.storage.directories.clone()
        }
    }

    /// Whether clients are served over TLS.
    #[must_use]
    pub const fn api_is_tls(&self) -> bool {
        self.api.tls_certificate.is_some() || self.api.tls_directory.is_some() || !self.acme.directory.is_empty()
    }

    /// `https` or `http`, as clients are served here.
    #[must_use]
    pub const fn api_scheme(&self) -> &'static str {
        if self.api_is_tls() { "https" } else { "http" }
    }

    /// URL at which clients reach this node, as far as the settings tell it.
    #[must_use]
    pub fn api_url(&self) -> String {
        if self.api.public_url.is_empty() {
            format!("{}://{}", self.api_scheme(), self.api.listen)
        } else {
            self.api.public_url.clone()
        }
    }

    /// `host:port` at which other nodes reach this one.
    #[must_use]
    pub fn peer_address(&self) -> &str {
        if self.peer.advertise.is_empty() { &self.peer.listen } else { &self.peer.advertise }
    }

    /// Least time without progress after which a request's body is given up.
    #[must_use]
    pub const fn idle_body_timeout(&self) -> Duration {
        Duration::from_secs(self.api.idle_body_timeout_seconds)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && is_name_or_empty(text)
}

fn is_name_or_empty(text: &str) -> bool {
    text.len() <= 63 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_syslog(text: &str) -> bool {
    text.strip_prefix("tls://").or_else(|| text.strip_prefix("tcp://")).is_some_and(is_address)
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
