//! `regnode job`: deletions of many tags, which the cluster carries out by itself.

use std::path::Path;

use anyhow::Result;
use node::admin::{JobEntry, JobRequest, JobsRequest};

use super::job_text::{list, named, outcome, text};
use super::node::data_dir;
use crate::admin_client;
use crate::arguments::{Ask, Job, JobAction, Work};
use crate::progress::Counted;
use crate::watch::{Look, Rate, watch};

/// Lists, shows and ends jobs.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn job(job: Job) -> Result<()> {
    match job.action {
        JobAction::List(all) => {
            let answer = admin_client::jobs(&data_dir(&all.ask).await?, &JobsRequest { region: all.region }).await?;
            if all.ask.json {
                println!("{}", serde_json::to_string_pretty(&answer.jobs)?);
            } else {
                print!("{}", list(&answer.jobs));
            }
            Ok(())
        }
        JobAction::Show(show) => {
            let data_dir = data_dir(&show.work.ask).await?;
            let found = admin_client::job(&data_dir, &JobRequest { job: show.job, region: show.region }).await?.job;
            follow(&data_dir, &show.work, found, text).await
        }
        JobAction::Cancel(cancel) => {
            let request = JobRequest { job: cancel.job, region: cancel.region };
            let found = admin_client::cancel_job(&data_dir(&cancel.ask).await?, &request).await?.job;
            print(&cancel.ask, &found, &outcome(&found))
        }
    }
}

/// Says how a job is, in these words; if its end is waited for, once it has ended.
pub(super) async fn follow(
    data_dir: &Path,
    work: &Work,
    job: JobEntry,
    words: impl Fn(&JobEntry) -> String,
) -> Result<()> {
    if !work.wait {
        return print(&work.ask, &job, &words(&job));
    }
    let mut last = job;
    let mut rate = Rate::begin();
    let request = JobRequest { job: last.id, region: last.region.clone() };
    let (title, again) = (format!("job {}", last.id), format!("regnode job show {} --wait", named(&last)));
    let look = async || {
        last = admin_client::job(data_dir, &request).await?.job;
        Ok(match last.left {
            Some(left) => {
                Look::Going(rate.position(Counted::Things("tags"), last.examined, last.examined + left.max(1)))
            }
            None => Look::Done(outcome(&last)),
        })
    };
    watch(&title, &again, look).await?;
    if work.ask.json { print(&work.ask, &last, "") } else { Ok(()) }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(ask: &Ask, job: &JobEntry, text: &str) -> Result<()> {
    if ask.json {
        println!("{}", serde_json::to_string_pretty(job)?);
    } else {
        println!("{text}");
    }
    Ok(())
}
