//! Real clients: skopeo, podman, buildah and curl, each pushing through one node of a cluster and pulling through
//! another. A client that is not installed is skipped with a message, unless `./tests/run` demands it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::behaviours;
use tests::image::{self, Compression, Image, Recipe};
use tests::registry::Registry;
use tests::tools::{self, client};
use tests::{content, digest, layout};

behaviours!(
    skopeo_pushes_and_pulls_every_kind_of_image,
    skopeo_copies_multi_arch_images_whole,
    skopeo_copies_from_node_to_node,
    skopeo_lists_inspects_and_deletes,
    podman_pushes_what_it_pulled,
    buildah_builds_and_pushes,
    curl_speaks_the_raw_dialects,
);

fn skopeo(home: &Path) -> Result<Option<Command>> {
    let command = client("skopeo", home)?;
    Ok(command.map(|mut command| {
        command.arg("--insecure-policy");
        command
    }))
}

async fn copy(home: &Path, options: &[&str], from: &str, to: &str) -> Result<()> {
    let mut command = skopeo(home)?.context("skopeo went away")?;
    command.args(["copy", "--src-tls-verify=false", "--dest-tls-verify=false"]).args(options).args([from, to]);
    tools::run(command).await?;
    Ok(())
}

fn remote(registry: &Registry, name: &str) -> String {
    format!("docker://{}/{name}", registry.host())
}

/// Pushed from a layout and pulled into one, byte for byte; Docker's kind from and into a flat folder.
async fn skopeo_pushes_and_pulls_every_kind_of_image(registry: Registry) -> Result<()> {
    let folder = TempDir::new()?;
    if skopeo(folder.path())?.is_none() {
        return Ok(());
    }
    let kinds = [
        ("gzip", Recipe::new(600).layers(3, 400_000).build()?),
        ("zstd", Recipe::new(601).layers(2, 300_000).compression(Compression::Zstd).build()?),
        ("plain", Recipe::new(602).layers(2, 300_000).compression(Compression::Plain).build()?),
        ("docker", Recipe::new(603).layers(2, 300_000).docker().build()?),
    ];
    for (name, image) in &kinds {
        let (source, target) = (folder.path().join(name), folder.path().join(format!("{name}-pulled")));
        let place = |path: &Path| match *name {
            "docker" => format!("dir:{}", path.display()),
            _ => format!("oci:{}:v1", path.display()),
        };
        let remote = remote(&registry, &format!("skopeo/{name}:v1"));
        match *name {
            "docker" => layout::write_flat(&source, image)?,
            _ => layout::write(&source, &[image], None, "v1")?,
        }
        copy(folder.path(), &["--preserve-digests"], &place(&source), &remote).await?;
        image.check(&registry, &format!("skopeo/{name}"), "v1").await?;
        copy(folder.path(), &["--preserve-digests"], &remote, &place(&target)).await?;
        match *name {
            "docker" => layout::check_flat(&target, image)?,
            _ => layout::check(&target, &image.blobs.iter().chain([&image.manifest]).collect::<Vec<_>>())?,
        }
    }
    Ok(())
}

/// `copy --all` keeps the index and each child.
async fn skopeo_copies_multi_arch_images_whole(registry: Registry) -> Result<()> {
    let folder = TempDir::new()?;
    if skopeo(folder.path())?.is_none() {
        return Ok(());
    }
    let images = [Recipe::new(610).build()?, Recipe::new(611).architecture("arm64").build()?];
    let index = image::index(&[(&images[0].manifest, "amd64"), (&images[1].manifest, "arm64")]);
    let (source, target) = (folder.path().join("source"), folder.path().join("target"));
    layout::write(&source, &[&images[0], &images[1]], Some(&index), "multi")?;
    let name = "skopeo/multi:latest";
    copy(folder.path(), &["--all"], &format!("oci:{}:multi", source.display()), &remote(&registry, name)).await?;
    assert_eq!(registry.manifest("skopeo/multi", "latest").await?.expect(200)?.body, index.bytes);
    copy(folder.path(), &["--all"], &remote(&registry, name), &format!("oci:{}:multi", target.display())).await?;
    let blobs: Vec<_> =
        images.iter().flat_map(|image| image.blobs.iter().chain([&image.manifest])).chain([&index]).collect();
    layout::check(&target, &blobs)
}

