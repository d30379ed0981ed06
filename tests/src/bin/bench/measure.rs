//! The turns: for each row all rounds, A then B; with processor time and peak memory of the processes.

use anyhow::{Context, Result};
use tests::process;

use crate::options::{Options, Target};
use crate::row::{ROWS, Row, Work};
use crate::skopeo::Skopeo;
use crate::work::Prepared;

/// One measurement of one registry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// In the row's unit.
    pub(crate) value: f64,
    /// Processor seconds of all its processes. `None` without process ids.
    pub(crate) cpu_seconds: Option<f64>,
    /// Highest memory of one of its processes during the measurement, in bytes.
    pub(crate) peak_memory_bytes: Option<u64>,
}

/// All measurements of a row.
#[derive(Clone, Debug)]
pub(crate) struct RowResult {
    /// The row.
    pub(crate) row: Row,
    /// For each registry, in the order of their turns, its samples by round.
    pub(crate) samples: Vec<Vec<Sample>>,
}

/// Measures all rows that are asked for.
#[expect(clippy::print_stderr, reason = "minutes pass: the progress is shown")]
pub(crate) async fn run(options: &Options) -> Result<Vec<RowResult>> {
    let mut results = Vec::new();
    let wanted: Vec<&Row> = ROWS.iter().filter(|row| options.wants(row.name)).collect();
    let with_skopeo = wanted.iter().any(|row| matches!(row.work, Work::SkopeoPush | Work::SkopeoPull));
    let skopeo = if with_skopeo { Skopeo::prepare()? } else { None };
    for row in wanted {
        if (options.quick && row.heavy) || (row.name.starts_with("skopeo") && skopeo.is_none()) {
            eprintln!("{}: left out", row.name);
            continue;
        }
        results.push(measure_row(options, row, skopeo.as_ref()).await.with_context(|| row.name)?);
    }
    Ok(results)
}

#[expect(clippy::print_stderr, reason = "minutes pass: the progress is shown")]
async fn measure_row(options: &Options, row: &Row, skopeo: Option<&Skopeo>) -> Result<RowResult> {
    let targets = options.targets();
    let mut prepared = Vec::new();
    for target in &targets {
        let work = Prepared::new(target, row, options.seconds(), skopeo.cloned()).await;
        prepared.push(work.with_context(|| target.name.clone())?);
    }
    let rounds = if row.heavy { 1 } else { options.rounds() };
    let mut samples = vec![Vec::new(); targets.len()];
    for round in 1..=rounds {
        for ((target, work), samples) in targets.iter().zip(&prepared).zip(&mut samples) {
            let sample = measure_once(target, work).await.with_context(|| target.name.clone())?;
            eprintln!("{} {round}/{rounds}: {} {:.1} {}", row.name, target.name, sample.value, row.unit);
            samples.push(sample);
        }
    }
    Ok(RowResult { row: *row, samples })
}

async fn measure_once(target: &Target, work: &Prepared) -> Result<Sample> {
    let family = process::with_descendants(&target.processes);
    for process in &family {
        process::reset_peak_memory(*process)?;
    }
    let before = cpu_seconds(&family)?;
    let value = work.measure().await?;
    if family.is_empty() {
        return Ok(Sample { value, cpu_seconds: None, peak_memory_bytes: None });
    }
    let peaks = family.iter().map(|process| process::peak_memory_bytes(*process)).collect::<Result<Vec<_>>>()?;
    let cpu_seconds = cpu_seconds(&family)? - before;
    Ok(Sample { value, cpu_seconds: Some(cpu_seconds), peak_memory_bytes: peaks.into_iter().max() })
}

fn cpu_seconds<'a>(family: impl IntoIterator<Item = &'a u32>) -> Result<f64> {
    family.into_iter().map(|process| process::cpu_seconds(*process)).sum()
}
