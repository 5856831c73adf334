//! Images, and the progress of work on them.

use api::Version;
use api::image as wire;
use api::progress::{Message, Progress as Progressed};
use engine::image::{
    HistoryEntry, Image, ManifestKind, ManifestSummary, Manifests, Progress, Removed, Statement,
};
use engine::trust::{ImageVerdict, NameVerdict, Signature};
use jiff::Timestamp;

use super::{config, count, legacy, registry, size, time};

/// A line of the list, in which containers are not counted.
pub(crate) fn image_listed(image: &Image, version: Version) -> wire::Summary {
    wire::Summary { containers: -1, ..image_summary(image, version) }
}

/// A line of `system df`.
pub(crate) fn image_summary(image: &Image, version: Version) -> wire::Summary {
    let mut summary = wire::Summary {
        containers: count(image.containers),
        created: image.created.map_or(0, Timestamp::as_second),
        id: image.id.clone(),
        labels: image.config.labels.clone(),
        parent_id: image.parent.clone(),
        repo_digests: image.repo_digests.clone(),
        repo_tags: image.repo_tags.clone(),
        shared_size: image.shared.map_or(-1, size),
        size: size(image.size),
        ..wire::Summary::default()
    };
    legacy::image_summary(&mut summary, version);
    summary
}

/// The manifests of an image, and the descriptor of what leads to them.
pub(crate) fn image_manifests(
    manifests: Manifests,
) -> (Option<wire::Descriptor>, Vec<wire::ManifestSummary>) {
    let top = manifests.descriptor.as_ref().map(registry::descriptor);
    (top, manifests.all.into_iter().map(manifest).collect())
}

fn manifest(one: ManifestSummary) -> wire::ManifestSummary {
    let (kind, image_data, attestation_data, unpacked) = match one.kind {
        ManifestKind::Image { platform, containers, unpacked } => {
            let platform = registry::platform(&platform);
            let data =
                wire::ImageData { platform, containers, size: wire::ImageSize { unpacked: size(unpacked) } };
            ("image", Some(data), None, unpacked)
        }
        ManifestKind::Attestation { about } => {
            ("attestation", None, Some(wire::AttestationData { about }), 0)
        }
    };
    wire::ManifestSummary {
        id: one.descriptor.digest.as_str().to_owned(),
        descriptor: registry::full_descriptor(&one.descriptor),
        available: one.available,
        kind: kind.to_owned(),
        size: wire::ManifestSize { content: size(one.content), total: size(one.content + unpacked) },
        image_data,
        attestation_data,
    }
}

/// A statement about an image; one that is no JSON is none.
pub(crate) fn image_statement(one: Statement) -> wire::AttestationStatement {
    wire::AttestationStatement {
        descriptor: registry::full_descriptor(&one.descriptor),
        predicate_type: one.kind,
        statement: one.bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
    }
}

/// Everything about an image.
pub(crate) fn image_inspect(image: &Image, version: Version) -> wire::InspectResponse {
    let mut answer = wire::InspectResponse {
        id: image.id.clone(),
        repo_tags: image.repo_tags.clone(),
        repo_digests: image.repo_digests.clone(),
        parent: Some(image.parent.clone()),
        comment: image.comment.clone(),
        created: image.created.map(|time| time::rfc3339(Some(time))).unwrap_or_default(),
        author: image.author.clone(),
        config: serde_json::to_value(config::to_wire(&image.config)).unwrap_or_default(),
        architecture: image.architecture.clone(),
        variant: image.variant.clone(),
        os: image.os.clone(),
        os_version: image.os_version.clone(),
        size: size(image.size),
        graph_driver: Some(super::graph_driver(&image.storage_driver, image.directories.clone())),
        root_fs: wire::RootFs { kind: "layers".to_owned(), layers: image.layers.clone() },
        metadata: wire::Metadata { last_tag_time: time::rfc3339(image.last_tagged) },
        ..wire::InspectResponse::default()
    };
    legacy::image_inspect(&mut answer, version);
    answer
}

/// One step of an image's making.
pub(crate) fn history(entry: HistoryEntry) -> wire::HistoryItem {
    wire::HistoryItem {
        id: entry.id,
        created: entry.created.map_or(0, Timestamp::as_second),
        created_by: entry.created_by,
        tags: entry.tags,
        size: size(entry.size),
        comment: entry.comment,
    }
}