/// From a repository on one node to another repository on the next, with mounts where the client tries them.
async fn skopeo_copies_from_node_to_node(registry: Registry) -> Result<()> {
    let folder = TempDir::new()?;
    if skopeo(folder.path())?.is_none() {
        return Ok(());
    }
    let image = Recipe::new(620).layers(3, 200_000).build()?;
    image.push(&registry, "skopeo/origin", "v1").await?;
    for target in ["skopeo/copy-one", "skopeo/copy-two"] {
        let (from, to) = (remote(&registry, "skopeo/origin:v1"), remote(&registry, &format!("{target}:v2")));
        copy(folder.path(), &[], &from, &to).await?;
        image.check(&registry, target, "v2").await?;
    }
    Ok(())
}

/// What an operator asks: the tags, a manifest, a removal.
async fn skopeo_lists_inspects_and_deletes(registry: Registry) -> Result<()> {
    let folder = TempDir::new()?;
    let image = Recipe::new(630).build()?;
    for tag in ["v1", "v2"] {
        image.push(&registry, "skopeo/ask", tag).await?;
    }
    let ask = async |arguments: &[&str], name: &str| -> Result<Option<String>> {
        let Some(mut command) = skopeo(folder.path())? else { return Ok(None) };
        command.args(arguments).arg(remote(&registry, name));
        Ok(Some(tools::run(command).await?))
    };
    let Some(list) = ask(&["list-tags", "--tls-verify=false"], "skopeo/ask").await? else { return Ok(()) };
    let list: Value = serde_json::from_str(&list)?;
    assert_eq!(list["Tags"], serde_json::json!(["v1", "v2"]));
    let text = ask(&["inspect", "--tls-verify=false"], "skopeo/ask:v1").await?.context("skopeo went away")?;
    assert_eq!(serde_json::from_str::<Value>(&text)?["Digest"], image.manifest.digest.as_str());
    let raw = ask(&["inspect", "--raw", "--tls-verify=false"], "skopeo/ask:v1").await?;
    assert_eq!(raw.map(|text| text.trim_end().to_owned()), Some(String::from_utf8(image.manifest.bytes.to_vec())?));
    ask(&["delete", "--tls-verify=false"], "skopeo/ask:v1").await?;
    // By its tags: what a digest names may be told from a replica that has not heard of it for a moment.
    for tag in ["v1", "v2"] {
        registry.manifest("skopeo/ask", tag).await?.expect(404)?;
    }
    Ok(())
}

/// Storage of podman and buildah inside a folder, without any privilege of the kernel's.
fn with_storage(mut command: Command, folder: &Path) -> Command {
    command.args(["--storage-driver", "vfs", "--root"]).arg(folder.join("root"));
    command.arg("--runroot").arg(folder.join("run"));
    command
}

/// Pulled through one node, pushed through another under a new name: the layers' digests stay.
async fn podman_pushes_what_it_pulled(registry: Registry) -> Result<()> {
    let folder = TempDir::new()?;
    let image = Recipe::new(640).layers(3, 200_000).build()?;
    image.push(&registry, "podman/source", "v1").await?;
    let podman = |arguments: &[&str]| -> Result<Option<Command>> {
        let command = client("podman", folder.path())?.map(|command| with_storage(command, folder.path()));
        Ok(command.map(|mut command| {
            command.args(arguments);
            command
        }))
    };
    let source = format!("{}/podman/source:v1", registry.host());
    let target = format!("docker://{}/podman/target:v2", registry.host());
    let Some(pull) = podman(&["pull", "--quiet", "--tls-verify=false", &source])? else { return Ok(()) };
    tools::run(pull).await?;
    tools::run(podman(&["push", "--tls-verify=false", &source, &target])?.context("podman went away")?).await?;
    check_layers(&registry, "podman/target", "v2", &image).await
}

