//! Whom a sink trusts: the system's authorities, or those of a file, which is read again for each connection.

use std::path::PathBuf;
use std::sync::Arc;

use storage::disk::Files;
use storage::exec::Exec;

use super::sink::Trouble;
use crate::web::WebClient;

/// A client that trusts the authorities of a file, if one is named.
pub(super) async fn client(
    web: &WebClient,
    files: &Arc<dyn Files>,
    exec: Exec,
    authority: Option<&PathBuf>,
) -> Result<WebClient, Trouble> {
    let Some(path) = authority else { return Ok(web.clone()) };
    let pem = text(files, exec, path).await?;
    Ok(web.with_authorities(&pem)?)
}

/// Content of a small text file, with its path in the error.
pub(super) async fn text(files: &Arc<dyn Files>, exec: Exec, path: &std::path::Path) -> Result<String, Trouble> {
    let (files, owned) = (Arc::clone(files), path.to_owned());
    let content = exec.run(move || files.read(&owned)).await;
    let content = content.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(String::from_utf8(content).map_err(|_| format!("{} is no text", path.display()))?)
}
