//! Images on disk, for clients that copy from and to them: OCI image layouts, and the flat folders of the `dir:`
//! transport, which alone takes Docker's manifests.

use std::fs;
use std::path::{Path, PathBuf};

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

fn blob_path(folder: &Path, digest: &str) -> Result<PathBuf> {
    let (algorithm, hex) = digest.split_once(':').context("a digest without an algorithm")?;
    Ok(folder.join("blobs").join(algorithm).join(hex))
}

/// Writes an image as a flat folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write_flat(folder: &Path, image: &Image) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("version"), "Directory Transport Version: 1.1\n")?;
    fs::write(folder.join("manifest.json"), &image.manifest.bytes)?;
    image.blobs.iter().try_for_each(|blob| Ok(fs::write(flat_path(folder, blob)?, &blob.bytes)?))
}

/// Fails unless the flat folder holds this image, byte for byte.
///
/// # Errors
/// Then, naming the first blob that differs.
pub fn check_flat(folder: &Path, image: &Image) -> Result<()> {
    ensure!(fs::read(folder.join("manifest.json"))? == image.manifest.bytes, "another manifest");
    for blob in &image.blobs {
        let bytes = fs::read(flat_path(folder, blob)?).with_context(|| format!("{} is missing", blob.digest))?;
        ensure!(bytes == blob.bytes, "{} has digest {}", blob.digest, digest::sha256(&bytes));
    }
    Ok(())
}

fn flat_path(folder: &Path, blob: &Blob) -> Result<PathBuf> {
    let (_algorithm, hex) = blob.digest.split_once(':').context("a digest without an algorithm")?;
    Ok(folder.join(hex))
}
