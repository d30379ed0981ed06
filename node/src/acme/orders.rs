//! The domains that are worked on at one time: each for itself, a few at once, and those with a failure behind them never
//! in all the places, so that however many of them hang, the others have their turn.

use std::collections::BTreeMap;
use std::panic::resume_unwind;

use raft::directory::CertificateRecord;
use tokio::task::JoinSet;

use super::plan::Step;

/// Domains that are worked on at the same time.
pub(super) const AT_ONCE: usize = 8;
/// Of these, domains whose last attempt came to nothing.
pub(super) const DOUBTFUL_AT_ONCE: usize = 4;

/// What there is to do about a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) domain: String,
    pub(super) step: Step,
    pub(super) record: CertificateRecord,
}

impl Task {
    /// Whether it is likely to come to nothing again. An operator's wish is done all the same.
    fn is_doubtful(&self) -> bool {
        self.record.failure.is_some() && !self.is_asked()
    }

    /// Whether an operator wants it.
    pub(super) fn is_asked(&self) -> bool {
        self.record.asked.is_some()
    }
}

/// Attempts under way. They end with this.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Whether it is a doubtful one, by domain.
    under_way: BTreeMap<String, bool>,
    attempts: JoinSet<String>,
}

impl Orders {
    /// Which of the tasks are begun now: what an operator wants first, then the domains with the fewest failures.
    pub(super) fn choose(&self, mut tasks: Vec<Task>) -> Vec<Task> {
        let mut places = AT_ONCE.saturating_sub(self.under_way.len());
        let doubtful = self.under_way.values().filter(|doubtful| **doubtful).count();
        let mut of_doubtful = DOUBTFUL_AT_ONCE.saturating_sub(doubtful);
        tasks.sort_by_key(|task| {
            let failure = task.record.failure.as_ref().map(|failure| (failure.count, failure.retry));
            (!task.is_asked(), failure)
        });
        tasks.retain(|task| {
            let is_doubtful = task.is_doubtful();
            let begins = places > 0 && (!is_doubtful || of_doubtful > 0) && !self.under_way.contains_key(&task.domain);
            places -= usize::from(begins);
            of_doubtful -= usize::from(begins && is_doubtful);
            begins
        });
        tasks
    }

    /// Begins with one of the chosen. Nothing else is done about its domain until that has ended.
    pub(super) fn begin(&mut self, task: &Task, attempt: impl Future<Output = ()> + Send + 'static) {
        self.under_way.insert(task.domain.clone(), task.is_doubtful());
        let domain = task.domain.clone();
        self.attempts.spawn(async move {
            attempt.await;
            domain
        });
    }

    /// Takes note of those that have ended.
    pub(super) fn reap(&mut self) {
        while let Some(ended) = self.attempts.try_join_next() {
            match ended {
                Ok(domain) => drop(self.under_way.remove(&domain)),
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(_aborted) => {}
            }
        }
    }

    /// Waits for all.
    #[cfg(test)]
    pub(super) async fn end(self) {
        self.attempts.join_all().await;
    }
}

#[cfg(test)]
mod tests {
    use raft::directory::CertificateFailure;
    use raft::time::Timestamp;

    use super::*;

    fn task(domain: &str, failures: u32) -> Task {
        let retry = Timestamp(u64::from(failures));
        let failure = CertificateFailure { time: Timestamp(0), reason: String::new(), count: failures, retry };
        let failure = (failures > 0).then_some(failure);
        let record = CertificateRecord { failure, ..CertificateRecord::default() };
        Task { domain: domain.to_owned(), step: Step::Begin, record }
    }

    fn names(tasks: &[Task]) -> Vec<&str> {
        tasks.iter().map(|task| task.domain.as_str()).collect()
    }

    #[tokio::test]
    async fn domains_that_fail_leave_places_to_the_others() {
        let mut orders = Orders::default();
        let many = || (0..20).map(|number| task(&format!("f{number:02}"), 30 - number));
        let doubtful = orders.choose(many().collect());
        assert_eq!(names(&doubtful), ["f19", "f18", "f17", "f16"], "those that failed least");
        for task in &doubtful {
            orders.begin(task, std::future::pending());
        }
        let good = || (0..20).map(|number| task(&format!("g{number:02}"), 0));
        let chosen = orders.choose(many().chain(good()).collect());
        assert_eq!(names(&chosen), ["g00", "g01", "g02", "g03"]);
        let asked = Timestamp(1);
        let wanted = task("f00", 30);
        let wanted = Task { record: CertificateRecord { asked: Some(asked), ..wanted.record }, ..wanted };
        let chosen = orders.choose(many().chain(good()).chain([wanted]).collect());
        assert_eq!(names(&chosen), ["f00", "g00", "g01", "g02"], "an operator does not wait");
        for task in &chosen {
            orders.begin(task, std::future::pending());
        }
        assert_eq!(orders.choose(many().chain(good()).collect()), []);
    }

    #[tokio::test]
    async fn a_domain_has_one_attempt_at_a_time_and_its_end_makes_room() {
        let mut orders = Orders::default();
        let (hung, quick) = (task("hung", 0), task("quick", 0));
        orders.begin(&hung, std::future::pending());
        orders.begin(&quick, std::future::ready(()));
        assert_eq!(orders.choose(vec![hung.clone(), quick.clone()]), []);
        while orders.choose(vec![quick.clone()]).is_empty() {
            tokio::task::yield_now().await;
            orders.reap();
        }
        assert_eq!(orders.choose(vec![hung, quick.clone()]), [quick], "whatever else hangs");
    }
}
