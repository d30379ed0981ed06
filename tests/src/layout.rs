//! OCI image layouts on disk, for clients that copy from and to them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::digest;
use crate::image::{Blob, Image};

/// Writes images, and an index of them if given, as a layout with one named entry.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, images: &[&Image], index: Option<&Blob>, name: &str) -> Result<()> {
    fs::create_dir_all(folder.join("blobs/sha256"))?;
    for image in images {
        image.blobs.iter().chain([&image.manifest]).try_for_each(|blob| write_blob(folder, blob))?;
    }
    let top = index.or(images.first().map(|image| &image.manifest)).context("a layout of nothing")?;
    write_blob(folder, top)?;
    let mut entry = top.descriptor();
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
    fs::write(folder.join("index.json"), json!({ "schemaVersion": 2, "manifests": [entry] }).to_string())?;
    fs::write(folder.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
    Ok(())
}

fn write_blob(folder: &Path, blob: &Blob) -> Result<()> {
    fs::write(blob_path(folder, &blob.digest)?, &blob.bytes).with_context(|| format!("writing {}", blob.digest))
}

/// Fails unless the layout holds these blobs, byte for byte.
///
/// # Errors
/// Then, naming the first that differs.
pub fn check(folder: &Path, blobs: &[&Blob]) -> Result<()> {
    for blob in blobs {
        let bytes =
            fs::read(blob_path(folder, &blob.digest)?).with_context(|| format!("{} is missing", blob.digest))?;
        ensure!(bytes == blob.bytes, "{} has digest {}", blob.digest, digest::sha256(&bytes));
    }
    Ok(())
}

fn blob_path(folder: &Path, digest: &str) -> Result<std::path::PathBuf> {
    let (algorithm, hex) = digest.split_once(':').context("a digest without an algorithm")?;
    Ok(folder.join("blobs").join(algorithm).join(hex))
}
