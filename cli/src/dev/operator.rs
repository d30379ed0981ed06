//! The operator's account of a local cluster. Its password is kept beside the nodes' folders, readable by its owner only, so
//! that every run can show it: such a cluster is there to be tried.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use node::environment::Environment;

use super::plan::PlannedNode;
use crate::password;

/// Name of the account.
pub(super) const OPERATOR: &str = "admin";

/// Where its password is kept.
pub(super) fn password_file(root: &Path) -> Result<PathBuf> {
    let root = std::path::absolute(root).with_context(|| format!("finding the path of {}", root.display()))?;
    Ok(root.join("operator-password"))
}

/// Makes up the password of a cluster that is about to be founded.
pub(super) async fn make_password(environment: &Environment, file: &Path) -> Result<()> {
    let line = format!("{}\n", password::generate(environment.entropy.as_ref()));
    let (files, path) = (environment.files.clone(), file.to_owned());
    let written = environment.exec.run(move || files.replace(&path, line.as_bytes())).await;
    written.with_context(|| format!("writing {}", file.display()))
}

/// How to log in; nothing for a cluster whose password was not made up here.
pub(super) async fn login(environment: &Environment, file: &Path, first: &PlannedNode) -> Option<String> {
    let password = password::read(environment, file).await.ok()?;
    Some(text(&password, file, first))
}

fn text(password: &str, file: &Path, first: &PlannedNode) -> String {
    format!(
        "the operator is {OPERATOR}, the password {password} (also in {})\n\
         log in with: docker login {} -u {OPERATOR}",
        file.display(),
        first.listen
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a folder of the test's own")]
    async fn each_run_shows_the_password_that_the_cluster_was_founded_with() {
        let root = std::env::temp_dir().join(format!("regnode-operator-{}", std::process::id()));
        let environment = crate::settings::environment();
        let files = environment.files.clone();
        files.create_directory_all(&root).unwrap();
        let file = password_file(&root).unwrap();
        let first = PlannedNode {
            number: 1,
            listen: "127.0.0.1:5000".parse().unwrap(),
            data_dir: root.join("node1"),
            config: root.join("node1/regnode.toml"),
            peer: "127.0.0.1:4711".to_owned(),
        };
        assert_eq!(login(&environment, &file, &first).await, None);
        make_password(&environment, &file).await.unwrap();
        let password = password::read(&environment, &file).await.unwrap();
        let shown = login(&environment, &file, &first).await.unwrap();
        files.remove_directory_all(&root).unwrap();
        assert!(shown.contains(&password) && shown.contains("docker login 127.0.0.1:5000 -u admin"), "{shown}");
        assert_eq!(Some(shown.as_str()), Some(text(&password, &file, &first).as_str()));
    }
}
