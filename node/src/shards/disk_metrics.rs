//! The own disks as metrics, read at the moment of each scrape: nothing here asks a disk, so that a stuck one holds up no
//! scrape.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use storage::disk::{DiskErrors, DiskHealth, Disks};

/// Metrics of the node's disks.
#[derive(Debug)]
pub(crate) struct DiskMetrics {
    /// The disks.
    pub(crate) disks: Arc<Disks>,
}

type Reading = (&'static str, &'static str, fn(DiskErrors) -> u64);

const ERRORS: [Reading; 2] = [
    ("regnode_disk_io_errors", "Calls that a disk failed since it was opened", |errors| errors.io),
    ("regnode_disk_corrupt_blocks", "Damaged blocks met on a disk since it was opened", |errors| errors.corrupt),
];

impl Collector for DiskMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let present = self.disks.all();
        let mut healths: Vec<(String, DiskHealth)> =
            present.iter().map(|disk| (disk.id().to_string(), disk.health())).collect();
        healths.extend(self.disks.absent().into_iter().map(|disk| (disk.id.to_string(), disk.health)));
        let help = "1 for how a disk is, 0 for how it is not: failing is fenced";
        let mut family = encoder.encode_descriptor("regnode_disk_health", help, None, MetricType::Gauge)?;
        for (disk, found) in &healths {
            for health in DiskHealth::ALL {
                let labels = [("disk", disk.as_str()), ("health", health.name())];
                ConstGauge::<i64>::new(i64::from(health == *found)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, read) in ERRORS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for disk in &present {
                let labels = [("disk", disk.id().to_string())];
                ConstCounter::new(read(disk.errors())).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
