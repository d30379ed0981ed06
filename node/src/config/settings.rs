//! The list of keys: name, type, default, meaning. The reference, the example and the settings come from it.

use std::path::PathBuf;
use std::time::Duration;

use super::schema::{Key, read, settings};
use super::value::{LogFormat, Value};

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
        /// on `api.listen`.
        listen: String = String::new(), expected "host:port, or \"\"" where
            |address: &String| address.is_empty() || is_address(address);
    }

    /// Logs, on standard error.
    log: LogSettings {
        /// `text` for people, `json` for machines.
        format: LogFormat = LogFormat::Text;
        /// Least level that is written, for all (`info`) or by module (`info,node::gateway=debug`).
        level: String = "info".to_owned();
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

    /// URL at which clients reach this node, as far as the settings tell it.
    #[must_use]
    pub fn api_url(&self) -> String {
        if self.api.public_url.is_empty() {
            let scheme = if self.api.tls_certificate.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", self.api.listen)
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

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
