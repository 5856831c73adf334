//! What the misbehaving registry has, and what it would say if it behaved.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Picture;
use super::super::listener::Request;
use crate::image::sha256;

/// A right answer.
pub(super) struct Whole {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Arc<Vec<u8>>,
}

impl Whole {
    fn new(status: u16, headers: &[(&str, &str)], body: Arc<Vec<u8>>) -> Option<Self> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Some(Self { status, headers, body })
    }

    fn empty(status: u16, headers: &[(&str, &str)]) -> Option<Self> {
        Self::new(status, headers, Arc::default())
    }
}

#[derive(Default)]
pub(super) struct Store {
    pub(super) picture: Picture,
    /// Tags that were pushed; any other names the picture's root.
    tags: BTreeMap<String, String>,
    uploads: BTreeMap<String, Vec<u8>>,
    /// Uploads that were ever begun: the next one's name.
    begun: usize,
}

impl Store {
    pub(super) fn new(picture: Picture) -> Self {
        Self { picture, ..Self::default() }
    }

    pub(super) fn replace(&mut self, picture: &Picture) {
        self.picture.take(picture);
        self.picture.root.clone_from(&picture.root);
    }

    pub(super) fn answer(&mut self, request: &Request) -> Option<Whole> {
        let path = request.path().to_owned();
        if matches!(path.as_str(), "/v2" | "/v2/") {
            return Whole::empty(200, &[]);
        }
        if let Some((_, reference)) = path.split_once("/manifests/") {
            return match request.method.as_str() {
                "PUT" => self.put_manifest(request, reference),
                _ => self.manifest(reference),
            };
        }
        if path.contains("/blobs/uploads") {
            return self.upload(request, &path);
        }
        if let Some((_, digest)) = path.split_once("/blobs/") {
            let body = self.picture.blobs.get(digest)?.clone();
            let headers = [("Docker-Content-Digest", digest), ("Content-Type", "application/octet-stream")];
            return Whole::new(200, &headers, body);
        }
        if let Some((_, digest)) = path.split_once("/referrers/") {
            let body = format!(
                "{{\"schemaVersion\":2,\"mediaType\":\"{}\",\"manifests\":[]}}",
                super::super::picture::OCI_INDEX
            );
            let headers = [("Content-Type", super::super::picture::OCI_INDEX), ("X-Subject", digest)];
            return Whole::new(200, &headers, Arc::new(body.into_bytes()));
        }
        if let Some((name, _)) = path.split_once("/tags/list") {
            let name = name.trim_start_matches("/v2/");
            let tags: Vec<_> = match self.tags.is_empty() {
                true => vec!["latest"],
                false => self.tags.keys().map(String::as_str).collect(),
            };
            let body = serde_json::json!({"name": name, "tags": tags}).to_string();
            return Whole::new(200, &[("Content-Type", "application/json")], Arc::new(body.into_bytes()));
        }
        None
    }

    fn manifest(&self, reference: &str) -> Option<Whole> {
        let digest = match reference.starts_with("sha256:") {
            true => reference,
            false => self.tags.get(reference).unwrap_or(&self.picture.root),
        };
        let (media, bytes) = self.picture.manifests.get(digest)?;
        let headers = [("Docker-Content-Digest", digest), ("Content-Type", media)];
        Whole::new(200, &headers, Arc::new(bytes.clone()))
    }

    fn put_manifest(&mut self, request: &Request, reference: &str) -> Option<Whole> {
        let digest = format!("sha256:{}", sha256(&request.body));
        let media = request.header("content-type").unwrap_or_default().to_owned();
        self.picture.manifests.insert(digest.clone(), (media, request.body.clone()));
        if !reference.starts_with("sha256:") {
            self.tags.insert(reference.to_owned(), digest.clone());
        }
        Whole::empty(201, &[("Docker-Content-Digest", &digest), ("Location", request.path())])
    }

    fn upload(&mut self, request: &Request, path: &str) -> Option<Whole> {
        if request.method == "POST" {
            let mounted = request.parameter("mount").filter(|digest| self.picture.blobs.contains_key(digest));
            if let Some(digest) = mounted {
                return Whole::empty(201, &[("Docker-Content-Digest", &digest), ("Location", "/v2/")]);
            }
            let place = format!("{}/{}", path.trim_end_matches('/'), self.begun);
            self.begun += 1;
            self.uploads.insert(place.clone(), Vec::new());
            return match request.parameter("digest") {
                Some(digest) => self.finish(&place, request, &digest),
                None => Whole::empty(202, &[("Location", &place), ("Range", "0-0")]),
            };
        }
        match (request.method.as_str(), request.parameter("digest")) {
            ("PUT", Some(digest)) => self.finish(path, request, &digest),
            ("PATCH", _) => {
                let upload = self.uploads.get_mut(path)?;
                upload.extend(&request.body);
                let range = format!("0-{}", upload.len().saturating_sub(1));
                Whole::empty(202, &[("Location", path), ("Range", &range)])
            }
            ("DELETE", _) => {
                self.uploads.remove(path)?;
                Whole::empty(204, &[])
            }
            _ => {
                let range = format!("0-{}", self.uploads.get(path)?.len().saturating_sub(1));
                Whole::empty(204, &[("Location", path), ("Range", &range)])
            }
        }
    }

    fn finish(&mut self, place: &str, request: &Request, digest: &str) -> Option<Whole> {
        let mut bytes = self.uploads.remove(place)?;
        bytes.extend(&request.body);
        if format!("sha256:{}", sha256(&bytes)) != digest {
            let body =
                b"{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"not these bytes\"}]}".to_vec();
            return Whole::new(400, &[("Content-Type", "application/json")], Arc::new(body));
        }
        self.picture.blobs.insert(digest.to_owned(), Arc::new(bytes));
        Whole::empty(201, &[("Docker-Content-Digest", digest), ("Location", "/v2/")])
    }
}
