//! The table, for people as Markdown and for machines as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::measure::{RowResult, Sample};
use crate::options::Options;
use crate::row::{MIB, Row};

/// Aims for the processor's time per GiB written, one node and three.
const CPU_AIMS: (f64, f64) = (0.33, 0.8);
/// Aim for the peak memory of a node, in MiB.
const MEMORY_AIM: f64 = 150.0;

/// A line of the table.
struct Line {
    title: String,
    unit: &'static str,
    /// Values by registry and round.
    values: Vec<Vec<f64>>,
    /// What is aimed at.
    aim: String,
}

/// The table as Markdown.
pub(crate) fn markdown(options: &Options, results: &[RowResult]) -> String {
    let three = options.targets().last().is_some_and(|target| target.endpoints.len() > 1);
    let mut lines: Vec<Line> = results.iter().map(|result| speed_line(result, three)).collect();
    lines.extend(results.iter().filter_map(|result| cpu_line(result, three)));
    lines.extend(results.iter().filter_map(memory_line));

    let mut text = String::from("| work | unit |");
    for target in options.targets() {
        let _ = write!(text, " {} |", target.name);
    }
    text.push_str(if options.b.is_some() { " ratio (least–most) | aim |\n" } else { " aim |\n" });
    let columns = options.targets().len() + if options.b.is_some() { 4 } else { 3 };
    let _ = writeln!(text, "|{}", "---|".repeat(columns));
    for line in &lines {
        let _ = write!(text, "| {} | {} |", line.title, line.unit);
        for values in &line.values {
            let _ = write!(text, " {} |", figure(median(values)));
        }
        if let Some((ratio, least, most)) = ratios(&line.values) {
            let _ = write!(text, " **{}** ({}–{}) |", figure(ratio), figure(least), figure(most));
        }
        let _ = writeln!(text, " {} |", line.aim);
    }
    let _ = write!(
        text,
        "\n{} rounds, A and B in turns; medians; the ratio is the median of the rounds' B/A.",
        options.rounds()
    );
    text
}

/// All samples as JSON.
pub(crate) fn json(options: &Options, results: &[RowResult]) -> Value {
    let names: Vec<String> = options.targets().into_iter().map(|target| target.name).collect();
    let sample = |sample: &Sample| {
        json!({
            "value": sample.value,
            "cpu_seconds": sample.cpu_seconds,
            "peak_memory_bytes": sample.peak_memory_bytes,
        })
    };
    let rows: Vec<Value> = results
        .iter()
        .map(|result| {
            let samples: Vec<Vec<Value>> =
                result.samples.iter().map(|samples| samples.iter().map(sample).collect()).collect();
            json!({ "name": result.row.name, "title": result.row.title, "unit": result.row.unit, "samples": samples })
        })
        .collect();
    json!({ "registries": names, "rounds": options.rounds(), "rows": rows })
}

fn speed_line(result: &RowResult, three: bool) -> Line {
    let Row { title, unit, aim_one, aim_three, .. } = result.row;
    let aim = if three { aim_three } else { aim_one };
    let values = result.samples.iter().map(|samples| samples.iter().map(|sample| sample.value).collect()).collect();
    Line { title: title.to_owned(), unit, values, aim: aim.map_or_else(String::new, |aim| format!("≥ {aim}")) }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn cpu_line(result: &RowResult, three: bool) -> Option<Line> {
    let gibibytes = result.row.bytes()? as f64 / (1024 * MIB) as f64;
    let per_gibibyte = |samples: &Vec<Sample>| -> Option<Vec<f64>> {
        samples.iter().map(|sample| Some(sample.cpu_seconds? / gibibytes)).collect()
    };
    let values = result.samples.iter().map(per_gibibyte).collect::<Option<Vec<_>>>()?;
    let aim = if three { CPU_AIMS.1 } else { CPU_AIMS.0 };
    let aim = if result.row.writes_blobs() { format!("≤ {aim}") } else { String::new() };
    Some(Line { title: format!("CPU per GiB: {}", result.row.title), unit: "s", values, aim })
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn memory_line(result: &RowResult) -> Option<Line> {
    result.row.bytes()?;
    let mebibytes = |samples: &Vec<Sample>| -> Option<Vec<f64>> {
        samples.iter().map(|sample| Some(sample.peak_memory_bytes? as f64 / MIB as f64)).collect()
    };
    let values = result.samples.iter().map(mebibytes).collect::<Option<Vec<_>>>()?;
    let title = format!("peak memory of a process: {}", result.row.title);
    Some(Line { title, unit: "MiB", values, aim: format!("≤ {MEMORY_AIM} MiB") })
}

/// Median, least and most of the rounds' ratios of the second registry to the first.
fn ratios(values: &[Vec<f64>]) -> Option<(f64, f64, f64)> {
    let [a, b] = values else { return None };
    let mut ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| b / a).collect();
    ratios.sort_by(f64::total_cmp);
    Some((median(&ratios), *ratios.first()?, *ratios.last()?))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (length, middle) if length % 2 == 1 => sorted[middle],
        (_, middle) => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Three significant digits, large numbers whole.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        let (ratio, least, most) = ratios(&[vec![1.0, 2.0, 4.0], vec![2.0, 6.0, 4.0]]).unwrap();
        assert_eq!((figure(ratio), figure(least), figure(most)), ("2.00".into(), "1.00".into(), "3.00".into()));
    }
}
