//! `regnode namespace set --home`: a namespace moves with its content, or another region becomes its home by force.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use node::admin::{ForceLookAnswer, ForceLookRequest, ForceRequest, MoveProgress, PolicyChangedAnswer};
use tokio::time::sleep;

use super::confirm::confirm;
use super::moving_text;
use crate::admin_client;
use crate::arguments::{Ask, Forcing, root_or};
use crate::exit::{Code, Exit};
use crate::progress::Step;

/// Between two requests that drive a move.
const REST: Duration = Duration::from_millis(300);
/// How often writes may be ended in vain before the move is given up by this command.
const LIFTED_MAX: u32 = 3;

/// Repeats a request until the move that it asks for has ended. It can be interrupted at any time, and repeated.
pub(super) async fn drive<F>(mut ask: impl FnMut() -> F) -> Result<PolicyChangedAnswer>
where
    F: Future<Output = Result<PolicyChangedAnswer>>,
{
    let (mut shown, mut lifted): (Option<Step>, u32) = (None, 0);
    loop {
        let answer = ask().await?;
        let Some(progress) = &answer.moving else {
            if let Some(shown) = shown {
                shown.done("everything has arrived");
            }
            return Ok(answer);
        };
        let text = moving_text::progress(progress);
        match &mut shown {
            None => {
                told(&moving_text::beginning(progress, &answer.prefix));
                shown = Some(Step::begin(&text));
            }
            Some(step) => step.tell(&text),
        }
        lifted += u32::from(progress.lifted);
        if lifted >= LIFTED_MAX {
            return Err(given_up(progress, &answer.prefix).into());
        }
        sleep(REST).await;
    }
}

#[expect(clippy::print_stderr, reason = "progress is for people and stands apart from the command's output")]
fn told(text: &str) {
    eprintln!("{text}");
}

/// The rest of a move does not arrive while nobody can push.
fn given_up(progress: &MoveProgress, prefix: &str) -> Exit {
    let MoveProgress { from, to, waits_for, .. } = progress;
    let because = waits_for.as_ref().map(|waits_for| format!(" ({waits_for})")).unwrap_or_default();
    let at = root_or(prefix);
    Exit::new(
        Code::Failed,
        format!(
            "{LIFTED_MAX} times the rest of {at} did not arrive in {to} within half a minute in which nobody could push\
             {because}; pushes go on in {from}, and the copy too. Look with regnode replication status, and repeat the \
             command, or take the move back with regnode namespace set {at} --home {from}"
        ),
    )
}

/// Makes a region the home without the present one, once what would be lost was told and confirmed.
pub(super) async fn force(
    data_dir: &Path,
    ask: &Ask,
    forcing: Forcing,
    prefix: &str,
    to: &str,
) -> Result<PolicyChangedAnswer> {
    let look = look(data_dir, prefix, to).await?;
    print(ask, &look)?;
    let at = root_or(prefix);
    if look.home_answers && !forcing.although_it_answers {
        let message = format!(
            "region {home}, the home of {at}, answers: without --force its content is moved and nothing is lost. If it has to \
             be left behind all the same, say --although-it-answers",
            home = look.home
        );
        return Err(Exit::new(Code::Refused, message).into());
    }
    confirm(forcing.yes, &format!("making {to} the home of {at} by force"), at).await?;
    let request = ForceRequest {
        prefix: prefix.to_owned(),
        to: to.to_owned(),
        policy_version: look.policy_version,
        without_copy: forcing.without_copy,
        although_it_answers: forcing.although_it_answers,
    };
    admin_client::force_home(data_dir, &request).await
}

/// All pages of what would be lost.
async fn look(data_dir: &Path, prefix: &str, to: &str) -> Result<ForceLookAnswer> {
    let mut request = ForceLookRequest { prefix: prefix.to_owned(), to: to.to_owned(), after: None };
    let mut all = admin_client::look_before_force(data_dir, &request).await?;
    while let Some(next) = all.next.take() {
        request.after = Some(next);
        let page = admin_client::look_before_force(data_dir, &request).await?;
        all.missing.extend(page.missing);
        // What is confirmed is of the last page; a change between two of them is noticed then.
        (all.policy_version, all.next) = (page.policy_version.min(all.policy_version), page.next);
    }
    Ok(all)
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(ask: &Ask, look: &ForceLookAnswer) -> Result<()> {
    if ask.json {
        println!("{}", serde_json::to_string_pretty(look)?);
    } else {
        print!("{}", moving_text::losses(look));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn answer(moving: Option<MoveProgress>) -> PolicyChangedAnswer {
        PolicyChangedAnswer { version: 1, prefix: "acme".to_owned(), policy_version: 7, in_force: true, moving }
    }

    #[tokio::test(start_paused = true)]
    async fn a_move_is_driven_until_it_has_ended() {
        let asked = Cell::new(0);
        let driven = drive(|| {
            asked.set(asked.get() + 1);
            let moving = (asked.get() < 4).then(MoveProgress::default);
            async move { Ok(answer(moving)) }
        });
        assert_eq!(driven.await.unwrap(), answer(None));
        assert_eq!(asked.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_move_whose_rest_never_arrives_is_given_up() {
        let lifted =
            MoveProgress { lifted: true, from: "eu".to_owned(), to: "us".to_owned(), ..MoveProgress::default() };
        let driven = drive(|| {
            let moving = Some(lifted.clone());
            async move { Ok(answer(moving)) }
        });
        let error = driven.await.unwrap_err().to_string();
        assert!(error.contains("regnode namespace set acme --home eu"), "{error}");
    }
}
