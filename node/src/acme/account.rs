//! The account at the authority: made once, kept wrapped in the directory, made anew when the authority has forgotten it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use instant_acme::{Account, AccountBuilder, AccountCredentials, ExternalAccountKey, NewAccount};
use raft::directory::CertificateCommand;
use tokio::time::Instant;
use tracing::info;

use super::error::{AccountFailure, AcmeError, chain};
use super::http::{AcmeHttp, wait_asked};
use super::{Acme, Known};

/// Time for which the authority is not asked for an account again that could not be had. Shorter than the first pause after
/// a failure.
const REST: Duration = Duration::from_secs(30);

/// What is kept of the account.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// As it was opened last.
    known: Option<Known>,
    /// Why there is none, and since when that is known. The authority is asked for one [`REST`] apart, however many domains
    /// wait for it.
    failure: Option<(AccountFailure, Instant)>,
}

impl Kept {
    /// Lets the account be asked for again: after a while, or at once.
    pub(super) fn retry(&mut self, at_once: bool) {
        self.failure.take_if(|(_, since)| at_once || since.elapsed() >= REST);
    }

    /// What was found out a moment ago.
    fn failed(&self) -> Result<(), AcmeError> {
        self.failure.clone().map_or(Ok(()), |(failure, _)| Err(AcmeError::Account(failure)))
    }

    /// Keeps what came of asking for an account.
    fn found<T>(&mut self, outcome: Result<T, AcmeError>) -> Result<T, AcmeError> {
        outcome.map_err(|error| match error {
            // The next one may have more luck with the directory.
            AcmeError::Interrupted(reason) => AcmeError::Interrupted(reason),
            error => {
                let failure = AccountFailure { reason: error.to_string(), wait_seconds: wait_asked() };
                self.failure = Some((failure.clone(), Instant::now()));
                AcmeError::Account(failure)
            }
        })
    }
}

impl Acme {
    /// The account, opened or made.
    pub(super) async fn account(&self) -> Result<Known, AcmeError> {
        let mut kept = self.account.lock().await;
        kept.failed()?;
        let noted = self.noted()?;
        if let (Some(known), Some(noted)) = (kept.known.as_ref(), &noted)
            && known.wrapped == *noted
        {
            return Ok(known.clone());
        }
        let outcome = self.open_or_make(noted).await;
        let known = kept.found(outcome)?;
        kept.known = Some(known.clone());
        Ok(known)
    }

    async fn open_or_make(&self, noted: Option<Bytes>) -> Result<Known, AcmeError> {
        let wrapped = match noted {
            Some(wrapped) => wrapped,
            None => self.make(None).await?,
        };
        self.open(wrapped).await
    }

    /// Makes another account in place of this one, which the authority does not know.
    pub(super) async fn replace_account(&self, forgotten: &Known) -> Result<(), AcmeError> {
        let mut kept = self.account.lock().await;
        kept.failed()?;
        // Another domain's order may have had it replaced meanwhile.
        if self.noted()?.is_some_and(|noted| noted != forgotten.wrapped) {
            return Ok(());
        }
        info!(account = forgotten.account.id(), "the authority does not know the account, another one is made");
        let outcome = self.make(Some(forgotten.wrapped.clone())).await;
        kept.found(outcome).map(drop)
    }

    /// Forgets what was learnt of the authority: it is asked again where everything is.
    pub(super) async fn forget_account(&self) {
        self.account.lock().await.known = None;
    }

    /// The account as the directory has it, wrapped.
    fn noted(&self) -> Result<Option<Bytes>, AcmeError> {
        let noted = self.directory.view().acme_account(&self.options.directory);
        Ok(noted.map_err(|error| AcmeError::Interrupted(chain(&error)))?.map(|record| record.credentials))
    }

    async fn open(&self, wrapped: Bytes) -> Result<Known, AcmeError> {
        let opened = self.keys.account(&self.options.directory, &wrapped)?;
        let credentials: AccountCredentials =
            serde_json::from_slice(&opened).map_err(|error| AcmeError::Line(error.to_string()))?;
        let account: Account = self.builder().await?.from_credentials(credentials).await?;
        Ok(Known { wrapped, account })
    }

    /// Makes an account and notes it; the one that is noted afterwards.
    async fn make(&self, replaces: Option<Bytes>) -> Result<Bytes, AcmeError> {
        let builder = self.builder().await?;
        let contact: Vec<&str> = self.options.contact.iter().map(String::as_str).collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let external = self.external().await?;
        let authority = self.options.directory.clone();
        let (account, credentials) = builder.create(&new, authority.clone(), external.as_ref()).await?;
        let text = serde_json::to_vec(&credentials).map_err(|error| AcmeError::Line(error.to_string()))?;
        let credentials = self.keys.wrap_account(self.environment.entropy.as_ref(), &authority, &text);
        self.note(CertificateCommand::SetAccount { authority, credentials, replaces }).await?;
        self.directory.barrier().await?;
        info!(account = account.id(), "account at the authority made");
        self.noted()?.ok_or_else(|| AcmeError::Interrupted("the account is not noted yet".to_owned()))
    }

    async fn builder(&self) -> Result<AccountBuilder, AcmeError> {
        let web = match self.file("acme.authority", self.options.authority.clone()).await? {
            Some(pem) => self
                .web
                .with_authorities(&pem)
                .map_err(|error| AcmeError::File { key: "acme.authority", reason: chain(&error) })?,
            None => self.web.clone(),
        };
        let http = AcmeHttp::new(web, std::sync::Arc::clone(&self.environment.clock));
        Ok(Account::builder_with_http(Box::new(http)))
    }

    /// What binds the account to a customer of the authority (RFC 8555 §7.3.4).
    async fn external(&self) -> Result<Option<ExternalAccountKey>, AcmeError> {
        let Some((id, path)) = &self.options.external else { return Ok(None) };
        let text = self.file("acme.eab_key_file", Some(path.clone())).await?.unwrap_or_default();
        let key = eab_key(&text).ok_or_else(|| AcmeError::File {
            key: "acme.eab_key_file",
            reason: "a key in base64 is expected, as the authority hands it out".to_owned(),
        })?;
        Ok(Some(ExternalAccountKey::new(id.clone(), &key)))
    }

    /// What is in a file that the settings name.
    async fn file(&self, key: &'static str, path: Option<std::path::PathBuf>) -> Result<Option<String>, AcmeError> {
        let Some(path) = path else { return Ok(None) };
        let files = std::sync::Arc::clone(&self.environment.files);
        let shown = path.display().to_string();
        let read = self.environment.exec.run(move || files.read(&path)).await;
        let bytes = read.map_err(|error| AcmeError::File { key, reason: format!("{shown}: {error}") })?;
        let text = String::from_utf8(bytes);
        text.map(Some).map_err(|_| AcmeError::File { key, reason: format!("{shown} is no text") })
    }
}

/// The key as authorities hand it out: base64url, or base64.
fn eab_key(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let bare = text.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(bare).or_else(|_| STANDARD.decode(text)).ok().filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_customers_are_read_in_both_spellings() {
        assert_eq!(eab_key("_-8\n").unwrap(), [0xff, 0xef]);
        assert_eq!(eab_key("/+8=").unwrap(), [0xff, 0xef]);
        assert_eq!((eab_key("no key!"), eab_key("")), (None, None));
    }
}
