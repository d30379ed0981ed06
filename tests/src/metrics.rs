//! Reading the Prometheus text format.

use anyhow::{Result, bail};

/// All samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<(String, f64)>);

impl Samples {
    /// Takes the samples out of the text form; comments are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// Sum of all series whose name and labels hold each of the words.
    ///
    /// # Errors
    /// When there is no such series.
    pub fn sum(&self, words: &[&str]) -> Result<f64> {
        let mut found: Vec<f64> = Vec::new();
        for (series, value) in &self.0 {
            if words.iter().all(|word| series.contains(word)) {
                found.push(*value);
            }
        }
        if found.is_empty() {
            bail!("no metric with {words:?} among {:?}", self.0.iter().map(|(series, _)| series).collect::<Vec<_>>());
        }
        Ok(found.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_the_words_in_them() {
        let samples = Samples::parse(
            "# HELP a b\nshard_errors_total{kind=\"corrupt\"} 2\nshard_errors_total{kind=\"missing\"} 3\nx 1\n",
        );
        assert!((samples.sum(&["shard_errors"]).unwrap() - 5.0).abs() < f64::EPSILON);
        assert!((samples.sum(&["shard", "corrupt"]).unwrap() - 2.0).abs() < f64::EPSILON);
        assert!(samples.sum(&["nothing"]).is_err());
    }
}
