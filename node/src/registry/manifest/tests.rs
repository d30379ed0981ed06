//! Tests of reading manifests.

use proptest::prelude::*;
use raft::catalog::Digest;

use super::{Manifest, ManifestError, media_type, parse};

fn digest(byte: u8) -> Digest {
    format!("sha256:{}", hex::encode([byte; 32])).parse().unwrap()
}

fn descriptor(media_type: &str, byte: u8) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":7}}"#, digest(byte))
}

fn image(extra: &str, layers: &[String]) -> String {
    let config = descriptor("application/vnd.oci.image.config.v1+json", 1);
    format!(r#"{{"schemaVersion":2{extra},"config":{config},"layers":[{}]}}"#, layers.join(","))
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

#[test]
fn an_image_names_its_config_and_layers_once() {
    let body = image("", &[descriptor(LAYER, 2), descriptor(LAYER, 3), descriptor(LAYER, 2), descriptor(LAYER, 1)]);
    for known in [media_type::IMAGE, media_type::DOCKER_MANIFEST] {
        let manifest = parse(Some(known), body.as_bytes()).unwrap();
        assert_eq!(manifest.blobs, [digest(1), digest(2), digest(3)]);
        assert_eq!(manifest.media_type, known);
        assert_eq!(manifest.artifact_type.as_deref(), Some("application/vnd.oci.image.config.v1+json"));
        assert!(manifest.children.is_empty() && manifest.optional_blobs.is_empty());
    }
}

#[test]
fn foreign_layers_need_not_exist() {
    let body = image("", &[descriptor(FOREIGN, 2), descriptor(DOCKER_FOREIGN, 3), descriptor(LAYER, 4)]);
    let manifest = parse(Some(media_type::IMAGE), body.as_bytes()).unwrap();
    assert_eq!(manifest.blobs, [digest(1), digest(4)]);
    assert_eq!(manifest.optional_blobs, [digest(2), digest(3)]);
}

#[test]
fn subject_annotations_and_artifact_type_are_read() {
    let subject = descriptor(media_type::IMAGE, 9);
    let extra = format!(r#","artifactType":"a/b","subject":{subject},"annotations":{{"z":"1","a":"2"}}"#);
    let manifest = parse(Some(media_type::IMAGE), image(&extra, &[]).as_bytes()).unwrap();
    assert_eq!(manifest.subject, Some(digest(9)));
    assert_eq!(manifest.artifact_type.as_deref(), Some("a/b"));
    assert_eq!(manifest.annotations, [("a".to_owned(), "2".to_owned()), ("z".to_owned(), "1".to_owned())]);
}

#[test]
fn an_index_names_its_children_and_maybe_blobs() {
    let children = [descriptor(media_type::IMAGE, 1), descriptor(media_type::DOCKER_LIST, 2), descriptor(LAYER, 3)];
    let body = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(","));
    for known in [media_type::INDEX, media_type::DOCKER_LIST] {
        let manifest = parse(Some(known), body.as_bytes()).unwrap();
        assert_eq!(manifest.children, [digest(1), digest(2), digest(3)]);
        assert_eq!(manifest.optional_blobs, [digest(3)]);
        assert_eq!(manifest.artifact_type, None);
        assert!(manifest.blobs.is_empty());
    }
}

#[test]
fn lists_may_be_null_and_unknown_fields_are_ignored() {
    let body = r#"{"schemaVersion":2,"manifests":null,"annotations":null,"subject":null,"more":{"deep":[1]}}"#;
    assert_eq!(
        parse(Some(media_type::INDEX), body.as_bytes()).unwrap(),
        Manifest { media_type: media_type::INDEX.to_owned(), ..Manifest::default() }
    );
}

#[test]
fn an_artifact_names_its_blobs() {
    let body = format!(
        r#"{{"mediaType":"{}","artifactType":"x/y","blobs":[{}],"subject":{}}}"#,
        media_type::ARTIFACT,
        descriptor("text/plain", 1),
        descriptor(media_type::IMAGE, 2),
    );
    let manifest = parse(Some(media_type::ARTIFACT), body.as_bytes()).unwrap();
    assert_eq!((manifest.blobs.as_slice(), manifest.subject), ([digest(1)].as_slice(), Some(digest(2))));
    assert_eq!(manifest.artifact_type.as_deref(), Some("x/y"));
}

#[test]
fn unknown_types_are_not_looked_into() {
    let subject = descriptor(media_type::IMAGE, 2);
    for body in ["", "not json", "[1,2]", &format!(r#"{{"subject":{subject}}}"#)] {
        let manifest = parse(Some("application/vnd.example+x; charset=utf-8"), body.as_bytes()).unwrap();
        assert_eq!(manifest, Manifest { media_type: "application/vnd.example+x".to_owned(), ..Manifest::default() });
    }
}

#[test]
fn media_types_must_agree() {
    let body = image(&format!(r#","mediaType":"{}""#, media_type::IMAGE), &[]);
    assert!(parse(Some("Application/vnd.OCI.image.manifest.v1+json;a=b"), body.as_bytes()).is_ok());
    assert_eq!(parse(None, body.as_bytes()).unwrap().media_type, media_type::IMAGE);
    for other in [media_type::DOCKER_MANIFEST, "application/json"] {
        let error = parse(Some(other), body.as_bytes()).unwrap_err();
        assert!(matches!(error, ManifestError::MediaTypesDiffer { .. }), "{error}");
    }
}

#[test]
fn a_missing_media_type_is_found_in_the_body() {
    assert_eq!(parse(None, image("", &[]).as_bytes()).unwrap().media_type, media_type::IMAGE);
    assert_eq!(parse(None, br#"{"schemaVersion":2,"manifests":[]}"#).unwrap().media_type, media_type::INDEX);
    assert_eq!(parse(None, br#"{"schemaVersion":2}"#), Err(ManifestError::NoMediaType));
    for bad in ["", "json", "a/", "/b", "a b/c", "a/b/c", "text/ht\u{e4}"] {
        assert!(matches!(parse(Some(bad), b"{}"), Err(ManifestError::ContentType(_))), "{bad}");
    }
}

#[test]
fn schema_version_1_is_refused_clearly() {
    let old = br#"{"schemaVersion":1,"name":"a","fsLayers":[]}"#;
    let types =
        ["application/json", "application/vnd.docker.distribution.manifest.v1+prettyjws", media_type::DOCKER_MANIFEST];
    for content_type in types.map(Some).into_iter().chain([None]) {
        assert_eq!(parse(content_type, old), Err(ManifestError::SchemaVersion1), "{content_type:?}");
    }
}

#[test]
fn garbage_is_refused() {
    let twice = image(r#","schemaVersion":2"#, &[]);
    let negative = image("", &[descriptor(LAYER, 2).replace(":7", ":-7")]);
    let upper = image("", &[descriptor(LAYER, 0xaa).replace("aaaa", "AAAA")]);
    let both = image(r#","manifests":[]"#, &[]);
    let deep = format!(r#"{{"schemaVersion":2,"config":{}"#, "[".repeat(100_000));
    let unclosed = image("", &[]).replace("]}", "]");
    let bodies = ["", "{}", "null", "[]", r#"{"schemaVersion":2}"#, r#"{"schemaVersion":3,"config":null}"#];
    for body in bodies.into_iter().chain([&twice, &negative, &upper, &both, &deep, &unclosed].map(String::as_str)) {
        assert!(parse(Some(media_type::IMAGE), body.as_bytes()).is_err(), "{}", &body[..body.len().min(200)]);
    }
    let index = br#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
    assert!(matches!(parse(Some(media_type::INDEX), index), Err(ManifestError::Ambiguous("layers", _))));
}

#[test]
fn the_bad_descriptor_is_named() {
    let body = image("", &[descriptor(LAYER, 2), r#"{"digest":"sha256:baddigest","size":1}"#.to_owned()]);
    let error = parse(Some(media_type::IMAGE), body.as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with("layers[1]: digest"), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_input_never_panics(header in proptest::option::of(".{0,60}"), body in any::<Vec<u8>>()) {
        let _ = parse(header.as_deref(), &body);
        let _ = parse(Some(media_type::IMAGE), &body);
        let _ = parse(None, &body);
    }
}