/// The pushed image has as many layers as the original, each there in full, and the original's content.
async fn check_layers(registry: &Registry, repository: &str, tag: &str, original: &Image) -> Result<()> {
    let manifest = registry.manifest(repository, tag).await?.expect(200)?.json()?;
    let layers = manifest["layers"].as_array().context("layers")?;
    ensure!(layers.len() + 1 == original.blobs.len(), "{manifest}");
    let config = registry.blob(repository, manifest["config"]["digest"].as_str().context("config")?).await?;
    let (config, expected): (Value, Value) =
        (serde_json::from_slice(&config)?, serde_json::from_slice(&original.blobs[0].bytes)?);
    ensure!(config["rootfs"] == expected["rootfs"], "other layers: {config}");
    for layer in layers {
        registry.blob(repository, layer["digest"].as_str().context("digest")?).await?;
    }
    Ok(())
}

/// An image from scratch, built on the spot.
async fn buildah_builds_and_pushes(registry: Registry) -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("content");
    std::fs::write(&file, content::bytes(650, 2_000_000))?;
    let buildah = |arguments: &[&str]| -> Result<Option<Command>> {
        let command = client("buildah", folder.path())?.map(|command| with_storage(command, folder.path()));
        Ok(command.map(|mut command| {
            command.args(arguments);
            command
        }))
    };
    let Some(from) = buildah(&["from", "--name", "work", "scratch"])? else { return Ok(()) };
    tools::run(from).await?;
    let target = format!("docker://{}/buildah/image:v1", registry.host());
    let path = file.display().to_string();
    let steps: [&[&str]; 3] = [
        &["copy", "work", &path, "/content"],
        &["commit", "--quiet", "work", "built"],
        &["push", "--tls-verify=false", "built", &target],
    ];
    for step in steps {
        tools::run(buildah(step)?.context("buildah went away")?).await?;
    }
    let manifest = registry.manifest("buildah/image", "v1").await?.expect(200)?.json()?;
    let layer = manifest["layers"][0]["digest"].as_str().context("a layer")?;
    registry.blob("buildah/image", layer).await?;
    Ok(())
}

/// POST, chunked PATCH, PUT; monolithic POST; ranges; HEAD: as written by hand in scripts.
async fn curl_speaks_the_raw_dialects(registry: Registry) -> Result<()> {
    let folder = TempDir::new()?;
    let bytes = content::bytes(660, 1_500_000);
    let digest = digest::sha256(&bytes);
    let file = folder.path().join("blob");
    std::fs::write(&file, &bytes)?;
    let from_file = format!("@{}", file.display());
    let curl = async |arguments: &[&str], path: &str| -> Result<Option<String>> {
        let Some(mut command) = client("curl", folder.path())? else { return Ok(None) };
        command.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]).args(arguments);
        command.arg(format!("http://{}{path}", registry.host()));
        Ok(Some(tools::run(command).await?))
    };
    let uploads = "/v2/curl/blob/blobs/uploads/";
    let Some(answer) = curl(&["--request", "POST", "--include"], uploads).await? else { return Ok(()) };
    let location = header(&answer, "location")?;
    let patch =
        ["--request", "PATCH", "--include", "--header", "Transfer-Encoding: chunked", "--data-binary", &from_file];
    let answer = curl(&patch, &location).await?.context("curl went away")?;
    assert_eq!(header(&answer, "range")?, "0-1499999");
    let put = tests::registry::with_query(&header(&answer, "location")?, &format!("digest={digest}"));
    curl(&["--request", "PUT"], &put).await?;
    assert_eq!(registry.blob("curl/blob", &digest).await?, bytes);

    let single = format!("/v2/curl/single/blobs/uploads/?digest={digest}");
    curl(&["--request", "POST", "--data-binary", &from_file], &single).await?;
    let head = curl(&["--head"], &format!("/v2/curl/single/blobs/{digest}")).await?.context("curl went away")?;
    assert_eq!(header(&head, "content-length")?, "1500000");

    let pulled = folder.path().join("pulled");
    let output = pulled.display().to_string();
    curl(&["--range", "1000-2999", "--output", &output], &format!("/v2/curl/single/blobs/{digest}")).await?;
    assert_eq!(std::fs::read(&pulled)?, &bytes[1000..3000]);
    Ok(())
}

/// A header of the last answer in what `curl --include` printed.
fn header(text: &str, name: &str) -> Result<String> {
    let found = text.lines().rev().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    found.with_context(|| format!("no {name} in:\n{text}"))
}
