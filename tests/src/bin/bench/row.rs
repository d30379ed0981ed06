//! The rows: what is measured, in which unit, and what is aimed at.

/// Bytes of a mebibyte.
pub(crate) const MIB: u64 = 1 << 20;

/// What a row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Pushes blobs of a size, one for each client.
    BlobPut {
        /// Size of a blob.
        bytes: u64,
        /// Clients at a time.
        clients: usize,
    },
    /// Pulls a blob of a size, once for each client.
    BlobGet {
        /// Size of the blob.
        bytes: u64,
        /// Clients at a time.
        clients: usize,
    },
    /// Pulls a blob of 1 KiB as often as possible.
    SmallBlobGet,
    /// Pulls a manifest by tag as often as possible.
    ManifestGet,
    /// Pushes blobs of 1 KiB as often as possible, as images of many small layers do.
    SmallBlobPut {
        /// Connections at a time.
        connections: usize,
    },
    /// Asks for a blob's existence as often as possible.
    BlobHead,
    /// Pushes manifests under new digests and one tag for each connection as often as possible.
    ManifestPut {
        /// Connections at a time.
        connections: usize,
    },
    /// skopeo pushes an image of ten layers and 500 MiB.
    SkopeoPush,
    /// skopeo pulls it.
    SkopeoPull,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Short name, for `--rows`.
    pub(crate) name: &'static str,
    /// Title in the table.
    pub(crate) title: &'static str,
    /// What it does.
    pub(crate) work: Work,
    /// Unit of its result; more is better.
    pub(crate) unit: &'static str,
    /// Least ratio to distribution 2.8.2 that is aimed at, for one node.
    pub(crate) aim_one: Option<f64>,
    /// The same for three nodes on one machine.
    pub(crate) aim_three: Option<f64>,
    /// Writes gigabytes in each round: measured once only, for its memory.
    pub(crate) heavy: bool,
}

const fn row(name: &'static str, title: &'static str, work: Work, unit: &'static str) -> Row {
    Row { name, title, work, unit, aim_one: None, aim_three: None, heavy: false }
}

impl Row {
    const fn aim(mut self, one: f64, three: f64) -> Self {
        self.aim_one = Some(one);
        self.aim_three = Some(three);
        self
    }

    const fn heavy(mut self) -> Self {
        self.heavy = true;
        self
    }

    /// Bytes that it moves in one measurement, where that is fixed.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self.work {
            Work::BlobPut { bytes, clients } | Work::BlobGet { bytes, clients } => Some(bytes * clients as u64),
            _ => None,
        }
    }

    /// Whether it writes blobs.
    pub(crate) fn writes_blobs(&self) -> bool {
        matches!(self.work, Work::BlobPut { .. })
    }
}

const RATE: &str = "/s";
const SPEED: &str = "MiB/s";
const LARGE: u64 = 512 * MIB;
const MIDDLE: u64 = 64 * MIB;

/// All rows, in the order of the table.
pub(crate) const ROWS: [Row; 17] = [
    row("put-512-1", "blob PUT 512 MiB, one client", Work::BlobPut { bytes: LARGE, clients: 1 }, SPEED).aim(2.6, 1.2),
    row("put-64-1", "blob PUT 64 MiB, one client", Work::BlobPut { bytes: MIDDLE, clients: 1 }, SPEED),
    row("put-64-8", "blob PUT 64 MiB, eight clients", Work::BlobPut { bytes: MIDDLE, clients: 8 }, SPEED).aim(2.2, 1.0),
    row("put-512-8", "blob PUT 512 MiB, eight clients", Work::BlobPut { bytes: LARGE, clients: 8 }, SPEED).heavy(),
    row("get-512-1", "blob GET 512 MiB, one client", Work::BlobGet { bytes: LARGE, clients: 1 }, SPEED).aim(0.8, 0.6),
    row("get-512-8", "blob GET 512 MiB, eight clients", Work::BlobGet { bytes: LARGE, clients: 8 }, SPEED)
        .aim(0.8, 0.5),
    row("get-64-1", "blob GET 64 MiB, one client", Work::BlobGet { bytes: MIDDLE, clients: 1 }, SPEED),
    row("get-64-8", "blob GET 64 MiB, eight clients", Work::BlobGet { bytes: MIDDLE, clients: 8 }, SPEED),
    row("get-1k", "blob GET 1 KiB, 16 connections", Work::SmallBlobGet, RATE).aim(35.0, 30.0),
    row("manifest-get", "manifest GET by tag, 16 connections", Work::ManifestGet, RATE).aim(20.0, 15.0),
    row("blob-head", "blob HEAD, 16 connections", Work::BlobHead, RATE).aim(20.0, 15.0),
    row("put-1k-1", "blob PUT 1 KiB, one connection", Work::SmallBlobPut { connections: 1 }, RATE),
    row("put-1k-16", "blob PUT 1 KiB, 16 connections", Work::SmallBlobPut { connections: 16 }, RATE),
    row("manifest-put-1", "manifest PUT, one connection", Work::ManifestPut { connections: 1 }, RATE).aim(8.0, 3.0),
    row("manifest-put-16", "manifest PUT, 16 connections", Work::ManifestPut { connections: 16 }, RATE).aim(15.0, 8.0),
    row("skopeo-push", "push by skopeo, 10 layers, 500 MiB", Work::SkopeoPush, SPEED).aim(1.4, 1.1),
    row("skopeo-pull", "pull by skopeo of the same", Work::SkopeoPull, SPEED).aim(1.2, 1.0),
];