/// What a removal did.
pub(crate) fn removed(removed: Removed) -> wire::DeleteItem {
    match removed {
        Removed::Untagged(untagged) => wire::DeleteItem { untagged, ..wire::DeleteItem::default() },
        Removed::Deleted(deleted) => wire::DeleteItem { deleted, ..wire::DeleteItem::default() },
    }
}

/// A step of a load: sentences are text for the person who waits.
pub(crate) fn load_progress(step: Progress, version: Version) -> Message {
    match step {
        Progress::Message(text) => Message::stream(text + "\n"),
        other => progress(other, version),
    }
}

/// A step of an import, a pull or a push. The last sentence of an import is the image's id.
pub(crate) fn progress(step: Progress, version: Version) -> Message {
    legacy::message(message(step), version)
}

fn message(step: Progress) -> Message {
    match step {
        Progress::Message(text) => Message::status(text),
        Progress::Step { id, status } => Message { id, status, ..Message::default() },
        Progress::Layer { id, status, current, total } => {
            let (current, total) = (size(current), size(total));
            let detail = Progressed { current, total, ..Progressed::default() };
            Message { id, status, progress_detail: Some(detail), ..Message::default() }
        }
        Progress::PushedInstead { index, manifest } => aux(&wire::PushedInstead {
            manifest_pushed_instead_of_index: true,
            original_index: registry::descriptor(&index),
            selected_manifest: registry::descriptor(&manifest),
        }),
        Progress::Pushed { tag, digest, size: bytes, .. } => {
            aux(&wire::PushResult { tag, digest, size: size(bytes) })
        }
    }
}

/// For programs.
fn aux(value: &impl serde::Serialize) -> Message {
    Message {
        progress_detail: Some(Progressed::default()),
        aux: serde_json::to_value(value).ok(),
        ..Message::default()
    }
}

/// The answer to `image verify`.
pub(crate) fn image_verdict(verdict: ImageVerdict) -> wire::VerifyResponse {
    wire::VerifyResponse {
        id: verdict.id,
        policy: verdict.policy.unwrap_or_default(),
        accepted: verdict.accepted,
        names: verdict.names.into_iter().map(verified_name).collect(),
    }
}

fn verified_name(verdict: NameVerdict) -> wire::VerifiedName {
    wire::VerifiedName {
        name: verdict.name,
        accepted: verdict.refusal.is_none(),
        scope: verdict.scope,
        required: verdict.required,
        refusal: verdict.refusal.unwrap_or_default(),
        signatures: verdict.signatures.into_iter().map(verified_signature).collect(),
    }
}

fn verified_signature(signature: Signature) -> wire::VerifiedSignature {
    wire::VerifiedSignature {
        signer: signature.by,
        digest: signature.digest,
        signed_name: signature.name.unwrap_or_default(),
        signed_at: signature.time.map(|at| time::rfc3339(Some(at))).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::container::ContainerConfig;

    fn image() -> Image {
        Image {
            id: "sha256:00".into(),
            repo_tags: vec!["a:b".into()],
            repo_digests: Vec::new(),
            parent: String::new(),
            comment: String::new(),
            created: None,
            author: String::new(),
            config: ContainerConfig { cmd: Some(vec!["sh".into()]), ..ContainerConfig::default() },
            architecture: "amd64".into(),
            variant: String::new(),
            os: "linux".into(),
            os_version: String::new(),
            size: 7,
            layers: Vec::new(),
            storage_driver: "overlay2".into(),
            directories: Default::default(),
            last_tagged: None,
            containers: 0,
            shared: None,
        }
    }

    #[test]
    fn versions_of_an_image() {
        let old = image_inspect(&image(), Version::minor(43));
        assert_eq!((old.virtual_size, old.container.as_deref()), (Some(7), Some("")));
        assert!(old.config.get("Tty").is_some());
        let new = image_inspect(&image(), Version::minor(55));
        assert_eq!((new.virtual_size, new.container, new.parent), (None, None, None));
        assert_eq!(new.config, serde_json::json!({"Cmd": ["sh"]}));
        assert!(image_inspect(&image(), Version::minor(51)).config.get("Env").is_some());
    }
}
